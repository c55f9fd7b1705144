//! Turns: changes of one group are made one after the other in this process.
//!
//! Correctness doesn't need it, the transactions' requirements see to that; but writers that wait
//! for their turn don't plan in vain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use ferryway_model::Name;
use ferryway_model::plan::Request;
use tokio::sync::OwnedMutexGuard;

/// One turn at a time for each group.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<Name, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn of every group that a request reads or changes.
    pub(super) async fn take(&self, request: &Request) -> Vec<OwnedMutexGuard<()>> {
        self.take_all(groups(request).into_iter().cloned().collect())
            .await
    }

    /// Waits for the turn of every one of these groups. They are taken in the order of their names,
    /// so that two calls never wait for each other.
    pub(super) async fn take_all(&self, groups: BTreeSet<Name>) -> Vec<OwnedMutexGuard<()>> {
        let locks: Vec<_> = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, lock| Arc::strong_count(lock) > 1);
            let locks = groups.into_iter();
            locks
                .map(|group| turns.entry(group).or_default().clone())
                .collect()
        };
        let mut taken = Vec::with_capacity(locks.len());
        for lock in locks {
            taken.push(lock.lock_owned().await);
        }
        taken
    }
}

fn groups(request: &Request) -> BTreeSet<&Name> {
    match request {
        Request::Publish { groups, .. } => groups.iter().map(|target| &target.group).collect(),
        Request::Sync { source, to, .. } => to
            .iter()
            .map(|target| &target.group)
            .chain(std::iter::once(source))
            .collect(),
        Request::Rollback { group, .. }
        | Request::Set { group, .. }
        | Request::Edit { group, .. }
        | Request::Unpublish { group, .. } => BTreeSet::from([group]),
    }
}
