//! What requests notice of changes: a steady load through one gateway instance while services are
//! published to it.
//!
//! ```text
//! reload [--routes N --swaps N] [--every MS] [--rate N] [--connections N] [--fresh-rate N]
//!        [--programs DIR] [--save]
//! ```
//!
//! Three phases take turns: *quiet*; *elsewhere*, in which the same changes are published to a
//! group that has no instance; *here*, in which they are published to the group of the instance
//! under load. The control plane shares the machine's cores with everything else: what it takes of
//! them shows in both of the latter, and only the difference between these two is the gateway's.
//!
//! Any request that is not answered with 200 and the whole body ends the run with an error, as does
//! a publish that is not applied.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is a report, and meanwhile a word on how far it is"
)]

mod run;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ferryway_bench::stage::Stage;
use ferryway_bench::{Outcome, Report};

/// What requests notice of changes.
#[derive(Debug, Parser)]
struct Options {
    /// How many routes the group has; by default two sizes are measured.
    #[arg(long, value_name = "N", requires = "swaps")]
    routes: Option<usize>,
    /// How many changes are published to the instance under load.
    #[arg(long, value_name = "N", requires = "routes")]
    swaps: Option<usize>,
    /// Time from one publish to the next, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    every: u64,
    /// Requests in a second over connections that are kept.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    rate: u32,
    /// How many connections are kept.
    #[arg(long, value_name = "N", default_value_t = 64)]
    connections: u32,
    /// Requests in a second over a new connection each.
    #[arg(long, value_name = "N", default_value_t = 200)]
    fresh_rate: u32,
    /// Where the programs lie; by default beside this one.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Keep the report as bench/results/reload.md.
    #[arg(long)]
    save: bool,
}

/// Routes, and changes published to the instance under load, where nothing else is said.
const CASES: [(usize, usize); 2] = [(1_000, 200), (100_000, 1_000)];

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reload: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut report = Report::new("reload", "What requests notice of changes", &arguments);
    let stage = Stage::new(options.programs.as_deref())?;
    report.paragraph(show::preamble(options));
    let mut failed = 0;
    for (routes, swaps) in options.cases() {
        let figures = runtime.block_on(run::case(&stage, options, routes, swaps))?;
        show::add(&mut report, &figures);
        failed += figures.failed();
    }
    print!("{}", report.text());
    if failed > 0 {
        return Err(format!("{failed} requests failed").into());
    }
    if options.save {
        eprintln!("saved as {}", report.save()?.display());
    }
    Ok(())
}

impl Options {
    fn cases(&self) -> Vec<(usize, usize)> {
        match (self.routes, self.swaps) {
            (Some(routes), Some(swaps)) => vec![(routes, swaps)],
            _ => CASES.to_vec(),
        }
    }
}
