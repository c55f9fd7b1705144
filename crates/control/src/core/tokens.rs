//! API tokens: who may call, and how much.
//!
//! A secret is `fw_ID_RANDOM`. The id says which record to compare with, and lets a person who finds
//! a secret somewhere see which token to delete; the random part, 256 bits, is what must be known.

use std::net::IpAddr;

use ferryway_api::{NewToken, Scope, Token, TokenDraft};
use ferryway_model::{Code, Problem};
use ferryway_store::Expect;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::CoreError;
use super::idempotency::{Idempotency, Made};
use super::memory::Memory;
use super::records::{self, Answered, TokenRecord};
use super::resources::Draft;
use super::{Actor, Core, keys};
use crate::secret::{SecretDigest, random_hex};

/// Tokens kept at once, expired ones included: they count until somebody deletes them.
const TOKENS_MAX: usize = 1_000;
const PREFIX: &str = "fw_";
/// Hexadecimal digits of the random part.
const RANDOM_DIGITS: usize = 64;

/// A token that was made.
pub(crate) struct Minted {
    /// What to answer, but for the secret.
    pub(crate) answered: Answered,
    /// The secret, if this call made the token; of one made before by the same idempotency key the
    /// store has its digest alone.
    pub(crate) secret: Option<String>,
}

/// What a secret says of who shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nothing: it is not written as the secrets of tokens are.
    Foreign,
    /// It is written like one, and is none that is valid now: never made, deleted, or expired.
    Nobody,
    /// A token's.
    Token {
        id: Uuid,
        name: String,
        scope: Scope,
    },
}

impl Core {
    /// Makes a token.
    ///
    /// # Errors
    /// It expires in the past, there are too many, or it could not be stored.
    pub(crate) async fn create_token(
        &self,
        actor: &Actor,
        draft: &TokenDraft,
        idempotency: Option<&Idempotency>,
    ) -> Result<Minted, CoreError> {
        let id = Uuid::now_v7();
        let secret = format!("{PREFIX}{}_{}", id.simple(), random_hex());
        let digest = SecretDigest::of(secret.as_bytes());
        let made = self
            .draft(actor, [], idempotency, |memory, now| {
                let problems = refusals(memory, draft, now);
                if !problems.is_empty() {
                    return Err(CoreError::Refused(problems));
                }
                let record = TokenRecord {
                    name: draft.name.to_string(),
                    scope: draft.scope,
                    expires_at: draft.expires_at,
                    created_at: now,
                    created_by: actor.name.clone(),
                    digest,
                };
                let path = format!("tokens/{id}");
                let audit = ("create token", path.clone(), Value::Null, said(&record));
                let shown = NewToken {
                    token: record.shown(id),
                    secret: None,
                };
                let answered = Answered {
                    path,
                    etag: None,
                    body: json!(shown),
                };
                Ok(Draft {
                    requires: vec![(keys::token(id), Expect::Absent)],
                    puts: vec![(keys::token(id), records::write(&record).into())],
                    audit: Some(audit),
                    new: Some(answered),
                    ..Draft::default()
                })
            })
            .await?;
        let Made::New(answered) = made else {
            return Err(CoreError::KeyReused); // by a call of another sort
        };
        let is_this = answered.path == format!("tokens/{id}");
        let secret = is_this.then_some(secret);
        Ok(Minted { answered, secret })
    }

    /// Deletes a token: from the answer on nobody is let in by it.
    ///
    /// # Errors
    /// It isn't there, or the store failed.
    pub(crate) async fn delete_token(&self, actor: &Actor, id: Uuid) -> Result<(), CoreError> {
        self.draft(actor, [], None, |memory, _| {
            let Some(record) = memory.tokens.get(&id) else {
                return Err(CoreError::not_found(format!("there is no token {id}")));
            };
            let target = format!("tokens/{id}");
            Ok(Draft {
                deletes: vec![keys::token(id)],
                audit: Some(("delete token", target, said(record), Value::Null)),
                ..Draft::default()
            })
        })
        .await
        .map(|_| ())
    }

