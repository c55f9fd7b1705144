//! Looks across groups.

use super::*;

#[tokio::test]
async fn matrix_and_comparison() {
    let api = Api::furnished().await;
    api.check(
        "PUT /services/idle",
        json!({"routes": [{"name": "r", "paths": ["/idle"]}]}),
        "201",
    )
    .await;
    let matrix = api.get("/matrix").await.json();
    assert_eq!(matrix["groups"], json!(["production", "test"]));
    let row = &matrix["rows"][0];
    assert_eq!(
        (&row["service"], &row["title"]),
        (&json!("httpbin"), &json!("httpbin API"))
    );
    assert_eq!(
        row["cells"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["test"]
    );
    let cell = &row["cells"]["test"];
    assert_eq!(
        (&cell["version"], &cell["enabled"], &cell["online"]),
        (&json!("1.0.0"), &json!(true), &json!(0))
    );
    assert_eq!(
        matrix["rows"][1],
        json!({"service": "idle", "title": "", "cells": {}})
    );

    let compare = "/compare?a=test&b=production";
    let state = |value: Value| {
        value["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["state"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(state(api.get(compare).await.json()), ["only_a"]);
    assert_eq!(
        state(api.get("/compare?a=production&b=test").await.json()),
        ["only_b"]
    );

    let sync = json!({"to": [{"group": "production", "binding": nodes("b.example")}]});
    api.check(
        "POST /gateway-groups/test/services/httpbin/sync",
        sync,
        "200",
    )
    .await;
    assert_eq!(
        state(api.get(compare).await.json()),
        [""; 0],
        "a binding of its own is no difference"
    );
    let same = api.get(&format!("{compare}&service=httpbin")).await.json();
    assert_eq!(
        state(same.clone()),
        ["same"],
        "but it is shown when asked for"
    );
    assert_eq!(
        same["items"][0]["changes"]["binding"]["after"]["nodes"][0]["host"],
        "b.example"
    );

    let edit = json!({"routes": [{"name": "new", "paths": ["/new"]}]});
    api.check(
        "PUT /gateway-groups/production/services/httpbin/definition",
        edit,
        "200",
    )
    .await;
    let different = api.get(compare).await.json();
    assert_eq!(state(different.clone()), ["different"]);
    let item = &different["items"][0];
    assert_eq!(
        (&item["a"]["version"], &item["b"]["version"]),
        (&json!("1.0.0"), &Value::Null)
    );
    assert_eq!(item["changes"]["routes"]["added"], json!(["new"]));

    for (query, expect) in [
        ("a=test", "400 invalid_query"),
        ("a=test&b=none", "404 not_found"),
        ("a=TEST&b=production", "400 invalid_query"),
        ("a=test&b=production&service=idle", "404 not_found"),
        ("a=test&b=production&x=1", "400 invalid_query"),
    ] {
        api.check(&format!("GET /compare?{query}"), Value::Null, expect)
            .await;
    }
}
