//! Errors that need more than a line of the table: their order, what HTTP itself refuses, a store
//! that is away.

use super::*;

/// The URL goes before everything in the body; within the body, what cannot be read before what is
/// wrong, and that before what the state forbids.
#[tokio::test]
async fn which_error_goes_first() {
    let api = Api::furnished().await;
    for (call, body, expect) in [
        ("POST /services/none/publish", json!([]), "404 not_found"),
        (
            "POST /gateway-groups/none/sync",
            json!({"x": 1}),
            "404 not_found",
        ),
        (
            "POST /gateway-groups/test/services/none/sync",
            json!({"x": 1}),
            "404 not_found",
        ),
        (
            "POST /gateway-groups/test/services/none/rollback?x=1",
            json!({}),
            "404 not_found",
        ),
        (
            "PUT /gateway-groups/test/services/none/definition",
            json!({}),
            "404 not_found",
        ),
        (
            "PATCH /gateway-groups/production/services/httpbin",
            json!({}),
            "404 not_found",
        ),
        (
            "DELETE /gateway-groups/production/services/httpbin",
            Value::Null,
            "404 not_found",
        ),
        (
            "PATCH /gateway-groups/none",
            json!({"x": 1}),
            "404 not_found",
        ),
        (
            "PUT /gateway-groups/none/registries/dns",
            json!({"x": 1}),
            "404 not_found",
        ),
        (
            "GET /gateway-groups/NOT_A_NAME",
            Value::Null,
            "404 not_found",
        ),
        ("GET /operations/not-an-id", Value::Null, "404 not_found"),
        (
            "GET /services/httpbin/versions/%20",
            Value::Null,
            "404 not_found",
        ),
        (
            "GET /services/httpbin/versions/9",
            Value::Null,
            "404 not_found",
        ),
        ("GET /nowhere", Value::Null, "404 not_found"),
        ("GET //nowhere", Value::Null, "404 not_found"),
        (
            "GET /services/httpbin?x=1",
            Value::Null,
            "400 invalid_query",
        ),
        (
            "POST /services/httpbin/publish",
            json!({"version": "1.0.0", "groups": [{"group": "production"}, {"group": "production"}, {"group": "none"}]}),
            "422 version_exists version duplicate groups[1].group group_missing groups[2].group binding_required groups[0].binding",
        ),
        (
            "POST /services/httpbin/publish",
            json!({"version": "?", "groups": [], "x": 1}),
            "400 invalid version required groups unknown_field x",
        ),
    ] {
        let reply = api
            .send(
                call.split_once(' ').unwrap().0,
                call.split_once(' ').unwrap().1,
                body,
            )
            .await;
        let mut got: Vec<_> = reply.line().split(' ').map(str::to_owned).collect();
        let mut want: Vec<_> = expect.split(' ').map(str::to_owned).collect();
        assert_eq!(got.first(), want.first(), "{call}: {}", reply.text);
        got.sort();
        want.sort();
        assert_eq!(got, want, "{call}: {}", reply.text);
    }
}

