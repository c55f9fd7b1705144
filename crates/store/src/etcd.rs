//! The engine on etcd: the entries of one installation under a prefix, beside others'.
//!
//! - `settings`: where it is and who we are there; `names`: what lies where under the prefix;
//! - `wire`, `calls`: etcd's own protocol (`proto/etcd.proto`), as much of it as is needed;
//! - `members`: a connection to each member, one asked until it fails, each call with a deadline;
//! - `fault`, `health`: what etcd's refusals mean, and how they are said once;
//! - `facts`: what the store knows of itself: layout, identity, restores, the cluster it is in;
//! - `reads`, `commit`: what is asked; `slots` make a transaction safe to send twice;
//! - `follow`, `assembly`: one watch of everything, put together into whole transactions, appended
//!   to the same history that the embedded engine has, from which all watches read.
//!
//! etcd's own revisions are the store's. They are the cluster's, so other prefixes move them too;
//! and each transaction here writes its slot, also one that changes no entry: so the watch reaches
//! every revision that was answered.
//!
//! Absent on purpose: nothing here compacts etcd. It is others' as well, and what it keeps is its
//! operators' to say (docs/store.md).

mod assembly;
mod calls;
mod commit;
mod facts;
mod fault;
mod follow;
mod health;
mod members;
mod names;
mod reads;
mod settings;
mod slots;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ferryway_runtime::{Stop, Tasks};
use tokio::time::Instant;
use uuid::Uuid;

use crate::history::History;
use crate::identity::Identity;
use crate::store::{Entry, Page};
use crate::{Committed, Key, Revision, StoreError, Trouble, Txn, Watch};

use facts::{Facts, Purpose};
use fault::Fault;
use health::Health;
use members::Members;
use names::Names;
pub use settings::{EtcdSettings, PREFIX_BYTES_MAX};
use slots::Slots;

/// How long a read may take, its way to other members included.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// How long closing may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How often a write is tried while the last one failed, so that health is known before a caller
/// asks.
const MEND_EVERY: Duration = Duration::from_secs(1);

/// A handle to the engine. When the last one is gone, its tasks end.
#[derive(Clone)]
pub(crate) struct Etcd {
    shared: Arc<Shared>,
    _end: Arc<End>,
}

/// What the handles and the tasks have in common.
struct Shared {
    members: Members,
    names: Names,
    facts: Facts,
    health: Health,
    history: Arc<History>,
    slots: Slots,
    tasks: Tasks,
}

/// Ends the tasks when the last handle is gone.
struct End(Stop);

impl Drop for End {
    fn drop(&mut self) {
        self.0.token().cancel();
    }
}

impl Etcd {
    pub(crate) async fn open(settings: &EtcdSettings, fresh: Uuid) -> Result<Self, StoreError> {
        Self::open_for(settings, Purpose::Use(fresh)).await
    }

    pub(crate) async fn make(
        settings: &EtcdSettings,
        identity: Identity,
    ) -> Result<Self, StoreError> {
        Self::open_for(settings, Purpose::Make(identity)).await
    }

    pub(crate) async fn count_restore(
        settings: &EtcdSettings,
        fresh: Uuid,
    ) -> Result<Self, StoreError> {
        Self::open_for(settings, Purpose::CountRestore(fresh)).await
    }

    async fn open_for(settings: &EtcdSettings, purpose: Purpose) -> Result<Self, StoreError> {
        let members = Members::new(settings)?;
        let names = Names::new(&settings.prefix);
        let at: Arc<str> = settings.to_string().into();
        let health = Health::new(Arc::clone(&at));
        let opened = facts::open(&members, &names, purpose).await;
        let opened = opened.map_err(|fault| health.error("open", fault.trouble()))?;
        let (facts, revision) = opened.ok_or(StoreError::Taken { place: at })?;
        let tasks = Tasks::new("etcd");
        let shared = Arc::new(Shared {
            members,
            names,
            facts,
            health,
            history: Arc::new(History::new(revision)),
            slots: Slots::new(),
            tasks: tasks.clone(),
        });
        let (follower, keeper) = (Arc::clone(&shared), Arc::clone(&shared));
        tasks.spawn("follow etcd", move |stop| async move {
            follow::run(&follower, revision, &stop).await;
            stop.requested().await;
            follower.history.close();
        });
        tasks.spawn("stay alive in etcd", |stop| async move {
            tokio::select! {
                () = keeper.keep() => {}
                () = stop.requested() => {}
            }
            keeper.slots.end(&keeper.members, CLOSE_WITHIN).await;
        });
        Ok(Self {
            shared,
            _end: Arc::new(End(tasks.stopping())),
        })
    }

