//! What the store's transactions cost, counted for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ferryway_store::Committed;

/// Sums over the durable transactions of this process.
#[derive(Debug, Default)]
pub(super) struct Commits {
    count: AtomicU64,
    took_micros: AtomicU64,
    sync_micros: AtomicU64,
}

/// What the durable transactions of this process have cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommitCost {
    /// How many there were.
    pub(crate) count: u64,
    /// From the call to the answer, all together.
    pub(crate) took: Duration,
    /// The share of it spent waiting for the disk.
    pub(crate) sync: Duration,
}

impl Commits {
    pub(super) fn add(&self, committed: &Committed) {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.took_micros
            .fetch_add(micros(committed.took), Ordering::Relaxed);
        self.sync_micros
            .fetch_add(micros(committed.sync), Ordering::Relaxed);
    }

    pub(super) fn cost(&self) -> CommitCost {
        CommitCost {
            count: self.count.load(Ordering::Relaxed),
            took: Duration::from_micros(self.took_micros.load(Ordering::Relaxed)),
            sync: Duration::from_micros(self.sync_micros.load(Ordering::Relaxed)),
        }
    }
}
