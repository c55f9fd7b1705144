//! Several control planes: what it costs that publisher and instance are at different ones, and how
//! soon instances are elsewhere when one is lost.
//!
//! ```text
//! planes [--changes N] [--kills N] [--stops N] [--programs DIR] [--save]
//! ```
//!
//! Three members of etcd, three control planes, all real processes on this machine. First changes
//! are published, in turn at the control plane where the only instance is and at another one. Then
//! several instances are spread over the control planes; the one where the first of them is gets
//! killed, and the time is taken until each of its instances is served by another one. It is started
//! again, and so on. Last the same with one that is stopped (SIGSTOP): it only falls silent.
//!
//! It needs `etcd` and `etcdctl`, which `cargo xtask test` brings. A publish that is not applied, or
//! an instance that arrives nowhere, ends the run.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is a report, and meanwhile a word on how far it is"
)]

mod changes;
mod fleet;
mod losses;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ferryway_bench::stage::Stage;
use ferryway_bench::{Outcome, Report};
use ferryway_runtime::Tasks;

use fleet::Fleet;
use losses::Loss;

/// What several control planes cost, and what it is when one is lost.
#[derive(Debug, Parser)]
struct Options {
    /// How many changes are published in each way.
    #[arg(long, value_name = "N", default_value_t = 500)]
    changes: usize,
    /// How often a control plane is killed.
    #[arg(long, value_name = "N", default_value_t = 40)]
    kills: usize,
    /// How often one is stopped.
    #[arg(long, value_name = "N", default_value_t = 10)]
    stops: usize,
    /// Where the programs lie; by default beside this one.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Keep the report as bench/results/planes.md.
    #[arg(long)]
    save: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("planes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut report = Report::new("planes", "Several control planes", &arguments);
    let stage = Stage::new(options.programs.as_deref())?;
    report.paragraph(show::preamble(&stage.file_system())?);
    runtime.block_on(measure(&stage, options, &mut report))?;
    report.load_now();
    print!("{}", report.text());
    if options.save {
        eprintln!("saved as {}", report.save()?.display());
    }
    Ok(())
}

async fn measure(stage: &Stage, options: &Options, report: &mut Report) -> Outcome<()> {
    let tasks = Tasks::new("planes");
    let mut fleet = Fleet::start(stage).await?;
    eprintln!("{} changes in each way", options.changes);
    let changes = changes::measure(&fleet, options.changes, &tasks).await?;
    show::changes(report, options.changes, &changes);
    fleet.grow().await?;
    for (loss, count) in [
        (Loss::Killed, options.kills),
        (Loss::Stopped, options.stops),
    ] {
        eprintln!("{count} times one is {loss}");
        let losses = losses::measure(&mut fleet, loss, count).await?;
        show::losses(report, loss, count, &losses);
    }
    tasks.stop(changes::GRACE).await;
    Ok(())
}
