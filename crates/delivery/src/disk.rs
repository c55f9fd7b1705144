//! The instance's disk: what a gateway starts and serves from when no control plane is there.
//!
//! One redb file in the data folder holds content by digest, three pointers into it (*desired*,
//! *effective*, *last good*), the holds, a counter of starts, and the last good endpoints that
//! discovery keeps. A pointer is a view, stored entry by entry, so a change costs what it changes.
//! One flat file beside it, the export, holds a whole view for the day redb will not open: then
//! the database is set aside under another name, the export is loaded, and a new database begins.
//! Nothing on the disk can keep a gateway from starting, or make it panic.
//!
//! Absent on purpose: an instance's configuration, which is flags, and anything that a control
//! plane could not send again.

mod aside;
mod copy;
mod error;
mod export;
pub mod fuzz;
mod kept;
mod medium;
mod open;
mod owner;
mod tables;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ferryway_model::{Digest, View};
use ferryway_proto::{Position, Source};
use redb::Database;
use uuid::Uuid;

pub use error::DiskError;
pub use export::{Export, ExportError};
pub use medium::{Files, Medium, Working};

use crate::load::Content;
use crate::session::{Desired, Effective, Saved};
use kept::Kept;
use owner::Owner;
pub(crate) use owner::write_whole;
use write::{KeptChanges, Written};

/// The disk of an instance. One process at a time has it.
#[derive(Debug)]
pub struct InstanceDisk {
    dir: PathBuf,
    owner: Owner,
    medium: Arc<dyn Medium>,
    /// None after a failed write, or where there was no room to make it, until it could be opened.
    db: Mutex<Option<Arc<Database>>>,
    /// What was taken from the export, until it is in the database too.
    imported: Mutex<Option<Arc<Update>>>,
    /// What is on the disk; locked while something is being written.
    written: Mutex<Written>,
    kept: Mutex<Kept>,
    /// Why the last try to write came to nothing.
    trouble: Mutex<Option<String>>,
}

/// A disk that was opened, and what was on it.
#[derive(Debug)]
pub struct Opened {
    /// The disk.
    pub disk: InstanceDisk,
    /// Who this instance is.
    pub identity: Identity,
    /// What to start from.
    pub saved: Saved,
    /// Content of what was effective.
    pub content: Content,
    /// What that is.
    pub source: Source,
}

/// Who an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Made with the data folder, and kept with it.
    pub instance: Uuid,
    /// Rises with each start.
    pub boot: u64,
}

/// What is to be written, in one go and with one fsync.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// What the instance should run.
    pub desired: Option<Desired>,
    /// What it runs, and what it holds.
    pub effective: Option<Effective>,
    /// What has proven itself.
    pub last_good: Option<(Position, View)>,
    /// Content that these views name and the disk may lack.
    pub content: Content,
    /// The instance has run for a while, or ends as it should: this start was no crash.
    pub survived: bool,
}

/// The database's name in the data folder.
const DATABASE: &str = "instance.redb";
/// The export's.
const EXPORT: &str = "last-good.json";
/// The identity's.
const IDENTITY: &str = "identity.json";
/// After how many starts without an end the last good view is taken.
const CRASHES_MAX: u32 = 3;

impl InstanceDisk {
    /// Writes, and returns once it would survive a loss of power.
    ///
    /// # Errors
    /// When it cannot be written. The next call tries again, with everything that has changed since
    /// the last one that succeeded; only `content` must be given again.
    pub fn write(&self, update: &Update) -> Result<(), DiskError> {
        self.noted(self.try_write(update))
    }

    fn try_write(&self, update: &Update) -> Result<(), DiskError> {
        let mut written = self.lock_written();
        let db = self.database(&mut written)?;
        let kept = self.lock_kept().changed();
        let imported = self.lock_imported().clone();
        let result = imported
            .map_or(Ok(()), |imported| {
                write::write(
                    &db,
                    &mut written,
                    &self.owner,
                    &imported,
                    &KeptChanges::new(),
                )
            })
            .and_then(|()| write::write(&db, &mut written, &self.owner, update, &kept));
        match &result {
            Ok(()) => {
                *self.lock_imported() = None;
                self.lock_kept().written(&kept);
            }
            // redb writes no more after a failure; opened again it is whole.
            Err(_) => *self.lock_db() = None,
        }
        result
    }

    /// Why it could not be written when that was tried last; none: it could be. A full disk, say,
    /// which keeps nobody from serving, but what is new from outliving this process.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.lock_trouble().clone()
    }

    /// Content by digest, in any order; what is not there is left out. Does not wait for writes.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn content(&self, digests: &[Digest]) -> Result<Vec<Bytes>, DiskError> {
        let mut found = match self.lock_imported().as_deref() {
            Some(imported) => {
                let content = digests.iter().filter_map(|it| imported.content.get(it));
                content.cloned().collect()
            }
            None => Vec::new(),
        };
        let db = self.lock_db().clone();
        // Between a failed write and the next one there is nothing to read from.
        if let Some(db) = db {
            found.extend(tables::read_content(&db, digests)?);
        }
        Ok(found)
    }

    /// Writes the export: the last good view or, until there is one, the effective view.
    ///
    /// # Errors
    /// When it cannot be written; the former export is still there then.
    pub fn export(&self) -> Result<(), DiskError> {
        let pointed = self.lock_written().best();
        let Some((position, view)) = pointed else {
            return Ok(());
        };
        let digests: Vec<Digest> = view
            .entries()
            .flat_map(|(_, entry)| entry.content())
            .collect();
        let content = self.content(&digests)?;
        let export = Export {
            group: self.owner.group.clone(),
            position: Some(position),
            view,
            content: content
                .into_iter()
                .map(|bytes| (Digest::of(&bytes), bytes))
                .collect(),
        };
        let path = self.dir.join(EXPORT);
        let written = export.write(&path);
        self.noted(written.map_err(|source| DiskError::io("write", &path, source)))
    }

    /// Whether a view has proven itself, here or in an earlier run.
    #[must_use]
    pub fn has_last_good(&self) -> bool {
        self.lock_written().has_last_good()
    }

    /// What discovery has kept under this key.
    #[must_use]
    pub fn kept(&self, key: &str) -> Option<Vec<u8>> {
        self.lock_kept().get(key)
    }

    /// Keeps the last good endpoints of something under this key. Written some time later, and
    /// forgotten when there are too many: they are a convenience.
    pub fn keep(&self, key: &str, value: &[u8]) {
        self.lock_kept().put(key, value);
    }

    /// Whether something kept is not written yet.
    pub(crate) fn has_unwritten_kept(&self) -> bool {
        self.lock_kept().has_changed()
    }

    /// The data folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The database; opened again if the last write failed.
    fn database(&self, written: &mut Written) -> Result<Arc<Database>, DiskError> {
        let mut db = self.lock_db();
        if let Some(db) = &*db {
            return Ok(Arc::clone(db));
        }
        let (opened, loaded) = open::reopen(&*self.medium, &self.dir.join(DATABASE))?;
        *written = Written::of(&loaded);
        Ok(Arc::clone(db.insert(Arc::new(opened))))
    }

    fn noted<T>(&self, result: Result<T, DiskError>) -> Result<T, DiskError> {
        *self.lock_trouble() = result.as_ref().err().map(DiskError::whole);
        result
    }

    fn lock_trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_db(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_imported(&self) -> MutexGuard<'_, Option<Arc<Update>>> {
        self.imported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