    /// Says that a store that was made to be filled is complete.
    pub(crate) async fn complete(&self) -> Result<(), StoreError> {
        let completed = facts::complete(&self.shared.members, &self.shared.names);
        self.shared.within("write", READ_WITHIN, completed).await
    }

    pub(crate) fn identity(&self) -> Identity {
        self.shared.facts.identity
    }

    pub(crate) fn trouble(&self) -> Option<StoreError> {
        let trouble = self.shared.health.trouble()?;
        Some(self.shared.health.error("reach", trouble))
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let got = reads::get(&self.shared, key);
        self.shared.within("read", READ_WITHIN, got).await
    }

    pub(crate) async fn list(
        &self,
        prefix: &str,
        from: Option<&Key>,
        limit: usize,
        at: Revision,
    ) -> Result<Page, StoreError> {
        // A page may take several calls.
        let listed = reads::list(&self.shared, prefix, from, limit, at);
        self.shared.within("read", 4 * READ_WITHIN, listed).await
    }

    pub(crate) async fn commit(&self, txn: &Txn) -> Result<Committed, StoreError> {
        self.shared.open()?;
        commit::commit(&self.shared, txn).await
    }

    pub(crate) async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        let history = &self.shared.history;
        let started = match history.start(after, Revision::ZERO) {
            // What has been read or written may be ahead of what has been told so far.
            Err(StoreError::Ahead { .. }) => {
                let head = reads::head(&self.shared, READ_WITHIN);
                let head = self.shared.within("watch", READ_WITHIN, head).await?;
                history.start(after, head)
            }
            started => started,
        };
        let (cursor, woken) = started?;
        Ok(Watch::new(Arc::clone(history), woken, prefix, cursor))
    }

    /// Closes: what was answered is told first, where etcd lets us know it in time.
    pub(crate) async fn close(self) {
        if self.shared.tasks.stopping().is_requested() {
            return;
        }
        let last = async {
            let last = self.commit(&Txn::new()).await.ok()?;
            self.shared.history.reached(last.revision).await;
            Some(())
        };
        let _ = tokio::time::timeout(CLOSE_WITHIN, last).await;
        self.shared.tasks.stop(2 * CLOSE_WITHIN).await;
        self.shared.history.close();
    }
}

impl Shared {
    fn open(&self) -> Result<(), StoreError> {
        if self.tasks.stopping().is_requested() {
            return Err(StoreError::Closed);
        }
        Ok(())
    }

    async fn within<T>(
        &self,
        doing: &'static str,
        within: Duration,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, StoreError> {
        self.open()?;
        tokio::time::timeout(within, work)
            .await
            .unwrap_or_else(|_| Err(Trouble::Slow { within }.into()))
            .map_err(|fault| self.health.error(doing, fault.trouble()))
    }

    async fn head(&self, within: Duration) -> Result<Revision, Fault> {
        reads::head(self, within).await
    }

    /// Keeps the lease, and tries to write for as long as the last write failed.
    async fn keep(&self) {
        let mut health = self.health.subscribe();
        let mut said = Instant::now();
        loop {
            let is_failing = health.borrow_and_update().writing.is_some();
            let wait = if is_failing {
                MEND_EVERY
            } else {
                slots::ALIVE_EVERY.saturating_sub(said.elapsed())
            };
            // A change of health cuts the wait short.
            let _ = tokio::time::timeout(wait, health.changed()).await;
            if is_failing {
                // What it answers is in `health`.
                let _ = commit::commit(self, &Txn::new()).await;
            }
            if said.elapsed() >= slots::ALIVE_EVERY {
                // Where etcd doesn't answer the lease ends in time, and a new one is asked for.
                let _ = self.slots.keep_alive(&self.members).await;
                said = Instant::now();
            }
        }
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("identity", &self.shared.facts.identity)
            .finish_non_exhaustive()
    }
}
