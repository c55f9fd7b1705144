//! The control plane's program.

use std::io::{self, Write as _};
use std::process::ExitCode;

use ferryway_control::{Asked, Settings};

fn main() -> ExitCode {
    let done = match Settings::read(std::env::args_os(), |name| std::env::var_os(name)) {
        Ok(Asked::Run(settings)) => ferryway_control::run(&settings),
        Ok(Asked::Store(command)) => command.run(),
        Ok(Asked::Told(told)) => told.exit(),
        Err(why) => Err(why),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

/// The one place where the program says why it ends. Where it can't be said (the disk under the log
/// is full, say), the exit code still tells.
fn failed(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "ferryway-control: {why}");
    ExitCode::FAILURE
}
