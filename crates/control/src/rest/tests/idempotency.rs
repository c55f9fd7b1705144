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