/// What a body says would not be done, so none is taken.
#[tokio::test]
async fn a_delete_takes_no_body() {
    let api = Api::furnished().await;
    let dns = json!({"kind": "dns"});
    api.check("PUT /gateway-groups/test/registries/dns", dns, "201")
        .await;
    for path in [
        "/gateway-groups/test/services/httpbin",
        "/gateway-groups/test/registries/dns",
        "/gateway-groups/production",
        "/services/httpbin",
    ] {
        let body = json!({"dry_run": true});
        api.check(&format!("DELETE {path}"), body, "400 unreadable")
            .await;
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
}

/// A refused deletion says what holds the thing, and deletes nothing.
#[tokio::test]
async fn what_holds_a_thing_is_named() {
    let api = Api::furnished().await;
    let puppet = delivery::Puppet::joins(&api);
    let dns = json!({"kind": "dns"});
    api.check("PUT /gateway-groups/test/registries/dns", dns, "201")
        .await;
    let binding = json!({"discovery": {"registry": "dns", "service": "a.example"}});
    let bound = json!({ "binding": binding });
    let path = "/gateway-groups/test/services/httpbin";
    assert!(api.send("PATCH", path, bound).await.status.is_success());
    let instance = format!("/gateway-groups/test/instances/{}", puppet.id());
    for (path, holders) in [
        ("/gateway-groups/test", &["httpbin", "gate-1"][..]),
        ("/services/httpbin", &["test"]),
        ("/gateway-groups/test/registries/dns", &["httpbin"]),
        (&instance, &["gate-1"]),
    ] {
        let refused = api.send("DELETE", path, Value::Null).await;
        let body = refused.json();
        assert_eq!(
            (refused.status.as_u16(), &body["type"]),
            (409, &json!("/problems/in_use"))
        );
        let problems = body["problems"].as_array().expect("has problems");
        assert_eq!(problems.len(), holders.len(), "{path}: {body}");
        for (problem, holder) in problems.iter().zip(holders) {
            let message = problem["message"].as_str().expect("is a text");
            assert!(message.contains(holder), "{path}: {message}");
        }
        assert_eq!(api.get(path).await.status, 200, "{path} is still there");
    }
}

/// What HTTP itself refuses.
#[tokio::test]
async fn methods_types_and_sizes() {
    let api = Api::furnished().await;
    let bearer = format!("Bearer {TOKEN}");
    let auth = ("authorization", bearer.as_str());

    let reply = api.send("POST", "/gateway-groups/test", json!({})).await;
    assert_eq!(reply.line(), "405 method_not_allowed");
    let mut allow: Vec<_> = reply.header(ALLOW).split(',').map(str::trim).collect();
    allow.sort_unstable();
    assert_eq!(allow, ["DELETE", "GET", "HEAD", "PATCH", "PUT"]);
    api.check("DELETE /audit", Value::Null, "405 method_not_allowed")
        .await;
    api.check(
        "GET /services/httpbin/publish",
        Value::Null,
        "405 method_not_allowed",
    )
    .await;

    for (kind, expect) in [
        (None, "415 unsupported_media_type"),
        (Some("text/plain"), "415 unsupported_media_type"),
        (Some("application/jsonp"), "415 unsupported_media_type"),
        (
            Some("application/x-www-form-urlencoded"),
            "415 unsupported_media_type",
        ),
        (
            Some("application/merge-patch+json"),
            "415 unsupported_media_type",
        ),
        (Some("application/json; charset=utf-8"), "201"),
        (Some("Application/JSON"), "409 exists name"),
    ] {
        let headers: Vec<_> = kind
            .map(|kind| ("content-type", kind))
            .into_iter()
            .chain([auth])
            .collect();
        let reply = api
            .raw("POST", "/gateway-groups", &headers, r#"{"name":"x"}"#)
            .await;
        assert_eq!(reply.line(), expect, "{kind:?}");
    }
    for kind in ["application/json", "application/merge-patch+json"] {
        let reply = api
            .raw(
                "PATCH",
                "/gateway-groups/test",
                &[auth, ("content-type", kind)],
                "{}",
            )
            .await;
        assert_eq!(reply.line(), "200", "{kind}");
    }

    let json = ("content-type", "application/json");
    let large = |bytes: usize| format!("{{\"name\":\"y\"{}}}", " ".repeat(bytes - 12));
    let limit = 1024 * 1024;
    let reply = api
        .raw("POST", "/gateway-groups", &[auth, json], large(limit + 1))
        .await;
    assert_eq!(reply.line(), "413 body_too_large");
    assert_eq!(
        api.raw("POST", "/gateway-groups", &[auth, json], large(limit))
            .await
            .line(),
        "201"
    );

    for (body, part) in [
        ("", "not readable"),
        ("{", "not readable"),
        (r#"{"name":"a","name":"b"}"#, "given twice"),
        (&"[".repeat(40), "deeper than 32"),
        ("\u{feff}{}", "byte order mark"),
    ] {
        let reply = api
            .raw("POST", "/gateway-groups", &[auth, json], body.to_owned())
            .await;
        assert_eq!(reply.line(), "400 unreadable", "{body}");
        assert!(reply.text.contains(part), "{body}: {}", reply.text);
    }
    let bad = b"{\"name\":\"\xff\"}".to_vec();
    let reply = api.raw("POST", "/gateway-groups", &[auth, json], bad).await;
    assert_eq!(reply.line(), "400 unreadable", "no UTF-8");
    // 32 levels can be read; what they say is another question.
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (levels, expect) in [(32, "400 wrong_type"), (33, "400 unreadable")] {
        let reply = api
            .raw("POST", "/gateway-groups", &[auth, json], nested(levels))
            .await;
        assert_eq!(reply.line(), expect, "{levels} levels");
    }
    for method in ["OPTIONS", "TRACE", "BREW"] {
        let reply = api.raw(method, "/gateway-groups", &[auth], "").await;
        assert_eq!(reply.line(), "405 method_not_allowed", "{method}");
        let mut allow: Vec<_> = reply.header(ALLOW).split(',').map(str::trim).collect();
        allow.sort_unstable();
        assert_eq!(allow, ["GET", "HEAD", "POST"], "{method}");
    }
}

#[tokio::test]
async fn head_follows_get() {
    let api = Api::furnished().await;
    let (get, head) = (
        api.get("/gateway-groups/test").await,
        api.send("HEAD", "/gateway-groups/test", Value::Null).await,
    );
    assert_eq!((head.status, head.text.as_str()), (get.status, ""));
    assert_eq!(head.header(ETAG), get.header(ETAG));
    assert!(!get.header(ETAG).is_empty());
    assert_eq!(
        api.send("HEAD", "/gateway-groups/none", Value::Null)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_store_that_is_away() {
    let api = Api::furnished().await;
    api.core.close().await;
    let reply = api
        .send("POST", "/gateway-groups", json!({"name": "x"}))
        .await;
    assert_eq!(reply.line(), "503 store_unavailable");
    assert!(reply.text.contains("and nothing was;"), "{}", reply.text);
    assert_eq!(reply.header(RETRY_AFTER), "2");
    assert_eq!(
        api.get("/gateway-groups/test").await.status,
        200,
        "reads never touch the store"
    );
}
