//! What is measured in a process of its own: memory and instructions.

use std::hint::black_box;
use std::process::Command;

use http::HeaderMap;

use crate::tables::{self, Case, Hosts, Request};

const ITERATIONS: u64 = 10_000;
const PAGE_BYTES: usize = 4096;

/// How many bytes the process grew by for each route of a table.
pub(crate) fn memory(hosts: Hosts, size: usize) -> usize {
    let before = resident();
    let table = tables::table(hosts, size);
    let grown = resident().saturating_sub(before);
    black_box(&table);
    grown * PAGE_BYTES / size
}

/// [`memory`], in a child.
pub(crate) fn memory_in_child(hosts: Hosts, size: usize) -> String {
    let size = size.to_string();
    let arguments = ["--memory", hosts.name(), &size];
    let output = myself().args(arguments).output();
    let output = output.expect("the benchmark can start itself");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Builds a table and searches it.
pub(crate) fn iterate(hosts: Hosts, size: usize, case: Case, iterations: u64) {
    let table = tables::table(hosts, size);
    let requests: Vec<_> = (0..64)
        .map(|n| Request::new(hosts, size, case, n))
        .collect();
    let headers = HeaderMap::new();
    for (_, request) in (0..iterations).zip(requests.iter().cycle()) {
        black_box(table.find(black_box(&request.head(&headers))));
    }
}

/// Instructions of one search, given those of a run without searches; `-` without valgrind.
pub(crate) fn instructions_each(
    base: Option<u64>,
    hosts: Hosts,
    size: usize,
    case: Case,
) -> String {
    let all = instructions(hosts, size, case, ITERATIONS);
    match (base, all) {
        (Some(base), Some(all)) => (all.saturating_sub(base) / ITERATIONS).to_string(),
        _ => "-".to_owned(),
    }
}

/// Instructions of a run of [`iterate`], as callgrind counts them.
pub(crate) fn instructions(hosts: Hosts, size: usize, case: Case, iterations: u64) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--only", hosts.name(), &size.to_string(), case.name()])
        .args(["--iterations", &iterations.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let (_, collected) = text.split_once("Collected :")?;
    collected.split_whitespace().next()?.parse().ok()
}

fn myself() -> Command {
    Command::new(std::env::current_exe().expect("a running program has a path"))
}

/// Resident pages of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1);
    pages.and_then(|pages| pages.parse().ok()).unwrap_or(0)
}
