//! What an instance's database lies on.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use redb::Database;
use tokio::sync::oneshot;

use super::error::DiskError;
use super::{InstanceDisk, open};

/// What an instance's database lies on, and who waits for it. A program's is [`Files`]; that of a
/// simulation loses power.
pub trait Medium: fmt::Debug + Send + Sync + 'static {
    /// Opens the database at this path, and makes it where there is none.
    ///
    /// # Errors
    /// When it is in use, when it is damaged, or when the medium refuses.
    fn open(&self, path: &Path) -> Result<Database, DiskError>;

    /// All bytes of the database at this path, as they are.
    ///
    /// # Errors
    /// When there is none, or when it cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Does work that may wait for the medium, where it keeps nobody else waiting.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Working;
}

/// Ends when the work is done.
pub type Working = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Files, and the runtime's threads for what blocks.
#[derive(Clone, Copy, Debug)]
pub struct Files;

impl Medium for Files {
    fn open(&self, path: &Path) -> Result<Database, DiskError> {
        open::open_database(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Working {
        Box::pin(async move {
            // The runtime ends, or the work panicked: whoever wants its result sees that none comes.
            let _ = tokio::task::spawn_blocking(work).await;
        })
    }
}

impl InstanceDisk {
    /// Does something with the disk where it may take its time; none: it panicked, or the runtime
    /// ends.
    pub(crate) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let disk = Arc::clone(self);
        let working = self.medium.run(Box::new(move || {
            // Whoever asked may have ended meanwhile.
            let _ = done.send(work(&disk));
        }));
        working.await;
        result.await.ok()
    }
}
