//! Counts the answers given, for `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

/// Answers by method and status. Both are bounded: a method that the API doesn't know counts as
/// `other`.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(Arc<Mutex<BTreeMap<(&'static str, u16), u64>>>);

impl Counters {
    /// All counts so far.
    pub(super) fn all(&self) -> BTreeMap<(&'static str, u16), u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, method: &'static str, status: u16) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((method, status)).or_default() += 1;
    }
}

/// Counts an answer when its head is known. Event streams count at their beginning.
pub(super) async fn count(
    State(counters): State<Counters>,
    request: Request,
    next: Next,
) -> Response {
    let method = label(request.method());
    let response = next.run(request).await;
    counters.add(method, response.status().as_u16());
    response
}

fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
