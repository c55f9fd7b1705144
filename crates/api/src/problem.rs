//! Problems as answers carry them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that is wrong with what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Whether it stops the call.
    pub severity: Severity,
    /// What kind of problem it is, for scripts.
    pub code: String,
    /// The place in the body sent, as `routes[3].paths[0]`; empty for the body as a whole.
    pub path: String,
    /// A sentence for people that says what to do.
    pub message: String,
    /// The group it concerns, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The service it concerns, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// Whether a problem stops the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The call changes nothing.
    Error,
    /// The call goes on; a person should know.
    Warning,
}

/// The body of every answer that is an error (RFC 9457), as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDetails {
    /// `/problems/<code>`: a relative reference, and a page of this server that explains the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of error it is, for people.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong, and what to do, in a sentence.
    pub detail: String,
    /// Everything that is wrong, at once.
    pub problems: Vec<Problem>,
}

impl From<&ferryway_model::Problem> for Problem {
    fn from(problem: &ferryway_model::Problem) -> Self {
        let ferryway_model::Problem {
            severity,
            code,
            path,
            message,
            group,
            service,
        } = problem;
        Self {
            severity: match severity {
                ferryway_model::Severity::Error => Severity::Error,
                ferryway_model::Severity::Warning => Severity::Warning,
            },
            code: code.as_str().to_owned(),
            path: path.clone(),
            message: message.clone(),
            group: group.as_ref().map(ToString::to_string),
            service: service.as_ref().map(ToString::to_string),
        }
    }
}
