//! `RouteTable::find` and `with`: nanoseconds, instructions, memory, and what a change costs.
//!
//! Without arguments it measures everything and prints Markdown. It starts itself anew where
//! something must be alone in its process: for memory (`--memory HOSTS SIZE`), and under callgrind
//! for instruction counts (`--only HOSTS SIZE CASE --iterations N`).

#![expect(clippy::print_stdout, reason = "a benchmark's result is its output")]

mod change;
mod isolated;
mod tables;
mod time;

use std::process::ExitCode;

use tables::{CASES, Case, HOSTS, Hosts, SIZES};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if run(&arguments).is_some() {
        return ExitCode::SUCCESS;
    }
    println!("usage: find [--memory HOSTS SIZE | --only HOSTS SIZE CASE --iterations N]");
    println!("HOSTS: {}", HOSTS.map(Hosts::name).join(", "));
    println!("CASE: {}", CASES.map(Case::name).join(", "));
    ExitCode::from(2)
}

/// None: the arguments say nothing that can be done.
fn run(arguments: &[&str]) -> Option<()> {
    match arguments {
        [] => report(),
        ["--memory", hosts, size] => {
            println!(
                "{}",
                isolated::memory(Hosts::parse(hosts)?, size.parse().ok()?)
            );
        }
        ["--only", hosts, size, case, "--iterations", iterations] => {
            let (hosts, size) = (Hosts::parse(hosts)?, size.parse().ok()?);
            isolated::iterate(hosts, size, Case::parse(case)?, iterations.parse().ok()?);
        }
        _ => return None,
    }
    Some(())
}

fn report() {
    println!("| routes | hosts | request | ns, hot | ns, random | instructions |");
    println!("|---:|---|---|---:|---:|---:|");
    for size in SIZES {
        for hosts in HOSTS {
            let table = tables::table(hosts, size);
            let base = isolated::instructions(hosts, size, CASES[0], 0);
            for case in CASES {
                let [hot, random] = time::find(&table, hosts, size, case);
                let instructions = isolated::instructions_each(base, hosts, size, case);
                let (hosts, case) = (hosts.name(), case.name());
                println!("| {size} | {hosts} | {case} | {hot:.1} | {random:.1} | {instructions} |");
            }
        }
    }
    println!();
    println!("| routes | hosts | bytes a route |");
    println!("|---:|---|---:|");
    for size in &SIZES[1..] {
        for hosts in HOSTS {
            let bytes = isolated::memory_in_child(hosts, *size);
            println!("| {size} | {} | {bytes} |", hosts.name());
        }
    }
    println!();
    println!(
        "| one service changed | of | build + swap, median | p99 | drop of the old, median | p99 |"
    );
    println!("|---|---|---:|---:|---:|---:|");
    for hosts in HOSTS {
        for routes in [10, 100] {
            change::report(hosts, routes);
        }
    }
}
