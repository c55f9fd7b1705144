//! The report's text.

use ferryway_bench::{Report, Table, Times, millis};

use crate::Options;
use crate::background::RATE;
use crate::measure::{BUSY, Figures, ROUTES_EACH};
use crate::reads::Read;

/// What is measured, in a few sentences.
pub(crate) fn preamble(options: &Options, file_system: &str) -> String {
    let Options {
        services,
        groups,
        agents,
        operations,
        ..
    } = options;
    format!(
        "One control plane (`--dev`, embedded store), everything on this machine; data on \
         {file_system}. {services} services of {ROUTES_EACH} routes in each of {groups} groups; \
         {agents} instances connected (the gateway's own delivery agents, in the benchmark's \
         process, with no traffic and no disk); {operations} operations after the filling, of {} \
         services: of every ten, nine publish a new version to one group, and one syncs to all but \
         the first. No instance was lost, and all came to run what they should.",
        BUSY.len()
    )
}

/// Adds what was measured.
pub(crate) fn add(report: &mut Report, figures: &Figures) {
    if let Some(load) = &figures.load_before {
        report.paragraph(format!(
            "The filling, the instances' arrival and the further operations came first, on a machine \
             that did other things too; then the run waited until it was told that the machine is \
             quiet. Its load over the last minute when the syncs began: {load}."
        ));
    }
    report.heading("Reads");
    report.paragraph(format!(
        "One after another over a connection that is kept, from sending the request to the last \
         byte of the answer, while {RATE} syncs in a second were asked for ({:.1} were made), each \
         after a publish of what it syncs, and each acknowledged by the instances of all groups. \
         *To the end*: all pages, again and again, by their cursors; the times are of single pages. \
         A page ends at 8 MiB.",
        figures.background
    ));
    report.table(&reads(&figures.reads));
    report.heading("Writes");
    report.paragraph(
        "One service, synced to all groups but the first, one after another with nothing else going \
         on; each is one transaction.",
    );
    report.table(&syncs(figures));
    let durable = figures.syncs.durable.mean().as_secs_f64();
    let committed = figures.syncs.committed.mean().as_secs_f64();
    report.paragraph(format!(
        "Of the transaction {:.0} % is the waiting for the disk, on average. Filling the store took \
         {:.1} s; the instances had all of it {:.1} s after the first began to connect; each of the \
         further operations took {} on average, those publishes' PUT included.",
        100.0 * durable / committed.max(f64::MIN_POSITIVE),
        figures.filling.as_secs_f64(),
        figures.arriving.as_secs_f64(),
        millis(figures.operation)
    ));
    report.heading("Memory and start");
    let mut table = Table::new([
        "memory of the control plane after …",
        "resident",
        "most so far",
    ]);
    for (after, memory) in &figures.memory {
        let [resident, most] = memory.cells();
        table.row([after, &resident, &most]);
    }
    report.table(&table);
    report.paragraph(format!(
        "A start on that store, after a kill, from making the process to the first 200 of \
         `/readyz`: {} (median), {} (longest).",
        millis(figures.starts.percentile(50)),
        millis(figures.starts.longest())
    ));
}

fn reads(reads: &[Read]) -> Table {
    let mut table = Table::new(["GET", "pages", "longest answer", "p50", "p99", "longest"]);
    for read in reads {
        let end = if read.to_the_end { ", to the end" } else { "" };
        let what = format!("`{}`{end}", read.path);
        let pages = read.pages.to_string();
        let bytes = format!("{:.1} kB", read.longest_bytes as f64 / 1e3);
        let [median, most, longest] = read.times.cells();
        table.row([&what, &pages, &bytes, &median, &most, &longest]);
    }
    table
}

fn syncs(figures: &Figures) -> Table {
    let syncs = &figures.syncs;
    let mut table = Table::new(["each sync", "mean", "p50", "p99", "longest"]);
    let mut row = |what: &str, times: &Times| {
        let [median, most, longest] = times.cells();
        table.row([what, &millis(times.mean()), &median, &most, &longest]);
    };
    row(
        "call sent to answer read, not waiting for instances",
        &syncs.accepted,
    );
    row(
        "call sent to all instances applied, asked for with `?wait`",
        &syncs.delivered,
    );
    row("**in the store's transaction**", &syncs.committed);
    row("of that making it durable", &syncs.durable);
    row(
        "for comparison: 4 KiB appended and fdatasync",
        &syncs.appended,
    );
    table
}
