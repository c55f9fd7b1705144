//! Reading a database that cannot be written.
//!
//! redb opens a file only where it may write to it: it has something to mend there after a crash. On
//! a disk that is full or mounted read-only that mending happens in memory, on a copy.

use std::io::ErrorKind;
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};

use super::error::{DiskError, guarded};
use super::medium::Medium;
use super::tables::{self, Loaded};
use crate::load::Content;

/// All that a database holds; nothing, where there is none or it is damaged. That file stays as it
/// is: who can't write can't set it aside either.
pub(super) fn load(medium: &dyn Medium, path: &Path) -> (Loaded, Content) {
    match try_load(medium, path) {
        Ok(found) => found,
        Err(DiskError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Default::default()
        }
        Err(error) => {
            tracing::error!(error = error.whole(), "nor can the database be read");
            Default::default()
        }
    }
}

fn try_load(medium: &dyn Medium, path: &Path) -> Result<(Loaded, Content), DiskError> {
    let bytes = medium
        .read(path)
        .map_err(|source| DiskError::io("read", path, source))?;
    // What redb makes for itself in an empty file is no database of ours.
    if bytes.is_empty() {
        return Ok(Default::default());
    }
    guarded(|| {
        let copy = InMemoryBackend::new();
        let io = |source| DiskError::io("copy", path, source);
        copy.set_len(bytes.len() as u64).map_err(io)?;
        copy.write(0, &bytes).map_err(io)?;
        let db = Database::builder()
            .set_check_integrity_on_open(true)
            .create_with_backend(copy)?;
        Ok((tables::load(&db)?, tables::load_content(&db)?))
    })
}
