//! Where this workspace is and what cargo knows of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sh::{self, Failure};

/// The root of the workspace: the folder above this crate's.
pub(crate) fn root() -> &'static Path {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().expect("xtask lies in the workspace")
}

/// What `cargo metadata` says of the workspace's own packages.
pub(crate) fn metadata() -> Result<Value, Failure> {
    let text = sh::output(&mut sh::cargo([
        "metadata",
        "--format-version=1",
        "--no-deps",
    ]))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Other(format!("`cargo metadata` answered no JSON: {error}")))
}

/// Where cargo builds.
pub(crate) fn target_folder() -> Result<PathBuf, Failure> {
    let metadata = metadata()?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| Failure::Other("`cargo metadata` names no target folder".to_owned()))
}

/// The packages with the three programs of Ferryway.
const PROGRAM_PACKAGES: [&str; 3] = ["ferryway-cli", "ferryway-control", "ferryway-gateway"];

/// `cargo build --bins` of the three programs, with further arguments.
pub(crate) fn build_programs(further: &[&str]) -> Result<(), Failure> {
    let mut command = sh::cargo(["build", "--bins"]);
    command.args(further);
    for package in PROGRAM_PACKAGES {
        command.args(["--package", package]);
    }
    sh::run(&mut command)
}
