//! Errors of the REST API: each with its status, its code and what to do about it.

use std::time::Duration;

use ferryway_model::{Class, Code, Problem};
use http::StatusCode;

use crate::catalogue::{Kind, page_of};
use crate::problem::{self, ProblemDetails, Severity};

/// Why a call is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The call was read and looked at, and these are the reasons against it. The status follows
    /// from them: a URL that names nothing is 404 first, then comes what could not be read (400),
    /// then what is wrong in the content (422), then what the state forbids (409).
    #[error("refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Problem>),
    /// A query parameter that is none, given twice, or malformed.
    #[error("{0}")]
    Query(String),
    /// A malformed header.
    #[error("{0}")]
    Header(String),
    /// No token, or one that is none.
    #[error(
        "send the header Authorization: Bearer TOKEN; DATA_DIR/admin-token of the control plane holds one"
    )]
    Unauthorized,
    /// Not allowed to this caller.
    #[error("{0}")]
    Forbidden(String),
    /// No such path.
    #[error("this API has no path {0:?}; /api/v1/openapi.json lists all")]
    NoSuchPath(String),
    /// The path has other methods.
    #[error("this path has no method {0}; the header Allow lists those it has")]
    MethodNotAllowed(String),
    /// `If-Match` or `If-None-Match` names another state than the present one.
    #[error(
        "the resource is not as If-Match or If-None-Match requires: it has changed since it was \
         read, or is there already; read it again and repeat the change"
    )]
    Stale,
    /// The body is too large.
    #[error("the body is larger than {max} bytes; send less at once")]
    BodyTooLarge {
        /// The bound, in bytes.
        max: usize,
    },
    /// The body is of another type.
    #[error("send the body with the header Content-Type: {0}")]
    UnsupportedMediaType(&'static str),
    /// Wrong tokens came from this address too often.
    #[error(
        "too many wrong tokens came from this address; send the right one, or wait {} s", .after.as_secs()
    )]
    TooManyAttempts {
        /// After how long the next wrong one is answered.
        after: Duration,
    },
    /// The idempotency key was used with another call.
    #[error("this Idempotency-Key was used with another call; use a new one")]
    KeyReused,
    /// A call with this idempotency key is under way.
    #[error("a call with this Idempotency-Key is under way; ask again when it has ended")]
    KeyInProgress,
    /// Other changes kept coming in between.
    #[error("other changes to the same resources kept coming in between; try again")]
    Contended,
    /// The store takes no writes, and this one was not begun.
    #[error(
        "the store is not available: nothing can be changed, and nothing was; gateways go on \
         serving: {0}"
    )]
    StoreUnavailable(String),
    /// The store failed during a write, which may have happened.
    #[error(
        "the store failed during the write, so the change may have been made or not; ask again \
         with the same Idempotency-Key, or read what is there now; gateways go on serving: {0}"
    )]
    OutcomeUnknown(String),
    /// A mistake in Ferryway.
    #[error("the control plane failed in a way it should not; its log says how")]
    Internal,
}

/// After how long a caller should try again when the store is away or busy.
pub const RETRY_AFTER: Duration = Duration::from_secs(2);

impl ApiError {
    /// One problem that stops the call.
    #[must_use]
    pub fn problem(code: Code, path: &str, message: impl Into<String>) -> Self {
        Self::Refused(vec![Problem::new(code, path, message)])
    }

    /// The URL names nothing.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::problem(Code::NotFound, "", message)
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind().status()
    }

    /// The code of the answer as a whole, as in `/problems/<code>`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind().as_str()
    }

    /// After how long to try again, where that helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts { after } => Some(*after),
            _ => matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER),
        }
    }

    /// The answer's body.
    #[must_use]
    pub fn details(&self) -> ProblemDetails {
        let kind = self.kind();
        let message = self.to_string();
        let (detail, problems) = match self {
            Self::Refused(problems) => (
                leading(problems).map_or(message, ToString::to_string),
                problems.iter().map(problem::Problem::from).collect(),
            ),
            Self::Query(_)
            | Self::Header(_)
            | Self::Unauthorized
            | Self::Forbidden(_)
            | Self::NoSuchPath(_)
            | Self::MethodNotAllowed(_)
            | Self::Stale
            | Self::BodyTooLarge { .. }
            | Self::UnsupportedMediaType(_)
            | Self::TooManyAttempts { .. }
            | Self::KeyReused
            | Self::KeyInProgress
            | Self::Contended
            | Self::StoreUnavailable(_)
            | Self::OutcomeUnknown(_)
            | Self::Internal => {
                let only = problem::Problem {
                    severity: Severity::Error,
                    code: kind.as_str().to_owned(),
                    path: String::new(),
                    message: message.clone(),
                    group: None,
                    service: None,
                };
                (message, vec![only])
            }
        };
        ProblemDetails {
            kind: page_of(kind.as_str()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail,
            problems,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Refused(problems) => {
                leading(problems).map_or(Kind::Internal, |problem| Kind::Of(problem.code))
            }
            Self::Query(_) => Kind::InvalidQuery,
            Self::Header(_) => Kind::InvalidHeader,
            Self::Unauthorized => Kind::Unauthorized,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::NoSuchPath(_) => Kind::Of(Code::NotFound),
            Self::MethodNotAllowed(_) => Kind::MethodNotAllowed,
            Self::Stale => Kind::Stale,
            Self::BodyTooLarge { .. } => Kind::BodyTooLarge,
            Self::UnsupportedMediaType(_) => Kind::UnsupportedMediaType,
            Self::TooManyAttempts { .. } => Kind::TooManyAttempts,
            Self::KeyReused => Kind::KeyReused,
            Self::KeyInProgress => Kind::KeyInProgress,
            Self::Contended => Kind::Contended,
            Self::StoreUnavailable(_) | Self::OutcomeUnknown(_) => Kind::StoreUnavailable,
            Self::Internal => Kind::Internal,
        }
    }
}

