//! API tokens: made, used, refused, expired, deleted.

use super::*;

/// Makes a token; its id and its secret.
async fn token(api: &Api, body: Value) -> (String, String) {
    let made = api.send("POST", "/tokens", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.json();
    let text = |field: &str| token[field].as_str().expect("is a text").to_owned();
    let location = format!("/api/v1/tokens/{}", text("id"));
    assert_eq!(made.header(LOCATION), location);
    (text("id"), text("secret"))
}

/// A call in the name of who holds this secret.
async fn call(api: &Api, secret: &str, method: &str, path: &str, body: Value) -> Reply {
    let bearer = format!("Bearer {secret}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("host", "localhost:7080"),
        ("content-type", "application/json"),
    ];
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    api.raw(method, path, &headers, body).await
}

#[tokio::test]
async fn each_scope_may_so_much() {
    let api = Api::furnished().await;
    let publish = json!({"version": "2", "groups": [{"group": "test"}], "dry_run": true});
    let sync = json!({"to": [{"group": "production", "binding": nodes("b")}]});
    let rows = [
        ("GET", "/gateway-groups", Value::Null, [200, 200, 200]),
        ("GET", "/services/httpbin", Value::Null, [200, 200, 200]),
        ("GET", "/operations", Value::Null, [200, 200, 200]),
        ("GET", "/audit", Value::Null, [200, 200, 200]),
        ("GET", "/matrix", Value::Null, [200, 200, 200]),
        ("PUT", "/gateway-groups/test", json!({}), [403, 200, 200]),
        (
            "PATCH",
            "/gateway-groups/test",
            json!({"labels": {}}),
            [403, 200, 200],
        ),
        (
            "POST",
            "/services/httpbin/publish",
            publish,
            [403, 200, 200],
        ),
        // Said of the source as a read, and of its destinations as a write.
        (
            "POST",
            "/gateway-groups/test/services/httpbin/sync",
            sync,
            [403, 200, 200],
        ),
        (
            "POST",
            "/gateway-groups/test/services/httpbin/sync",
            json!({"dry_run": true, "to": []}),
            [403, 200, 200],
        ),
        (
            "POST",
            "/gateway-groups/test/sync",
            json!({"x": 1}),
            [403, 400, 400],
        ),
        (
            "POST",
            "/gateway-groups/test/confirm-shrink",
            Value::Null,
            [403, 409, 409],
        ),
        (
            "DELETE",
            "/gateway-groups/production/services/httpbin",
            Value::Null,
            [403, 200, 200],
        ),
        ("GET", "/tokens", Value::Null, [403, 403, 200]),
        (
            "POST",
            "/tokens",
            json!({"name": "x", "scope": "read"}),
            [403, 403, 201],
        ),
        ("DELETE", "/tokens/x", Value::Null, [404, 404, 404]),
        (
            "DELETE",
            "/tokens/01973000-0000-7000-8000-000000000000",
            Value::Null,
            [403, 403, 404],
        ),
    ];
    for (n, scope) in ["read", "write", "admin"].into_iter().enumerate() {
        let (_, secret) = token(&api, json!({"name": "ci", "scope": scope})).await;
        for (method, path, body, expect) in &rows {
            let reply = call(&api, &secret, method, path, body.clone()).await;
            assert_eq!(
                reply.status.as_u16(),
                expect[n],
                "{scope}: {method} {path}: {}",
                reply.text
            );
            if expect[n] == 403 {
                assert_eq!(reply.line(), "403 forbidden");
            }
        }
    }
    assert_eq!(
        api.get("/audit?q=create+token").await.json()["items"][0]["by"],
        "ci",
        "the admin token made one in its own name"
    );
}

#[tokio::test]
async fn what_is_told_of_a_token() {
    let api = Api::new().await;
    let body = json!({"name": "deploy", "scope": "write", "expires_at": "2026-12-01T00:00:00Z"});
    let (id, secret) = token(&api, body).await;
    let other = token(&api, json!({"name": "deploy", "scope": "read"})).await;
    assert_ne!(other.1, secret, "and a name may be shared");
    let listed = api.get("/tokens").await;
    assert_eq!(
        listed.json()["items"][0],
        json!({
            "id": id, "name": "deploy", "scope": "write", "created_by": "admin",
            "expires_at": "2026-12-01T00:00:00Z", "created_at": "2026-11-24T12:00:00Z",
        })
    );
    assert_eq!(api.get("/tokens?limit=1").await.json()["next_cursor"], id);
    let rest = api.get(&format!("/tokens?cursor={id}&q=DEP")).await.json();
    assert_eq!(rest["items"].as_array().expect("is a list").len(), 1);

    // Who used it is in what was done; the secret is nowhere.
    let made = call(&api, &secret, "PUT", "/gateway-groups/x", json!({})).await;
    assert_eq!(made.status, 201);
    api.check(&format!("DELETE /tokens/{id}"), Value::Null, "204")
        .await;
    let audit = api.get("/audit").await;
    let said: Vec<_> = audit.json()["items"]
        .as_array()
        .expect("is a list")
        .iter()
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", text("by"), text("action"))
        })
        .collect();
    assert_eq!(
        said,
        [
            "admin: delete token",
            "deploy: put group",
            "admin: create token",
            "admin: create token"
        ]
    );
    let random = secret.rsplit('_').next().expect("has parts");
    let digest = ferryway_model::Digest::of(secret.as_bytes()).to_string();
    for text in [&listed.text, &audit.text] {
        assert!(!text.contains(random) && !text.contains(&digest), "{text}");
    }
}

