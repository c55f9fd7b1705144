//! `cargo xtask ci`: all that a change must pass, the quick things first.

use std::ffi::OsString;

use crate::sh::{self, Failure, Stopwatch};
use crate::{deny, layers, test, tidy};

/// Runs the steps in order, each with its time, until one fails.
pub(crate) fn run(args: &[OsString]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        return Err(Failure::Usage(format!(
            "`ci` takes no `{}`",
            arg.to_string_lossy()
        )));
    }
    let whole = Stopwatch::start();
    for (name, step) in STEPS {
        println!("== {name}");
        let own = Stopwatch::start();
        let outcome = step();
        println!("== {name}: {:.1} s", own.elapsed().as_secs_f64());
        outcome.map_err(|failure| Failure::Other(format!("{name}: {failure}")))?;
    }
    println!("== all: {:.1} s", whole.elapsed().as_secs_f64());
    Ok(())
}

type Step = fn() -> Result<(), Failure>;

const STEPS: [(&str, Step); 7] = [
    ("format", || {
        sh::run(&mut sh::cargo(["fmt", "--all", "--check"]))
    }),
    ("layers", layers::check),
    ("tidy", tidy::check),
    ("licences, bans, sources", deny::check),
    ("lints", || {
        sh::run(&mut sh::cargo([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    }),
    ("documentation", || {
        let mut command = sh::cargo(["doc", "--workspace", "--no-deps"]);
        sh::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("tests", || test::run(Vec::new())),
];
