//! Who is answered.

use super::*;

/// Every path of the API, and the root's.
const GUARDED: &[&str] = &[
    "/gateway-groups",
    "/gateway-groups/none",
    "/services",
    "/operations",
    "/audit",
    "/matrix",
];
const OPEN: &[&str] = &[
    "/openapi.json",
    "//healthz",
    "//readyz",
    "//metrics",
    "//problems/stale",
];

#[tokio::test]
async fn tokens() {
    let api = Api::new().await;
    let good = format!("Bearer {TOKEN}");
    let lower = format!("bearer  {TOKEN} ");
    for (header, status) in [
        (None, 401),
        (Some(good.as_str()), 200),
        (Some(lower.as_str()), 200),
        (Some(TOKEN), 401),
        (Some("Bearer"), 401),
        (Some("Bearer "), 401),
        (Some("Bearer fw_a-token-of-the-administrator-for-test"), 401),
        (
            Some("Bearer fw_a-token-of-the-administrator-for-tests2"),
            401,
        ),
        (Some("Basic YTpi"), 401),
    ] {
        let headers: Vec<_> = header
            .map(|header| ("authorization", header))
            .into_iter()
            .collect();
        let reply = api
            .raw("GET", "/gateway-groups", &headers, Body::empty())
            .await;
        assert_eq!(reply.status.as_u16(), status, "{header:?}");
        if status == 401 {
            assert_eq!(reply.line(), "401 unauthorized");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
            assert!(!reply.text.contains(TOKEN));
        }
    }
    for path in GUARDED {
        assert_eq!(
            api.raw("GET", path, &[], Body::empty()).await.status,
            401,
            "{path}"
        );
    }
    for path in OPEN {
        assert_eq!(
            api.raw("GET", path, &[], Body::empty()).await.status,
            200,
            "{path}"
        );
    }
    let write = api.raw(
        "PUT",
        "/gateway-groups/x",
        &[("content-type", "application/json")],
        "{}",
    );
    assert_eq!(write.await.status, 401, "and nothing was made");
    assert_eq!(api.get("/gateway-groups/x").await.status, 404);
    assert!(!format!("{:?}", Access::Token(TOKEN.to_owned())).contains(TOKEN));
}

#[tokio::test]
async fn dev_answers_this_machine_only() {
    let api = Api::with(Access::Dev).await;
    let json = ("content-type", "application/json");
    for (headers, expect) in [
        (vec![("host", "127.0.0.1:7080"), json], "201"),
        (
            vec![
                ("host", "localhost:7080"),
                ("origin", "http://localhost:7080"),
                json,
            ],
            "200",
        ),
        (vec![("host", "[::1]:7080"), json], "200"),
        (vec![("host", "evil.example:7080"), json], "403 forbidden"),
        (vec![json], "403 forbidden"),
        (
            vec![
                ("host", "localhost:7080"),
                ("origin", "http://evil.example"),
                json,
            ],
            "403 forbidden",
        ),
        (
            vec![("host", "localhost:7080"), ("origin", "null"), json],
            "403 forbidden",
        ),
        (
            vec![("host", "localhost:7080"), ("content-type", "text/plain")],
            "415 unsupported_media_type",
        ),
        (
            vec![("host", "localhost:7080")],
            "415 unsupported_media_type",
        ),
    ] {
        let reply = api.raw("PUT", "/gateway-groups/x", &headers, "{}").await;
        assert_eq!(reply.line(), expect, "{headers:?}");
    }
    let foreign = [(HOST.as_str(), "evil.example")];
    let rebound = api
        .raw("GET", "/gateway-groups", &foreign, Body::empty())
        .await;
    assert_eq!(rebound.status, 403, "reads too");
}
