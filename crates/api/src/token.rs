//! API tokens: who may call, and how much.

use std::fmt;
use std::str::FromStr;

use ferryway_model::{At, Name, Object, Problem, Walk};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// An API token, without its secret, which is stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// The name of who uses it: what operations and audit entries say in `by`. Several tokens may
    /// share it, so that one can be exchanged for another.
    pub name: String,
    /// How much it may do.
    pub scope: Scope,
    /// From when on it is refused; null: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

/// A token that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// What to send as `Authorization: Bearer SECRET`. It is shown in this one answer; a call that
    /// is repeated with its `Idempotency-Key` is answered with null.
    pub secret: Option<String>,
}

/// How much a token may do. Each scope may do what those before it may.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at everything but tokens.
    Read,
    /// Change everything but tokens.
    Write,
    /// Everything.
    Admin,
}

/// A text that is no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no scope; there are read, write and admin")]
pub struct InvalidScope;

/// What a caller wants for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenDraft {
    /// The name of who will use it.
    pub name: Name,
    /// How much it shall be able to do.
    pub scope: Scope,
    /// From when on it shall be refused.
    pub expires_at: Option<Timestamp>,
}

impl TokenDraft {
    /// Reads `{name, scope, expires_at?}`. Whether it expires in the future is asked later, by who
    /// has a clock.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn read(body: &Value) -> Result<Self, Vec<Problem>> {
        let mut walk = Walk::new();
        let draft = walk.object(body, At::Root).and_then(|mut object| {
            let name = needed(&mut walk, &mut object, "name");
            let scope = needed(&mut walk, &mut object, "scope");
            let expires_at = object.take("expires_at").and_then(|value| {
                let place = object.field("expires_at");
                walk.parsed::<Moment>(value, &place)
            });
            object.finish(&mut walk, ADDED_BY_ANSWERS);
            Some(Self {
                name: name?,
                scope: scope?,
                expires_at: expires_at.map(|Moment(at)| at),
            })
        });
        walk.finish(draft)
    }
}

fn needed<T>(walk: &mut Walk, object: &mut Object<'_>, field: &'static str) -> Option<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let value = object.need(walk, field)?;
    walk.parsed(value, &object.field(field))
}

/// Fields that answers add by themselves and that are ignored when they are sent back.
const ADDED_BY_ANSWERS: &[&str] = &["id", "created_at", "created_by"];

/// A time, whose error says how times are written.
pub(crate) struct Moment(pub(crate) Timestamp);

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.parse().map(Self);
        parsed.map_err(|_| "is no time; write it as 2027-01-31T12:00:00Z")
    }
}

impl Scope {
    /// As in bodies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        [Self::Read, Self::Write, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(InvalidScope)
    }
}

/// Without the secret.
impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, secret: _ } = self;
        f.debug_struct("NewToken")
            .field("token", token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: &Value, expect: &str) {
        let got = match TokenDraft::read(body) {
            Ok(draft) => format!("{} {} {:?}", draft.name, draft.scope, draft.expires_at),
            Err(problems) => problems
                .iter()
                .map(|problem| format!("{} {}", problem.code.as_str(), problem.path))
                .collect::<Vec<_>>()
                .join(", "),
        };
        assert_eq!(got, expect, "{body}");
    }

    #[test]
    fn drafts() {
        check(&json!({"name": "ci", "scope": "write"}), "ci write None");
        check(
            &json!({"name": "ci", "scope": "read", "expires_at": "2027-01-31T12:00:00Z"}),
            "ci read Some(2027-01-31T12:00:00Z)",
        );
        check(
            &json!({"name": "ci", "scope": "admin", "expires_at": null}),
            "ci admin None",
        );
        check(&json!({}), "required name, required scope");
        check(
            &json!({"name": "C I", "scope": "root", "expires_at": "tomorrow", "secret": "x"}),
            "invalid name, invalid scope, invalid expires_at, unknown_field secret",
        );
        check(
            &json!({"name": 1, "scope": ["read"], "expires_at": 5}),
            "wrong_type name, wrong_type scope, wrong_type expires_at",
        );
        check(&json!([]), "wrong_type ");
    }

    #[test]
    fn a_secret_is_not_logged() {
        let token = Token {
            id: Uuid::nil(),
            name: "ci".to_owned(),
            scope: Scope::Read,
            expires_at: None,
            created_at: Timestamp::UNIX_EPOCH,
            created_by: "admin".to_owned(),
        };
        let secret = Some("fw_hidden".to_owned());
        let new = NewToken { token, secret };
        assert!(!format!("{new:?}").contains("hidden"));
    }
}
