//! What is only looked at, and what is refused.

use super::*;

#[tokio::test]
async fn a_dry_run_is_what_the_call_would_be() {
    let api = Api::new().await;
    let marks = api.marks();
    let mut asked = body(&all());
    asked["dry_run"] = json!(true);
    let planned = api.apply(&asked).await;
    assert_eq!(planned.state, OperationState::Planned);
    assert_eq!(api.marks(), marks);
    let operation = planned.operation.expect("is shown");
    assert_eq!(
        (operation.operation, operation.destinations.len()),
        (None, 3)
    );
    assert!(operation.destinations.iter().all(|d| d.revision.is_none()));

    let mut call = body(&all());
    call["expect_plan"] = json!(planned.plan);
    let mut other = body(&all()[1..]);
    other["expect_plan"] = json!(planned.plan);
    api.check("POST /apply", other, "409 plan_changed expect_plan")
        .await;
    let applied = api.apply(&call).await;
    assert_eq!(applied.plan, planned.plan);
    assert_eq!(applied.resources, planned.resources);
    api.check("POST /apply", call, "409 plan_changed expect_plan")
        .await;

    // Problems are inside, wherever the call can be read.
    let broken = json!({"resources": [runs("nowhere", "a", "1"), {"kind": "service", "name": "S"}], "dry_run": true});
    let planned = api.apply(&broken).await;
    let codes: Vec<_> = planned
        .problems
        .iter()
        .map(|p| format!("{} {}", p.code, p.path))
        .collect();
    assert_eq!(
        codes,
        ["invalid resources[1].name", "required resources[1].routes"]
    );
    let refused = json!({"resources": [runs("nowhere", "a", "1")], "dry_run": true});
    let planned = api.apply(&refused).await;
    assert_eq!(planned.problems[0].code, "group_missing");
    assert_eq!(planned.state, OperationState::Planned);
    let unreadable = json!({"resources": [{"kind": "service", "nmae": 1}], "dry_run": true});
    api.check("POST /apply", unreadable, "400 required resources[0].name required resources[0].routes unknown_field resources[0].nmae").await;
}

#[tokio::test]
async fn refusals_name_every_place_and_change_nothing() {
    let api = Api::new().await;
    api.apply(&body(&all())).await;
    let (marks, dump) = (api.marks(), api.dump().await);
    let mut same_route = service("c");
    same_route["routes"][0]["paths"] = json!(["/a"]);
    let mut enforced = group("test");
    enforced["enforce_publishing"] = json!(true);
    let edited = json!({"kind": "published_service", "group": "test", "service": "a",
        "definition": {"name": "a", "routes": [{"name": "r", "paths": ["/z"]}]}});
    let unbound =
        json!({"kind": "published_service", "group": "production", "service": "a", "version": "1"});
    let rows = [
        (json!({}), "422 required resources"),
        (
            json!({"resources": [], "prune": {"labels": {}}}),
            "422 required prune.labels",
        ),
        (
            body(&[json!({"kind": "consumer"})]),
            "422 invalid resources[0].kind",
        ),
        (
            body(&[group("a"), group("a")]),
            "422 duplicate resources[1]",
        ),
        (
            body(&[registry("nowhere")]),
            "422 group_missing resources[0].group",
        ),
        (
            body(&[unbound]),
            "422 binding_required resources[0].binding",
        ),
        (
            body(&[runs("test", "x", "1")]),
            "422 service_missing resources[0].version",
        ),
        (
            body(&[runs("test", "c", "1"), same_route]),
            "409 route_conflict resources[1].routes[0].paths[0]",
        ),
        (
            body(&[edited, enforced]),
            "409 publishing_enforced resources[0].definition",
        ),
        (
            body(&[
                json!({"kind": "published_service", "group": "test", "service": "a", "version": "1",
                "definition": {"name": "a", "routes": [{"name": "r", "paths": ["/z"]}]}}),
            ]),
            "422 invalid resources[0].definition",
        ),
        (
            json!({"resources": (0..33).map(|n| group(&format!("g{n}"))).collect::<Vec<_>>()}),
            "422 limit_exceeded resources",
        ),
    ];
    for (call, expect) in rows {
        api.check("POST /apply", call, expect).await;
    }
    // Within the limits of a call, but not of one transaction.
    let mut many: Vec<_> = (0..64).map(|n| service(&format!("s{n}"))).collect();
    many.push(group("many"));
    many.extend((0..64).map(|n| runs("many", &format!("s{n}"), "1")));
    api.check("POST /apply", body(&many), "422 limit_exceeded")
        .await;
    let mut asked = body(&many);
    asked["dry_run"] = json!(true);
    let planned = api.apply(&asked).await;
    let stops = planned
        .problems
        .iter()
        .find(|problem| problem.code == "limit_exceeded");
    assert!(stops.is_some(), "a dry run tells it too");
    assert_eq!(api.marks(), marks);
    assert_eq!(api.dump().await, dump);
    // Half of it fits.
    api.apply(&body(&many[..65])).await;
}

#[tokio::test]
async fn who_may_only_read_may_not_even_try() {
    let api = Api::new().await;
    let draft = json!({"name": "dashboard", "scope": "read"});
    let made = api.check("POST /tokens", draft, "201").await;
    let bearer = format!("Bearer {}", made["secret"].as_str().expect("is shown once"));
    let headers = [
        (AUTHORIZATION.as_str(), bearer.as_str()),
        (CONTENT_TYPE.as_str(), "application/json"),
    ];
    let mut asked = body(&all());
    asked["dry_run"] = json!(true);
    for body in [body(&all()), asked] {
        let reply = api.raw("POST", "/apply", &headers, body.to_string()).await;
        assert_eq!(reply.line(), "403 forbidden");
    }
}
