//! How a change is written: content first, then the one transaction that names it; and what is done
//! when somebody else was faster.
//!
//! Writers at several control planes know nothing of each other. Each transaction requires that what
//! it was planned from is as it was, so of those that collide one is made and the others are planned
//! anew. Before that they wait until memory holds what they collided with, and wish to go first
//! (`wishes`).
//!
//! A refusal is as true as an answer. Where there are other control planes, memory may lag behind
//! what one of them has just answered; so before a change is refused, it is planned once more on
//! what the store had when it was asked (`fence`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ferryway_runtime::{Backoff, Random};
use ferryway_store::{Key as StoreKey, Revision as StoreRevision, StoreError, Txn};
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, oneshot};
use tokio::time::timeout;

use super::wishes::Wish;
use super::{Core, CoreError, idempotency, keys};

/// What a change holds from its plan to its end.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) _key: Option<idempotency::Turn>,
    pub(super) _writing: OwnedRwLockReadGuard<()>,
    pub(super) _turns: Vec<OwnedMutexGuard<()>>,
}

/// Why a change is not written, or not known to be.
#[derive(Debug)]
pub(super) enum NotWritten {
    /// This key is not as the transaction requires: it may be planned anew.
    Conflict(StoreKey),
    /// Anything else.
    Failed(CoreError),
}

impl From<StoreError> for NotWritten {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { key } => Self::Conflict(key),
            error => Self::Failed(CoreError::of_write(error)),
        }
    }
}

/// How often a change is planned anew when others came in between.
const TRIES_MAX: usize = 64;
/// How long memory may take to hold what was committed, before the caller is told to look again.
const FOLLOW_WITHIN: Duration = Duration::from_secs(10);
/// How long memory may take to hold that a key is gone, which no revision tells of.
const GONE_WITHIN: Duration = Duration::from_millis(50);
/// The first wait after a conflict over what nobody takes turns for is at most this long, and the
/// last at most that.
const AGAIN_MIN: Duration = Duration::from_millis(1);
const AGAIN_MAX: Duration = Duration::from_millis(8);

/// The tries of one change.
#[derive(Debug)]
pub(super) struct Tries {
    /// What the change waits its turn for.
    pub(super) places: BTreeSet<StoreKey>,
    /// What it wishes to be let go first for.
    pub(super) wishes: Vec<Wish>,
    left: usize,
    /// Whether memory holds everything that was there when the change was asked for.
    is_fenced: bool,
    backoff: Backoff,
    random: Random,
}

/// Counts those who ask whether memory is behind.
#[derive(Debug, Default)]
pub(super) struct Fences {
    asked: AtomicU64,
    /// Up to which of them an answer is known.
    answered: tokio::sync::Mutex<u64>,
}

impl Tries {
    /// Takes one, where memory alone has moved on: there is nothing to wait for.
    ///
    /// # Errors
    /// It was tried often enough.
    pub(super) fn spend(&mut self) -> Result<(), CoreError> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return Err(CoreError::Contended);
        }
        Ok(())
    }

    fn new(places: BTreeSet<StoreKey>) -> Self {
        Self {
            places,
            wishes: Vec::new(),
            left: TRIES_MAX,
            is_fenced: false,
            backoff: Backoff::new(AGAIN_MIN, AGAIN_MAX),
            random: Random::from_entropy(),
        }
    }
}

impl Core {
    /// Waits for the turn of a change of these places, here and among other control planes.
    pub(super) async fn turn_of(
        &self,
        key: Option<idempotency::Turn>,
        places: BTreeSet<StoreKey>,
    ) -> (Arc<Hold>, Tries) {
        let hold = Hold {
            _key: key,
            _writing: Arc::clone(&self.0.writing).read_owned().await,
            _turns: self.0.turns.take(places.clone()).await,
        };
        let mut tries = Tries::new(places);
        self.wish_again(&mut tries).await;
        self.heed(&tries).await;
        (Arc::new(hold), tries)
    }

    /// Waits until it makes sense to plan a change anew whose transaction found this key other than
    /// it required.
    ///
    /// # Errors
    /// It was tried often enough, or the store is not available.
    pub(super) async fn again(&self, tries: &mut Tries, key: &StoreKey) -> Result<(), CoreError> {
        tries.spend()?;
        let mut held = self.0.held.subscribe();
        match self.0.store.get(key).await? {
            Some(entry) => self.holds(entry.modified).await?,
            // Gone: memory either knows already, or is about to.
            None => drop(timeout(GONE_WITHIN, held.changed()).await),
        }
        if !self.lose_turn(tries, key).await {
            tokio::time::sleep(tries.backoff.next(&mut tries.random)).await;
        }
        self.heed(tries).await;
        Ok(())
    }

