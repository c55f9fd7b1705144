//! The report's text.

use ferryway_bench::load::Lanes;
use ferryway_bench::{Report, Table};

use crate::Options;
use crate::run::{Figures, PHASES, Phase};

/// What is measured, in a few sentences.
pub(crate) fn preamble(options: &Options) -> String {
    let Options {
        every,
        rate,
        connections,
        fresh_rate,
        ..
    } = options;
    format!(
        "One control plane, one gateway instance with a worker for each core, the load and its \
         upstream, all on this machine. {rate} requests in a second over {connections} connections \
         that are kept, {fresh_rate} over a new connection each; 1 KiB answers. Changes are {every} \
         ms apart or more: of the service under load and of another one in turn. *Elsewhere*: the \
         same changes of a group without an instance, so the control plane's share of the cores \
         without the gateway's. Each publish *here* succeeded with the instance `applied`."
    )
}

/// Adds what came of one case.
pub(crate) fn add(report: &mut Report, figures: &Figures) {
    let content = figures.content;
    report.heading(format!(
        "{} routes ({} × {}), {} changes",
        content.routes(),
        content.services,
        content.routes_each,
        figures.swaps
    ));
    report.table(&requests(figures));
    report.table(&publishes(figures));
    let [resident, peak] = figures.memory.cells();
    report.paragraph(format!(
        "{} failed requests. Memory of the gateway in the end: {resident}, at most {peak}.",
        figures.failed()
    ));
    for failure in failures(figures) {
        report.paragraph(format!("- {failure}"));
    }
}

fn requests(figures: &Figures) -> Table {
    let mut table = Table::new(["requests", "good", "failed", "p50", "p99", "longest"]);
    for lane in 0..2 {
        for phase in PHASES {
            let (what, tally) = figures.lanes[phase.index()].both()[lane];
            let [median, most, longest] = tally.times.cells();
            let what = format!("{what} connections, {}", name(phase));
            let (good, failed) = (tally.good.to_string(), tally.failed.to_string());
            table.row([&what, &good, &failed, &median, &most, &longest]);
        }
    }
    table
}

fn publishes(figures: &Figures) -> Table {
    let mut table = Table::new(["publish to answer, under load", "p50", "p99", "longest"]);
    for phase in [Phase::Elsewhere, Phase::Here] {
        let [median, most, longest] = figures.published[phase.index()].cells();
        table.row([name(phase), &median, &most, &longest]);
    }
    table
}

fn failures(figures: &Figures) -> impl Iterator<Item = &String> {
    let tallies = figures.lanes.iter().flat_map(Lanes::both);
    tallies.flat_map(|(_, tally)| &tally.failures)
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Quiet => "quiet",
        Phase::Elsewhere => "changes elsewhere",
        Phase::Here => "changes here",
    }
}
