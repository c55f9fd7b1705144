//! Answers that are no errors.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use ferryway_api::{ApiError, Applied, Operation};
use serde::Serialize;

use super::BASE;
use super::access::Allowed;
use super::failure::Failure;
use super::query::WaitQuery;
use crate::core::Answered;

/// What handlers answer.
pub(super) type Answer = Result<Response, Failure>;

/// 200 with a body.
pub(super) fn shown<T: Serialize>(body: &T) -> Response {
    Json(body).into_response()
}

/// 200 with a body and its entity tag.
pub(super) fn tagged<T: Serialize>(body: &T, tag: &str) -> Answer {
    with(StatusCode::OK, body, &[(ETAG, tag)])
}

/// 201: what was made, now or by the first call of the same idempotency key, and where it lies.
pub(super) fn created(answered: &Answered) -> Answer {
    let Answered { path, etag, body } = answered;
    let location = format!("{BASE}/{path}");
    let mut headers = vec![(LOCATION, location.as_str())];
    headers.extend(etag.as_deref().map(|tag| (ETAG, tag)));
    with(StatusCode::CREATED, body, &headers)
}

/// 204: it is gone.
pub(super) fn gone() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// An operation: 200 where its state is final, else 202 and where it can be looked at. Waits for
/// its end as long as the caller wants, which changes when the answer comes, never what it is.
pub(super) async fn operation(
    allowed: &Allowed,
    operation: Arc<Operation>,
    WaitQuery { wait }: WaitQuery,
) -> Answer {
    let operation = settled(allowed, operation, WaitQuery { wait }).await;
    match operation.operation {
        Some(id) if !operation.state.is_final() => {
            let location = format!("{BASE}/operations/{id}");
            with(StatusCode::ACCEPTED, &operation, &[(LOCATION, &location)])
        }
        _ => Ok(shown(&operation)),
    }
}

/// What a declarative call did: as [`operation`], with what became of each resource.
pub(super) async fn applied(
    allowed: &Allowed,
    operation: Arc<Operation>,
    wait: WaitQuery,
) -> Answer {
    let operation = Arc::unwrap_or_clone(settled(allowed, operation, wait).await);
    let under_way = operation.operation.filter(|_| !operation.state.is_final());
    let body = Applied::of(operation);
    match under_way {
        Some(id) => {
            let location = format!("{BASE}/operations/{id}");
            with(StatusCode::ACCEPTED, &body, &[(LOCATION, &location)])
        }
        None => Ok(shown(&body)),
    }
}

/// The operation when its state is final, the wait is over, or the process stops.
pub(super) async fn settled(
    allowed: &Allowed,
    operation: Arc<Operation>,
    WaitQuery { wait }: WaitQuery,
) -> Arc<Operation> {
    let (Some(id), Some(wait)) = (operation.operation, wait) else {
        return operation;
    };
    let ended = tokio::select! {
        ended = allowed.core().wait(id, wait) => ended,
        () = allowed.stop().requested() => allowed.core().read(|memory| memory.operations.get(&id).cloned()),
    };
    ended.unwrap_or(operation)
}

fn with<T: Serialize>(status: StatusCode, body: &T, headers: &[(HeaderName, &str)]) -> Answer {
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).map_err(|_| ApiError::Internal)?;
        all.insert(name, value);
    }
    Ok((status, all, Json(body)).into_response())
}
