//! The control plane without its faces: what it knows, and how it changes.
//!
//! A change is planned by the model's pure function on this process's memory, compiled for a trial,
//! and committed in one transaction that requires everything the plan was made from to be as it
//! was. The store's watch brings the change back into memory and to the instances; only then is the
//! caller answered, so that the next read sees it.

mod apply;
mod authorities;
mod blobs;
mod change;
mod commits;
mod contents;
mod error;
mod etag;
mod follow;
mod groups;
mod hub;
mod idempotency;
mod identities;
mod join_tokens;
mod keeping;
mod keys;
mod memory;
mod planes;
mod presence;
mod raw;
mod records;
mod registries;
mod relay;
mod reload;
mod resources;
mod retention;
mod sessions;
mod shrink;
mod sweep;
#[cfg(test)]
mod tests;
mod tokens;
mod tracker;
mod trial;
mod turns;
mod warnings;
mod wishes;
mod writing;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ferryway_api::{Operation, OperationEvent};
use ferryway_proto::Epoch;
use ferryway_runtime::{Clock, Tasks};
use ferryway_store::{Event, Revision as StoreRevision, Store, StoreError, Watch};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) use authorities::NotDropped;
pub(crate) use commits::CommitCost;
pub(crate) use error::CoreError;
pub(crate) use idempotency::{Idempotency, Made};
pub(crate) use identities::{Issued, Joining, no_longer_taken};
pub(crate) use memory::{Group, Hub, JoinToken, Memory, Ran};
pub(crate) use planes::Plane;
pub(crate) use presence::{Held, Instance, Position, evidence};
pub(crate) use records::{
    Answered, AuditRecord, AuthorityKeyRecord, AuthorityRecord, InstanceRecord,
};
pub(crate) use relay::Report;
pub(crate) use resources::IfMatch;
pub(crate) use tokens::{Minted, Whose};

use crate::settings::whole;

use blobs::{Blobs, Unread};
use idempotency::Busy;
use sessions::Sessions;
use writing::{Hold, NotWritten, Tries};

/// Who asks, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The name, for `by`.
    pub(crate) name: String,
    /// The address, for the audit's `from`.
    pub(crate) from: String,
    /// The token of the API that was shown; none: the administrator.
    pub(crate) token: Option<Uuid>,
}

/// The control plane's state and its changes. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Core(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    blobs: Blobs,
    memory: RwLock<Memory>,
    /// The store's transaction that memory holds. Its sender is the follower.
    held: watch::Sender<StoreRevision>,
    /// Set when memory can no longer follow: what is then served is told, not guessed.
    broken: watch::Sender<Option<String>>,
    sessions: Sessions,
    busy: Arc<Busy>,
    turns: turns::Turns,
    commits: commits::Commits,
    fences: writing::Fences,
    losses: wishes::Losses,
    /// Told of each change of memory.
    written: watch::Sender<()>,
    /// Held while instances are stored as seen, and while one is deleted.
    keeping_instances: tokio::sync::Mutex<()>,
    /// Shared by writers from their plan to its end; taken alone by who begins to collect content,
    /// and at the end of the process.
    writing: Arc<tokio::sync::RwLock<()>>,
    tasks: Tasks,
    clock: Clock,
}

/// An instance is taken for offline after this much silence, and a restarted control plane waits
/// as long for the instances it knew.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How often silence is looked for.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How long after a start what is too old is cleared away first: instances come back until then.
const FIRST_RETENTION: Duration = Duration::from_secs(60);
/// How often what is too old is cleared away.
const RETENTION_EVERY: Duration = Duration::from_secs(3_600);

impl Core {
    /// Reads everything in a store into memory, and follows it from then on. Several cores, in one
    /// process or in many, may have one store; then each is given who it is. `plane` is none where
    /// no other can have it.
    ///
    /// # Errors
    /// A sentence for people: the store can't be read, or what is in it is not ours.
    pub(crate) async fn open(
        store: Store,
        plane: Option<Plane>,
        clock: Clock,
        tasks: &Tasks,
    ) -> Result<Self, String> {
        let blobs = Blobs::new(store.clone());
        let (memory, watch) =
            follow::load(&store, &blobs, plane.as_ref().map(|plane| plane.id)).await?;
        let revision = memory.revision;
        let identity = store.identity();
        let epoch = Epoch {
            store: identity.uuid,
            restores: identity.restores,
        };
        let sessions = Sessions::new(epoch, &memory);
        let core = Self(Arc::new(Shared {
            store,
            blobs,
            memory: RwLock::new(memory),
            held: watch::Sender::new(revision),
            broken: watch::Sender::new(None),
            sessions,
            busy: Arc::default(),
            turns: turns::Turns::default(),
            commits: commits::Commits::default(),
            fences: writing::Fences::default(),
            losses: wishes::Losses::default(),
            written: watch::Sender::new(()),
            keeping_instances: tokio::sync::Mutex::new(()),
            writing: Arc::default(),
            tasks: tasks.clone(),
            clock,
        }));
        let (follower, keeper, watcher) = (core.clone(), core.clone(), core.clone());
        tasks.spawn("follow the store", move |stop| async move {
            let over = async {
                stop.requested().await;
                // Whoever is writing is still answered.
                drop(follower.0.writing.write().await);
            };
            tokio::select! {
                () = follower.follow(watch) => {}
                () = over => {}
            }
            let why = "the control plane is stopping".to_owned();
            follower
                .0
                .broken
                .send_if_modified(|said| said.is_none() && said.replace(why).is_none());
        });
        let mut written = core.0.written.subscribe();
        tasks.spawn("keep what ended", |stop| async move {
            loop {
                tokio::select! {
                    _ = written.changed() => keeper.keep_ended().await,
                    () = stop.requested() => return keeper.keep_ended().await,
                }
            }
        });
        if let Some(plane) = plane {
            let core = core.clone();
            tasks.spawn("stay known", |stop| async move {
                core.stay_known(plane, stop).await;
            });
        }
        tasks.spawn("watch for silence", |stop| async move {
            let started = Instant::now();
            let mut next_retention = started + FIRST_RETENTION;
            while tokio::time::timeout(WATCH_EVERY, stop.requested())
                .await
                .is_err()
            {
                let at = watcher.0.clock.now();
                if started.elapsed() >= SILENCE_MAX {
                    watcher.write(|memory| memory.give_up(started + WATCH_EVERY, at));
                }
                watcher.write(|memory| memory.look_around(Instant::now(), at));
                if Instant::now() >= next_retention {
                    watcher.retain().await;
                    next_retention = Instant::now() + RETENTION_EVERY;
                }
            }
        });
        Ok(core)
    }

