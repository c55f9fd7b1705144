//! Where `cargo xtask test` has put what tests need.

use std::env;
use std::path::PathBuf;

/// One of this workspace's programs, as `cargo xtask test` has built it.
///
/// # Panics
///
/// When the test was started by other means than `cargo xtask test`: a program found by guessing
/// might be an old one, and a test of an old program proves nothing.
pub fn binary(name: &str) -> PathBuf {
    let path = named_by("FERRYWAY_TEST_BIN_DIR").join(name);
    assert!(
        path.is_file(),
        "no program at {}: run `cargo xtask test`",
        path.display()
    );
    path
}

/// The Python environment with httpbin, gunicorn and dnspython.
///
/// # Panics
///
/// When the test was started by other means than `cargo xtask test`.
pub fn venv() -> PathBuf {
    named_by("FERRYWAY_TEST_VENV")
}

fn named_by(variable: &str) -> PathBuf {
    env::var_os(variable).map(PathBuf::from).unwrap_or_else(|| {
        panic!("{variable} is not set: run `cargo xtask test [-p PACKAGE] [NAME]`")
    })
}
