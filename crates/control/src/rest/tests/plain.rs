//! Groups, registries, the hub and its versions: plain resources.

use super::*;

#[tokio::test]
async fn groups() {
    let api = Api::new().await;
    let made = api
        .send(
            "POST",
            "/gateway-groups",
            json!({"name": "test", "labels": {"env": "t"}}),
        )
        .await;
    assert_eq!(
        (made.status.as_u16(), made.header(LOCATION)),
        (201, "/api/v1/gateway-groups/test")
    );
    let group = made.json();
    assert_eq!(
        group["instances"],
        json!({"online": 0, "offline": 0, "converged": 0})
    );
    assert_eq!(
        (
            &group["revision"],
            &group["enforce_publishing"],
            &group["title"]
        ),
        (&json!(0), &json!(false), &json!(""))
    );
    let got = api.get("/gateway-groups/test").await;
    assert_eq!(
        (got.json(), got.header(ETAG)),
        (group.clone(), made.header(ETAG))
    );

    // What GET answers, PUT takes, and it changes nothing.
    let put = api.send("PUT", "/gateway-groups/test", group.clone()).await;
    assert_eq!(
        (put.status.as_u16(), put.json(), put.header(ETAG)),
        (200, group, made.header(ETAG))
    );

    // PUT replaces whole; PATCH merges, null removes.
    let put = api
        .check(
            "PUT /gateway-groups/test",
            json!({"title": "Test Group"}),
            "200",
        )
        .await;
    assert_eq!(
        (&put["title"], &put["labels"]),
        (&json!("Test Group"), &json!({}))
    );
    let patch = api
        .check(
            "PATCH /gateway-groups/test",
            json!({"labels": {"a": "1", "b": "2"}}),
            "200",
        )
        .await;
    assert_eq!(
        (&patch["title"], &patch["labels"]),
        (&json!("Test Group"), &json!({"a": "1", "b": "2"}))
    );
    let patch = api
        .check(
            "PATCH /gateway-groups/test",
            json!({"title": null, "labels": {"a": null, "c": "3"}}),
            "200",
        )
        .await;
    assert_eq!(
        (&patch["title"], &patch["labels"]),
        (&json!(""), &json!({"b": "2", "c": "3"}))
    );
    api.check(
        "PATCH /gateway-groups/test",
        json!({"name": "other"}),
        "422 name_mismatch name",
    )
    .await;
    api.check("PATCH /gateway-groups/test", json!([]), "400 wrong_type")
        .await;

    let put = api.send("PUT", "/gateway-groups/new", json!({})).await;
    assert_eq!(
        (put.status.as_u16(), put.header(LOCATION)),
        (201, "/api/v1/gateway-groups/new")
    );
    api.check("DELETE /gateway-groups/new", Value::Null, "204")
        .await;
    api.check("DELETE /gateway-groups/new", Value::Null, "404 not_found")
        .await;
    api.check(
        "GET /gateway-groups/new/instances",
        Value::Null,
        "404 not_found",
    )
    .await;
    api.check(
        "GET /gateway-groups/test/instances/x",
        Value::Null,
        "404 not_found",
    )
    .await;
    api.check(
        "DELETE /gateway-groups/test/instances/x",
        Value::Null,
        "404 not_found",
    )
    .await;
}

