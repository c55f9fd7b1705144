//! One row per code that an answer can have.

use std::collections::BTreeSet;

use ferryway_model::Code;

use super::*;

const D: &str = "blake3:0000000000000000000000000000000000000000000000000000000000000000";

/// The id of no operation.
const NO_ID: &str = "01973000-0000-7000-8000-000000000000";

/// Codes that nothing in this build can bring about, or only with instances that are online.
const OUT_OF_REACH: &[Code] = &[
    Code::PluginUnsupported,
    Code::CertificateMissing,
    Code::ConsumerMissing,
    Code::SecretMissing,
    Code::RolloutInProgress,
    Code::UpstreamEmpty,
    Code::SourceNotConverged,
];

#[tokio::test]
async fn every_problem_code() {
    let api = Api::furnished().await;
    let sync = "POST /gateway-groups/test/services/httpbin/sync";
    let publish = "POST /services/httpbin/publish";
    let to = |binding: Value| json!([{"group": "production", "binding": binding}]);
    let dns = json!({"discovery": {"registry": "dns", "service": "a"}});
    let rows = [
        (
            "POST /gateway-groups",
            json!({"name": "x", "nme": 1}),
            "400 unknown_field nme",
        ),
        (
            "POST /gateway-groups",
            json!({"name": 1}),
            "400 wrong_type name",
        ),
        ("POST /gateway-groups", json!({}), "422 required name"),
        (
            "POST /gateway-groups",
            json!({"name": "X"}),
            "422 invalid name",
        ),
        (
            "POST /gateway-groups",
            json!({"name": "test"}),
            "409 exists name",
        ),
        ("POST /services", httpbin(), "409 exists name"),
        (
            "PUT /gateway-groups/x",
            json!({"name": "y"}),
            "422 name_mismatch name",
        ),
        ("GET /gateway-groups/none", Value::Null, "404 not_found"),
        (
            "PUT /services/x",
            json!({"routes": [{"name": "r", "paths": ["/"]}, {"name": "r", "paths": ["/b"]}]}),
            "422 duplicate routes[1].name",
        ),
        (
            "PUT /services/x",
            json!({"hosts": vec!["a"; 65], "routes": [{"name": "r", "paths": ["/"]}]}),
            "422 limit_exceeded hosts",
        ),
        (
            "PUT /services/x",
            json!({"plugins": {"a": 1}, "routes": [{"name": "r", "paths": ["/"]}]}),
            "422 unsupported plugins",
        ),
        (
            publish,
            json!({"version": "2", "groups": [{"group": "test"}], "rollout": {"waves": ["1", "100%"]}}),
            "422 rollout_unsupported rollout.waves",
        ),
        (
            publish,
            json!({"version": "2", "groups": [{"group": "none"}]}),
            "422 group_missing groups[0].group",
        ),
        (
            publish,
            json!({"version": "1.0.0", "groups": [{"group": "test"}]}),
            "409 version_exists version",
        ),
        (
            publish,
            json!({"version": "2", "groups": [{"group": "test"}], "expect_digest": D}),
            "409 source_moved expect_digest",
        ),
        (
            publish,
            json!({"version": "2", "groups": [{"group": "test"}], "expect_plan": D}),
            "409 plan_changed expect_plan",
        ),
        (
            "POST /gateway-groups/test/sync",
            json!({"services": [{"service": "none"}], "to": [{"group": "production"}]}),
            "422 service_missing services[0].service",
        ),
        (
            sync,
            json!({"to": to(dns)}),
            "422 registry_missing to[0].binding.discovery.registry",
        ),
        (
            "PATCH /gateway-groups/test/services/httpbin",
            json!({"binding": {"discovery": {"registry": "dns", "service": null}}}),
            "422 required binding.discovery.service",
        ),
        (
            sync,
            json!({"to": to(Value::Null)}),
            "422 binding_required to[0].binding",
        ),
        (
            sync,
            json!({"to": to(nodes("b")), "version": "2"}),
            "422 version_not_expected version",
        ),
        (
            sync,
            json!({"to": [{"group": "test"}]}),
            "422 invalid to[0].group",
        ),
        (
            "POST /gateway-groups/test/services/httpbin/rollback",
            json!({"digest": D}),
            "422 not_in_history digest",
        ),
        (
            "POST /gateway-groups/test/confirm-shrink",
            Value::Null,
            "409 nothing_to_confirm",
        ),
        ("DELETE /services/httpbin", Value::Null, "409 in_use"),
        ("DELETE /gateway-groups/test", Value::Null, "409 in_use"),
    ];
    let mut seen = BTreeSet::new();
    for (call, body, expect) in rows {
        api.check(call, body, expect).await;
        seen.insert(expect.split(' ').nth(1).expect("has a code").to_owned());
    }

    let operations = api.get("/operations").await.json();
    let id = operations["items"][0]["operation"]
        .as_str()
        .expect("has an id");
    for verb in ["pause", "resume", "abort"] {
        let call = format!("POST /operations/{id}/{verb}");
        api.check(&call, Value::Null, "409 no_rollout").await;
        api.check(&call, json!({}), "409 no_rollout").await;
        api.check(&call, json!({"x": 1}), "400 unknown_field x")
            .await;
        let unknown = format!("POST /operations/{NO_ID}/{verb}");
        api.check(&unknown, json!({"x": 1}), "404 not_found").await;
        api.check(
            &format!("GET /operations/{id}/{verb}"),
            Value::Null,
            "405 method_not_allowed",
        )
        .await;
    }
    seen.insert("no_rollout".to_owned());

    let unreadable = api.with_headers(
        "POST",
        "/gateway-groups",
        &[("content-type", "application/json")],
        Value::Null,
    );
    assert_eq!(unreadable.await.line(), "400 unreadable");
    seen.insert("unreadable".to_owned());

    // Another service that would answer the same requests.
    let other = json!({"routes": [{"name": "r", "paths": ["/anything/*"]}]});
    api.check("PUT /services/other", other, "201").await;
    let body = json!({"version": "1", "groups": [{"group": "test", "binding": nodes("b")}]});
    api.check(
        "POST /services/other/publish",
        body,
        "409 route_conflict groups[0]",
    )
    .await;
    seen.insert("route_conflict".to_owned());

    // An edit in place, and what replaces it.
    let edit = json!({"routes": [{"name": "r", "paths": ["/edited"]}]});
    api.check(
        "PUT /gateway-groups/test/services/httpbin/definition",
        edit.clone(),
        "200",
    )
    .await;
    api.check(
        sync,
        json!({"to": to(nodes("b"))}),
        "422 version_required version",
    )
    .await;
    seen.insert("version_required".to_owned());
    let rolled = api
        .check(
            "POST /gateway-groups/test/services/httpbin/rollback",
            json!({"version": "1.0.0"}),
            "200",
        )
        .await;
    let problems = rolled["destinations"][0]["problems"]
        .as_array()
        .expect("is a list");
    seen.extend(problems.iter().map(|problem| {
        assert_eq!(problem["severity"], "warning");
        problem["code"].as_str().expect("is a text").to_owned()
    }));

    api.check(
        "PATCH /gateway-groups/test",
        json!({"enforce_publishing": true}),
        "200",
    )
    .await;
    api.check(
        "PUT /gateway-groups/test/services/httpbin/definition",
        edit,
        "409 publishing_enforced",
    )
    .await;
    seen.insert("publishing_enforced".to_owned());

    let missing = Code::ALL
        .iter()
        .filter(|code| !OUT_OF_REACH.contains(code) && !seen.contains(code.as_str()));
    assert_eq!(
        missing.collect::<Vec<_>>(),
        Vec::<&Code>::new(),
        "codes without a row"
    );
}

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
        ("\u{feff}{}", "not readable"),
    ] {
        let reply = api
            .raw("POST", "/gateway-groups", &[auth, json], body.to_owned())
            .await;
        assert_eq!(reply.line(), "400 unreadable", "{body}");
        assert!(reply.text.contains(part), "{body}: {}", reply.text);
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
    assert_eq!(reply.header(RETRY_AFTER), "2");
    assert_eq!(
        api.get("/gateway-groups/test").await.status,
        200,
        "reads never touch the store"
    );
}
