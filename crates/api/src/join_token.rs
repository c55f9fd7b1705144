//! Join tokens: how a new instance is let into its gateway group.

use std::fmt;

use ferryway_model::{At, Problem, Walk};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::token::Moment;

/// A join token, without its secret, which is stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// Its id.
    pub id: Uuid,
    /// Whether any number of instances may join with it, until it expires; if not, one may.
    pub reusable: bool,
    /// From when on it is refused.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// How many instances have joined with it.
    pub uses: u64,
    /// The instance that joined with it last; null: none has.
    pub used_by: Option<Uuid>,
}

/// A join token that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewJoinToken {
    /// The token.
    #[serde(flatten)]
    pub token: JoinToken,
    /// What `ferryway-gateway --join-token` takes. It is shown in this one answer; a call that is
    /// repeated with its `Idempotency-Key` is answered with null.
    pub secret: Option<String>,
}

/// What a caller wants for a join token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinTokenDraft {
    /// Whether any number of instances may join with it.
    pub reusable: bool,
    /// From when on it shall be refused; none: a day after it was made.
    pub expires_at: Option<Timestamp>,
}

/// Fields that answers add by themselves and that are ignored when they are sent back.
const ADDED_BY_ANSWERS: &[&str] = &["id", "created_at", "created_by", "uses", "used_by"];

impl JoinTokenDraft {
    /// Reads `{reusable?, expires_at?}`. Whether it expires in the future is asked later, by who
    /// has a clock.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn read(body: &Value) -> Result<Self, Vec<Problem>> {
        let mut walk = Walk::new();
        let draft = walk.object(body, At::Root).map(|mut object| {
            let reusable = object.take("reusable").and_then(|value| {
                let place = object.field("reusable");
                walk.flag(value, &place)
            });
            let expires_at = object.take("expires_at").and_then(|value| {
                let place = object.field("expires_at");
                walk.parsed::<Moment>(value, &place)
            });
            object.finish(&mut walk, ADDED_BY_ANSWERS);
            Self {
                reusable: reusable.unwrap_or_default(),
                expires_at: expires_at.map(|Moment(at)| at),
            }
        });
        walk.finish(draft)
    }
}

/// Without the secret.
impl fmt::Debug for NewJoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, secret: _ } = self;
        f.debug_struct("NewJoinToken")
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
        let got = match JoinTokenDraft::read(body) {
            Ok(draft) => format!("{} {:?}", draft.reusable, draft.expires_at),
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
        check(&json!({}), "false None");
        check(
            &json!({"reusable": true, "expires_at": "2027-01-31T12:00:00Z"}),
            "true Some(2027-01-31T12:00:00Z)",
        );
        check(&json!({"reusable": null, "expires_at": null}), "false None");
        check(
            &json!({"reusable": "yes", "expires_at": "tomorrow", "group": "x"}),
            "wrong_type reusable, invalid expires_at, unknown_field group",
        );
        check(&json!([]), "wrong_type ");
    }

    #[test]
    fn a_secret_is_not_logged() {
        let token = JoinToken {
            id: Uuid::nil(),
            reusable: false,
            expires_at: Timestamp::UNIX_EPOCH,
            created_at: Timestamp::UNIX_EPOCH,
            created_by: "admin".to_owned(),
            uses: 0,
            used_by: None,
        };
        let secret = Some("fwj1.hidden".to_owned());
        assert!(!format!("{:?}", NewJoinToken { token, secret }).contains("hidden"));
    }
}
