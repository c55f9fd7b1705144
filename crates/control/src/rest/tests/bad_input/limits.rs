//! One more than allowed, of everything that is counted.

use super::*;

const EXCEEDED: &str = "allowed";

fn routes(count: usize) -> Value {
    let routes = (0..count).map(|n| json!({"name": format!("r{n}"), "paths": [format!("/{n}")]}));
    json!({"routes": routes.collect::<Vec<_>>()})
}

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

#[tokio::test]
async fn one_too_many() {
    let segments = |count: usize| format!("/{}", ["a"].repeat(count).join("/"));
    let nodes: Vec<_> = numbered("n", 257)
        .into_iter()
        .map(|host| json!({"host": host}))
        .collect();
    let checks: Vec<_> = numbered("c", 33)
        .into_iter()
        .map(|name| json!({"name": name, "path": "/", "expect": {}}))
        .collect();
    let groups: Vec<_> = numbered("g", 33)
        .into_iter()
        .map(|group| json!({"group": group}))
        .collect();
    let services: Vec<_> = numbered("s", 65)
        .into_iter()
        .map(|service| json!({"service": service}))
        .collect();
    let labels: serde_json::Map<_, _> = numbered("l", 65)
        .into_iter()
        .map(|key| (key, json!("v")))
        .collect();
    let headers: serde_json::Map<_, _> = numbered("h", 33)
        .into_iter()
        .map(|key| (key, json!("v")))
        .collect();
    let predicate = json!({"header": "x", "op": "exists"});
    let regex = json!({"header": "x", "op": "regex", "value": "a"});
    let many_paths: Vec<_> = (0..63)
        .map(|n| json!({"name": format!("r{n}"), "paths": numbered(&format!("/{n}-"), 64)}))
        .collect();
    let many_regexes: Vec<_> = (0..32)
        .map(|n| json!({"name": format!("r{n}"), "paths": [format!("/{n}")], "match": vec![regex.clone(); 16]}))
        .collect();
    check(vec![
        row(PUT_SERVICE, &routes(1_001), "422 limit_exceeded routes", "at most 1000 are allowed"),
        row(EDIT, &routes(1_001), "422 limit_exceeded routes", "at most 1000 are allowed"),
        row(PUT_SERVICE, &json!({"routes": []}), "422 required routes", "at least one route"),
        row(PUT_SERVICE, &service(json!({"hosts": numbered("h", 65)})), "422 limit_exceeded hosts", "at most 64 are allowed"),
        row(PUT_SERVICE, &service(json!({"checks": checks})), "422 limit_exceeded checks", "at most 32 are allowed"),
        row(PUT_SERVICE, &service(json!({"labels": labels})), "422 limit_exceeded labels", "at most 64 are allowed"),
        row(PUT_SERVICE, &service(json!({"labels": {"x".repeat(129): "v"}})), "422 invalid labels.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…", "1 to 128"),
        row(PUT_SERVICE, &service(json!({"labels": {"a": "v".repeat(129)}})), "422 limit_exceeded labels.a", "at most 128 are allowed"),
        row(PUT_SERVICE, &service(json!({"title": "x".repeat(257)})), "422 limit_exceeded title", "at most 256 are allowed"),
        row(PUT_SERVICE, &service(json!({"description": "x".repeat(8_193)})), "422 limit_exceeded description", "at most 8192 are allowed"),
        row(PUT_SERVICE, &route(json!({"paths": numbered("/", 65)})), "422 limit_exceeded routes[0].paths", "at most 64 are allowed"),
        row(PUT_SERVICE, &route(json!({"paths": [format!("/{}", "a".repeat(1_024))]})), "422 invalid routes[0].paths[0]", "at most 1024 bytes and 32 segments"),
        row(PUT_SERVICE, &route(json!({"paths": [segments(33)]})), "422 invalid routes[0].paths[0]", "at most 1024 bytes and 32 segments"),
        row(PUT_SERVICE, &route(json!({"methods": numbered("M", 33)})), "422 limit_exceeded routes[0].methods", EXCEEDED),
        row(PUT_SERVICE, &route(json!({"match": vec![predicate; 17]})), "422 limit_exceeded routes[0].match", "at most 16 are allowed"),
        row(PUT_SERVICE, &route(json!({"match": [{"header": "x", "op": "in", "value": numbered("v", 65)}]})), "422 limit_exceeded routes[0].match[0].value", "at most 64 are allowed"),
        row(PUT_SERVICE, &route(json!({"match": [{"header": "x", "op": "equals", "value": "v".repeat(4_097)}]})), "422 limit_exceeded routes[0].match[0].value", "at most 4096 are allowed"),
        row(PUT_SERVICE, &json!({"routes": many_paths}), "422 limit_exceeded routes", "at most 4000 are allowed"),
        row(PUT_SERVICE, &json!({"routes": many_regexes}), "422 limit_exceeded routes", "at most 500 are allowed"),
        row(PUT_SERVICE, &check_of(json!({"headers": headers})), "422 limit_exceeded checks[0].headers", "at most 32 are allowed"),
        row(PUT_SERVICE, &check_of(json!({"path": format!("/{}", "a".repeat(1_024))})), "422 limit_exceeded checks[0].path", "at most 1024 are allowed"),
        row(PUT_REGISTRY, &json!({"kind": "dns", "endpoints": (1..=17).map(|n| format!("127.0.0.{n}:53")).collect::<Vec<_>>()}), "422 limit_exceeded endpoints", "at most 16 are allowed"),
        row(BIND, &json!({"binding": {"nodes": nodes}}), "422 limit_exceeded binding.nodes", "at most 256 are allowed"),
        row(PUBLISH, &json!({"version": "2", "groups": groups}), "422 limit_exceeded groups", "at most 32 are allowed"),
        row("POST /gateway-groups/test/sync", &json!({"services": services, "to": [{"group": "production"}]}), "422 limit_exceeded services", "at most 64 are allowed"),
    ])
    .await;
}

