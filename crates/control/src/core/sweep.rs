//! Collecting content that nobody names, while any number of control planes write.
//!
//! Content is written ahead of the transaction that names it, and not at all where the store has it
//! already. So whoever deletes what nobody names must know of everybody who is about to name it; and
//! no lock reaches into another process, nor does a clock tell when another one that was stopped in
//! the middle of a change has given up. The store's own order does:
//!
//! 1. Every change requires the record of the sweep as it was when the change was planned.
//! 2. A sweep begins by writing that record. What was planned before and is not committed yet fails,
//!    and is planned anew by somebody who knows that a sweep is open, and writes all content that it
//!    names.
//! 3. What is deleted is what was there before the sweep began, is named by nothing at its beginning,
//!    and has not been written since: each deletion requires that, and that the sweep is still open.
//!
//! A sweep whose control plane died stays open, which costs others a few writes, until the next one
//! takes its place.

use std::collections::{BTreeMap, HashSet};

use ferryway_model::{Digest, View};
use ferryway_store::{
    Expect, Key as StoreKey, LIST_ENTRIES_MAX, Revision as StoreRevision, StoreError, Txn,
};

use super::memory::Memory;
use super::records::{self, SweepRecord};
use super::{Core, keys};

/// The last sweep that memory knows of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sweep {
    record: SweepRecord,
    /// The transaction that wrote it; none: there never was one.
    modified: Option<StoreRevision>,
}

/// Keys deleted in one transaction.
const BATCH: usize = 64;

impl Sweep {
    pub(super) fn told(record: SweepRecord, modified: StoreRevision) -> Self {
        Self {
            record,
            modified: Some(modified),
        }
    }
}

impl Memory {
    /// What a change that is planned now requires of the sweep.
    pub(super) fn sweep_as_planned(&self) -> (StoreKey, Expect) {
        let modified = self.sweep.modified;
        let expect = modified.map_or(Expect::Absent, Expect::Revision);
        (keys::sweep(), expect)
    }

    /// Whether the store has this content and will keep it until a change that is planned now names
    /// it.
    pub(super) fn keeps_content(&self, digest: Digest) -> bool {
        !self.sweep.record.open && self.has_content(digest)
    }
}

impl Core {
    /// Deletes content, buckets and trees that nothing names.
    pub(super) async fn collect_content(&self) -> Result<(), StoreError> {
        let stored = self.stored_content().await?;
        let (key, expect) = self.read(Memory::sweep_as_planned);
        let number = self.read(|memory| memory.sweep.record.number) + 1;
        let begin = {
            // Not for safety: changes of this process that are under way need not be planned anew.
            let _alone = self.0.writing.write().await;
            let record = SweepRecord { number, open: true };
            let begin = Txn::new()
                .require(key.clone(), expect)
                .put(key.clone(), records::write(&record));
            let begun = match self.0.store.commit(begin).await {
                Ok(begun) => begun.revision,
                // Another control plane has begun one.
                Err(StoreError::Conflict { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            self.holds(begun).await?;
            begun
        };
        let named = self.named_content();
        let mut unnamed = stored;
        unnamed.retain(|(key, _)| keys::digest(key).is_some_and(|it| !named.contains(&it)));
        for batch in unnamed.chunks(BATCH) {
            self.delete_unwritten(batch.to_vec(), &key, begin).await?;
        }
        let record = SweepRecord {
            number,
            open: false,
        };
        let end = Txn::new()
            .require(key.clone(), Expect::Revision(begin))
            .put(key, records::write(&record))
            .durable(false);
        match self.0.store.commit(end).await {
            Ok(ended) => self.holds(ended.revision).await,
            // Another control plane took over.
            Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The digests of all content, buckets and trees that something in memory names.
    fn named_content(&self) -> HashSet<Digest> {
        // Memory is held for no longer than it takes to copy; who waits for it may be a reader.
        let (views, mut named) = self.read(|memory| {
            let groups = memory.groups.values();
            let views: Vec<View> = groups.map(|group| group.view.clone()).collect();
            let hub = memory.hub.values().map(|hub| hub.record.digest);
            let versions = memory.versions.values().flat_map(BTreeMap::values);
            let states = memory.history.values().flatten();
            let states = states.filter_map(|ran| ran.record.state);
            let named: HashSet<Digest> = hub
                .chain(versions.map(|version| version.digest))
                .chain(states.flat_map(|state| [state.definition, state.binding]))
                .collect();
            (views, named)
        });
        for view in views.into_iter().chain([View::empty()]) {
            named.insert(view.root());
            named.extend(view.buckets().iter().map(|bucket| bucket.digest()));
            named.extend(view.entries().flat_map(|(_, entry)| entry.content()));
        }
        named
    }

    /// Deletes what was not written again, for as long as this sweep is open.
    async fn delete_unwritten(
        &self,
        mut batch: Vec<(StoreKey, StoreRevision)>,
        sweep: &StoreKey,
        begun: StoreRevision,
    ) -> Result<(), StoreError> {
        // Each conflict takes one out of the batch.
        while !batch.is_empty() {
            let txn = Txn::new()
                .durable(false)
                .require(sweep.clone(), Expect::Revision(begun));
            let txn = batch.iter().fold(txn, |txn, (key, modified)| {
                txn.require(key.clone(), Expect::Revision(*modified))
                    .delete(key.clone())
            });
            match self.0.store.commit(txn).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict { key }) if key != *sweep => {
                    batch.retain(|(other, _)| *other != key);
                }
                Err(StoreError::Conflict { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The keys of all content, buckets and trees in the store, each with the transaction that wrote
    /// it last.
    async fn stored_content(&self) -> Result<Vec<(StoreKey, StoreRevision)>, StoreError> {
        let mut stored = Vec::new();
        for prefix in [keys::CONTENT, keys::BUCKETS, keys::TREES] {
            let mut from = None;
            loop {
                let store = &self.0.store;
                let page = store.list(prefix, from.as_ref(), LIST_ENTRIES_MAX).await?;
                let entries = page.entries.into_iter();
                stored.extend(entries.map(|entry| (entry.key, entry.modified)));
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(stored)
    }
}