/// The tag moves with what callers set, and with nothing else.
#[tokio::test]
async fn preconditions() {
    let api = Api::furnished().await;
    let binding = || json!({"nodes": [{"host": "b.example"}]});
    let rows: [(&str, &str, Value); 5] = [
        ("PUT", "/gateway-groups/test", json!({"title": "x"})),
        ("PATCH", "/gateway-groups/test", json!({"title": "y"})),
        (
            "PUT",
            "/services/httpbin",
            json!({"routes": [{"name": "r", "paths": ["/x"]}]}),
        ),
        ("PATCH", "/services/httpbin", json!({"title": "z"})),
        (
            "PATCH",
            "/gateway-groups/test/services/httpbin",
            json!({"binding": binding()}),
        ),
    ];
    for (method, path, body) in rows {
        let tag = api.get(path).await.header(ETAG).to_owned();
        for (header, expect) in [
            ("\"other\"", "412 stale"),
            (&format!("W/{tag}"), "412 stale"),
            ("nonsense", "400 invalid_header"),
            (&format!("\"other\", {tag}"), "200"),
            (&tag, "412 stale"),
            ("*", "200"),
        ] {
            let reply = api
                .with_headers(method, path, &[(IF_MATCH.as_str(), header)], body.clone())
                .await;
            assert_eq!(reply.line(), expect, "{method} {path} If-Match: {header}");
        }
        assert_ne!(api.get(path).await.header(ETAG), tag, "{path}");
    }
    for header in ["*", "\"a\""] {
        for path in [
            "/gateway-groups/new",
            "/services/new",
            "/gateway-groups/test/registries/new",
        ] {
            let body = match path {
                "/services/new" => httpbin_named("new"),
                "/gateway-groups/new" => json!({}),
                _ => json!({"kind": "dns"}),
            };
            let reply = api
                .with_headers("PUT", path, &[(IF_MATCH.as_str(), header)], body)
                .await;
            assert_eq!(reply.line(), "412 stale", "PUT {path} If-Match: {header}");
        }
    }
    for path in [
        "/gateway-groups/production",
        "/services/httpbin",
        "/gateway-groups/test/services/httpbin",
    ] {
        let reply = api
            .with_headers(
                "DELETE",
                path,
                &[(IF_MATCH.as_str(), "\"other\"")],
                Value::Null,
            )
            .await;
        assert_eq!(reply.line(), "412 stale", "DELETE {path}");
    }
    // Publishing moves the revision, not the tag.
    let before = api.get("/gateway-groups/test").await;
    let body = json!({"version": "2", "groups": [{"group": "test"}]});
    api.check("POST /services/httpbin/publish", body, "200")
        .await;
    let after = api.get("/gateway-groups/test").await;
    assert_ne!(before.json()["revision"], after.json()["revision"]);
    assert_eq!(before.header(ETAG), after.header(ETAG));
}

#[tokio::test]
async fn registries() {
    let api = Api::furnished().await;
    let path = "/gateway-groups/test/registries/dns";
    let made = api
        .send(
            "PUT",
            path,
            json!({"kind": "dns", "title": "DNS", "empty_after": "10s"}),
        )
        .await;
    assert_eq!(
        (made.status.as_u16(), made.header(LOCATION)),
        (201, format!("/api/v1{path}").as_str())
    );
    let registry = made.json();
    assert_eq!(
        (
            &registry["name"],
            &registry["empty_after"],
            &registry["max_ttl"]
        ),
        (&json!("dns"), &json!("10s"), &json!("5m"))
    );
    api.check(
        "GET /gateway-groups/production/registries/dns",
        Value::Null,
        "404 not_found",
    )
    .await;
    let put = api.send("PUT", path, registry.clone()).await;
    assert_eq!((put.status.as_u16(), put.json()), (200, registry.clone()));
    assert_eq!(api.get(path).await.json(), registry);
    let list = api.get("/gateway-groups/test/registries").await.json();
    assert_eq!(list, json!({"items": [registry], "next_cursor": null}));
    api.check(
        &format!("PUT {path}"),
        json!({"kind": "consul"}),
        "422 unsupported kind",
    )
    .await;
    api.check(&format!("PUT {path}"), json!({}), "422 required kind")
        .await;

    let binding = json!({"binding": {"discovery": {"registry": "dns", "service": "a.example"}}});
    api.check(
        "PATCH /gateway-groups/test/services/httpbin",
        binding,
        "200",
    )
    .await;
    let held = api
        .check(&format!("DELETE {path}"), Value::Null, "409 in_use")
        .await;
    assert!(
        held["detail"].as_str().unwrap().contains("httpbin"),
        "says what holds it: {held}"
    );
    api.check(
        "PATCH /gateway-groups/test/services/httpbin",
        json!({"binding": nodes("a")}),
        "200",
    )
    .await;
    api.check(&format!("DELETE {path}"), Value::Null, "204")
        .await;
    api.check(&format!("GET {path}"), Value::Null, "404 not_found")
        .await;
}