    /// Reads one consistent state.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Memory) -> R) -> R {
        read(&self.0.memory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes memory.
    fn write<R>(&self, write: impl FnOnce(&mut Memory) -> R) -> R {
        let written = write(
            &mut self
                .0
                .memory
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.0.written.send_replace(());
        written
    }

    /// Told of each change of memory.
    #[cfg(test)]
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.written.subscribe()
    }

    /// What the store's transactions have cost so far.
    pub(crate) fn commit_cost(&self) -> CommitCost {
        self.0.commits.cost()
    }

    /// Wakes whoever looks for what the store has changed.
    pub(crate) fn revisions(&self) -> watch::Receiver<StoreRevision> {
        self.0.held.subscribe()
    }

    /// What time it is here.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Why this control plane can't go on following its store, if it can't.
    pub(crate) fn broken(&self) -> Option<String> {
        self.0.broken.borrow().clone()
    }

    /// What is wrong with the store just now; reading and delivery go on.
    pub(crate) fn trouble(&self) -> Option<StoreError> {
        self.0.store.trouble()
    }

    /// Closes the store, with everything on the disk.
    pub(crate) async fn close(&self) {
        self.0.store.clone().close().await;
    }

    /// Waits for an operation's end, at most so long; then answers it as it stands.
    pub(crate) async fn wait(&self, id: Uuid, at_most: Duration) -> Option<Arc<Operation>> {
        let ended = async {
            let mut said = self.read(|memory| memory.tracker.listen());
            loop {
                let operation = self.read(|memory| memory.operations.get(&id).cloned());
                match operation {
                    Some(operation) if !operation.state.is_final() => {}
                    other => return other,
                }
                if said.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(at_most, ended).await {
            Ok(operation) => operation,
            Err(_) => self.read(|memory| memory.operations.get(&id).cloned()),
        }
    }

    /// What was said of an operation after the event of this number, waiting if there is nothing.
    /// Empty: it has ended, and nothing more will be said.
    pub(crate) async fn events_after(
        &self,
        id: Uuid,
        after: u64,
    ) -> Vec<(u64, Arc<OperationEvent>)> {
        let mut said = self.read(|memory| memory.tracker.listen());
        loop {
            let (events, open) = self.read(|memory| {
                let open = memory
                    .operations
                    .get(&id)
                    .is_some_and(|operation| !operation.state.is_final());
                (memory.tracker.events_after(id, after), open)
            });
            if !events.is_empty() || !open || said.changed().await.is_err() {
                return events;
            }
        }
    }

    /// Refuses a write that memory could not follow.
    fn writable(&self) -> Result<(), CoreError> {
        self.broken()
            .map_or(Ok(()), |why| Err(CoreError::Unavailable(why)))
    }

    /// Follows the store's transactions for as long as it has any.
    async fn follow(&self, watch: Watch) {
        if let Err(why) = self.follow_until_broken(watch).await {
            tracing::error!(
                why,
                "memory can't follow the store any more; restart the control plane"
            );
            self.0.broken.send_replace(Some(why));
        }
    }

    async fn follow_until_broken(&self, mut watch: Watch) -> Result<(), String> {
        while let Some(event) = watch.next().await {
            match event {
                Ok(event) => {
                    let prepared = self.prepare(&event).await?;
                    self.take(prepared, event.revision);
                }
                Err(StoreError::Compacted { .. }) => {
                    let Some(next) = self.reload().await? else {
                        return Ok(());
                    };
                    watch = next;
                }
                Err(error) => return Err(whole(&error)),
            }
        }
        Ok(())
    }

    /// Takes an event into memory, hands what it changed to the instances, and answers who waits
    /// for it.
    fn take(&self, prepared: follow::Prepared, revision: StoreRevision) {
        let taken = self.write(|memory| memory.take(prepared));
        self.0.sessions.take(taken, self);
        self.0.held.send_replace(revision);
    }

    /// Reads what an event says. A store that refuses to be read (its disk is full, say) is asked
    /// again: it may heal, and this task is all that keeps memory up to date.
    async fn prepare(&self, event: &Event) -> Result<follow::Prepared, String> {
        let mut is_said = false;
        loop {
            match follow::prepare(event, &self.0.memory, &self.0.blobs).await {
                Ok(prepared) => return Ok(prepared),
                Err(why @ (Unread::Refused(..) | Unread::Unlisted(..))) => {
                    if !std::mem::replace(&mut is_said, true) {
                        tracing::error!(%why, "memory waits for the store");
                    }
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                }
                Err(why @ Unread::Wrong(_)) => return Err(why.to_string()),
            }
        }
    }
}

/// How long a store that refused to be read is left alone.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(200);
