//! Turns: changes of one group, and of one service in the hub, are made one after the other in this
//! process.
//!
//! Correctness doesn't need it, the transactions' requirements see to that; but writers that wait
//! for their turn don't work in vain, and are never told that others kept coming in between: only
//! another process can do that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use ferryway_model::plan::Request;
use ferryway_store::Key as StoreKey;
use tokio::sync::OwnedMutexGuard;

use super::keys;

/// One turn at a time for each group and each service of the hub, by its key in the store.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<StoreKey, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn of every one of these. They are taken in their order, so that two calls
    /// never wait for each other.
    pub(super) async fn take(&self, places: BTreeSet<StoreKey>) -> Vec<OwnedMutexGuard<()>> {
        let locks: Vec<_> = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, lock| Arc::strong_count(lock) > 1);
            let locks = places.into_iter();
            locks
                .map(|place| turns.entry(place).or_default().clone())
                .collect()
        };
        let mut taken = Vec::with_capacity(locks.len());
        for lock in locks {
            taken.push(lock.lock_owned().await);
        }
        taken
    }
}

/// Everything that a request reads or changes.
pub(super) fn places(request: &Request) -> BTreeSet<StoreKey> {
    match request {
        Request::Publish {
            service, groups, ..
        } => {
            let groups = groups.iter().map(|target| keys::group(&target.group));
            groups.chain([keys::hub(service)]).collect()
        }
        Request::Sync { source, to, .. } => {
            let to = to.iter().map(|target| &target.group);
            to.chain([source]).map(keys::group).collect()
        }
        Request::Rollback { group, .. }
        | Request::Set { group, .. }
        | Request::Edit { group, .. }
        | Request::Unpublish { group, .. } => BTreeSet::from([keys::group(group)]),
    }
}
