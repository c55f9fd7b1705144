//! What the tests stand on.

pub(crate) mod client;
pub(crate) mod gateway;
pub(crate) mod upstream;

use std::time::Duration;

pub(crate) use client::Client;
pub(crate) use gateway::Gateway;
pub(crate) use upstream::{Event, Upstream};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Reads one request, sends it through a gateway with this definition to an upstream that plays
/// `script`, and compares what comes back: `200 body`, or `404 no_route` for a refusal.
#[track_caller]
pub(crate) fn check(definition: serde_json::Value, script: &str, request: &str, expect: &str) {
    let gateway = Gateway::start(definition, &[script]);
    let response = gateway.client().ask(request);
    assert_eq!(response.summary(), expect, "{request:?}\n{response:?}");
}

/// A service with one route, `/*`, and defaults, changed by `with`.
pub(crate) fn service(with: serde_json::Value) -> serde_json::Value {
    let mut service = serde_json::json!({
        "name": "echo",
        "routes": [{"name": "all", "paths": ["/*"]}],
    });
    for (name, value) in with.as_object().expect("an object") {
        service[name] = value.clone();
    }
    service
}

/// The plain service.
pub(crate) fn plain() -> serde_json::Value {
    service(serde_json::json!({}))
}
