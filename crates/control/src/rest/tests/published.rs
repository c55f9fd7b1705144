//! What groups run, and the calls that change it.

use super::*;

const PUBLISHED: &str = "/gateway-groups/production/services/httpbin";

fn to_production(binding: &Value) -> Value {
    json!({"to": [{"group": "production", "binding": binding}]})
}

/// The scenario that must always work, as far as the control plane goes.
#[tokio::test]
async fn from_test_to_production() {
    let api = Api::furnished().await;
    let sync = "POST /gateway-groups/test/services/httpbin/sync";
    let mut dry = to_production(&nodes("httpbin.org"));
    dry["dry_run"] = json!(true);
    let planned = api.check(sync, dry, "200").await;
    assert_eq!(
        (&planned["state"], &planned["operation"]),
        (&json!("planned"), &Value::Null)
    );
    api.check(&format!("GET {PUBLISHED}"), Value::Null, "404 not_found")
        .await;

    let mut real = to_production(&nodes("httpbin.org"));
    real["expect_plan"] = planned["plan"].clone();
    real["expect_version"] = json!("1.0.0");
    let synced = api.check(sync, real.clone(), "200").await;
    assert_eq!(
        (&synced["state"], &synced["kind"], &synced["by"]),
        (&json!("succeeded"), &json!("sync"), &json!("admin"))
    );
    assert_eq!(synced["plan"], planned["plan"]);
    let again = api.check(sync, to_production(&Value::Null), "200").await;
    assert_eq!(again["state"], "unchanged");
    api.check(sync, real, "409 plan_changed expect_plan").await;

    let published = api.get(PUBLISHED).await.json();
    let test = api
        .get("/gateway-groups/test/services/httpbin")
        .await
        .json();
    assert_eq!(
        (&published["version"], &published["digest"]),
        (&test["version"], &test["digest"])
    );
    assert_ne!(
        published["binding"], test["binding"],
        "the binding is the destination's own"
    );
    assert_eq!(
        published["convergence"],
        json!({"online": 0, "converged": 0, "held": 0})
    );
    assert_eq!(
        (&published["title"], &published["rollout"]),
        (&json!("httpbin API"), &Value::Null)
    );

    let operation = api
        .get(&format!(
            "/operations/{}",
            synced["operation"].as_str().unwrap()
        ))
        .await;
    assert_eq!(operation.json(), synced);
}

