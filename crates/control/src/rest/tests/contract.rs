//! The OpenAPI document, the probes, and the pages that explain errors.

use std::collections::BTreeSet;

use ferryway_api::{
    AuditEntry, Compare, Group, HistoryEntry, List, Matrix, Operation, PublishedService, Registry,
    Service, Token, Version,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

/// Every path and method of api.md that this build has.
const ALL: &[(&str, &[&str])] = &[
    ("/api/v1/apply", &["post"]),
    ("/api/v1/audit", &["get"]),
    ("/api/v1/authority", &["get"]),
    ("/api/v1/authority/rotate", &["post"]),
    ("/api/v1/authority/{fingerprint}", &["delete"]),
    ("/api/v1/compare", &["get"]),
    ("/api/v1/gateway-groups", &["get", "post"]),
    (
        "/api/v1/gateway-groups/{group}",
        &["delete", "get", "patch", "put"],
    ),
    ("/api/v1/gateway-groups/{group}/confirm-shrink", &["post"]),
    ("/api/v1/gateway-groups/{group}/instances", &["get"]),
    (
        "/api/v1/gateway-groups/{group}/instances/{id}",
        &["delete", "get"],
    ),
    (
        "/api/v1/gateway-groups/{group}/join-tokens",
        &["get", "post"],
    ),
    (
        "/api/v1/gateway-groups/{group}/join-tokens/{id}",
        &["delete"],
    ),
    ("/api/v1/gateway-groups/{group}/registries", &["get"]),
    (
        "/api/v1/gateway-groups/{group}/registries/{registry}",
        &["delete", "get", "put"],
    ),
    ("/api/v1/gateway-groups/{group}/services", &["get"]),
    (
        "/api/v1/gateway-groups/{group}/services/{service}",
        &["delete", "get", "patch"],
    ),
    (
        "/api/v1/gateway-groups/{group}/services/{service}/definition",
        &["get", "put"],
    ),
    (
        "/api/v1/gateway-groups/{group}/services/{service}/history",
        &["get"],
    ),
    (
        "/api/v1/gateway-groups/{group}/services/{service}/rollback",
        &["post"],
    ),
    (
        "/api/v1/gateway-groups/{group}/services/{service}/sync",
        &["post"],
    ),
    ("/api/v1/gateway-groups/{group}/sync", &["post"]),
    ("/api/v1/matrix", &["get"]),
    ("/api/v1/openapi.json", &["get"]),
    ("/api/v1/operations", &["get"]),
    ("/api/v1/operations/{id}", &["get"]),
    ("/api/v1/operations/{id}/abort", &["post"]),
    ("/api/v1/operations/{id}/events", &["get"]),
    ("/api/v1/operations/{id}/pause", &["post"]),
    ("/api/v1/operations/{id}/resume", &["post"]),
    ("/api/v1/services", &["get", "post"]),
    (
        "/api/v1/services/{service}",
        &["delete", "get", "patch", "put"],
    ),
    ("/api/v1/services/{service}/publish", &["post"]),
    ("/api/v1/services/{service}/versions", &["get"]),
    ("/api/v1/services/{service}/versions/{version}", &["get"]),
    ("/api/v1/tokens", &["get", "post"]),
    ("/api/v1/tokens/{id}", &["delete"]),
    ("/healthz", &["get"]),
    ("/metrics", &["get"]),
    ("/problems/{code}", &["get"]),
    ("/readyz", &["get"]),
];

#[tokio::test]
async fn the_document_names_every_route() {
    let api = Api::new().await;
    let document = api.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().expect("has paths");
    let mut got: Vec<_> = paths
        .iter()
        .map(|(path, item)| {
            let mut methods: Vec<_> = item
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            methods.sort_unstable();
            (path.as_str(), methods)
        })
        .collect();
    got.sort();
    let expect: Vec<_> = ALL
        .iter()
        .map(|(path, methods)| (*path, methods.to_vec()))
        .collect();
    assert_eq!(got, expect);

    let mut ids = BTreeSet::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().expect("has an id");
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(operation["summary"].is_string(), "{id} says what it is");
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            for part in path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            {
                let is_part =
                    |p: &&Value| p["in"] == "path" && p["name"] == part && p["required"] == true;
                assert_eq!(parameters.iter().filter(is_part).count(), 1, "{id}: {part}");
            }
            let responses = operation["responses"].as_object().expect("has answers");
            assert!(!responses.contains_key("default"), "{id} names each answer");
            let error = &responses["400"]["$ref"];
            assert_eq!(error, "#/components/responses/Error400", "{id}");
            let answers = responses
                .iter()
                .filter(|(status, _)| status.starts_with('2'));
            for (status, answer) in answers {
                let is_described = answer["content"].is_object() || status == "204";
                assert!(is_described, "{id}: {status}");
                let has_place = answer["headers"]["Location"].is_object();
                assert_eq!(has_place, ["201", "202"].contains(&status.as_str()), "{id}");
            }
            let says_all = [
                "confirm_shrink",
                "pause",
                "resume",
                "abort",
                "rotate_authority",
            ]
            .contains(&id);
            let has_body = ["post", "put", "patch"].contains(&method.as_str()) && !says_all;
            assert_eq!(operation["requestBody"].is_object(), has_body, "{id}");
        }
    }
}

