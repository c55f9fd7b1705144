//! Join tokens: who may let a new instance into a group, how often, until when.

use ferryway_api::{JoinToken as ApiJoinToken, JoinTokenDraft, NewJoinToken};
use ferryway_model::{Code, Name, Problem};
use ferryway_store::Expect;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::CoreError;
use super::idempotency::{Idempotency, Made};
use super::memory::Memory;
use super::records::{self, Answered, JoinTokenRecord};
use super::resources::Draft;
use super::{Actor, Core, keys};
use crate::secret::SecretDigest;

/// Join tokens of a group at once, used and expired ones included until they are cleared away.
const JOIN_TOKENS_MAX: usize = 50;
/// How long a join token lives of which nothing is said.
const LIVES: SignedDuration = SignedDuration::from_hours(24);

impl Core {
    /// Makes a join token with this id and the digest of this secret. Answers what to say of it, but
    /// for the secret; that of an earlier one, if an earlier call with the same key made it.
    ///
    /// # Errors
    /// The group isn't there, it expires in the past, there are too many, or the store failed.
    pub(crate) async fn create_join_token(
        &self,
        actor: &Actor,
        group: &Name,
        draft: &JoinTokenDraft,
        (id, secret): (Uuid, &[u8]),
        idempotency: Option<&Idempotency>,
    ) -> Result<Answered, CoreError> {
        let digest = SecretDigest::of(secret);
        let made = self
            .draft(actor, [], idempotency, |memory, now| {
                let problems = refusals(memory, group, draft, now);
                if !problems.is_empty() {
                    return Err(CoreError::Refused(problems));
                }
                let default = now.checked_add(LIVES).unwrap_or(Timestamp::MAX);
                let record = JoinTokenRecord {
                    reusable: draft.reusable,
                    expires_at: draft.expires_at.unwrap_or(default),
                    created_at: memory.after_deletions(group, now),
                    created_by: actor.name.clone(),
                    digest,
                    uses: 0,
                    used: None,
                };
                let key = keys::join_token(group, id);
                let shown = NewJoinToken {
                    token: record.shown(id),
                    secret: None,
                };
                Ok(Draft {
                    requires: vec![
                        (keys::group(group), Expect::Present),
                        (key.clone(), Expect::Absent),
                    ],
                    puts: vec![(key, records::write(&record).into())],
                    audit: Some((
                        "create join token",
                        target(group, id),
                        Value::Null,
                        said(&record),
                    )),
                    new: Some(Answered {
                        path: target(group, id),
                        etag: None,
                        body: json!(shown),
                    }),
                    ..Draft::default()
                })
            })
            .await?;
        match made {
            Made::New(answered) => Ok(answered),
            // The fingerprint covers method and path, so another sort of call can't have made it.
            Made::Changed | Made::Before => Err(CoreError::KeyReused),
        }
    }

    /// Deletes a join token: from the answer on nobody joins with it. Who has joined stays.
    ///
    /// # Errors
    /// It isn't there, or the store failed.
    pub(crate) async fn delete_join_token(
        &self,
        actor: &Actor,
        group: &Name,
        id: Uuid,
    ) -> Result<(), CoreError> {
        self.draft(actor, [], None, |memory, _| {
            let token = memory.join_tokens.get(&id);
            let Some(token) = token.filter(|token| token.group == *group) else {
                let message = format!("{group} has no join token {id}");
                return Err(CoreError::not_found(message));
            };
            let before = said(&token.record);
            Ok(Draft {
                deletes: vec![keys::join_token(group, id)],
                audit: Some(("delete join token", target(group, id), before, Value::Null)),
                ..Draft::default()
            })
        })
        .await
        .map(|_| ())
    }
}

impl JoinTokenRecord {
    /// The join token as it is answered.
    pub(crate) fn shown(&self, id: Uuid) -> ApiJoinToken {
        let Self {
            reusable,
            expires_at,
            created_at,
            created_by,
            digest: _,
            uses,
            used,
        } = self.clone();
        ApiJoinToken {
            id,
            reusable,
            expires_at,
            created_at,
            created_by,
            uses,
            used_by: used.map(|used| used.instance),
        }
    }
}

/// Where a join token lies, below the API's base.
pub(super) fn target(group: &Name, id: Uuid) -> String {
    format!("gateway-groups/{group}/join-tokens/{id}")
}

fn refusals(memory: &Memory, group: &Name, draft: &JoinTokenDraft, now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !memory.groups.contains_key(group) {
        let message = format!("there is no gateway group {group:?}");
        problems.push(Problem::new(Code::NotFound, "", message));
    }
    if draft.expires_at.is_some_and(|end| end <= now) {
        let message = format!("is in the past; it is {now} now");
        problems.push(Problem::new(Code::Invalid, "expires_at", message));
    }
    let tokens = memory.join_tokens.values();
    if tokens.filter(|token| token.group == *group).count() >= JOIN_TOKENS_MAX {
        let message = format!(
            "{group} has {JOIN_TOKENS_MAX} join tokens already; delete some, or use one that is \
             reusable"
        );
        problems.push(Problem::new(Code::LimitExceeded, "", message));
    }
    problems
}

/// What the audit says of a join token: neither the secret nor its digest.
fn said(record: &JoinTokenRecord) -> Value {
    let JoinTokenRecord {
        reusable,
        expires_at,
        created_at,
        created_by,
        digest: _,
        uses,
        used,
    } = record;
    json!({
        "reusable": reusable, "expires_at": expires_at, "created_at": created_at,
        "created_by": created_by, "uses": uses,
        "used_by": used.as_ref().map(|used| used.instance),
    })
}
