//! The embedded engine: a redb file in a folder.
//!
//! - `disk`: the folder, its lock, and opening the file so that nothing in it can panic us;
//! - `tables`: what is in the file, and how a transaction reads and changes it;
//! - `writer`: the one thread that writes, and shares a write among those who wait;
//! - `unsynced`: what that thread told and a crash would lose, for when it has to write it again.
//!
//! redb allows one writer at a time and readers beside it, so reads go straight to the file, on
//! tokio's blocking threads.

mod disk;
mod tables;
mod unsynced;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::Database;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use crate::history::History;
use crate::identity::Identity;
use crate::store::{Entry, Page};
use crate::{Committed, Key, Revision, StoreError, Txn, Watch};

use disk::{Opener, Place};
use tables::{Fault, Snapshot};
use writer::{Command, Writer};

/// A handle to the engine. When the last one is gone, the writer ends and closes the file.
#[derive(Clone)]
pub(crate) struct Embedded {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// What the handles, the watches and the writer have in common.
struct Shared {
    /// The file, for errors.
    path: PathBuf,
    identity: Identity,
    state: RwLock<State>,
    history: Arc<History>,
}

/// Readers and the writer hold the lock shared while they use the file; it is taken whole only to
/// close the file or to open it anew.
enum State {
    Open(Database),
    /// A write failed and the file could not be opened again. The next write tries once more.
    Broken(StoreError),
    Closed,
}

impl Embedded {
    pub(crate) async fn open(dir: &Path, fresh: Uuid) -> Result<Self, StoreError> {
        Self::open_by(dir, fresh, Box::new(disk::open_file)).await
    }

    /// As `open`, with a way to open the file that tests can make fail.
    async fn open_by(dir: &Path, fresh: Uuid, opener: Opener) -> Result<Self, StoreError> {
        let dir = dir.to_owned();
        let opened = tokio::task::spawn_blocking(move || Place::open(&dir, fresh, opener));
        // It catches its own panics; what is left is a runtime that shuts down.
        let (place, db, facts) = opened.await.map_err(|_| StoreError::Closed)??;
        let shared = Arc::new(Shared {
            path: place.file(),
            identity: facts.identity,
            state: RwLock::new(State::Open(db)),
            history: Arc::new(History::new(facts.revision)),
        });
        let commands = Writer::start(Arc::clone(&shared), place, facts.revision)?;
        Ok(Self { shared, commands })
    }

    /// Makes a store to be filled, which is not in its place yet.
    pub(crate) async fn make(dir: &Path, identity: Identity) -> Result<Self, StoreError> {
        let folder = dir.to_owned();
        let made = tokio::task::spawn_blocking(move || Place::make(&folder, identity));
        let inside = made.await.map_err(|_| StoreError::Closed)??;
        Self::open(&inside, identity.uuid).await
    }

    /// Puts a store that was filled where it belongs.
    pub(crate) async fn complete(self, dir: &Path) -> Result<(), StoreError> {
        self.close().await;
        let folder = dir.to_owned();
        let completed = tokio::task::spawn_blocking(move || Place::complete(&folder));
        completed.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) fn identity(&self) -> Identity {
        self.shared.identity
    }

    /// Why the file can't be used just now.
    pub(crate) fn trouble(&self) -> Option<StoreError> {
        let state = self.shared.state.read();
        match &*state.unwrap_or_else(PoisonError::into_inner) {
            State::Broken(error) => Some(error.clone()),
            State::Open(_) | State::Closed => None,
        }
    }

    pub(crate) async fn get(&self, key: Key) -> Result<Option<Entry>, StoreError> {
        self.read(move |snapshot| snapshot.get(key)).await
    }

    pub(crate) async fn list(
        &self,
        prefix: &str,
        from: Option<&Key>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let prefix: Box<str> = prefix.into();
        let from = from.cloned();
        self.read(move |snapshot| snapshot.list(&prefix, from.as_ref(), limit))
            .await
    }

    pub(crate) async fn commit(&self, txn: Txn) -> Result<Committed, StoreError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Commit {
            txn,
            asked: Instant::now(),
            answer,
        };
        self.commands
            .send(command)
            .await
            .map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(crate) fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        let (cursor, woken) = self.shared.history.start(after, Revision::ZERO)?;
        let history = Arc::clone(&self.shared.history);
        Ok(Watch::new(history, woken, prefix, cursor))
    }

    pub(crate) async fn close(self) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(Command::Close { done }).await.is_ok() {
            // An error means that another handle's close came first and is done.
            let _ = is_done.await;
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
            match &*state {
                State::Open(db) => tables::guarded(|| read(&Snapshot::of(db)?))
                    .map_err(|fault| fault.on("read", &shared.path)),
                State::Broken(error) => Err(error.clone()),
                State::Closed => Err(StoreError::Closed),
            }
        });
        done.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("path", &self.shared.path)
            .field("identity", &self.shared.identity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
