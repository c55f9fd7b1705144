//! What a caller of the API says and reads, in few words. Bodies and answers stay JSON: a test sees
//! what a script sees.

use std::net::SocketAddr;

use ferryway_testkit::{Answer, Api};
use serde_json::{Value, json};

/// A service with these routes, each a name and a path.
pub(crate) fn service(name: &str, routes: &[(&str, &str)]) -> Value {
    let routes: Vec<_> = routes
        .iter()
        .map(|(name, path)| json!({"name": name, "paths": [path]}))
        .collect();
    json!({"name": name, "routes": routes})
}

/// A binding to these nodes.
pub(crate) fn nodes(addresses: &[SocketAddr]) -> Value {
    let nodes: Vec<_> = addresses
        .iter()
        .map(|address| json!({"host": address.ip(), "port": address.port()}))
        .collect();
    json!({ "nodes": nodes })
}

/// Makes or replaces the service in the hub.
#[track_caller]
pub(crate) fn define(api: &Api, service: &Value) {
    let name = service["name"].as_str().expect("a service has a name");
    let answer = api.put(&format!("/services/{name}"), service);
    assert!(
        [200, 201].contains(&answer.status),
        "{}: {}",
        answer.status,
        answer.text()
    );
}

/// Publishes the hub's definition to these groups, each with a binding or with the one it has. The
/// answer is not judged.
#[track_caller]
pub(crate) fn publish(
    api: &Api,
    service: &str,
    version: &str,
    groups: &[(&str, Option<&Value>)],
) -> Answer {
    let body = json!({"version": version, "groups": destinations(groups)});
    api.post(&format!("/services/{service}/publish?wait=30s"), &body)
}

/// Groups as a publish or a sync names them.
pub(crate) fn destinations(groups: &[(&str, Option<&Value>)]) -> Value {
    let destination = |(group, binding): &(&str, Option<&Value>)| match binding {
        Some(binding) => json!({"group": group, "binding": binding}),
        None => json!({"group": group}),
    };
    groups.iter().map(destination).collect()
}

/// The operation in this answer, which must be final and have succeeded.
#[track_caller]
pub(crate) fn succeeded(answer: &Answer) -> Value {
    ended(answer, "succeeded")
}

/// The operation in this answer, which must have this state and be final.
#[track_caller]
pub(crate) fn ended(answer: &Answer, state: &str) -> Value {
    let operation = answer.json_of(200);
    assert_eq!(operation["state"], state, "{operation:#}");
    operation
}

/// The codes of the errors in a refusal with this status; warnings may stand beside them.
#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16) -> Vec<String> {
    let body = answer.json_of(status);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(body["status"], status);
    codes(&body, "error")
}

/// The codes of all problems of this severity in an operation or a refusal.
pub(crate) fn codes(body: &Value, severity: &str) -> Vec<String> {
    let destinations = body["destinations"].as_array().into_iter().flatten();
    std::iter::once(body)
        .chain(destinations)
        .flat_map(|part| part["problems"].as_array().into_iter().flatten())
        .filter(|problem| problem["severity"] == severity)
        .map(|problem| text(&problem["code"]).to_owned())
        .collect()
}

/// The items of a list.
#[track_caller]
pub(crate) fn items(answer: &Answer) -> Vec<Value> {
    let body = answer.json_of(200);
    let items = body["items"].as_array();
    items
        .unwrap_or_else(|| panic!("a list has items: {body}"))
        .clone()
}

/// What a group runs of a service.
#[track_caller]
pub(crate) fn published(api: &Api, group: &str, service: &str) -> Value {
    api.get(&format!("/gateway-groups/{group}/services/{service}"))
        .json_of(200)
}

/// A group.
#[track_caller]
pub(crate) fn group(api: &Api, name: &str) -> Value {
    api.get(&format!("/gateway-groups/{name}")).json_of(200)
}

/// A string that must be one.
#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no string"))
}
