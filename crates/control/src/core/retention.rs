//! What is kept for how long: 10,000 operations, 90 days of audit, a day of idempotency keys, seven
//! days of an instance that is away; and content for as long as something names it.
//!
//! Every control plane does it, each for the whole store: what one has cleared away, the others find
//! gone, and a record that was changed meanwhile is left to the next round.

use std::collections::BTreeSet;

use ferryway_store::{Expect, Key as StoreKey, Revision as StoreRevision, StoreError, Txn};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::identities::is_forgotten;
use super::records::{self, CommitRecord};
use super::{Core, idempotency, keys};

/// Operations kept.
const OPERATIONS_MAX: usize = 10_000;
/// How long an audit entry is kept.
const AUDIT_LIVES: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long an instance that is away is known.
const INSTANCE_LIVES: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a join token is shown after its end.
const JOIN_TOKEN_SHOWN: SignedDuration = SignedDuration::from_hours(24);
/// Keys changed in one transaction of the clearing away.
const BATCH: usize = 64;

impl Core {
    /// Clears away what is too old. A failure is logged; the next round tries again.
    pub(super) async fn retain(&self) {
        let now = self.0.clock.now();
        let cleared = async {
            self.retain_commits(now).await?;
            self.free_keys(now).await?;
            self.forget_instances(now).await?;
            self.forget_identities(now).await?;
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
                (record.operation, record.plane) = (None, None);
            }
            if audit.contains(id) {
                record.audit = None;
            }
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
        Ok(())
    }

    async fn free_keys(&self, now: Timestamp) -> Result<(), StoreError> {
        let old: Vec<_> = self.read(|memory| {
            let used = memory.idempotency.iter();
            let old = used.filter(|(_, used)| !idempotency::is_alive(&used.record, now));
            old.map(|(key, used)| (key.clone(), used.modified))
                .collect()
        });
        self.delete_unchanged(old).await
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
        for batch in gone.chunks(BATCH) {
            let txn = Txn::new().durable(false);
            let txn = batch.iter().cloned().fold(txn, Txn::delete);
            self.0.store.commit(txn).await?;
        }
        Ok(())
    }

    /// Clears away what was noted of certificates that nobody can come back with, and of join
    /// tokens that nobody can join with.
    async fn forget_identities(&self, now: Timestamp) -> Result<(), StoreError> {
        let gone: Vec<_> = self.read(|memory| {
            let identities = memory.identities.iter();
            let identities = identities
                .filter(|(_, stored)| is_forgotten(&stored.record, now))
                .filter(|(_, stored)| !memory.has_token_of_before(&stored.record))
                .map(|(id, stored)| (keys::identity(*id), stored.modified));
            let tokens = memory.join_tokens.iter();
            let tokens = tokens
                .filter(|(_, t)| now.duration_since(t.record.expires_at) > JOIN_TOKEN_SHOWN)
                .map(|(id, token)| (keys::join_token(&token.group, *id), token.modified));
            identities.chain(tokens).collect()
        });
        self.delete_unchanged(gone).await
    }

    async fn delete_unchanged(
        &self,
        old: Vec<(StoreKey, StoreRevision)>,
    ) -> Result<(), StoreError> {
        for batch in old.chunks(BATCH) {
            let txn = Txn::new().durable(false);
            let txn = batch.iter().fold(txn, |txn, (key, modified)| {
                txn.require(key.clone(), Expect::Revision(*modified))
                    .delete(key.clone())
            });
            match self.0.store.commit(txn).await {
                // Used anew, or deleted by another control plane: the next round sees it as it is.
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