/// The problem that decides the status: of those that stop the call, the first of the class that
/// goes before the others.
fn leading(problems: &[Problem]) -> Option<&Problem> {
    let rank = |problem: &&Problem| match problem.code.class() {
        Class::NotFound => 0,
        Class::Unreadable => 1,
        Class::Content => 2,
        Class::State => 3,
        Class::Warning => 4,
    };
    problems
        .iter()
        .filter(|problem| problem.is_error())
        .min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(codes: &[Code], status: u16, code: &str) {
        let problems = codes
            .iter()
            .map(|code| Problem::new(*code, "a.b", "is wrong"))
            .collect();
        let error = ApiError::Refused(problems);
        let details = error.details();
        assert_eq!((error.status().as_u16(), error.code()), (status, code));
        assert_eq!(
            (details.status, details.kind),
            (status, format!("/problems/{code}"))
        );
        assert_eq!(details.problems.len(), codes.len(), "all of them at once");
    }

    #[test]
    fn which_problem_decides() {
        check(&[Code::RouteConflict], 409, "route_conflict");
        check(&[Code::RouteConflict, Code::Invalid], 422, "invalid");
        check(&[Code::Invalid, Code::UnknownField], 400, "unknown_field");
        check(&[Code::UnknownField, Code::NotFound], 404, "not_found");
        check(&[Code::NoInstances, Code::InUse], 409, "in_use");
        check(&[Code::Invalid, Code::Required], 422, "invalid");
        check(&[Code::NoInstances], 500, "internal");
        check(&[], 500, "internal");
    }

    #[test]
    fn an_error_without_problems_of_the_model_has_one_of_its_own() {
        let all = [
            (ApiError::Query("x".to_owned()), 400, "invalid_query"),
            (ApiError::Header("x".to_owned()), 400, "invalid_header"),
            (ApiError::Unauthorized, 401, "unauthorized"),
            (ApiError::Forbidden("x".to_owned()), 403, "forbidden"),
            (ApiError::NoSuchPath("/x".to_owned()), 404, "not_found"),
            (
                ApiError::MethodNotAllowed("PUT".to_owned()),
                405,
                "method_not_allowed",
            ),
            (ApiError::Stale, 412, "stale"),
            (ApiError::BodyTooLarge { max: 1 }, 413, "body_too_large"),
            (
                ApiError::UnsupportedMediaType("application/json"),
                415,
                "unsupported_media_type",
            ),
            (
                ApiError::TooManyAttempts {
                    after: Duration::from_secs(1),
                },
                429,
                "too_many_attempts",
            ),
            (ApiError::KeyReused, 422, "idempotency_key_reused"),
            (ApiError::KeyInProgress, 409, "idempotency_key_in_progress"),
            (ApiError::Contended, 503, "contended"),
            (
                ApiError::StoreUnavailable("x".to_owned()),
                503,
                "store_unavailable",
            ),
            (
                ApiError::OutcomeUnknown("x".to_owned()),
                503,
                "store_unavailable",
            ),
            (ApiError::Internal, 500, "internal"),
        ];
        for (error, status, code) in all {
            let details = error.details();
            assert_eq!((error.status().as_u16(), error.code()), (status, code));
            assert_eq!(details.problems.len(), 1, "{code}");
            assert_eq!(details.problems[0].message, details.detail);
            let waits = [429, 503].contains(&status);
            assert_eq!(error.retry_after().is_some(), waits, "{code}");
        }
    }
}
