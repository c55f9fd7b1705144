//! Which instances were given certificates, and which certificates are not taken any more.

mod rules;

use std::sync::{Mutex, PoisonError};

use ferryway_model::Name;
use ferryway_store::{Expect, Txn};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::CoreError;
use super::join_tokens;
use super::records::{self, IdentityRecord, JoinTokenUse};
use super::resources::Draft;
use super::{Actor, Core, NotWritten, keys};
use crate::secret::SecretDigest;

pub(super) use rules::is_forgotten;

/// Who wants to join.
#[derive(Clone, Debug)]
pub(crate) struct Joining {
    /// The join token's id.
    pub(crate) token: Uuid,
    /// The digest of the secret that was shown.
    pub(crate) secret: SecretDigest,
    pub(crate) group: Name,
    pub(crate) instance: Uuid,
    /// The fingerprint of the key.
    pub(crate) key: String,
    /// Where it comes from.
    pub(crate) from: String,
}

/// A certificate that is about to be given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    /// The number that it would have by this control plane's clock.
    pub(crate) serial: Uuid,
    /// The fingerprint of its authority.
    pub(crate) authority: String,
    pub(crate) at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Core {
    /// Notes that an instance joins with a token, and the certificate it is given. Whoever asks
    /// again with the same key joins once. Answers the certificate's number, which is above those
    /// of all that the instance had before, whatever the clocks say.
    ///
    /// # Errors
    /// Why it may not: refused, with a sentence for the instance; or the store failed.
    pub(crate) async fn join(&self, joining: &Joining, issued: &Issued) -> Result<Uuid, CoreError> {
        let Joining {
            token,
            secret,
            group,
            instance,
            key,
            from,
        } = joining;
        let actor = Actor {
            name: format!("join-token {token}"),
            from: from.clone(),
            token: None,
        };
        // Those who join with one token take turns: each counts there.
        let places = [keys::join_token(group, *token)];
        let given = Mutex::new(issued.serial);
        self.draft(&actor, places, None, |memory, now| {
            let refused = |why: String| Err(CoreError::Unjoined(why));
            let found = memory.join_tokens.get(token);
            let Some(found) = found.filter(|found| found.record.digest.equals(secret)) else {
                return refused(
                    "the join token is not known here: it was deleted, or never made; make a new \
                     one"
                    .to_owned(),
                );
            };
            if found.group != *group {
                let has = &found.group;
                return refused(format!(
                    "the join token is for the gateway group {has}, and the instance says that it \
                     belongs to {group}; make one for {group}, or start it with --group {has}"
                ));
            }
            let mut record = found.record.clone();
            let by = JoinTokenUse {
                instance: *instance,
                key: key.clone(),
            };
            let before = memory.identities.get(instance);
            // Of a token for many, others may have joined since; and who has renewed has its answer.
            let again = if record.reusable {
                before.is_some_and(|before| before.record.has_joined_with(key))
            } else {
                record.used.as_ref() == Some(&by)
            };
            if now >= record.expires_at {
                let end = record.expires_at;
                return refused(format!(
                    "the join token expired at {end}, and it is {now} here; make a new one"
                ));
            }
            if let Some(used) = record.used.as_ref().filter(|_| !record.reusable && !again) {
                let other = used.instance;
                return refused(format!(
                    "the join token was used by the instance {other}, and is for one alone; make a \
                     new one"
                ));
            }
            if !again {
                record.uses += 1;
            }
            record.used = Some(by);
            if let Some(other) = before.filter(|before| before.record.group != *group) {
                let has = &other.record.group;
                return refused(format!(
                    "the instance {instance} belongs to the gateway group {has}; give this one a \
                     data folder of its own"
                ));
            }
            let made = record.created_at;
            let deleted = before.and_then(|before| before.record.deleted_at);
            if let Some(deleted) = deleted.filter(|deleted| made <= *deleted) {
                return refused(format!(
                    "the join token {token} was made at {made}, and the instance {instance} was \
                     deleted at {deleted}: no token from before lets it in again; make a new one"
                ));
            }
            // Whoever has such a token may make instances, not take over those of others.
            let is_there = before.is_some_and(|before| before.record.can_come_back(now));
            if record.reusable && is_there && !again {
                return refused(format!(
                    "the join token {token} is for many instances that are new, and the instance \
                     {instance} has a certificate already; make a join token for one alone \
                     (without --reusable), or delete the instance first and then make a new token"
                ));
            }
            let mut identity = issued.record(group, before.map(|before| &before.record));
            // Whoever has what the instance had before is not this instance any more; what it had
            // is not always noted here.
            identity.refused_up_to = Some(rules::before(identity.serial));
            identity.joined_with = Some(key.clone());
            *given.lock().unwrap_or_else(PoisonError::into_inner) = identity.serial;
            let expect = before.map_or(Expect::Absent, |before| Expect::Revision(before.modified));
            let audit = json!({
                "serial": identity.serial.simple().to_string(),
                "expires_at": issued.expires_at, "join_token": token,
            });
            let target = format!("gateway-groups/{group}/instances/{instance}");
            let token_key = keys::join_token(group, *token);
            Ok(Draft {
                requires: vec![
                    (keys::group(group), Expect::Present),
                    (token_key.clone(), Expect::Revision(found.modified)),
                    (keys::identity(*instance), expect),
                ],
                puts: vec![
                    (token_key, records::write(&record).into()),
                    (keys::identity(*instance), records::write(&identity).into()),
                ],
                audit: Some(("join", target, Value::Null, audit)),
                ..Draft::default()
            })
        })
        .await?;
        Ok(given.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes in the audit that somebody was not let in, and why.
    pub(crate) async fn note_unjoined(&self, joining: &Joining, why: &str) {
        let Joining {
            token,
            group,
            instance,
            from,
            ..
        } = joining;
        let actor = Actor {
            name: "nobody".to_owned(),
            from: from.clone(),
            token: None,
        };
        let noted = self.draft(&actor, [], None, |_, _| {
            let after = json!({"why": why, "instance": instance});
            let target = join_tokens::target(group, *token);
            Ok(Draft {
                audit: Some(("join refused", target, Value::Null, after)),
                ..Draft::default()
            })
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "a refused enrolment could not be noted in the audit");
        }
    }

    /// Notes the new certificate of an instance that has shown the one with the number `shown`.
    /// Not durable on purpose: what is lost in a crash is known again when the certificate is
    /// shown. Answers the number of the new one.
    ///
    /// # Errors
    /// What it has shown is refused, with a sentence for the instance; or the store failed.
    pub(crate) async fn renewed(
        &self,
        group: &Name,
        instance: Uuid,
        shown: Uuid,
        issued: &Issued,
    ) -> Result<Uuid, CoreError> {
        let before = self.read(|memory| memory.identities.get(&instance).cloned());
        let known = before.as_ref().map(|before| &before.record);
        // Once more, and in the same read: it may have been deleted since it was let in.
        if known.is_some_and(|known| known.refuses(shown)) {
            return Err(CoreError::Unjoined(no_longer_taken(
                group.as_str(),
                instance,
            )));
        }
        let mut record = issued.record(group, known);
        let held = known.map(|known| known.held_by_who_shows(shown));
        let left = held.filter(|held| **held != record.authority);
        record.moving_from = left.cloned();
        let expect = before.map_or(Expect::Absent, |before| Expect::Revision(before.modified));
        self.note(instance, &record, expect).await?;
        Ok(record.serial)
    }

    /// Whether there is something to note where an instance shows this certificate.
    pub(crate) fn is_news(&self, instance: Uuid, serial: Uuid, until: Timestamp) -> bool {
        let known = self.read(|memory| Some(memory.identities.get(&instance)?.record.clone()));
        known.is_some_and(|mut record| record.is_shown(serial, until))
    }

    /// Notes that an instance has shown this certificate, which ends then: it has got it.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn shown(
        &self,
        instance: Uuid,
        serial: Uuid,
        until: Timestamp,
    ) -> Result<(), CoreError> {
        let known = self.read(|memory| memory.identities.get(&instance).cloned());
        let Some(mut known) = known else {
            return Ok(());
        };
        if !known.record.is_shown(serial, until) {
            return Ok(());
        }
        let expect = Expect::Revision(known.modified);
        self.note(instance, &known.record, expect).await
    }

    async fn note(
        &self,
        instance: Uuid,
        record: &IdentityRecord,
        expect: Expect,
    ) -> Result<(), CoreError> {
        let key = keys::identity(instance);
        let txn = Txn::new()
            .require(key.clone(), expect)
            .put(key, records::write(record))
            .durable(false);
        match self.commit(txn).await {
            Ok(()) => Ok(()),
            // It was renewed twice at a time, or deleted meanwhile: the next try will see.
            Err(NotWritten::Conflict(_)) => Err(CoreError::Contended),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }

    /// Whether certificates of an instance up to some number are refused, and this one is among
    /// them.
    pub(crate) fn is_refused(&self, instance: Uuid, serial: Uuid) -> bool {
        self.read(|memory| {
            let known = memory.identities.get(&instance);
            known.is_some_and(|known| known.record.refuses(serial))
        })
    }
}

/// Why a certificate that is refused is refused, for the instance.
pub(crate) fn no_longer_taken(group: &str, instance: Uuid) -> String {
    format!(
        "the instance {instance} was deleted, or has joined anew since it was given this \
         certificate, which is refused from then on; to let it in, start it with a new join token \
         of the gateway group {group}"
    )
}

impl Issued {
    /// What is noted of it. Its number is above those of before, and what an earlier one needs is
    /// remembered for as long as that could come back.
    fn record(&self, group: &Name, before: Option<&IdentityRecord>) -> IdentityRecord {
        let least = before.map(IdentityRecord::next_serial);
        let end = before.map(|before| before.expires_at);
        IdentityRecord {
            group: group.clone(),
            serial: least.map_or(self.serial, |least| least.max(self.serial)),
            authority: self.authority.clone(),
            issued_at: self.at,
            expires_at: end.map_or(self.expires_at, |end| end.max(self.expires_at)),
            refused_up_to: before.and_then(|before| before.refused_up_to),
            deleted_at: before.and_then(|before| before.deleted_at),
            joined_with: None,
            moving_from: None,
        }
    }
}
