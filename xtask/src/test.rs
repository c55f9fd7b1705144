//! `cargo xtask test`: all tests, with all they need.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Command;

use crate::sh::{self, Failure, Stream};
use crate::{test_env, workspace};

/// Brings the environment, builds the programs that the end-to-end tests start, and runs the tests
/// and then, in a whole run, the doctests. The last line has the sum.
pub(crate) fn run(mut args: Vec<OsString>) -> Result<(), Failure> {
    let given = args.len();
    args.retain(|arg| arg != "--long");
    let long = args.len() < given;

    let venv = test_env::bring()?;
    workspace::build_programs(&[])?;
    let programs = workspace::target_folder()?.join("debug");

    let mut sum = Sum::default();
    let tests = run_tests(&args, long, &venv, &programs, &mut sum);
    let doctests = if args.is_empty() {
        run_doctests(&mut sum)
    } else {
        Ok(())
    };
    println!("{} passed, {} failed", sum.passed, sum.failed);
    tests.and(doctests)
}

/// With nextest where it is installed, which gives each test its own process and its own limit;
/// without it the tests are the same.
fn run_tests(
    args: &[OsString],
    long: bool,
    venv: &Path,
    programs: &Path,
    sum: &mut Sum,
) -> Result<(), Failure> {
    let nextest = sh::find("cargo-nextest").is_some();
    let mut command = if nextest {
        sh::cargo(["nextest", "run", "--profile", profile(long)])
    } else {
        sh::cargo(["test", "--lib", "--bins", "--tests"])
    };
    if !args.iter().any(names_a_package) {
        command.arg("--workspace");
    }
    command.args(args);
    command
        .env("FERRYWAY_TEST_VENV", venv)
        .env("FERRYWAY_TEST_BIN_DIR", programs);
    if long {
        command.env("PROPTEST_CASES", LONG_PROPTEST_CASES);
    }
    if nextest {
        keep_colours(&mut command);
        sh::watched(&mut command, Stream::Stderr, |line| sum.add_nextest(line))
    } else {
        sh::watched(&mut command, Stream::Stdout, |line| sum.add_libtest(line))
    }
}

fn run_doctests(sum: &mut Sum) -> Result<(), Failure> {
    let mut command = sh::cargo(["test", "--doc", "--workspace"]);
    sh::watched(&mut command, Stream::Stdout, |line| sum.add_libtest(line))
}

/// A profile of `.config/nextest.toml`.
fn profile(long: bool) -> &'static str {
    match std::env::var_os("CI") {
        _ if long => "long",
        Some(value) if value == "true" => "ci",
        _ => "default",
    }
}

fn names_a_package(arg: &OsString) -> bool {
    let arg = arg.to_string_lossy();
    arg.starts_with("-p") || arg.starts_with("--package")
}

/// What is watched is piped, and nextest would take that for the wish to have no colours.
fn keep_colours(command: &mut Command) {
    if std::io::stderr().is_terminal() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
}

/// proptest's own default is 256.
const LONG_PROPTEST_CASES: &str = "10000";

/// The tests counted so far.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    passed: u64,
    failed: u64,
}

impl Sum {
    /// Reads `Summary [ 0.1s] 4 tests run: 2 passed (1 slow), 1 failed, 1 timed out, 3 skipped`.
    /// Whatever is neither passed nor skipped has failed.
    fn add_nextest(&mut self, line: &str) {
        let Some((_, counts)) = line
            .trim_start()
            .strip_prefix("Summary [")
            .and_then(|rest| rest.split_once(" run: "))
        else {
            return;
        };
        let mut inside = false;
        let plain: String = counts
            .chars()
            .filter(|char| {
                inside = *char == '(' || inside && *char != ')';
                !inside && *char != ')'
            })
            .collect();
        for part in plain.split(", ") {
            let Some((count, word)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(count) = count.parse::<u64>() else {
                continue;
            };
            match word.trim() {
                "passed" => self.passed += count,
                "skipped" => {}
                _ => self.failed += count,
            }
        }
    }

    /// Reads `test result: ok. 5 passed; 0 failed; 0 ignored; …`.
    fn add_libtest(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            match part
                .split_once(' ')
                .map(|(count, word)| (count.parse::<u64>(), word))
            {
                Some((Ok(count), "passed")) => self.passed += count,
                Some((Ok(count), "failed")) => self.failed += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextests_summary_is_read() {
        for (line, passed, failed) in [
            (
                "     Summary [   2.394s] 44 tests run: 44 passed, 10 skipped",
                44,
                0,
            ),
            (
                "Summary [ 1s] 9 tests run: 4 passed (2 slow, 1 leaky), 3 failed, 2 timed out",
                4,
                5,
            ),
            (
                "Summary [ 1s] 1 test run: 1 passed (1 flaky), 0 skipped",
                1,
                0,
            ),
            (
                "Summary [ 1s] 5/9 tests run: 4 passed, 1 exec failed, 0 skipped",
                4,
                1,
            ),
            ("        PASS [   0.1s] says 3 tests run: 3 passed", 0, 0),
        ] {
            let mut sum = Sum::default();
            sum.add_nextest(line);
            assert_eq!(sum, Sum { passed, failed }, "{line}");
        }
    }

    #[test]
    fn libtests_results_are_summed_up() {
        let mut sum = Sum::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            sum.add_libtest(line);
        }
        assert_eq!(
            sum,
            Sum {
                passed: 4,
                failed: 2
            }
        );
    }

    #[test]
    fn a_package_narrows_the_run() {
        for (arg, expected) in [
            ("-p", true),
            ("-pmodel", true),
            ("--package=a", true),
            ("--profile", false),
            ("p", false),
        ] {
            assert_eq!(names_a_package(&OsString::from(arg)), expected, "{arg}");
        }
    }
}