    /// What to do about a refusal: to plan once more, where memory may have been behind.
    ///
    /// # Errors
    /// The refusal, where it stands; or the store is not available.
    pub(super) async fn refused(
        &self,
        tries: &mut Tries,
        refusal: CoreError,
    ) -> Result<(), CoreError> {
        let may_be_old = matches!(
            refusal,
            CoreError::Refused(_) | CoreError::Stale | CoreError::Unjoined(_)
        );
        let plane = self.read(|memory| memory.tracker.plane());
        if plane.is_none() || tries.is_fenced || !may_be_old {
            return Err(refusal);
        }
        tries.is_fenced = true;
        Ok(self.fence().await?)
    }

    /// Waits until memory holds everything that the store holds now: writes something of no
    /// meaning, and waits for it to come back. Those who ask at one time share it.
    pub(super) async fn fence(&self) -> Result<(), StoreError> {
        let asked = self.0.fences.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut answered = self.0.fences.answered.lock().await;
        if *answered >= asked {
            return Ok(()); // one that began after this was asked is done
        }
        let covers = self.0.fences.asked.load(Ordering::Relaxed);
        let plane = self
            .read(|memory| memory.tracker.plane())
            .unwrap_or_default();
        let txn = Txn::new()
            .put(keys::fence(plane), covers.to_string())
            .durable(false);
        let written = self.0.store.commit(txn).await?;
        self.holds(written.revision).await?;
        *answered = covers;
        Ok(())
    }

    /// Writes blobs, then the transaction that names them, and waits until memory holds it.
    ///
    /// A caller may leave at any moment. What it began is ended all the same, under what the caller
    /// holds: else a key would be free again while its change is on its way.
    pub(super) async fn write_out(
        &self,
        hold: &Arc<Hold>,
        tries: &mut Tries,
        blobs: Vec<(StoreKey, Bytes)>,
        txn: Txn,
    ) -> Result<(), NotWritten> {
        let txn = tries.with_wishes(txn);
        let (told, answer) = oneshot::channel();
        let (core, hold) = (self.clone(), Arc::clone(hold));
        self.0.tasks.spawn("write a change", |_| async move {
            let written = async {
                let stored = core.0.blobs.put(blobs).await;
                // Content that nothing names yet changes nothing.
                stored.map_err(|error| NotWritten::Failed(error.into()))?;
                core.commit(txn).await
            };
            let written = written.await;
            drop(hold);
            let _ = told.send(written); // who asked may have left
        });
        let written = answer.await.unwrap_or_else(|_| {
            let why = "the control plane is stopping".to_owned();
            Err(NotWritten::Failed(CoreError::Unknown(why)))
        });
        if written.is_ok() {
            tries.wishes_are_gone();
        }
        written
    }

    /// The store's transaction that memory has come to.
    pub(crate) fn revision(&self) -> u64 {
        self.0.held.borrow().number()
    }

    /// Whether an answer may have had this number: the store has come so far. One that can't be asked
    /// is believed to have.
    pub(crate) async fn may_be_as_new_as(&self, revision: u64) -> bool {
        if revision <= self.revision() {
            return true;
        }
        let listed = self.0.store.list(keys::PLANES, None, 1).await;
        listed.map_or(true, |page| page.revision >= StoreRevision::new(revision))
    }

    /// Whether memory comes to a transaction of the store within so long.
    pub(crate) async fn reaches(&self, revision: u64, within: Duration) -> bool {
        let reached = self.holds(StoreRevision::new(revision));
        matches!(timeout(within, reached).await, Ok(Ok(())))
    }

    /// Commits a transaction, and waits until memory holds it.
    pub(super) async fn commit(&self, txn: Txn) -> Result<(), NotWritten> {
        let committed = self.0.store.commit(txn).await?;
        self.0.commits.add(&committed);
        self.holds(committed.revision).await.map_err(|_| {
            let why = self.broken();
            let why = why.unwrap_or_else(|| "memory waits for the store".to_owned());
            NotWritten::Failed(CoreError::Unknown(why))
        })
    }

    /// Waits until memory holds a transaction of the store.
    pub(super) async fn holds(&self, revision: StoreRevision) -> Result<(), StoreError> {
        let (mut held, mut broken) = (self.0.held.subscribe(), self.0.broken.subscribe());
        let reached = async {
            tokio::select! {
                reached = held.wait_for(|held| *held >= revision) => reached.is_ok(),
                _ = broken.wait_for(Option::is_some) => false,
            }
        };
        match timeout(FOLLOW_WITHIN, reached).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(StoreError::Closed),
        }
    }
}