#[tokio::test]
async fn who_is_let_in() {
    let api = Api::new().await;
    let end = json!({"name": "a", "scope": "read", "expires_at": "2026-11-24T12:01:00Z"});
    let (_, expiring) = token(&api, end).await;
    let (id, deleted) = token(&api, json!({"name": "b", "scope": "read"})).await;
    let (_, lasting) = token(&api, json!({"name": "c", "scope": "read"})).await;
    let status = async |api: &Api, secret: &str| {
        let reply = call(api, secret, "GET", "/gateway-groups", Value::Null).await;
        (reply.status.as_u16(), reply.text)
    };
    for secret in [&expiring, &deleted, &lasting] {
        assert_eq!(status(&api, secret).await.0, 200);
    }
    api.check(&format!("DELETE /tokens/{id}"), Value::Null, "204")
        .await;
    api.check(
        &format!("DELETE /tokens/{id}"),
        Value::Null,
        "404 not_found",
    )
    .await;
    api.clock.advance(Duration::from_secs(59));
    assert_eq!(status(&api, &expiring).await.0, 200);
    api.clock.advance(Duration::from_secs(1));

    // A token that a secret names, but that it is not the secret of.
    let mut wrong = lasting.clone();
    let last = wrong.pop().expect("has digits");
    wrong.push(if last == '0' { '1' } else { '0' });
    let never = format!("fw_{}_{}", "0".repeat(32), "0".repeat(64));
    let mut answers = Vec::new();
    for secret in [&expiring, &deleted, &wrong, &never, "nonsense", ""] {
        let (code, text) = status(&api, secret).await;
        assert_eq!(code, 401, "{secret}");
        answers.push(text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "why is not said: {answers:?}");

    let api = api.again().await;
    assert_eq!(status(&api, &lasting).await.0, 200, "after a restart too");
    assert_eq!(status(&api, &deleted).await.0, 401);
    assert_eq!(status(&api, TOKEN).await.0, 200, "the first one stays");
    let left = api.get("/tokens").await.json();
    assert_eq!(left["items"].as_array().expect("is a list").len(), 2);
}

/// Who shows no token is the administrator there; who shows one is who it says.
#[tokio::test]
async fn in_dev() {
    let api = Api::with(Access::Dev).await;
    let local = [
        ("host", "localhost:7080"),
        ("content-type", "application/json"),
    ];
    let body = json!({"name": "viewer", "scope": "read"}).to_string();
    let made = api.raw("POST", "/tokens", &local, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let secret = made.json()["secret"].as_str().expect("is there").to_owned();
    let id = made.json()["id"].as_str().expect("is there").to_owned();
    let put = async |secret: &str| {
        let reply = call(&api, secret, "PUT", "/gateway-groups/x", json!({})).await;
        reply.line()
    };
    assert_eq!(put(&secret).await, "403 forbidden");
    assert_eq!(put("what some other server wants").await, "201");
    let gone = api
        .raw("DELETE", &format!("/tokens/{id}"), &local, Body::empty())
        .await;
    assert_eq!(gone.status, 204);
    assert_eq!(put(&secret).await, "401 unauthorized");
}

/// The secret is stored nowhere, so a repeated call can't be told it again.
#[tokio::test]
async fn a_repeated_call_has_no_secret() {
    let api = Api::new().await;
    let key = [("idempotency-key", "k")];
    let body = json!({"name": "ci", "scope": "read", "expires_at": "2026-11-24T12:01:00Z"});
    let post = || api.with_headers("POST", "/tokens", &key, body.clone());
    let first = post().await;
    api.clock.advance(Duration::from_secs(60));
    let second = post().await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
    assert_eq!(first.header(LOCATION), second.header(LOCATION));
    let mut expect = first.json();
    assert!(expect["secret"].is_string());
    expect["secret"] = Value::Null;
    assert_eq!(second.json(), expect);
    let other = json!({"name": "ci", "scope": "admin"});
    let reused = api.with_headers("POST", "/tokens", &key, other).await;
    assert_eq!(reused.line(), "422 idempotency_key_reused");
}

#[tokio::test]
async fn what_is_no_token() {
    let api = Api::new().await;
    let late = "2026-11-24T12:00:00Z";
    for (body, expect) in [
        (json!({}), "422 required name required scope"),
        (json!({"name": "a", "scope": "root"}), "422 invalid scope"),
        (json!({"name": "A", "scope": "read"}), "422 invalid name"),
        (
            json!({"name": "a", "scope": "read", "secret": "x"}),
            "400 unknown_field secret",
        ),
        (json!({"name": "a", "scope": 1}), "400 wrong_type scope"),
        (
            json!({"name": "a", "scope": "read", "expires_at": "soon"}),
            "422 invalid expires_at",
        ),
        (
            json!({"name": "a", "scope": "read", "expires_at": late}),
            "422 invalid expires_at",
        ),
    ] {
        api.check("POST /tokens", body, expect).await;
    }
    let body = || json!({"name": "a", "scope": "read"});
    let most = (0..1_000).map(|_| api.check("POST /tokens", body(), "201"));
    futures_util::future::join_all(most).await;
    api.check("POST /tokens", body(), "422 limit_exceeded")
        .await;
}
