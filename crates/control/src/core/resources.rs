//! How plain resources (groups, their registries, the services of the hub, tokens) are written: worked
//! out on memory, committed in one transaction that requires what was read.

use bytes::Bytes;
use ferryway_model::{Code, Name, Problem};
use ferryway_store::{Expect, Key as StoreKey, Txn};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::CoreError;
use super::idempotency::{Idempotency, Made};
use super::memory::Memory;
use super::records::{self, Answered, AuditRecord, CommitRecord, IdempotentResult};
use super::{Actor, Core, NotWritten, keys};

/// What a write requires of the resource's present state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Nothing.
    #[default]
    Anything,
    /// That it isn't there: a creating POST, to whose caller another one is a conflict.
    Absent,
    /// That it isn't there, as `If-None-Match: *` says it.
    Missing,
    /// That it is there.
    Present,
    /// That it has one of these entity tags.
    Tags(Vec<String>),
    /// That it still has the tag of what the write was worked out from; else it is worked out anew.
    Still(String),
}

impl IfMatch {
    /// Whether a resource with this tag (none: it isn't there) is as required.
    pub(crate) fn check(&self, tag: Option<&str>) -> Result<(), CoreError> {
        match (self, tag) {
            (Self::Still(wanted), tag) if tag != Some(wanted) => Err(CoreError::Contended),
            (Self::Tags(tags), Some(tag)) if !tags.iter().any(|wanted| wanted == tag) => {
                Err(CoreError::Stale)
            }
            (Self::Tags(_) | Self::Present, None) | (Self::Missing, Some(_)) => {
                Err(CoreError::Stale)
            }
            _ => Ok(()),
        }
    }
}

/// A write, worked out on one state of memory.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) requires: Vec<(StoreKey, Expect)>,
    pub(super) puts: Vec<(StoreKey, Bytes)>,
    pub(super) deletes: Vec<StoreKey>,
    pub(super) blobs: Vec<(StoreKey, Bytes)>,
    /// Action, target, before, after; none: nothing changes.
    pub(super) audit: Option<(&'static str, String, Value, Value)>,
    /// What is answered where this makes something that was not there, and what a repeated call with
    /// the same idempotency key is told.
    pub(super) new: Option<Answered>,
}

impl Draft {
    /// What a repeated call with the same idempotency key is told.
    fn result(&self) -> IdempotentResult {
        let answered =
            |answered: &Answered| IdempotentResult::Made(Some(Box::new(answered.clone())));
        self.new.as_ref().map_or(IdempotentResult::Done, answered)
    }
}

impl Core {
    /// Deletes what is known of an instance that is offline.
    ///
    /// # Errors
    /// It is online, or isn't there, or the store failed.
    pub(crate) async fn delete_instance(
        &self,
        actor: &Actor,
        group: &Name,
        id: &str,
    ) -> Result<(), CoreError> {
        // The keeper may be about to store it as gone offline: it comes before, or not at all.
        let _keeping = self.0.keeping_instances.lock().await;
        let deleted = self
            .draft(actor, [], None, |memory, now| {
                let instance = memory
                    .instances
                    .get(group)
                    .and_then(|instances| instances.get(id));
                // One that was not seen, or not for long, may have a certificate.
                let uuid: Option<Uuid> = id.parse().ok();
                if instance.is_none() && !uuid.is_some_and(|it| memory.has_identity(group, it)) {
                    return Err(CoreError::not_found(format!(
                        "{group} has no instance {id}"
                    )));
                }
                if let Some(instance) = instance.filter(|instance| instance.is_online()) {
                    let message = format!(
                        "the instance on {} is online; stop it first",
                        instance.record.hostname
                    );
                    return Err(CoreError::refused(
                        Problem::new(Code::InUse, "", message).in_group(group),
                    ));
                }
                let target = format!("gateway-groups/{group}/instances/{id}");
                // Its certificate is refused from now on.
                let refused = uuid.and_then(|uuid| {
                    let (record, expect) = memory.refuse(uuid, now)?;
                    Some((keys::identity(uuid), record, expect))
                });
                let mut draft = Draft::default();
                if let Some((key, record, expect)) = refused {
                    draft.requires.push((key.clone(), expect));
                    draft.puts.push((key, records::write(&record).into()));
                }
                let audit = (
                    "delete instance",
                    target,
                    json!(instance.map(|instance| &instance.record)),
                    Value::Null,
                );
                draft.deletes.push(keys::instance(group, id));
                draft.audit = Some(audit);
                Ok(draft)
            })
            .await;
        deleted?;
        self.write(|memory| memory.forget(group, id));
        Ok(())
    }

