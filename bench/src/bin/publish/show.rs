//! The report's text.

use std::time::Duration;

use ferryway_bench::stage::Memory;
use ferryway_bench::{Report, Table, Times, micros, millis};

use crate::change::{Applies, Changes};
use crate::measure::Figures;

/// What is measured, in a few sentences.
pub(crate) fn preamble(changes: usize, file_system: &str) -> String {
    format!(
        "One control plane (`--dev`, embedded store), one gateway instance, one client, all on this \
         machine; data on {file_system}. {changes} changes at each size, one after another: the \
         path or the priority of one route, put into the hub, then published with `?wait=30s` over \
         a connection that is kept. Every publish succeeded with the instance `applied`."
    )
}

/// Adds what was measured at one size.
pub(crate) fn add(report: &mut Report, figures: &Figures) {
    let content = figures.content;
    report.heading(format!(
        "{} routes: {} × {} routes",
        content.routes(),
        match content.services {
            1 => "1 service".to_owned(),
            services => format!("{services} services"),
        },
        content.routes_each
    ));
    report.table(&times(&figures.changes));
    if let Some(applies) = figures.changes.applies {
        report.paragraph(applied(applies));
    }
    let [control, gateway] = figures.cpu.map(millis);
    report.paragraph(format!(
        "Processor time for each change, its PUT and the reading of metrics included: control plane \
         {control}, gateway {gateway}."
    ));
    report.table(&starts(figures));
    report.table(&memory(figures));
    report.paragraph(format!(
        "Filling the empty group took {} for each service (POST and publish, without an instance).",
        millis(figures.filling)
    ));
}

fn times(changes: &Changes) -> Table {
    let mut table = Table::new(["each change", "mean", "p50", "p99", "longest"]);
    let mut row = |what: &str, times: &Times| {
        let [median, most, longest] = times.cells();
        table.row([what, &millis(times.mean()), &median, &most, &longest]);
    };
    row(
        "**publish → applied**: call sent to answer read",
        &changes.answered,
    );
    row(
        "commit → applied, as the operation says (whole ms)",
        &changes.delivered,
    );
    row("in the store's commits", &changes.committed);
    row("of that making them durable", &changes.synced);
    row(
        "for comparison: 4 KiB appended and fdatasync",
        &changes.appended,
    );
    table
}

fn applied(applies: Applies) -> String {
    let shown = |seconds: f64| {
        Duration::try_from_secs_f64(seconds)
            .map_or_else(|_| "more than its last bound".to_owned(), micros)
    };
    let [median, most] = applies.bounds.map(shown);
    format!(
        "The gateway itself counts, from the candidate at hand to the swap, {} on average; half \
         within {median}, 99 of 100 within {most} (bounds of its buckets).",
        shown(applies.mean)
    )
}

fn starts(figures: &Figures) -> Table {
    let mut table = Table::new(["start of the process to …", "`/readyz`", "first answer"]);
    let [ready, answer] = figures.first_start.map(millis);
    table.row(["nothing on disk, once", &ready, &answer]);
    let restarts = &figures.restarts;
    let both = |of: fn(&Times) -> Duration| {
        [&restarts.ready, &restarts.first_answer].map(|times| millis(of(times)))
    };
    let [ready, answer] = both(|times| times.percentile(50));
    table.row(["from disk, no control plane, median", &ready, &answer]);
    let [ready, answer] = both(Times::longest);
    table.row(["the same, longest", &ready, &answer]);
    table
}

fn memory(figures: &Figures) -> Table {
    let mut table = Table::new(["memory", "resident", "most so far"]);
    let mut row = |what: &str, memory: Memory| {
        let [resident, peak] = memory.cells();
        table.row([what, &resident, &peak]);
    };
    let [control, gateway] = figures.memory_before;
    row("control plane, before the changes", control);
    row("gateway, before the changes", gateway);
    let [control, gateway] = figures.memory_after;
    row("control plane, after them", control);
    row("gateway, after them", gateway);
    if let Some(memory) = figures.restarts.memory {
        row("gateway, started from disk", memory);
    }
    table
}
