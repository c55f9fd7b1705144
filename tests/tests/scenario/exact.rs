//! A sync runs in the destination exactly the version that the source runs, with the destination's
//! own binding.

use ferryway_testkit::curl;
use serde_json::{Value, json};

use super::stage::{Stage, UPSTREAM, httpbin};
use crate::calls::refused;

fn binding() -> Value {
    json!({"nodes": [{"host": UPSTREAM, "port": 80, "weight": 100}]})
}

/// What runs in the group, without what the answer adds by itself.
fn definition(stage: &Stage, group: &str) -> [Value; 4] {
    let path = format!("/gateway-groups/{group}/services/httpbin/definition");
    let mut answer = stage.api().get(&path).json_of(200);
    ["hosts", "routes", "upstream", "checks"].map(|part| answer[part].take())
}

/// The hub's httpbin with one more route.
fn with_route(name: &str) -> Value {
    let mut service = httpbin();
    let routes = service["routes"]
        .as_array_mut()
        .expect("httpbin has routes");
    routes.push(json!({"name": name, "paths": [format!("/{name}")]}));
    service
}

#[test]
fn version_digest_and_content_are_the_sources_and_the_binding_is_not() {
    let stage = Stage::set();
    let operation = stage.sync(Some(&binding()));
    assert_eq!(
        (&operation["kind"], &operation["version"]),
        (&json!("sync"), &json!("1.0.0"))
    );

    let (test, production) = (stage.published("test"), stage.published("production"));
    assert_eq!(production["version"], "1.0.0");
    assert!(
        production["digest"]
            .as_str()
            .is_some_and(|it| it.starts_with("blake3:"))
    );
    assert_eq!(production["digest"], test["digest"]);
    assert_eq!(operation["digest"], test["digest"]);
    assert_eq!(definition(&stage, "production"), definition(&stage, "test"));
    assert_eq!(production["enabled"], true);
    assert_eq!(production["binding"]["nodes"][0]["host"], UPSTREAM);
    assert_eq!(
        test["binding"]["nodes"][0]["host"],
        stage.tests_own.ip().to_string()
    );
}

#[test]
fn an_edit_in_the_hub_does_not_travel() {
    let stage = Stage::set();
    stage
        .api()
        .put("/services/httpbin", &with_route("uuid"))
        .json_of(200);
    stage.sync(Some(&binding()));

    assert_eq!(definition(&stage, "production"), definition(&stage, "test"));
    let answer = curl([stage.cluster.gateway("production").url("/uuid")]);
    assert_eq!(
        (answer.status, answer.header("x-ferryway-error")),
        (404, Some("no_route"))
    );
}

#[test]
fn a_later_version_arrives_only_by_a_sync_and_keeps_the_binding() {
    let stage = Stage::set();
    stage.sync(Some(&binding()));
    stage
        .api()
        .put("/services/httpbin", &with_route("uuid"))
        .json_of(200);
    stage.publish("1.0.1", None);

    let url = stage.cluster.gateway("production").url("/uuid");
    assert_eq!(curl([&url]).status, 404);
    assert_eq!(stage.published("production")["version"], "1.0.0");

    let operation = stage.sync(None);
    assert_eq!(operation["destinations"][0]["from_version"], "1.0.0");
    assert_eq!(curl([&url]).status, 200);
    stage.expect_headers("production", UPSTREAM);
    let production = stage.published("production");
    assert_eq!(production["version"], "1.0.1");
    assert_eq!(production["digest"], stage.published("test")["digest"]);
}

#[test]
fn the_same_sync_again_changes_nothing() {
    let stage = Stage::set();
    stage.sync(Some(&binding()));
    let revision = stage.revision("production");
    let again = stage.try_sync(Some(&binding()), json!({})).json_of(200);
    assert_eq!(again["state"], "unchanged");
    assert_eq!(stage.revision("production"), revision);
}

#[test]
fn what_a_sync_refuses_it_does_not_begin() {
    let stage = Stage::set();
    let cases = [
        (
            "a group without the service names no binding",
            None,
            json!({}),
            422,
            "binding_required",
        ),
        (
            "a version number that the source gives",
            Some(binding()),
            json!({"version": "1.0.1"}),
            422,
            "version_not_expected",
        ),
        (
            "a source that has moved on",
            Some(binding()),
            json!({"expect_version": "0.9.0"}),
            409,
            "source_moved",
        ),
        (
            "a registry that is not there",
            Some(json!({"discovery": {"registry": "none-such", "service": "httpbin"}})),
            json!({}),
            422,
            "registry_missing",
        ),
    ];
    for (what, binding, further, status, code) in cases {
        let codes = refused(&stage.try_sync(binding.as_ref(), further), status);
        assert!(codes.contains(&code.to_owned()), "{what}: {codes:?}");
        let production = stage
            .api()
            .get("/gateway-groups/production/services/httpbin");
        assert_eq!(production.status, 404, "{what}: {}", production.text());
    }
}