    /// Works a write out on memory and commits it, anew while others come in between. `places` are
    /// what it waits its turn for.
    pub(super) async fn draft(
        &self,
        actor: &Actor,
        places: impl IntoIterator<Item = StoreKey>,
        idempotency: Option<&Idempotency>,
        draft: impl Fn(&Memory, Timestamp) -> Result<Draft, CoreError>,
    ) -> Result<Made, CoreError> {
        let wanted = || Ok(());
        let draft = |(): &(), memory: &Memory, now| draft(memory, now);
        self.draft_wanted(actor, places, idempotency, wanted, draft)
            .await
    }

    /// The same, where what is wanted is itself worked out on what is there, as a patch is: in the
    /// turn, so that nothing of this process comes in between, and not while memory is locked.
    pub(super) async fn draft_wanted<W>(
        &self,
        actor: &Actor,
        places: impl IntoIterator<Item = StoreKey>,
        idempotency: Option<&Idempotency>,
        wanted: impl Fn() -> Result<W, CoreError>,
        draft: impl Fn(&W, &Memory, Timestamp) -> Result<Draft, CoreError>,
    ) -> Result<Made, CoreError> {
        self.writable()?;
        let places = places.into_iter().collect();
        let key = match self.turn(idempotency)? {
            Ok(key) => key,
            Err(made) => return self.answered_before(idempotency, &made).await,
        };
        let (hold, mut tries) = self.turn_of(key, places).await;
        loop {
            let now = self.0.clock.now();
            let drafted = wanted().and_then(|wanted| {
                self.read(|memory| {
                    let drafted = draft(&wanted, memory, now)?;
                    let used = memory.uses(idempotency, now, drafted.result());
                    Ok((drafted, memory.sweep_as_planned(), used))
                })
            });
            let (drafted, sweep, used) = match drafted {
                Ok(drafted) => drafted,
                // What was wanted was worked out from what is no more.
                Err(CoreError::Contended) => {
                    tries.spend()?;
                    continue;
                }
                Err(refusal) => {
                    self.refused(&mut tries, refusal).await?;
                    if let Some(made) = self.made_before(idempotency)? {
                        return self.answered_before(idempotency, &made).await;
                    }
                    continue;
                }
            };
            let Draft {
                requires,
                puts,
                deletes,
                blobs,
                audit,
                new,
            } = drafted;
            let Some((action, target, before, after)) = audit else {
                return Ok(Made::Changed);
            };
            let audit = AuditRecord {
                at: now,
                by: actor.name.clone(),
                from: actor.from.clone(),
                action: action.to_owned(),
                target,
                before: before.into(),
                after: after.into(),
                operation: None,
            };
            let record = CommitRecord {
                audit: Some(audit),
                ..CommitRecord::default()
            };
            let mut txn = Txn::new().put(keys::commit(Uuid::now_v7()), records::write(&record));
            txn = txn.require(sweep.0, sweep.1);
            if let Some(used) = used {
                txn = used.in_txn(txn);
            }
            txn = requires
                .into_iter()
                .fold(txn, |txn, (key, expect)| txn.require(key, expect));
            txn = deletes.into_iter().fold(txn, Txn::delete);
            txn = puts
                .into_iter()
                .fold(txn, |txn, (key, bytes)| txn.put(key, bytes));
            match self.write_out(&hold, &mut tries, blobs, txn).await {
                Ok(()) => return Ok(new.map_or(Made::Changed, Made::New)),
                Err(NotWritten::Conflict(key)) => self.again(&mut tries, &key).await?,
                Err(NotWritten::Failed(error)) => return Err(error),
            }
            if let Some(made) = self.made_before(idempotency)? {
                return self.answered_before(idempotency, &made).await;
            }
        }
    }
}

/// Whether the resource is as a write requires.
pub(super) fn require(
    if_match: &IfMatch,
    tag: Option<&str>,
    exists: impl FnOnce() -> String,
) -> Result<(), CoreError> {
    if *if_match == IfMatch::Absent && tag.is_some() {
        return Err(CoreError::refused(Problem::new(
            Code::Exists,
            "name",
            exists(),
        )));
    }
    if_match.check(tag)
}

/// Names for a message, cut where there are many.
pub(super) fn shown(mut names: Vec<String>) -> String {
    const SHOWN_MAX: usize = 10;
    names.sort_unstable();
    let more = names.len().saturating_sub(SHOWN_MAX);
    names.truncate(SHOWN_MAX);
    let names = names.join(", ");
    if more == 0 {
        names
    } else {
        format!("{names} and {more} more")
    }
}
