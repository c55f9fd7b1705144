//! CPU time per request of a gateway instance, nginx and haproxy, side by side.
//!
//! ```text
//! compare [--rounds N] [--seconds N] [--connections N] [--case NAME]… [--only NAME]
//!         [--peer-headers] [--bare | --proxy COMMAND] [--programs DIR] [--save]
//! ```
//!
//! The gateway is a real `ferryway-gateway --workers 1` with a real control plane, which has
//! published the case's services to it. `--bare` measures the data plane alone instead, without a
//! control plane (`bare_proxy`, beside this program), `--proxy` any other command.
//!
//! Each proxy has one worker and is kept to core 0; wrk, the upstream (an nginx) and the control
//! plane are kept to core 1. Rounds are interleaved, so that a noisy minute hits all alike. CPU time
//! is that of the proxy's process tree; the control plane's is shown beside it. What other
//! processes took of the machine meanwhile is measured too: in company a figure says little.
//!
//! An answer that is not 2xx, or a connection that breaks, ends the run.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is a report, and meanwhile a word on how far it is"
)]

mod case;
mod conf;
mod contender;
mod load;
mod measure;
mod server;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum, value_parser};
use ferryway_bench::stage::Stage;
use ferryway_bench::{Outcome, Report};

use case::{CASES, Case};
use contender::Ferryway;
use measure::Bench;

/// CPU time per request of a gateway instance, nginx and haproxy, side by side.
#[derive(Debug, Parser)]
struct Options {
    /// How often each proxy is measured in each case.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each time, in seconds.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    seconds: u32,
    /// How many connections wrk keeps.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    /// Measure this case; may be given again. By default all of them.
    #[arg(long = "case", value_name = "NAME", value_parser = Case::named)]
    cases: Vec<Case>,
    /// Measure this proxy alone.
    #[arg(long, value_name = "NAME")]
    only: Option<Name>,
    /// Let nginx and haproxy set the forwarding headers that Ferryway always sets.
    #[arg(long)]
    peer_headers: bool,
    /// Measure the data plane alone: no control plane, no delivery, no status page.
    #[arg(long, conflicts_with = "proxy")]
    bare: bool,
    /// Measure another command. It is split at blanks; `{listen}`, `{upstream}` and `{routes}` in
    /// it are replaced.
    #[arg(long, value_name = "COMMAND")]
    proxy: Option<String>,
    /// Where the programs lie; by default beside this one.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Keep the report as bench/results/compare.md.
    #[arg(long, conflicts_with_all = ["bare", "proxy", "only", "cases"])]
    save: bool,
}

/// Who can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Nginx,
    Haproxy,
    /// The gateway, or what is measured in its place.
    Ferryway,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ferryway = options.ferryway()?;
    let title = format!("{} beside nginx and haproxy", ferryway.name());
    let mut report = Report::new("compare", &title, &arguments);
    report.table(&show::measured(&ferryway)?);
    report.paragraph(show::preamble(options));
    let bench = runtime.block_on(Bench::new(options, ferryway))?;
    for case in options.cases() {
        let figures = runtime.block_on(bench.run(case))?;
        show::add(&mut report, case, &figures);
    }
    report.load_now();
    print!("{}", report.text());
    if options.save {
        eprintln!("saved as {}", report.save()?.display());
    }
    Ok(())
}

impl Options {
    fn cases(&self) -> &[Case] {
        match &self.cases[..] {
            [] => &CASES,
            some => some,
        }
    }

    fn wants(&self, name: Name) -> bool {
        self.only.is_none_or(|only| only == name)
    }

    fn ferryway(&self) -> Outcome<Ferryway> {
        match &self.proxy {
            Some(command) => Ferryway::command(command),
            None if self.bare => Ferryway::bare(self.programs.as_deref()),
            None => Ok(Ferryway::Gateway(Stage::new(self.programs.as_deref())?)),
        }
    }
}
