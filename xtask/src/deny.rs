//! Licences, banned crates and sources of all that is built in, by `deny.toml`.
//!
//! Advisories are left out: their database changes with the day, and a check that turns red by
//! itself says nothing about a change.

use std::process::Command;

use crate::sh::{self, Failure};
use crate::workspace;

/// Runs cargo-deny: the one that is installed, else one built here (which takes some minutes).
pub(crate) fn check() -> Result<(), Failure> {
    let tools = workspace::target_folder()?.join("tools");
    let own = tools.join("bin/cargo-deny");
    let program = match sh::find("cargo-deny") {
        Some(installed) => installed,
        None if own.is_file() => own,
        None => {
            let what = [
                "install",
                "cargo-deny",
                "--locked",
                "--version",
                VERSION,
                "--root",
            ];
            sh::run(sh::cargo(what).arg(&tools))?;
            own
        }
    };
    let mut command = Command::new(program);
    command
        .args(["check", "licenses", "bans", "sources"])
        .current_dir(workspace::root());
    sh::run(&mut command)
}

const VERSION: &str = "0.20.2";
