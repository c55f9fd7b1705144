//! Idempotency keys.

use super::*;

async fn post(api: &Api, path: &str, key: &str, body: Value) -> Reply {
    api.with_headers("POST", path, &[("idempotency-key", key)], body)
        .await
}

#[tokio::test]
async fn a_repeated_call_is_answered_as_the_first_was() {
    let api = Api::furnished().await;
    let publish = |version: &str| json!({"version": version, "groups": [{"group": "test"}]});
    let path = "/services/httpbin/publish";
    let first = post(&api, path, "a", publish("2")).await;
    assert_eq!(first.status, 200);
    let second = post(&api, path, "a", publish("2")).await;
    assert_eq!((second.status, second.json()), (first.status, first.json()));
    assert_eq!(
        post(&api, path, "b", publish("2")).await.line(),
        "409 version_exists version"
    );
    assert_eq!(
        post(&api, path, "a", publish("3")).await.line(),
        "422 idempotency_key_reused"
    );
    let elsewhere = post(
        &api,
        "/gateway-groups/test/services/httpbin/rollback",
        "a",
        publish("2"),
    );
    assert!(elsewhere.await.status.is_client_error());

    let create = json!({"name": "x"});
    let first = post(&api, "/gateway-groups", "c", create.clone()).await;
    let second = post(&api, "/gateway-groups", "c", create.clone()).await;
    for reply in [&first, &second] {
        assert_eq!(
            (reply.status.as_u16(), reply.header(LOCATION)),
            (201, "/api/v1/gateway-groups/x")
        );
    }
    assert_eq!(first.json(), second.json());
    assert_eq!(
        post(&api, "/gateway-groups", "c", json!({"name": "y"}))
            .await
            .line(),
        "422 idempotency_key_reused"
    );

    api.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(
        post(&api, "/gateway-groups", "c", create).await.line(),
        "409 exists name",
        "for 24 h"
    );
}

/// What changed nothing takes no key.
#[tokio::test]
async fn refusals_and_dry_runs_use_no_key_up() {
    let api = Api::furnished().await;
    let path = "/services/httpbin/publish";
    let with = |version: &str, dry_run| json!({"version": version, "groups": [{"group": "test"}], "dry_run": dry_run});
    assert_eq!(
        post(&api, path, "a", with("1.0.0", false)).await.line(),
        "409 version_exists version"
    );
    assert_eq!(
        post(&api, path, "a", with("2", true)).await.json()["state"],
        "planned"
    );
    assert_eq!(
        post(&api, path, "a", with("2", false)).await.json()["state"],
        "succeeded"
    );
}

