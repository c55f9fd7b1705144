//! Which instances were given certificates, and which certificates are not taken any more.

use ferryway_model::Name;
use ferryway_store::{Expect, Txn};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::CoreError;
use super::join_tokens;
use super::memory::Memory;
use super::records::{self, IdentityRecord, JoinTokenUse};
use super::resources::Draft;
use super::{Actor, Core, NotWritten, keys};
use crate::secret::SecretDigest;

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
    /// Its number.
    pub(crate) serial: Uuid,
    /// The fingerprint of its authority.
    pub(crate) authority: String,
    pub(crate) at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// How long after its certificate's end an instance is still counted, and its deletion remembered:
/// for as long as it could renew, and a day.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(8 * 24);

impl Core {
    /// Notes that an instance joins with a token, and the certificate it is given. Whoever asks
    /// again with the same key joins once.
    ///
    /// # Errors
    /// Why it may not: refused, with a sentence for the instance; or the store failed.
    pub(crate) async fn join(&self, joining: &Joining, issued: &Issued) -> Result<(), CoreError> {
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
            let again = record.used.as_ref() == Some(&by);
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
            let before = memory.identities.get(instance);
            if let Some(other) = before.filter(|before| before.record.group != *group) {
                let has = &other.record.group;
                return refused(format!(
                    "the instance {instance} belongs to the gateway group {has}; give this one a \
                     data folder of its own"
                ));
            }
            // Whoever has a copy of what the instance had before is not this instance any more.
            let refused_up_to = before.map(|before| {
                let last = before.record.serial;
                before
                    .record
                    .refused_up_to
                    .map_or(last, |up_to| up_to.max(last))
            });
            let identity = issued.record(group, refused_up_to);
            let expect = before.map_or(Expect::Absent, |before| Expect::Revision(before.modified));
            let audit = json!({
                "serial": issued.serial.simple().to_string(), "expires_at": issued.expires_at,
                "join_token": token,
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
        .await
        .map(|_| ())
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

    /// Notes the new certificate of an instance that has one. Not durable on purpose: what is lost
    /// in a crash is known again at the next renewal.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn renewed(
        &self,
        group: &Name,
        instance: Uuid,
        issued: &Issued,
    ) -> Result<(), CoreError> {
        let before = self.read(|memory| memory.identities.get(&instance).cloned());
        let refused_up_to = before
            .as_ref()
            .and_then(|before| before.record.refused_up_to);
        let expect = before.map_or(Expect::Absent, |before| Expect::Revision(before.modified));
        let record = issued.record(group, refused_up_to);
        let key = keys::identity(instance);
        let txn = Txn::new()
            .require(key.clone(), expect)
            .put(key, records::write(&record))
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
        let up_to = self.read(|memory| memory.identities.get(&instance)?.record.refused_up_to);
        up_to.is_some_and(|up_to| serial <= up_to)
    }
}

impl Issued {
    fn record(&self, group: &Name, refused_up_to: Option<Uuid>) -> IdentityRecord {
        IdentityRecord {
            group: group.clone(),
            serial: self.serial,
            authority: self.authority.clone(),
            issued_at: self.at,
            expires_at: self.expires_at,
            refused_up_to,
        }
    }
}

impl Memory {
    /// The identities of instances that are there or can come back by themselves.
    pub(crate) fn living_identities(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (Uuid, &IdentityRecord)> {
        let all = self.identities.iter();
        all.map(|(id, stored)| (*id, &stored.record))
            .filter(move |(_, record)| !is_forgotten(record, now))
            .filter(|(_, record)| {
                record
                    .refused_up_to
                    .is_none_or(|up_to| record.serial > up_to)
            })
    }

    /// What the store is to hold once an instance is deleted: that its certificates are refused.
    pub(super) fn refuse(&self, instance: Uuid) -> Option<(IdentityRecord, Expect)> {
        let stored = self.identities.get(&instance)?;
        let mut record = stored.record.clone();
        record.refused_up_to = Some(Uuid::now_v7().max(record.serial));
        Some((record, Expect::Revision(stored.modified)))
    }
}

/// Whether nobody can come back with this identity any more.
pub(super) fn is_forgotten(record: &IdentityRecord, now: Timestamp) -> bool {
    now.duration_since(record.expires_at) > REMEMBERED
}
