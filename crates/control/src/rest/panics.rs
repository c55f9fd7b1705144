//! The last resort: a handler that panics is a mistake in Ferryway, and is answered all the same.
//! Without this, its connection would just end, and a caller could not tell a mistake from a network
//! that failed.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use ferryway_api::ApiError;
use futures_util::FutureExt as _;

use super::failure::Failure;

/// Answers 500 where a handler panics; the panic itself is in the log already.
pub(super) async fn answer(request: Request, next: Next) -> Response {
    // Nothing of the handler is looked at afterwards; what it shares with others is behind locks
    // that know how to go on.
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answered.unwrap_or_else(|_| Failure::from(ApiError::Internal).into_response())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt as _;

    use super::*;

    async fn breaks() -> &'static str {
        panic!("as the test wants it")
    }

    #[tokio::test]
    async fn a_mistake_is_answered_and_the_next_call_too() {
        let router = Router::new()
            .route("/breaks", get(breaks))
            .route("/works", get(async || "well"))
            .layer(middleware::from_fn(answer));
        for (path, status, part) in [
            ("/breaks", 500, "/problems/internal"),
            ("/works", 200, "well"),
        ] {
            let request = Request::builder().uri(path).body(Body::empty());
            let request = request.expect("is a request");
            let response = router.clone().oneshot(request).await;
            let response = response.expect("is infallible");
            assert_eq!(response.status(), status, "{path}");
            let body = to_bytes(response.into_body(), usize::MAX).await;
            let body = body.expect("the body comes");
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains(part), "{path}: {text}");
        }
    }
}