#[tokio::test]
async fn several_services_in_one_call() {
    let api = Api::furnished().await;
    let other = json!({"routes": [{"name": "r", "paths": ["/other"]}]});
    api.check("PUT /services/other", other, "201").await;
    let publish = json!({"version": "7", "groups": [{"group": "test", "binding": nodes("a")}]});
    api.check("POST /services/other/publish", publish, "200")
        .await;
    let sync = "POST /gateway-groups/test/sync";
    let body = json!({
        "services": [{"service": "httpbin", "expect_version": "1.0.0"}, {"service": "other"}],
        "to": [{"group": "production", "bindings": {"httpbin": nodes("a"), "other": nodes("b")}}],
    });
    let synced = api.check(sync, body, "200").await;
    assert_eq!(
        (&synced["service"], &synced["version"]),
        (&Value::Null, &Value::Null)
    );
    let versions: Vec<_> = synced["destinations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["version"])
        .collect();
    assert_eq!(versions, ["1.0.0", "7"]);
    let stray = json!({
        "services": [{"service": "other"}, {"service": "other"}],
        "to": [{"group": "production", "bindings": {"httpbin": nodes("a")}}],
    });
    api.check(
        sync,
        stray,
        "422 duplicate services[1].service service_missing to[0].bindings.httpbin",
    )
    .await;
}

#[tokio::test]
async fn set_and_unpublish() {
    let api = Api::furnished().await;
    let path = "/gateway-groups/test/services/httpbin";
    let patch = format!("PATCH {path}");
    for (body, kind, state) in [
        (json!({"enabled": false}), "disable", "succeeded"),
        (json!({"enabled": false}), "disable", "unchanged"),
        (json!({"enabled": true}), "enable", "succeeded"),
        (
            json!({"binding": nodes("b.example")}),
            "binding",
            "succeeded",
        ),
        (
            json!({"binding": nodes("c.example"), "enabled": true}),
            "binding",
            "succeeded",
        ),
        // Whether it serves is the more serious of two.
        (
            json!({"binding": nodes("b.example"), "enabled": false}),
            "disable",
            "succeeded",
        ),
    ] {
        let done = api.check(&patch, body.clone(), "200").await;
        assert_eq!(
            (&done["kind"], &done["state"]),
            (&json!(kind), &json!(state)),
            "{body}"
        );
    }
    // The binding is replaced whole: it is no merge.
    let hosts = json!({"binding": {"nodes": [{"host": "c"}], "hosts": ["c.example"]}});
    api.check(&patch, hosts, "200").await;
    api.check(&patch, json!({"binding": nodes("c")}), "200")
        .await;
    assert_eq!(api.get(path).await.json()["binding"]["hosts"], Value::Null);
    for (body, expect) in [
        (json!({}), "422 required"),
        (json!({"binding": null}), "422 invalid binding"),
        (json!({"enabled": null}), "422 invalid enabled"),
        (json!({"version": "2"}), "422 required"),
        (json!({"versoin": "2"}), "400 unknown_field versoin"),
        (
            json!({"binding": {"nodes": [{"host": "a", "wait": 1}]}}),
            "400 unknown_field binding.nodes[0].wait",
        ),
    ] {
        let reply = api.send("PATCH", path, body.clone()).await;
        assert!(reply.line().starts_with(expect), "{body}: {}", reply.line());
    }

    let planned = api
        .check(&format!("DELETE {path}?dry_run=true"), Value::Null, "200")
        .await;
    assert_eq!(
        (&planned["state"], &planned["kind"]),
        (&json!("planned"), &json!("unpublish"))
    );
    assert_eq!(api.get(path).await.status, 200, "a dry run changes nothing");
    let plan = planned["plan"].as_str().unwrap();
    api.check(
        &format!("DELETE {path}?expect_plan={plan}&wait=1s"),
        Value::Null,
        "200",
    )
    .await;
    api.check(&format!("GET {path}"), Value::Null, "404 not_found")
        .await;

    let history = api.get(&format!("{path}/history")).await.json();
    let kinds: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "unpublish",
            "binding",
            "binding",
            "disable",
            "binding",
            "binding",
            "enable",
            "disable",
            "publish"
        ],
        "newest first, and it stays; what changed nothing is not in it"
    );
    let newest = &history["items"][0];
    assert_eq!(
        (&newest["digest"], &newest["binding"], &newest["version"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    api.check(
        "GET /gateway-groups/production/services/httpbin/history",
        Value::Null,
        "404 not_found",
    )
    .await;
    api.check(
        "GET /gateway-groups/none/services/httpbin/history",
        Value::Null,
        "404 not_found",
    )
    .await;
}

#[tokio::test]
async fn edit_and_rollback() {
    let api = Api::furnished().await;
    let path = "/gateway-groups/test/services/httpbin";
    let definition = api.get(&format!("{path}/definition")).await;
    let unchanged = api
        .check(&format!("PUT {path}/definition"), definition.json(), "200")
        .await;
    assert_eq!(
        unchanged["state"], "unchanged",
        "what GET answers, PUT takes"
    );
    assert_eq!(api.get(path).await.json()["version"], "1.0.0");

    let mut edited = definition.json();
    edited["routes"][0]["paths"] = json!(["/edited"]);
    let planned = api
        .check(
            &format!("PUT {path}/definition?dry_run=true"),
            edited.clone(),
            "200",
        )
        .await;
    assert_eq!(
        planned["destinations"][0]["changes"]["routes"]["changed"][0]["route"],
        "anything"
    );
    let tag = definition.header(ETAG).to_owned();
    let put = |tag: String| {
        let (api, path, edited) = (&api, format!("{path}/definition"), edited.clone());
        async move {
            api.with_headers("PUT", &path, &[(IF_MATCH.as_str(), &tag)], edited)
                .await
                .line()
        }
    };
    assert_eq!(put(tag.clone()).await, "200");
    assert_eq!(put(tag).await, "412 stale");
    assert_eq!(
        api.get(path).await.json()["version"],
        Value::Null,
        "No Version"
    );

    api.check(
        &format!("POST {path}/rollback"),
        json!({"version": "1.0.0", "with_binding": true}),
        "200",
    )
    .await;
    let back = api.get(path).await.json();
    assert_eq!(back["version"], "1.0.0");
    let history = api.get(&format!("{path}/history")).await.json();
    let digest = history["items"][1]["digest"].clone();
    api.check(
        &format!("POST {path}/rollback"),
        json!({"digest": digest}),
        "200",
    )
    .await;
    assert_eq!(api.get(path).await.json()["digest"], digest);
    for (body, expect) in [
        (json!({}), "422 required"),
        (json!({"version": "1.0.0", "digest": digest}), "422 invalid"),
        (json!({"version": "0.9.0"}), "422 not_in_history version"),
        (
            json!({"version": "1.0.0", "supersede": true}),
            "422 unsupported supersede",
        ),
    ] {
        api.check(&format!("POST {path}/rollback"), body, expect)
            .await;
    }
}

/// A dry run that can be read answers 200 with the problems inside.
#[tokio::test]
async fn dry_runs_carry_their_problems() {
    let api = Api::furnished().await;
    let publish = "POST /services/httpbin/publish";
    for (body, expect) in [
        (
            json!({"version": "1.0.0", "groups": [{"group": "test"}], "dry_run": true}),
            vec!["version_exists"],
        ),
        (
            json!({"version": "2", "groups": [{"group": "none"}], "dry_run": true}),
            vec!["group_missing"],
        ),
        (
            json!({"version": "?", "groups": [], "dry_run": true}),
            vec!["invalid", "required"],
        ),
        (
            json!({"groups": [{"group": "test"}], "dry_run": true, "rollout": {"waves": ["1"]}}),
            vec!["required", "rollout_unsupported"],
        ),
    ] {
        let planned = api.check(publish, body.clone(), "200").await;
        assert_eq!(
            (&planned["state"], &planned["kind"]),
            (&json!("planned"), &json!("publish"))
        );
        assert!(planned["plan"].as_str().unwrap().starts_with("blake3:"));
        let codes: Vec<_> = planned["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["code"].as_str().unwrap())
            .collect();
        assert_eq!(codes, expect, "{body}");
    }
    let unreadable = json!({"version": 1, "groups": [{"group": "test"}], "dry_run": true});
    api.check(publish, unreadable, "400 wrong_type version")
        .await;
    api.check(
        "POST /services/none/publish",
        json!({"dry_run": true}),
        "404 not_found",
    )
    .await;
    assert_eq!(
        api.get("/services/httpbin").await.json()["versions"],
        1,
        "nothing was made"
    );
}

#[tokio::test]
async fn waits_are_bounded() {
    let api = Api::furnished().await;
    let body = || json!({"version": "2", "groups": [{"group": "test"}]});
    for query in ["wait=6m", "wait=1", "wait=1s&wait=1s", "wat=1s"] {
        api.check(
            &format!("POST /services/httpbin/publish?{query}"),
            body(),
            "400 invalid_query",
        )
        .await;
    }
    let done = api
        .check("POST /services/httpbin/publish?wait=5m", body(), "200")
        .await;
    let path = format!(
        "/operations/{}?wait=5m",
        done["operation"].as_str().unwrap()
    );
    assert_eq!(
        api.get(&path).await.json(),
        done,
        "an operation that has ended is answered at once"
    );
}