/// A body under the limit of bodies with a definition over that of definitions.
#[tokio::test]
async fn too_many_bytes() {
    let value = "v".repeat(4_000);
    let routes: Vec<_> = (0..140)
        .map(|n| json!({"name": format!("r{n}"), "paths": [format!("/{n}")], "match": [{"header": "x", "op": "equals", "value": value}]}))
        .collect();
    let body = json!({ "routes": routes });
    assert!((512 * 1024..1024 * 1024).contains(&body.to_string().len()));
    let huge = json!({"description": "x".repeat(1024 * 1024)});
    check(vec![
        row(
            PUT_SERVICE,
            &body,
            "422 limit_exceeded",
            "at most 524288 are allowed",
        ),
        row(
            EDIT,
            &body,
            "422 limit_exceeded",
            "at most 524288 are allowed",
        ),
        row(PUT_SERVICE, &huge, "413 body_too_large", "1048576"),
        row(PUBLISH, &huge, "413 body_too_large", "1048576"),
        row(BIND, &huge, "413 body_too_large", "1048576"),
    ])
    .await;
}

/// The most that is allowed is taken.
#[tokio::test]
async fn as_many_as_allowed() {
    let api = Api::furnished().await;
    let segments = format!("/{}", ["a"].repeat(32).join("/"));
    let hosts = numbered("h", 64);
    for body in [
        routes(1_000),
        service(
            json!({"hosts": hosts, "title": "x".repeat(256), "labels": {"x".repeat(128): "v".repeat(128)}}),
        ),
        route(json!({"paths": [segments, format!("/{}", "a".repeat(1_023))]})),
        route(json!({"match": [{"header": "x", "op": "regex", "value": "a".repeat(1_024)}]})),
    ] {
        let reply = api.send("PUT", "/services/x", body).await;
        assert!(reply.status.is_success(), "{}", reply.text);
    }
    let nodes: Vec<_> = numbered("n", 256)
        .into_iter()
        .map(|host| json!({"host": host, "weight": 65_535}))
        .collect();
    api.check(BIND, json!({"binding": {"nodes": nodes}}), "200")
        .await;
}
