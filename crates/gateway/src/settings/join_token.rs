//! What lets the instance in: a join token, in a flag or in a file.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use ferryway_delivery::Credentials;
use ferryway_tls::{InvalidJoinToken, JoinToken};

/// The most that is read of a file with a join token.
const FILE_BYTES_MAX: u64 = 4 * 1024;

/// Reads the token, where one is given.
///
/// # Errors
/// A sentence: what was given is none, or the file can't be read.
pub(super) fn read(
    text: Option<String>,
    file: Option<&Path>,
    data_dir: Option<&Path>,
) -> Result<Option<JoinToken>, String> {
    let (text, flag) = match file {
        None => (text, "--join-token"),
        Some(file) => (in_file(file, data_dir)?, "--join-token-file"),
    };
    let parse = |text: String| {
        text.parse()
            .map_err(|error: InvalidJoinToken| format!("what was given with {flag} {error}"))
    };
    text.map(parse).transpose()
}

/// Where the instance has a certificate, the file may be gone: what is used once is often deleted,
/// and the instance shall start all the same.
fn in_file(file: &Path, data_dir: Option<&Path>) -> Result<Option<String>, String> {
    let cannot = |error: &dyn fmt::Display| {
        let file = file.display();
        format!("--join-token-file: cannot read {file}: {error}")
    };
    let has_joined = || data_dir.is_some_and(|dir| dir.join(Credentials::FILE).exists());
    let opened = match File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound && has_joined() => return Ok(None),
        opened => opened.map_err(|error| cannot(&error))?,
    };
    let mut text = String::new();
    let read = opened.take(FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| cannot(&error))?;
    Ok(Some(text.trim().to_owned()))
}
