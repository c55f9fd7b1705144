use std::any::Any;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ferryway_model::Name;

/// Why the disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process has it.
    #[error("the data folder {} is in use by another process", dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// It belongs to an instance of another group.
    #[error("the data folder {} belongs to the group {has}, not to {asked}; give each instance a folder of its own", dir.display())]
    OtherGroup {
        /// The folder.
        dir: PathBuf,
        /// The group it belongs to.
        has: Name,
        /// The group asked for.
        asked: Name,
    },
    /// The file system refused something.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why it was refused.
        source: io::Error,
    },
    /// The database is not what was written to it.
    #[error("the database is damaged: {reason}")]
    Damaged {
        /// How that came out.
        reason: String,
    },
}

impl DiskError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io { what, path, source }
    }

    /// Whether there is no room on the disk, or none that this process may take.
    pub(super) fn is_full(&self) -> bool {
        matches!(
            self.kind(),
            Some(
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::FileTooLarge
            )
        )
    }

    /// Whether nothing can be written there: it is full, read-only, or somebody else's.
    pub(super) fn is_unwritable(&self) -> bool {
        self.is_full()
            || matches!(
                self.kind(),
                Some(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
            )
    }

    /// The error with its cause, in one line.
    pub(super) fn whole(&self) -> String {
        match self.source() {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            Self::Busy { .. } | Self::OtherGroup { .. } | Self::Damaged { .. } => None,
        }
    }

    pub(super) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged {
            reason: reason.into(),
        }
    }
}

/// All of redb's errors, as what they mean for us.
impl<E: Into<redb::Error>> From<E> for DiskError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Busy {
                dir: PathBuf::new(),
            },
            redb::Error::Io(source) if !is_damage(source.kind()) => Self::Io {
                what: "use",
                path: PathBuf::from(super::DATABASE),
                source,
            },
            redb::Error::PreviousIo => Self::Io {
                what: "use",
                path: PathBuf::from(super::DATABASE),
                source: io::Error::other("an earlier write failed"),
            },
            other => Self::damaged(other.to_string()),
        }
    }
}

/// What a file that was cut off or overwritten looks like.
fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

/// Runs something that reads or writes the database, and takes a panic for damage: redb promises
/// none only for files that it wrote itself.
///
/// What was being done is given up as a whole afterwards, so nothing half done is seen: that is
/// what `AssertUnwindSafe` claims here.
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T, DiskError>) -> Result<T, DiskError> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(DiskError::damaged(said(&*panic))))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("redb panicked: {}", text.unwrap_or("without a message"))
}
