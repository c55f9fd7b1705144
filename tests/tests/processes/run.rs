//! Programs that a test starts with exactly these arguments.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ferryway_testkit::{Program, binary, ports};
use tempfile::TempDir;

/// How long a program may take to find that it cannot start.
pub(super) const REFUSAL_TIME_MAX: Duration = Duration::from_secs(15);

/// Starts a program; a word `DATA` in the arguments stands for this folder.
#[track_caller]
pub(super) fn start(program: &str, args: &str, data: &Path) -> Program {
    let mut command = Command::new(binary(program));
    for arg in args.split_whitespace() {
        match arg {
            "DATA" => command.arg(data),
            arg => command.arg(arg),
        };
    }
    Program::start(program, command)
}

/// Starts a program that must end by itself with this code, and say all this in one sentence on
/// its standard error. `PORT` in the arguments stands for a free port each.
#[track_caller]
pub(super) fn check_refused(program: &str, args: &str, code: i32, says: &[&str]) {
    let data = TempDir::new().expect("a temporary folder can be made");
    let mut args = args.to_owned();
    while args.contains("PORT") {
        let [port] = ports::free();
        args = args.replacen("PORT", &port.to_string(), 1);
    }
    let mut running = start(program, &args, data.path());
    let exit = running.wait_exit(REFUSAL_TIME_MAX);
    let errors = running.stderr();
    assert_eq!(exit.code(), Some(code), "{program} {args}: {errors}");
    for word in says {
        assert!(
            errors.contains(word),
            "{word:?} of {program} {args}: {errors}"
        );
    }
    assert!(!errors.contains("panicked"), "{program} {args}: {errors}");
}

/// What every control plane of a test is started with.
pub(super) const CONTROL: &str = "--api 127.0.0.1:PORT --delivery 127.0.0.1:PORT --data-dir DATA";

/// What every gateway of a test is started with, beside its control plane and group.
pub(super) const GATEWAY: &str =
    "--http 127.0.0.1:PORT --https 127.0.0.1:PORT --status 127.0.0.1:PORT --data-dir DATA";
