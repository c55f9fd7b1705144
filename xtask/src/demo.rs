//! `cargo xtask demo`: from a fresh clone to something to look at.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::sh::Failure;
use crate::workspace;

/// Builds the three programs in one folder, where `ferryway demo` looks for the other two, and
/// becomes `ferryway demo`. It replaces this process, so that Ctrl-C and signals are its own.
pub(crate) fn run(args: &[OsString]) -> Result<(), Failure> {
    workspace::build_programs(&["--release"])?;
    let program = workspace::target_folder()?.join("release/ferryway");
    let error = Command::new(&program).arg("demo").args(args).exec();
    Err(Failure::Other(format!(
        "cannot start {}: {error}",
        program.display()
    )))
}