    /// Notes in the audit that wrong tokens came, the last of them from here.
    pub(crate) fn note_wrong_tokens(&self, from: IpAddr, count: u64) {
        let core = self.clone();
        let actor = Actor {
            name: "nobody".to_owned(),
            from: from.to_string(),
            token: None,
        };
        self.0
            .tasks
            .spawn("note wrong tokens", move |_| async move {
                let noted = core.draft(&actor, [], None, |_, _| {
                    let after = json!({"count": count});
                    Ok(Draft {
                        audit: Some(("wrong tokens", "tokens".to_owned(), Value::Null, after)),
                        ..Draft::default()
                    })
                });
                if let Err(error) = noted.await {
                    tracing::warn!(%error, "wrong tokens could not be noted in the audit");
                }
            });
    }

    /// Whose this secret is.
    pub(crate) fn whose(&self, secret: &[u8]) -> Whose {
        let Some(id) = id_in(secret) else {
            return Whose::Foreign;
        };
        let now = self.0.clock.now();
        let record = self.read(|memory| memory.tokens.get(&id).cloned());
        let given = SecretDigest::of(secret);
        match record {
            Some(record) if record.digest.equals(&given) && is_alive(&record, now) => {
                Whose::Token {
                    id,
                    name: record.name,
                    scope: record.scope,
                }
            }
            _ => Whose::Nobody,
        }
    }
}

impl TokenRecord {
    /// The token as it is answered.
    pub(crate) fn shown(&self, id: Uuid) -> Token {
        let Self {
            name,
            scope,
            expires_at,
            created_at,
            created_by,
            digest: _,
        } = self.clone();
        Token {
            id,
            name,
            scope,
            expires_at,
            created_at,
            created_by,
        }
    }
}

fn is_alive(record: &TokenRecord, now: Timestamp) -> bool {
    record.expires_at.is_none_or(|end| now < end)
}

/// The id in a secret that is written as ours are.
fn id_in(secret: &[u8]) -> Option<Uuid> {
    let text = std::str::from_utf8(secret).ok()?;
    let (id, random) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |text: &str, len| {
        text.len() == len
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    (is_hex(id, 32) && is_hex(random, RANDOM_DIGITS))
        .then(|| Uuid::try_parse(id).ok())
        .flatten()
}

fn refusals(memory: &Memory, draft: &TokenDraft, now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    if draft.expires_at.is_some_and(|end| end <= now) {
        let message = format!("is in the past; it is {now} now");
        problems.push(Problem::new(Code::Invalid, "expires_at", message));
    }
    if memory.tokens.len() >= TOKENS_MAX {
        let message =
            format!("there are {TOKENS_MAX} tokens already; delete some that nobody uses any more");
        problems.push(Problem::new(Code::LimitExceeded, "", message));
    }
    problems
}

/// What the audit says of a token: neither the secret nor its digest.
fn said(record: &TokenRecord) -> Value {
    let TokenRecord {
        name,
        scope,
        expires_at,
        created_at,
        created_by,
        digest: _,
    } = record;
    json!({
        "name": name, "scope": scope, "expires_at": expires_at,
        "created_at": created_at, "created_by": created_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_secrets() {
        let id = Uuid::now_v7();
        let good = format!("fw_{}_{}", id.simple(), "0".repeat(64));
        assert_eq!(id_in(good.as_bytes()), Some(id));
        for bad in [
            "",
            "fw_",
            "fw__",
            &good[3..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.replace("fw_", "fw-"),
            &good.to_uppercase(),
            &format!("fw_{id}_{}", "0".repeat(64)),
            &format!("fw_{}{}", id.simple(), "0".repeat(64)),
        ] {
            assert_eq!(id_in(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(id_in(b"fw_\xff"), None);
    }
}
