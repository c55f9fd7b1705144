//! The control plane's program.

use std::process::ExitCode;

use ferryway_control::{Asked, Settings};

fn main() -> ExitCode {
    let settings = match Settings::read(std::env::args_os(), |name| std::env::var_os(name)) {
        Ok(Asked::Run(settings)) => settings,
        Ok(Asked::Told(told)) => told.exit(),
        Err(why) => return failed(&why),
    };
    match ferryway_control::run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one place where the program says why it ends"
)]
fn failed(why: &str) -> ExitCode {
    eprintln!("ferryway-control: {why}");
    ExitCode::FAILURE
}
