//! A control plane with a large store and many instances: what its readers wait for while it is
//! written to, what a sync costs, how much memory it takes and how fast it starts.
//!
//! ```text
//! api [--services N] [--groups N] [--agents N] [--operations N] [--requests N] [--syncs N]
//!     [--restarts N] [--programs DIR] [--until FILE] [--save]
//! ```
//!
//! The store is filled through the API: each service is published to the first group and synced to
//! all others. Then instances connect, spread over the groups: the gateway's own agents, each with
//! its own stream and its own view, that put nothing into service. Then come many more operations,
//! most of a few services, whose versions and history grow long. On that store, with everybody
//! connected: syncs alone, one after another; then the reads, one after another over a connection
//! that is kept, while [`background`] goes on. In the end the control plane is killed and started
//! again on the same store, several times.
//!
//! All before the syncs takes minutes and only has to be there: with `--until` the run waits then for
//! a file to be made, by whoever has a quiet machine from there on.
//!
//! A refusal, an instance that gets lost, or one that does not come to what it should run, ends the
//! run.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is a report, and meanwhile a word on how far it is"
)]

mod agents;
mod background;
mod changes;
mod fill;
mod measure;
mod reads;
mod show;
mod syncs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ferryway_bench::stage::Stage;
use ferryway_bench::{Outcome, Report};

/// The control plane with a large store and many instances.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// How many services there are, each in every group.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = at_least_ten)]
    services: usize,
    /// How many groups have them: three are compared and read by name.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(3..=32))]
    groups: u8,
    /// How many instances are connected.
    #[arg(long, value_name = "N", default_value_t = 100)]
    agents: usize,
    /// How many operations come on top of those that filled the store.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    operations: usize,
    /// How many times each thing is read, at least.
    #[arg(long, value_name = "N", default_value_t = 300)]
    requests: usize,
    /// How many syncs are measured alone.
    #[arg(long, value_name = "N", default_value_t = 500)]
    syncs: usize,
    /// How often the control plane is started again.
    #[arg(long, value_name = "N", default_value_t = 3)]
    restarts: usize,
    /// Where the programs lie; by default beside this one.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Wait for this file before anything is timed that a busy machine would spoil: before the
    /// syncs.
    #[arg(long, value_name = "FILE")]
    until: Option<PathBuf>,
    /// Keep the report as bench/results/api.md.
    #[arg(long)]
    save: bool,
}

/// Fewer services have too few hosts and too few of them for the changes.
fn at_least_ten(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 10 => Ok(number),
        Ok(_) => Err("must be at least 10".to_owned()),
        Err(error) => Err(format!("is no number: {error}")),
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("api: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut report = Report::new("api", "The API on a large store", &arguments);
    let stage = Stage::new(options.programs.as_deref())?;
    report.paragraph(show::preamble(options, &stage.file_system()));
    let figures = runtime.block_on(measure::all(&stage, options))?;
    show::add(&mut report, &figures);
    report.load_now();
    print!("{}", report.text());
    if options.save {
        eprintln!("saved as {}", report.save()?.display());
    }
    Ok(())
}
