use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Key, Revision, Trouble};

/// Why the store did not do what it was asked.
///
/// Cheap to clone: when several transactions share one write to disk, they share its failure.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another part of this one, has the store open.
    #[error("the store in {path} is in use by another process", path = path.display())]
    Busy {
        /// The store's folder.
        path: PathBuf,
    },
    /// The store's file cannot be what this program wrote.
    #[error(
        "the store's file {path} is damaged: put a backup in its place, or move it away to start \
         with an empty store",
        path = path.display()
    )]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// How it was noticed.
        source: Cause,
    },
    /// The store was written by a build that lays it out in a way this one doesn't know.
    #[error(
        "the store's file {path} has layout {layout}, which this build does not know: use the build \
         that wrote it, or a newer one",
        path = path.display()
    )]
    Layout {
        /// The store's file.
        path: PathBuf,
        /// The layout's number in the file.
        layout: u128,
    },
    /// The system refused a read or a write.
    ///
    /// Whether a transaction that got this answer took place is not known: read before trying
    /// again.
    #[error("cannot {doing} the store's file {path}", path = path.display())]
    Io {
        /// What was being done: `open`, `read`, `write`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: Cause,
    },
    /// The etcd did not do it.
    ///
    /// Whether a transaction that got this answer took place is known only to be decided by
    /// reading: it may have, and where etcd did not answer at all it may even happen later.
    #[error("cannot {doing} the store {at}: {trouble}")]
    Etcd {
        /// What was being done: `open`, `read`, `write`, `watch`.
        doing: &'static str,
        /// The address and the prefix.
        at: Arc<str>,
        /// Why, and what to do.
        trouble: Trouble,
    },
    /// The store can't be what the settings say.
    #[error("{why}")]
    Settings {
        /// What is wrong with which setting.
        why: Arc<str>,
    },
    /// A store was to be put where there is one already.
    #[error("there is a store already in {place}; move it away, or choose another place")]
    Taken {
        /// The folder, or the address and the prefix.
        place: Arc<str>,
    },
    /// A backup can't be read, or is not whole.
    #[error("the backup {why}")]
    Backup {
        /// What is wrong with it.
        why: Arc<str>,
    },
    /// What was copied is not what it was copied from.
    #[error(
        "the copy is not like its source, which was changed meanwhile, or was not all written; make it again"
    )]
    Differs,
    /// What a transaction requires of this key doesn't hold. Nothing was changed.
    #[error("key {key} is not as the transaction requires")]
    Conflict {
        /// The first key of the transaction's requirements that failed.
        key: Key,
    },
    /// A bound is exceeded. Nothing was changed.
    #[error("too large: at most {max} {what}")]
    TooLarge {
        /// What is bounded, with its unit.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A key without a character.
    #[error("a key must not be empty")]
    EmptyKey,
    /// The changes after the asked revision are no longer at hand: list, and watch after the
    /// listing's revision.
    #[error("the changes up to revision {oldest} are no longer kept")]
    Compacted {
        /// The oldest revision that a watch can start after.
        oldest: Revision,
    },
    /// The asked revision is later than the store's: the reader's knowledge is of another store,
    /// or of this one before it was restored. List, and watch after the listing's revision.
    #[error("the store is at revision {head}, before the one asked for")]
    Ahead {
        /// The store's revision.
        head: Revision,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether there was no room for a write: on the disk, or in what this process may use of it.
    pub fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else {
            return false;
        };
        // redb hands the system's error on in one of its own.
        let mut cause: Option<&(dyn Error + 'static)> = Some(&**source);
        while let Some(error) = cause {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if matches!(
                kind,
                Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
            ) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// A shared cause.
pub(crate) type Cause = Arc<dyn Error + Send + Sync>;

/// A cause in words, where no error says it.
pub(crate) fn cause(text: impl Into<String>) -> Cause {
    Arc::from(Box::<dyn Error + Send + Sync>::from(text.into()))
}