#[tokio::test]
async fn the_hub() {
    let api = Api::new().await;
    let made = api.send("POST", "/services", httpbin()).await;
    assert_eq!(
        (made.status.as_u16(), made.header(LOCATION)),
        (201, "/api/v1/services/httpbin")
    );
    let service = made.json();
    for (field, value) in [
        ("name", json!("httpbin")),
        ("title", json!("httpbin API")),
        ("labels", json!({"team": "core"})),
        ("base_path", json!("")),
        ("versions", json!(0)),
        ("running_in", json!([])),
        ("created_at", json!("2026-11-24T12:00:00Z")),
    ] {
        assert_eq!(service[field], value, "{field}");
    }
    assert!(service["digest"].as_str().unwrap().starts_with("blake3:"));
    assert_eq!(service["routes"][0]["paths"], json!(["/anything/*"]));

    let put = api.send("PUT", "/services/httpbin", service.clone()).await;
    assert_eq!(
        (put.status.as_u16(), put.json()),
        (200, service.clone()),
        "what GET answers, PUT takes"
    );

    api.clock.advance(Duration::from_secs(60));
    let patch = json!({"title": "other", "upstream": {"timeout": {"read": "1s"}}});
    let patched = api.check("PATCH /services/httpbin", patch, "200").await;
    assert_eq!(
        patched["upstream"]["timeout"],
        json!({"connect": "5s", "read": "1s", "send": "60s"})
    );
    assert_eq!(
        (&patched["created_at"], &patched["updated_at"]),
        (
            &json!("2026-11-24T12:00:00Z"),
            &json!("2026-11-24T12:01:00Z")
        )
    );
    assert_ne!(patched["digest"], service["digest"]);
    let titled = api
        .check(
            "PATCH /services/httpbin",
            json!({"title": null, "labels": null}),
            "200",
        )
        .await;
    assert_eq!(
        (&titled["digest"], &titled["title"]),
        (&patched["digest"], &json!("")),
        "titles change no digest"
    );
    api.check(
        "PATCH /services/httpbin",
        json!({"routes": null}),
        "422 required routes",
    )
    .await;
    api.check(
        "PATCH /services/httpbin",
        json!({"route": []}),
        "400 unknown_field route",
    )
    .await;

    let put = api
        .send("PUT", "/services/second", httpbin_named("second"))
        .await;
    assert_eq!(
        (put.status.as_u16(), put.header(LOCATION)),
        (201, "/api/v1/services/second")
    );
    api.check("DELETE /services/second", Value::Null, "204")
        .await;
    api.check("GET /services/second", Value::Null, "404 not_found")
        .await;
    api.check(
        "GET /services/second/versions",
        Value::Null,
        "404 not_found",
    )
    .await;
}

#[tokio::test]
async fn versions() {
    let api = Api::furnished().await;
    for version in ["1.1.0", "1.0.1"] {
        api.clock.advance(Duration::from_secs(1));
        let body =
            json!({"version": version, "groups": [{"group": "production", "binding": nodes("b")}]});
        api.check("POST /services/httpbin/publish", body, "200")
            .await;
    }
    let list = api.get("/services/httpbin/versions").await.json();
    let numbers: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["version"].clone())
        .collect();
    assert_eq!(numbers, ["1.0.1", "1.1.0", "1.0.0"], "newest first");
    let version = api.get("/services/httpbin/versions/1.0.0").await.json();
    assert_eq!(version["running_in"], json!(["test"]));
    assert_eq!(
        (&version["created_by"], &version["created_at"]),
        (&json!("admin"), &json!("2026-11-24T12:00:00Z"))
    );
    assert!(
        version["definition"].get("title").is_none(),
        "titles belong to the service"
    );
    assert_eq!(version["definition"]["routes"][0]["name"], "anything");
    assert_eq!(
        api.get("/services/httpbin/versions/1.1.0").await.json()["running_in"],
        json!([])
    );

    // The numbers outlive the service.
    for group in ["test", "production"] {
        api.check(
            &format!("DELETE /gateway-groups/{group}/services/httpbin"),
            Value::Null,
            "200",
        )
        .await;
    }
    api.check("DELETE /services/httpbin", Value::Null, "204")
        .await;
    assert_eq!(
        api.get("/services/httpbin/versions").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    api.check("POST /services", httpbin(), "201").await;
    let body = json!({"version": "1.0.0", "groups": [{"group": "test", "binding": nodes("a")}]});
    api.check(
        "POST /services/httpbin/publish",
        body,
        "409 version_exists version",
    )
    .await;
}

fn httpbin_named(name: &str) -> Value {
    let mut service = httpbin();
    service["name"] = json!(name);
    service
}
