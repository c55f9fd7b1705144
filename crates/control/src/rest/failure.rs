//! Errors as answers.

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use ferryway_api::ApiError;
use ferryway_model::Problem;

use crate::core::CoreError;

/// An error on its way out.
#[derive(Debug)]
pub(super) struct Failure(ApiError);

/// The media type of errors (RFC 9457).
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        Self(ApiError::Refused(problems))
    }
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        Self(match error {
            CoreError::Refused(problems) => ApiError::Refused(problems),
            CoreError::Stale => ApiError::Stale,
            CoreError::KeyReused => ApiError::KeyReused,
            CoreError::KeyBusy => ApiError::KeyInProgress,
            // No call of the API lets instances in.
            CoreError::Unjoined(_) => ApiError::Internal,
            CoreError::Contended => ApiError::Contended,
            CoreError::Unavailable(why) => ApiError::StoreUnavailable(why),
            CoreError::Unknown(why) => ApiError::OutcomeUnknown(why),
        })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = error.status();
        if status.is_server_error() {
            tracing::warn!(%status, %error, "a call failed");
        }
        let Ok(body) = serde_json::to_vec(&error.details()) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        let headers = response.headers_mut();
        if let Some(after) = error.retry_after() {
            headers.insert(RETRY_AFTER, after.as_secs().into());
        }
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            // What was announced is not read, so nothing else can follow it.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// What no route answers.
pub(super) async fn no_such_path(uri: Uri) -> Failure {
    const SHOWN_CHARS_MAX: usize = 200;
    ApiError::NoSuchPath(uri.path().chars().take(SHOWN_CHARS_MAX).collect()).into()
}

/// What the route's other methods don't answer. The router adds `Allow`.
pub(super) async fn method_not_allowed(method: Method) -> Failure {
    ApiError::MethodNotAllowed(method.to_string()).into()
}
