//! The project's own commands. A fresh clone needs only cargo: what a command needs beyond that it
//! brings, or says in a sentence what to install.
//!
//! - [`demo`]: builds the three programs and shows them at work.
//! - [`mod@test`]: the whole test suite, in the environment that [`test_env`] makes.
//! - [`mod@bench`]: the benchmarks, on release builds.
//! - [`ci`]: everything a change must pass: [`layers`], [`tidy`], [`deny`], the lints, the tests.
//!
//! Few dependencies on purpose: every command waits for this crate to compile.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program's output is for the person or the log that runs it"
)]

mod bench;
mod ci;
mod demo;
mod deny;
mod layers;
mod sh;
mod test;
mod test_env;
mod tidy;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use sh::Failure;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    match run(&command.to_string_lossy(), args.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(sentence)) => {
            eprintln!("error: {sentence}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, args: Vec<OsString>) -> Result<(), Failure> {
    match command {
        "demo" => demo::run(&args),
        "test" => test::run(args),
        "bench" => bench::run(args),
        "ci" => ci::run(&args),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        "" => Err(Failure::Usage("no command".to_owned())),
        other => Err(Failure::Usage(format!("no command `{other}`"))),
    }
}

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [--ports-from N]   build the three programs, then run `ferryway demo`
  test [--long] [ARGS]    bring what the tests need and run them all, doctests too. ARGS go to
                          `cargo nextest run` (`-p PACKAGE`, a part of a name) and narrow the run;
                          doctests are then left out. --long: more cases, more patience.
  bench NAME [ARGS]       build with --release and run one benchmark: find, compare, publish,
                          api or reload; or all of them. It prints a report; ARGS are its own.
                          --save keeps the report in bench/results, of all but find
  ci                      all that a change must pass, the tests last";
