//! From a publish to its change being applied, on a real control plane and one real instance.
//!
//! ```text
//! publish [--sizes ROUTES,…] [--changes N] [--restarts N] [--programs DIR] [--save]
//! ```
//!
//! For each size: the group is filled; an instance starts with nothing and takes everything from
//! the control plane; then one route after another is changed and published, and the time is taken
//! from sending the publish to its final answer, over a connection that is kept. Between two
//! changes the disk is asked what one small durable append costs at that moment. In the end the
//! control plane goes away and the instance starts again from its own disk, several times.
//!
//! A publish that is not applied ends the run.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is a report, and meanwhile a word on how far it is"
)]

mod change;
mod measure;
mod restart;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ferryway_bench::stage::Stage;
use ferryway_bench::{Outcome, Report};

/// How long a change takes to be applied, and what of that is the disk's.
#[derive(Debug, Parser)]
struct Options {
    /// How many routes the group has, for each round.
    #[arg(long, value_name = "ROUTES", value_delimiter = ',', default_values_t = [100, 100_000])]
    sizes: Vec<usize>,
    /// How many changes are published at each size.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    changes: usize,
    /// How often the instance is started from its disk.
    #[arg(long, value_name = "N", default_value_t = 5)]
    restarts: usize,
    /// Where the programs lie; by default beside this one.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Keep the report as bench/results/publish.md.
    #[arg(long)]
    save: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("publish: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut report = Report::new("publish", "From a publish to its application", &arguments);
    let stage = Stage::new(options.programs.as_deref())?;
    report.paragraph(show::preamble(options.changes, &stage.file_system()));
    for &size in &options.sizes {
        let figures = runtime.block_on(measure::size(&stage, size, options))?;
        show::add(&mut report, &figures);
    }
    print!("{}", report.text());
    if options.save {
        eprintln!("saved as {}", report.save()?.display());
    }
    Ok(())
}
