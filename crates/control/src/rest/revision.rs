//! `Ferryway-Revision`: which of the store's transactions an answer is as new as; and in a request,
//! which one the answer must be as new as.
//!
//! A control plane answers reads from its memory. Its own writes are in there before they are
//! answered; those of another one come a moment later. Whoever goes on at another control plane
//! hands on the number, and reads what was written.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ferryway_api::ApiError;

use super::failure::Failure;
use crate::core::Core;

const REVISION: HeaderName = HeaderName::from_static("ferryway-revision");
/// How long a request waits for what it asks for.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Waits until this control plane has what the request asks for, and says what the answer has.
pub(super) async fn follow(State(core): State<Core>, request: Request, next: Next) -> Response {
    let mut response = match asked(request.headers()) {
        Ok(None) => next.run(request).await,
        // Nothing is waited for that nobody can have read.
        Ok(Some(asked)) if !core.may_be_as_new_as(asked).await => {
            let why = format!(
                "Ferryway-Revision is {asked}, and the store has not come so far: no answer of it had \
                 that number, or a backup was put in its place since; take it from a newer answer"
            );
            Failure::from(ApiError::Header(why)).into_response()
        }
        Ok(Some(asked)) if core.reaches(asked, WAIT_MAX).await => next.run(request).await,
        Ok(Some(asked)) => {
            let why = format!("this control plane has not come to revision {asked} of the store");
            Failure::from(ApiError::StoreUnavailable(why)).into_response()
        }
        Err(error) => Failure::from(error).into_response(),
    };
    response
        .headers_mut()
        .insert(REVISION, core.revision().into());
    response
}

fn asked(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(REVISION) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        ApiError::Header("Ferryway-Revision must be the number that an answer had".to_owned())
    })
}
