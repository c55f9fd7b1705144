//! The one thread that writes. Transactions that wait at the same time go into one write and share
//! its wait for the disk; each has its own revision and its own answer.

use std::error::Error;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use redb::Database;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::{Committed, Event, Key, Revision, StoreError, Txn};

use super::disk::Place;
use super::tables::{self, Batch, Facts, Fault};
use super::unsynced::Unsynced;
use super::{Shared, State};

/// How many commands wait; who comes later waits to be let in. At most 1.5 MiB each.
const COMMANDS_MAX: usize = 64;

/// The most transactions of one write.
const BATCH_TRANSACTIONS_MAX: usize = 64;

/// A write takes no further transaction once it has this many bytes.
const BATCH_BYTES_MAX: usize = 8 * 1_024 * 1_024;

pub(super) enum Command {
    Commit {
        txn: Txn,
        asked: Instant,
        answer: Answer,
    },
    Close {
        done: oneshot::Sender<()>,
    },
}

type Answer = oneshot::Sender<Result<Committed, StoreError>>;

/// Lives on its own thread until the store is closed or its last handle is gone.
pub(super) struct Writer {
    shared: Arc<Shared>,
    place: Place,
    commands: mpsc::Receiver<Command>,
    head: Revision,
    /// What was told and is not durable.
    unsynced: Unsynced,
    /// What the last write would have done, if it failed: it may be in the file all the same.
    doubtful: Vec<Arc<Event>>,
    /// Whether the last write failed.
    failing: bool,
}

/// What one write did.
struct Written {
    /// For each transaction, in order.
    outcomes: Vec<Result<Revision, Key>>,
    events: Vec<Arc<Event>>,
    sync: Duration,
    synced: bool,
}

struct Waiting {
    txn: Txn,
    asked: Instant,
    answer: Answer,
}

impl Writer {
    pub(super) fn start(
        shared: Arc<Shared>,
        place: Place,
        head: Revision,
    ) -> Result<mpsc::Sender<Command>, StoreError> {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let path = shared.path.clone();
        let writer = Self {
            shared,
            place,
            commands: receiver,
            head,
            unsynced: Unsynced::default(),
            doubtful: Vec::new(),
            failing: false,
        };
        thread::Builder::new()
            .name(String::from("store-writer"))
            .spawn(move || writer.run())
            .map_err(|error| Fault::Io(Arc::new(error)).on("start a thread for", &path))?;
        Ok(commands)
    }

    fn run(mut self) {
        let mut done = None;
        while done.is_none()
            && let Some(first) = self.commands.blocking_recv()
        {
            let batch = self.collect(first, &mut done);
            if !batch.is_empty() {
                self.write(batch);
            }
        }
        self.finish();
        // The lock goes with `self`: who is told must be able to open the folder.
        drop(self);
        if let Some(done) = done {
            let _ = done.send(()); // Who asked may have left.
        }
    }