#[tokio::test]
async fn what_is_no_key() {
    let api = Api::new().await;
    let long = "k".repeat(256);
    for key in ["", long.as_str()] {
        assert_eq!(
            post(&api, "/gateway-groups", key, json!({"name": "x"}))
                .await
                .line(),
            "400 invalid_header"
        );
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    let reply = api
        .with_headers("POST", "/gateway-groups", &twice, json!({"name": "x"}))
        .await;
    assert_eq!(reply.line(), "400 invalid_header");
    let most = "k".repeat(255);
    assert_eq!(
        post(&api, "/gateway-groups", &most, json!({"name": "x"}))
            .await
            .status,
        201
    );
}

/// Calls at the same time with one key: one of them makes the group, the others are answered as it
/// was, or told that it is under way.
#[tokio::test]
async fn at_the_same_time() {
    let api = Api::new().await;
    let call = || post(&api, "/gateway-groups", "a", json!({"name": "x"}));
    let (a, b, c) = tokio::join!(call(), call(), call());
    let lines = [a.line(), b.line(), c.line()];
    assert!(lines.iter().any(|line| line == "201"), "{lines:?}");
    for line in lines {
        assert!(
            ["201", "409 idempotency_key_in_progress"].contains(&line.as_str()),
            "{line}"
        );
    }
    assert_eq!(call().await.status, 201);
}

/// Every POST takes a key: said again, the call is answered as the first was and does nothing; with
/// another body or on another path the key is refused.
#[tokio::test]
async fn on_every_post() {
    let api = Api::furnished().await;
    let puppet = delivery::Puppet::joins(&api);
    puppet.holds(ferryway_delivery::SHRINK_UNCONFIRMED);
    let to = json!([{"group": "production", "binding": nodes("b")}]);
    let services = json!([{"service": "httpbin"}]);
    let group = "/gateway-groups/test";
    let service = "/gateway-groups/test/services/httpbin";
    let definition = json!({"name": "other", "routes": [{"name": "r", "paths": ["/other"]}]});
    for (path, body) in [
        (format!("{group}/confirm-shrink"), json!({})),
        ("/gateway-groups".to_owned(), json!({"name": "x"})),
        ("/services".to_owned(), definition),
        ("/tokens".to_owned(), json!({"name": "ci", "scope": "read"})),
        (
            "/services/httpbin/publish".to_owned(),
            json!({"version": "2", "groups": [{"group": "test"}]}),
        ),
        (format!("{service}/sync"), json!({"to": to})),
        (
            format!("{group}/sync"),
            json!({"services": services, "to": [{"group": "production"}]}),
        ),
        (format!("{service}/rollback"), json!({"version": "1.0.0"})),
    ] {
        let key = path.as_str();
        let first = post(&api, &path, key, body.clone()).await;
        assert!(first.status.is_success(), "{path}: {first:?}");
        puppet.applies();
        let done = api.get("/audit").await.text;
        let again = post(&api, &path, key, body.clone()).await;
        assert!(again.status.is_success(), "{path}: {again:?}");
        let (mut was, is) = (first.json(), again.json());
        // What goes on, and the secret, which only the first answer has.
        for field in ["secret", "state", "ended_at", "destinations", "instances"] {
            if let Some(value) = was.get_mut(field) {
                *value = is[field].clone();
            }
        }
        assert_eq!(was, is, "{path}");
        assert_eq!(api.get("/audit").await.text, done, "{path} did it again");

        let mut other = body;
        other["dry_run"] = json!(true);
        let reused = post(&api, &path, key, other).await.line();
        let known = [
            "422 idempotency_key_reused",
            // Read before the key is looked up.
            "400 unknown_field dry_run",
        ];
        assert!(known.contains(&reused.as_str()), "{path}: {reused}");
        let elsewhere = json!({"name": "somewhere-else"});
        let elsewhere = post(&api, "/gateway-groups", key, elsewhere).await.line();
        assert_eq!(elsewhere, "422 idempotency_key_reused", "{path}");
    }
}

/// The second call comes while the first waits for the disk.
#[tokio::test]
async fn while_the_first_is_under_way() {
    let api = Api::new().await;
    let call = || post(&api, "/gateway-groups", "a", json!({"name": "x"}));
    let mut first = std::pin::pin!(call());
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    let second = call().await;
    assert_eq!(second.line(), "409 idempotency_key_in_progress");
    assert_eq!(first.await.status, 201);
    assert_eq!(call().await.status, 201);
}

/// The answer is kept, not made anew: what was made may have been changed or deleted since.
#[tokio::test]
async fn what_was_made_is_answered_as_it_was() {
    let api = Api::new().await;
    let large = "p".repeat(800);
    let routes =
        |n| (0..n).map(|n| json!({"name": format!("r{n}"), "paths": [format!("/{n}{large}")]}));
    let routes: Vec<_> = routes(32).collect();
    for (path, body) in [
        ("/gateway-groups", json!({"name": "x", "title": "A"})),
        (
            "/services",
            json!({"name": "x", "title": "A", "routes": routes}),
        ),
    ] {
        let first = post(&api, path, path, body.clone()).await;
        assert_eq!(first.status, 201, "{first:?}");
        let there = format!("{path}/x");
        let check = async |api: &Api, when: &str| {
            let again = post(api, path, path, body.clone()).await;
            let said = |reply: &Reply| {
                let headers = [LOCATION, ETAG].map(|name| reply.header(name).to_owned());
                (reply.status, headers, reply.json())
            };
            assert_eq!(said(&again), said(&first), "{path} {when}");
        };
        api.check(&format!("PATCH {there}"), json!({"title": "B"}), "200")
            .await;
        check(&api, "when it was changed").await;
        api.check(&format!("DELETE {there}"), Value::Null, "204")
            .await;
        check(&api, "when it was deleted").await;
        api.check(&format!("GET {there}"), Value::Null, "404 not_found")
            .await;
    }
    let token = json!({"name": "ci", "scope": "read"});
    let first = post(&api, "/tokens", "t", token.clone()).await;
    let secret = first.json()["secret"]
        .as_str()
        .expect("is shown")
        .to_owned();
    let id = first.json()["id"].as_str().expect("has one").to_owned();
    let api = api.again().await;
    api.check(&format!("DELETE /tokens/{id}"), Value::Null, "204")
        .await;
    let again = post(&api, "/tokens", "t", token).await;
    assert_eq!(again.header(LOCATION), first.header(LOCATION));
    let (mut was, is) = (first.json(), again.json());
    was["secret"] = Value::Null;
    assert_eq!((again.status.as_u16(), is), (201, was));
    let store = std::fs::read(api.dir.path().join("store.redb")).expect("is there");
    let is_in = |text: &str| {
        store
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(
        is_in("create token") && !is_in(&secret),
        "kept as its digest alone"
    );
}

/// Two callers may choose the same key.
#[tokio::test]
async fn keys_are_the_callers_own() {
    let api = Api::new().await;
    let token = json!({"name": "ci", "scope": "write"});
    let token = api.check("POST /tokens", token, "201").await;
    let bearer = format!("Bearer {}", token["secret"].as_str().expect("is shown"));
    let mine = post(&api, "/gateway-groups", "k", json!({"name": "mine"})).await;
    assert_eq!(mine.status, 201);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
    ];
    for _ in 0..2 {
        let theirs = json!({"name": "theirs"}).to_string();
        let theirs = api.raw("POST", "/gateway-groups", &headers, theirs).await;
        let place = theirs.header(LOCATION);
        assert_eq!(
            (theirs.status.as_u16(), place),
            (201, "/api/v1/gateway-groups/theirs")
        );
    }
}
