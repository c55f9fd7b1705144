//! Damaged databases, set aside under another name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::DATABASE;
use super::error::DiskError;

/// What follows the name of a database that was set aside, before the time.
const ASIDE: &str = ".corrupt-";
/// How many of them are kept.
const ASIDE_MAX: usize = 3;

/// Gives a damaged database another name. It is kept for whoever wants to know; with the newest
/// ones before it, for a disk that damages everything would else be full of them.
pub(super) fn set_aside(path: &Path, now: Timestamp, reason: &str) -> Result<(), DiskError> {
    let aside = path.with_file_name(format!("{DATABASE}{ASIDE}{}", now.as_second()));
    tracing::error!(reason, aside = %aside.display(), "the database is damaged and set aside");
    fs::rename(path, &aside).map_err(|source| DiskError::io("set aside", path, source))?;
    let mut all = found_aside(path);
    // The time is in the name, so they are in order of age.
    all.sort_unstable();
    for old in all.iter().rev().skip(ASIDE_MAX) {
        if let Err(error) = fs::remove_file(old) {
            tracing::warn!(%error, file = %old.display(), "cannot remove an old damaged database");
        }
    }
    Ok(())
}

/// Gives a folder that stands where a file is to be written another name.
pub(super) fn make_way(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        return Ok(());
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".folder");
    tracing::error!(folder = %path.display(), "a folder stands in the place of a file, and is set aside");
    fs::rename(path, aside)
}

/// Databases that were set aside before. A folder that cannot be listed has none.
fn found_aside(path: &Path) -> Vec<PathBuf> {
    let is_aside = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix(DATABASE))
            .is_some_and(|rest| rest.starts_with(ASIDE))
    };
    let files = path.parent().map(fs::read_dir);
    let files = files.and_then(Result::ok).into_iter().flatten();
    files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(is_aside)
        .collect()
}
