//! The gateway's program.

use std::io::{self, Write as _};
use std::process::ExitCode;

use ferryway_gateway::{Asked, Settings};

/// A table is hundreds of thousands of small things that several threads make and one lets go of.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = match read() {
        Ok(Asked::Run(settings)) => settings,
        Ok(Asked::Told(told)) => told.exit(),
        Err(why) => return failed(&why),
    };
    match ferryway_gateway::run(&settings, read) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

/// The settings as they are now: the file named by `--config` may change.
fn read() -> Result<Asked, String> {
    Settings::read(std::env::args_os(), |name| std::env::var_os(name))
}

/// The one place where the program says why it ends. Where it can't be said (the disk under the log
/// is full, say), the exit code still tells.
fn failed(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "ferryway-gateway: {why}");
    ExitCode::FAILURE
}
