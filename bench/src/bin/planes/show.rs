//! The report's text.

use std::process::Command;

use ferryway_bench::{Outcome, Report, Table, Times, millis};

use crate::changes::{Changes, ROUTES};
use crate::losses::{Loss, Losses};

/// What is measured, in a few sentences.
pub(crate) fn preamble(file_system: &str) -> Outcome<String> {
    let output = Command::new("etcd").arg("--version").output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said
        .lines()
        .next()
        .unwrap_or("etcd")
        .replace(" Version:", "");
    Ok(format!(
        "Three members of {version}, three control planes (`--dev`), all on this machine beside the \
         instances; data on {file_system}."
    ))
}

/// Adds what changes took.
pub(crate) fn changes(report: &mut Report, count: usize, changes: &Changes) {
    report.heading("Publish → applied");
    report.paragraph(format!(
        "{count} changes in each way, in turn, to a group of {ROUTES} routes with one instance: the \
         path or the priority of one route, put into the hub, then published with `?wait=30s`; from \
         sending the publish to the end of its answer, which says that the instance has applied it."
    ));
    let mut table = Table::new(["published at", "mean", "p50", "p99", "longest"]);
    row(&mut table, "the instance's control plane", &changes.here);
    row(&mut table, "another control plane", &changes.elsewhere);
    report.table(&table);
}

/// Adds how long instances were without a control plane.
pub(crate) fn losses(report: &mut Report, loss: Loss, count: usize, losses: &Losses) {
    report.heading(match loss {
        Loss::Killed => "A control plane is killed",
        Loss::Stopped => "A control plane falls silent",
    });
    let signal = match loss {
        Loss::Killed => "SIGKILL",
        Loss::Stopped => "SIGSTOP",
    };
    report.paragraph(format!(
        "{count} times. From {signal} until an instance that was there is served by another control \
         plane, by its own word, asked every 2 ms. Instances spread themselves over a second."
    ));
    let mut table = Table::new(["until", "mean", "p50", "p99", "longest"]);
    row(&mut table, "an instance is elsewhere", &losses.each);
    row(&mut table, "the last one of a loss is", &losses.last);
    report.table(&table);
}

fn row(table: &mut Table, what: &str, times: &Times) {
    let [median, most, longest] = times.cells();
    table.row([what, &millis(times.mean()), &median, &most, &longest]);
}