/// Whatever the document refers to is in it.
#[tokio::test]
async fn the_document_is_whole() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let api = Api::new().await;
    let document = api.get("/openapi.json").await.json();
    assert!(
        document["openapi"]
            .as_str()
            .expect("has a version")
            .starts_with("3.")
    );
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("is in this document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
}

/// Each route of the document answers, and none as if it were not there.
#[tokio::test]
async fn every_documented_route_is_there() {
    let api = Api::new().await;
    for (path, methods) in ALL {
        let path = path.replace("{code}", "stale");
        let path = path
            .strip_prefix("/api/v1")
            .map_or_else(|| format!("/{path}"), str::to_owned);
        for method in *methods {
            let method = method.to_uppercase();
            let reply = api.raw(&method, &path, &[], Body::empty()).await;
            // Without a token: 401 from the route, 404 where a name can't be one, never 405.
            assert!(
                [200, 401, 404].contains(&reply.status.as_u16()),
                "{method} {path}: {reply:?}"
            );
            let detail = if reply.text.starts_with('{') {
                reply.json()["detail"].to_string()
            } else {
                String::new()
            };
            assert!(!detail.contains("has no path"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn probes() {
    let api = Api::furnished().await;
    assert_eq!(api.get("//healthz").await.text, "ok\n");
    assert_eq!(api.get("//readyz").await.text, "ready\n");
    api.check("GET //healthz?x=1", Value::Null, "400 invalid_query")
        .await;
    let metrics = api.get("//metrics").await;
    assert!(
        metrics
            .header(CONTENT_TYPE)
            .starts_with("text/plain; version=0.0.4")
    );
    for line in [
        "ferryway_control_services 1",
        "ferryway_control_groups 2",
        "ferryway_control_instances{group=\"test\",state=\"online\"} 0",
        "ferryway_control_revision{group=\"test\"} 1",
        "ferryway_control_open_operations 0",
        "ferryway_control_requests_total{method=\"POST\",code=\"201\"} 3",
        "# TYPE ferryway_control_requests_total counter",
    ] {
        assert!(
            metrics.text.lines().any(|got| got == line),
            "{line} in\n{}",
            metrics.text
        );
    }
    api.raw("BREW", "/services", &[], Body::empty()).await;
    let counted = "ferryway_control_requests_total{method=\"other\",code=\"405\"} 1";
    assert!(
        api.get("//metrics").await.text.contains(counted),
        "unknown methods share one label"
    );
    assert!(api.tasks.stop(Duration::from_secs(5)).await);
    assert_eq!(
        api.get("//readyz").await.status,
        503,
        "a process that stops is not ready"
    );
    assert_eq!(api.get("//healthz").await.status, 200);
}

#[tokio::test]
async fn errors_are_explained_where_their_type_says() {
    let api = Api::new().await;
    let error = api.get("/gateway-groups/none").await.json();
    let page = api
        .get(&format!("/{}", error["type"].as_str().expect("is a text")))
        .await;
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains(error["title"].as_str().unwrap()) && page.text.contains("404"),
        "{page:?}"
    );
    api.check("GET //problems/none", Value::Null, "404 not_found")
        .await;
}

/// What is answered reads as the type that the document names, and nothing of it is lost.
#[tokio::test]
async fn answers_are_what_the_document_says() {
    async fn check<T: Serialize + DeserializeOwned>(api: &Api, path: &str) {
        let answer = api.get(path).await.json();
        let read: T = serde_json::from_value(answer.clone())
            .unwrap_or_else(|error| panic!("{path}: {error}: {answer}"));
        assert_eq!(serde_json::to_value(read).unwrap(), answer, "{path}");
    }
    let api = Api::furnished().await;
    let registry = json!({"kind": "dns", "title": "DNS"});
    api.check("PUT /gateway-groups/test/registries/dns", registry, "201")
        .await;
    let service = "/gateway-groups/test/services/httpbin";
    check::<List<Group>>(&api, "/gateway-groups").await;
    check::<Group>(&api, "/gateway-groups/test").await;
    check::<List<Registry>>(&api, "/gateway-groups/test/registries").await;
    check::<Registry>(&api, "/gateway-groups/test/registries/dns").await;
    check::<List<Service>>(&api, "/services").await;
    check::<Service>(&api, "/services/httpbin").await;
    check::<List<Version>>(&api, "/services/httpbin/versions").await;
    check::<Version>(&api, "/services/httpbin/versions/1.0.0").await;
    check::<List<PublishedService>>(&api, "/gateway-groups/test/services").await;
    check::<PublishedService>(&api, service).await;
    check::<List<HistoryEntry>>(&api, &format!("{service}/history")).await;
    check::<List<Operation>>(&api, "/operations").await;
    check::<List<AuditEntry>>(&api, "/audit").await;
    api.check(
        "POST /tokens",
        json!({"name": "ci", "scope": "read"}),
        "201",
    )
    .await;
    check::<List<Token>>(&api, "/tokens").await;
    check::<Matrix>(&api, "/matrix").await;
    check::<Compare>(&api, "/compare?a=test&b=production").await;
}