    /// The first command and those that wait behind it; up to a close, which goes into `done`.
    fn collect(&mut self, first: Command, done: &mut Option<oneshot::Sender<()>>) -> Vec<Waiting> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Commit { txn, asked, answer } => {
                    bytes += txn.bytes();
                    batch.push(Waiting { txn, asked, answer });
                }
                Command::Close { done: asked } => {
                    *done = Some(asked);
                    break;
                }
            }
            if batch.len() == BATCH_TRANSACTIONS_MAX || bytes >= BATCH_BYTES_MAX {
                break;
            }
            next = self.commands.try_recv().ok();
        }
        batch
    }

    fn write(&mut self, batch: Vec<Waiting>) {
        match self.try_write(&batch) {
            Ok(written) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the store can be written again");
                }
                self.tell(batch, written);
            }
            Err(error) => {
                // Once, and not for every call for as long as a disk is full.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        error = &error as &dyn Error,
                        "the store could not be written; what is asked next tries again"
                    );
                }
                if !self.is_broken() {
                    self.reopen();
                }
                for waiting in batch {
                    let _ = waiting.answer.send(Err(error.clone())); // It may have left.
                }
            }
        }
    }

    /// Watches first, then those who asked: an answer never runs ahead of the events.
    fn tell(&mut self, batch: Vec<Waiting>, written: Written) {
        let Written {
            outcomes,
            events,
            sync,
            synced,
        } = written;
        if let Some(last) = events.last() {
            self.head = last.revision;
            self.unsynced.extend(&events);
            self.shared.history.append(events);
        }
        if synced {
            self.unsynced.clear();
        }
        for (waiting, outcome) in batch.into_iter().zip(outcomes) {
            let took = waiting.asked.elapsed();
            let committed = outcome.map(|revision| Committed {
                revision,
                took,
                sync,
            });
            let answer = committed.map_err(|key| StoreError::Conflict { key });
            let _ = waiting.answer.send(answer); // Who asked may have left.
        }
    }

    fn try_write(&mut self, batch: &[Waiting]) -> Result<Written, StoreError> {
        if self.is_broken() {
            self.reopen();
        }
        let mut doubtful = Vec::new();
        let state = self
            .shared
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let written = match &*state {
            State::Open(db) => tables::guarded(|| {
                self.write_to(Batch::begin(db, self.head)?, batch, &mut doubtful)
            })
            .map_err(|fault| fault.on("write", &self.shared.path)),
            State::Broken(error) => Err(error.clone()),
            State::Closed => Err(StoreError::Closed),
        };
        drop(state);
        if written.is_err() && !doubtful.is_empty() {
            self.doubtful = doubtful;
        }
        written
    }

    /// Writes a batch. What it is about to do is in `doubtful` from the moment on in which it may
    /// have been done.
    fn write_to(
        &self,
        mut write: Batch,
        batch: &[Waiting],
        doubtful: &mut Vec<Arc<Event>>,
    ) -> Result<Written, Fault> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut durable = false;
        for waiting in batch {
            let outcome = write.apply(&waiting.txn)?;
            durable |= waiting.txn.durable && outcome.is_ok();
            outcomes.push(outcome);
        }
        // A durable transaction that changes nothing still promises what was before it.
        let synced = (durable || self.unsynced.is_full())
            && (write.has_changes() || !self.unsynced.is_empty());
        let began = Instant::now();
        let events = write.events();
        if write.has_changes() || synced {
            doubtful.clone_from(&events);
            write.commit(synced)?;
        } else {
            write.abort()?;
        }
        Ok(Written {
            outcomes,
            events,
            sync: began.elapsed(),
            synced,
        })
    }

    fn is_broken(&self) -> bool {
        let state = self
            .shared
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        matches!(&*state, State::Broken(_))
    }

    /// redb refuses everything after a failed write until the file is opened anew: a full disk
    /// would else cost a restart. What the file holds then decides what happened.
    fn reopen(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
        // Close first: the file has one user, and redb's own lock would refuse a second.
        close(&mut state);
        let opened = self.place.open_file();
        *state = match opened.and_then(|(db, facts)| self.resume(db, &facts)) {
            Ok(db) => State::Open(db),
            Err(error) => State::Broken(error),
        };
    }

    /// Goes on after `reopen` from what the file holds.
    fn resume(&mut self, db: Database, facts: &Facts) -> Result<Database, StoreError> {
        let file = facts.revision;
        // Below: writes that were not durable are gone, though told.
        if file < self.head
            && let Err(fault) = self.put_back(&db, file)
        {
            close(&mut State::Open(db));
            return Err(fault.on("write", &self.shared.path));
        }
        let doubtful = std::mem::take(&mut self.doubtful);
        if doubtful.last().is_some_and(|last| last.revision == file) {
            // The failed write is there after all, though not told. Who asked for it is answered
            // that it failed, and finds it when it looks.
            self.head = file;
            self.shared.history.append(doubtful);
            self.unsynced.clear();
        } else if file > self.head {
            self.head = file;
            self.shared.history.reset(file);
        }
        Ok(db)
    }

    /// Does once more what is missing in a file of this revision.
    fn put_back(&mut self, db: &Database, file: Revision) -> Result<(), Fault> {
        let Some(missing) = self.unsynced.missing(file, self.head) else {
            // Readers list again; a number that was told is not given to another transaction.
            self.unsynced.clear();
            self.shared.history.reset(self.head);
            return Ok(());
        };
        tables::guarded(|| {
            let mut batch = Batch::begin(db, file)?;
            for event in missing {
                batch.repeat(event)?;
            }
            batch.commit(false)
        })
    }

    /// Puts what is not yet durable on the disk, and closes the file. redb's own close happens to do
    /// the former as well, but does not promise it.
    fn finish(&mut self) {
        self.commands.close();
        if !self.unsynced.is_empty()
            && let Err(error) = self.sync()
        {
            tracing::error!(
                error = &error as &dyn Error,
                "the last changes of the store could not be written"
            );
        }
        let mut state = self
            .shared
            .state
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        close(&mut state);
        drop(state);
        self.shared.history.close();
    }

    fn sync(&self) -> Result<(), StoreError> {
        let state = self
            .shared
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let State::Open(db) = &*state else {
            return Ok(());
        };
        tables::guarded(|| Batch::begin(db, self.head)?.commit(true))
            .map_err(|fault| fault.on("write", &self.shared.path))
    }
}

/// Closes the file. What fails here has no one to hear it: all that was promised is on the disk.
fn close(state: &mut State) {
    let closing = std::mem::replace(state, State::Closed);
    let _ = tables::guarded(|| {
        drop(closing);
        Ok(())
    });
}
