//! What is kept for how long: 10,000 operations, 90 days of audit, a day of idempotency keys, seven
//! days of an instance that is away; and content for as long as something names it.

use std::collections::BTreeSet;

use ferryway_model::View;
use ferryway_store::{Expect, Key as StoreKey, LIST_ENTRIES_MAX, StoreError, Txn};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::records::{self, CommitRecord};
use super::{Core, idempotency, keys};

/// Operations kept.
const OPERATIONS_MAX: usize = 10_000;
/// How long an audit entry is kept.
const AUDIT_LIVES: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long an instance that is away is known.
const INSTANCE_LIVES: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Keys changed in one transaction of the clearing away.
const BATCH: usize = 64;

impl Core {
    /// Clears away what is too old. A failure is logged; the next round tries again.
    pub(super) async fn retain(&self) {
        let now = self.0.clock.now();
        let cleared = async {
            self.retain_commits(now).await?;
            self.forget_instances(now).await?;
            self.collect_content().await
        };
        if let Err(error) = cleared.await {
            tracing::warn!(%error, "what is too old could not be cleared away");
        }
    }

    async fn retain_commits(&self, now: Timestamp) -> Result<(), StoreError> {
        let due = self.read(|memory| {
            let surplus = memory.operations.len().saturating_sub(OPERATIONS_MAX);
            let ended = memory
                .operations
                .iter()
                .filter(|(_, operation)| operation.state.is_final());
            let operations: BTreeSet<Uuid> = ended.map(|(id, _)| *id).take(surplus).collect();
            let old = memory
                .audit
                .iter()
                .filter(|(_, audit)| now.duration_since(audit.at) > AUDIT_LIVES);
            let audit: BTreeSet<Uuid> = old.map(|(id, _)| *id).collect();
            (operations, audit)
        });
        let (operations, audit) = due;
        for id in operations.union(&audit) {
            let key = keys::commit(*id);
            let Some(entry) = self.0.store.get(&key).await? else {
                continue;
            };
            let Ok(mut record) = records::read::<CommitRecord>(key.as_str(), &entry.value) else {
                continue;
            };
            if operations.contains(id) {
                record.operation = None;
            }
            if audit.contains(id) {
                record.audit = None;
            }
            record.idempotency = record
                .idempotency
                .filter(|record| idempotency::is_alive(record, now));
            let txn = Txn::new()
                .require(key.clone(), Expect::Revision(entry.modified))
                .durable(false);
            let txn = if record == CommitRecord::default() {
                txn.delete(key)
            } else {
                txn.put(key, records::write(&record))
            };
            match self.0.store.commit(txn).await {
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.write(|memory| {
            memory
                .idempotency
                .retain(|_, record| idempotency::is_alive(record, now))
        });
        Ok(())
    }

    async fn forget_instances(&self, now: Timestamp) -> Result<(), StoreError> {
        let gone: Vec<StoreKey> = self.read(|memory| {
            let all = memory
                .instances
                .iter()
                .flat_map(|(group, all)| all.values().map(move |i| (group, i)));
            let gone =
                all.filter(|(_, i)| !i.is_online() && now.duration_since(i.since) > INSTANCE_LIVES);
            gone.map(|(group, instance)| keys::instance(group, &instance.id))
                .collect()
        });
        self.delete(gone).await
    }

    /// Deletes content, buckets and trees that nothing names.
    async fn collect_content(&self) -> Result<(), StoreError> {
        let mut unnamed = self.stored_content().await?;
        // From here on nobody may be between writing content and naming it; and memory may not be
        // behind: what it doesn't hold yet may name content too.
        let _alone = self.0.writing.write().await;
        let last = self.0.store.commit(Txn::new().durable(false)).await?;
        self.holds(last.revision).await?;
        let named = self.named_content();
        unnamed.retain(|key| !named.contains(key));
        self.delete(unnamed).await
    }

    /// The keys of all content, buckets and trees in the store.
    async fn stored_content(&self) -> Result<Vec<StoreKey>, StoreError> {
        let mut stored = Vec::new();
        for prefix in [keys::CONTENT, keys::BUCKETS, keys::TREES] {
            let mut from = None;
            loop {
                let page = self
                    .0
                    .store
                    .list(prefix, from.as_ref(), LIST_ENTRIES_MAX)
                    .await?;
                stored.extend(page.entries.into_iter().map(|entry| entry.key));
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(stored)
    }

    /// The keys of all content, buckets and trees that something in memory names.
    fn named_content(&self) -> BTreeSet<StoreKey> {
        self.read(|memory| {
            let mut named = BTreeSet::new();
            let mut name = |key: StoreKey| {
                named.insert(key);
            };
            for group in memory.groups.values() {
                name(keys::tree(group.view.root()));
                group
                    .view
                    .buckets()
                    .iter()
                    .for_each(|bucket| name(keys::bucket(bucket.digest())));
                let content = group.view.entries().flat_map(|(_, entry)| entry.content());
                content.for_each(|digest| name(keys::content(digest)));
            }
            name(keys::tree(View::empty().root()));
            memory
                .hub
                .values()
                .for_each(|hub| name(keys::content(hub.record.digest)));
            let versions = memory
                .versions
                .values()
                .flat_map(|versions| versions.values());
            versions.for_each(|version| name(keys::content(version.digest)));
            let states = memory
                .history
                .values()
                .flatten()
                .filter_map(|ran| ran.record.state);
            states.for_each(|state| {
                name(keys::content(state.definition));
                name(keys::content(state.binding));
            });
            named
        })
    }

    async fn delete(&self, keys: Vec<StoreKey>) -> Result<(), StoreError> {
        for batch in keys.chunks(BATCH) {
            let txn = batch
                .iter()
                .cloned()
                .fold(Txn::new().durable(false), Txn::delete);
            let gone = self.0.store.commit(txn).await?;
            self.holds(gone.revision).await?;
        }
        Ok(())
    }
}
