//! Lists: pages, labels, texts.

use super::*;

/// All items of a list, page by page.
async fn all(api: &Api, path: &str, limit: usize, field: &str, items: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut cursor = None;
    loop {
        let glue = if path.contains('?') { '&' } else { '?' };
        let more = cursor
            .map(|cursor: String| format!("&cursor={cursor}"))
            .unwrap_or_default();
        let page = api.get(&format!("{path}{glue}limit={limit}{more}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        let found = page[items].as_array().expect("is a list");
        assert!(found.len() <= limit);
        names.extend(
            found
                .iter()
                .map(|item| item[field].as_str().expect("is a text").to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return names,
        }
    }
}

#[tokio::test]
async fn pages() {
    let api = Api::furnished().await;
    for n in 0..5 {
        api.check(
            &format!("PUT /gateway-groups/g{n}"),
            json!({"labels": {"n": n.to_string(), "odd": (n % 2 == 1).to_string()}}),
            "201",
        )
        .await;
        api.check(
            &format!("PUT /gateway-groups/test/registries/r{n}"),
            json!({"kind": "dns"}),
            "201",
        )
        .await;
        api.check(
            &format!("PUT /services/s{n}"),
            json!({"routes": [{"name": "r", "paths": [format!("/s{n}")]}]}),
            "201",
        )
        .await;
        let body =
            json!({"version": n.to_string(), "groups": [{"group": "test", "binding": nodes("a")}]});
        api.check(&format!("POST /services/s{n}/publish"), body, "200")
            .await;
        let body = json!({"version": format!("2.{n}"), "groups": [{"group": "test"}]});
        api.check("POST /services/httpbin/publish", body, "200")
            .await;
    }
    for n in 0..5 {
        let body = json!({"name": format!("t{n}"), "scope": "read"});
        api.check("POST /tokens", body, "201").await;
        delivery::Puppet::joins(&api);
    }
    for (path, field, items, first, len) in [
        ("/gateway-groups", "name", "items", "g0", 7),
        ("/services", "name", "items", "httpbin", 6),
        ("/gateway-groups/test/registries", "name", "items", "r0", 5),
        (
            "/gateway-groups/test/services",
            "service",
            "items",
            "httpbin",
            6,
        ),
        ("/matrix", "service", "rows", "httpbin", 6),
        (
            "/compare?a=test&b=production",
            "service",
            "items",
            "httpbin",
            6,
        ),
        ("/services/httpbin/versions", "version", "items", "1.0.0", 6),
        (
            "/gateway-groups/test/services/httpbin/history",
            "version",
            "items",
            "2.4",
            6,
        ),
        ("/operations", "version", "items", "2.4", 11),
        ("/tokens", "name", "items", "t0", 5),
        (
            "/gateway-groups/test/instances",
            "hostname",
            "items",
            "gate-1",
            5,
        ),
        (
            "/audit",
            "action",
            "items",
            "create token",
            11 + 2 + 15 + 1 + 5,
        ),
    ] {
        let whole = all(&api, path, 1_000, field, items).await;
        assert_eq!(
            (whole.len(), whole[0].as_str()),
            (len, first),
            "{path}: {whole:?}"
        );
        for limit in [1, 2, 5] {
            assert_eq!(
                all(&api, path, limit, field, items).await,
                whole,
                "{path} by {limit}"
            );
        }
    }
    for (query, expect) in [
        ("label=odd=true", &["g1", "g3"][..]),
        ("label=odd=true&label=n=3", &["g3"]),
        ("label=odd=maybe", &[]),
        ("q=PROD", &["production"]),
    ] {
        assert_eq!(
            all(
                &api,
                &format!("/gateway-groups?{query}"),
                10,
                "name",
                "items"
            )
            .await,
            expect,
            "{query}"
        );
    }
    // Published services and rows of the matrix are found by what the hub says of them.
    for (path, items) in [
        ("/gateway-groups/test/services", "items"),
        ("/matrix", "rows"),
    ] {
        for query in ["label=team=core", "q=httpbin+api"] {
            assert_eq!(
                all(&api, &format!("{path}?{query}"), 10, "service", items).await,
                ["httpbin"],
                "{path}?{query}"
            );
        }
    }
    assert_eq!(
        all(&api, "/operations?q=s3", 10, "service", "items").await,
        ["s3"]
    );
    assert_eq!(
        all(&api, "/audit?q=put+registry", 1, "action", "items")
            .await
            .len(),
        5
    );
}

#[tokio::test]
async fn what_is_no_query_of_a_list() {
    let api = Api::furnished().await;
    for path in [
        "/gateway-groups",
        "/services",
        "/services/httpbin/versions",
        "/operations",
        "/audit",
        "/matrix",
        "/gateway-groups/test/instances",
        "/gateway-groups/test/registries",
        "/gateway-groups/test/services",
        "/gateway-groups/test/services/httpbin/history",
        "/tokens",
        "/compare?a=test&b=production",
    ] {
        let glue = if path.contains('?') { '&' } else { '?' };
        for query in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "label=a",
            "sort=name",
            "q=a&q=b",
        ] {
            api.check(
                &format!("GET {path}{glue}{query}"),
                Value::Null,
                "400 invalid_query",
            )
            .await;
        }
        assert_eq!(
            api.get(&format!("{path}{glue}limit=1000&q=none"))
                .await
                .json()["next_cursor"],
            Value::Null,
            "{path}"
        );
    }
    for path in [
        "/gateway-groups",
        "/operations",
        "/audit",
        "/services/httpbin/versions",
        "/gateway-groups/test/services/httpbin/history",
        "/tokens",
        "/services",
        "/matrix",
        "/gateway-groups/test/registries",
        "/gateway-groups/test/services",
    ] {
        api.check(
            &format!("GET {path}?cursor=%3F"),
            Value::Null,
            "400 invalid_query",
        )
        .await;
    }
    api.check(
        "GET /services/httpbin/versions?cursor=9",
        Value::Null,
        "400 invalid_query",
    )
    .await;
}

#[tokio::test]
async fn the_audit_says_who_did_what() {
    let api = Api::furnished().await;
    let entries = api.get("/audit").await.json();
    let publish = &entries["items"][0];
    assert_eq!(
        (&publish["by"], &publish["action"], &publish["from"]),
        (&json!("admin"), &json!("publish"), &json!("unknown"))
    );
    assert_eq!(publish["target"], "gateway-groups/test/services/httpbin");
    assert!(publish["operation"].is_string() && publish["after"].is_object());
    let created = &entries["items"][3];
    assert_eq!(
        (&created["before"], &created["operation"]),
        (&Value::Null, &Value::Null)
    );
}

/// Where answers are written without being made as what the API's crate calls them first, they are
/// that all the same.
#[tokio::test]
async fn answers_are_what_the_client_reads() {
    use ferryway_api::{AuditEntry, Compare, List, Matrix, Operation, Service, Version};

    /// Nothing is missing, and nothing is there that is not read.
    async fn check<T: serde::de::DeserializeOwned + serde::Serialize>(api: &Api, path: &str) {
        let said = api.get(path).await.json();
        let read: T = serde_json::from_value(said.clone()).expect("is read");
        assert_eq!(json!(read), said, "{path}");
    }

    let api = Api::furnished().await;
    check::<List<Service>>(&api, "/services").await;
    check::<Service>(&api, "/services/httpbin").await;
    check::<List<Version>>(&api, "/services/httpbin/versions").await;
    check::<Version>(&api, "/services/httpbin/versions/1.0.0").await;
    check::<List<Operation>>(&api, "/operations").await;
    check::<List<AuditEntry>>(&api, "/audit").await;
    check::<Matrix>(&api, "/matrix").await;
    check::<Compare>(&api, "/compare?a=test&b=production").await;
}
