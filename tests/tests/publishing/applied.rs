//! `POST /apply`, as a program calls it that has no command line: what it would do, then that and
//! nothing else, in one transaction.

use std::time::Duration;

use ferryway_testkit::{Answer, Api, eventually};
use serde_json::{Value, json};

use crate::calls::{group, items, refused, succeeded, text};
use crate::site::{GROUP, Site};

const DELIVERY_TIME_MAX: Duration = Duration::from_secs(15);

fn service(name: &str, path: &str) -> Value {
    json!({"kind": "service", "name": name, "labels": {"team": "core"},
        "routes": [{"name": "all", "paths": [path]}]})
}

fn runs(site: &Site, group: &str, name: &str, version: &str) -> Value {
    let address = site.upstream.address();
    json!({"kind": "published_service", "group": group, "service": name, "version": version,
        "binding": {"nodes": [{"host": address.ip(), "port": address.port()}]}})
}

/// A second group, a registry in it, a service, and where it runs: each leans on one before or
/// after it.
fn all(site: &Site, path: &str, version: &str) -> Vec<Value> {
    vec![
        runs(site, GROUP, "orders", version),
        runs(site, "production", "orders", version),
        json!({"kind": "registry", "group": "production", "name": "names", "type": "dns"}),
        service("orders", path),
        json!({"kind": "gateway_group", "name": "production", "labels": {"team": "core"}}),
    ]
}

#[track_caller]
fn apply(api: &Api, body: &Value) -> Answer {
    api.post("/apply?wait=30s", body)
}

#[track_caller]
fn planned(api: &Api, body: &Value) -> Value {
    let mut body = body.clone();
    body["dry_run"] = json!(true);
    let planned = apply(api, &body).json_of(200);
    assert_eq!(planned["state"], "planned", "{planned:#}");
    assert_eq!(
        planned["operation"]["operation"],
        Value::Null,
        "{planned:#}"
    );
    planned
}

/// What becomes of each resource: `create orders in test`.
fn actions(applied: &Value) -> Vec<String> {
    let resources = applied["resources"].as_array().expect("a list");
    let line = |it: &Value| {
        let place = it["group"].as_str().map(|group| format!(" in {group}"));
        let (action, name) = (text(&it["action"]), text(&it["name"]));
        format!("{action} {name}{}", place.unwrap_or_default())
    };
    let mut lines: Vec<_> = resources.iter().map(line).collect();
    lines.sort();
    lines
}

/// What a transaction leaves behind: each group's revision, operations, and audit entries.
fn marks(api: &Api) -> (Vec<Value>, usize, usize) {
    let groups = items(&api.get("/gateway-groups"));
    let revisions = groups.iter().map(|it| it["revision"].clone()).collect();
    let count = |list: &str| items(&api.get(list)).len();
    (revisions, count("/operations"), count("/audit"))
}

#[test]
fn what_was_planned_is_what_is_done_at_once() {
    let site = Site::set();
    let api = site.api();
    let mut body = json!({"resources": all(&site, "/orders", "1.0.0")});
    let before = marks(&api);
    let plan = planned(&api, &body);
    let made = [
        "create names in production",
        "create orders",
        "create orders in production",
        "create orders in test",
        "create production",
    ];
    assert_eq!(actions(&plan), made);
    assert_eq!(marks(&api), before, "a dry run leaves nothing behind");

    // The digest that was shown is the plan that is made, in one transaction for all.
    body["expect_plan"] = plan["plan"].clone();
    let applied = succeeded(&apply(&api, &body));
    assert_eq!(actions(&applied), made);
    assert_eq!(applied["plan"], plan["plan"]);
    assert_eq!(site.get("/orders").status, 200);
    let (_, operations, audits) = before;
    let one_each = vec![json!(1), json!(1)];
    assert_eq!(marks(&api), (one_each.clone(), operations + 1, audits + 1));
    let id = text(&applied["operation"]["operation"]);
    let shown = api.get(&format!("/operations/{id}")).json_of(200);
    assert_eq!(shown["state"], "succeeded");

    // What is as declared stays as it is, and leaves nothing behind.
    body["expect_plan"] = Value::Null;
    let again = apply(&api, &body).json_of(200);
    assert_eq!(again["state"], "unchanged", "{again:#}");
    assert_eq!(marks(&api), (one_each, operations + 1, audits + 1));
}

#[test]
fn what_changed_meanwhile_is_not_done_unseen() {
    let site = Site::set();
    let api = site.api();
    let first = json!({"resources": all(&site, "/orders", "1.0.0")});
    succeeded(&apply(&api, &first));
    let mut second = json!({"resources": all(&site, "/orders/*", "1.1.0")});
    second["expect_plan"] = planned(&api, &second)["plan"].clone();

    // Somebody else changes what it starts from.
    let path = format!("/gateway-groups/{GROUP}/services/orders");
    let disabled = api.patch(&format!("{path}?wait=30s"), &json!({"enabled": false}));
    succeeded(&disabled);
    let before = marks(&api);
    assert_eq!(refused(&apply(&api, &second), 409), ["plan_changed"]);
    assert_eq!(marks(&api), before);
    assert_eq!(site.get("/orders").status, 404);

    // Looked at again, it is another plan, and is done.
    second["expect_plan"] = Value::Null;
    let plan = planned(&api, &second);
    second["expect_plan"] = plan["plan"].clone();
    succeeded(&apply(&api, &second));
}

#[test]
fn a_refusal_names_every_place_and_changes_nothing() {
    let site = Site::set();
    let api = site.api();
    let before = marks(&api);
    let mut resources = all(&site, "/orders", "1.0.0");
    resources.push(runs(&site, "nowhere", "orders", "1.0.0"));
    resources.push(runs(&site, GROUP, "none", "1.0.0"));
    let body = json!({ "resources": resources });
    let answer = apply(&api, &body);
    let mut codes = refused(&answer, 422);
    codes.sort();
    assert_eq!(codes, ["group_missing", "service_missing"]);
    let problems = answer.json();
    let paths = problems["problems"].as_array().expect("a list");
    let mut paths: Vec<_> = paths.iter().map(|it| text(&it["path"])).collect();
    paths.sort_unstable();
    paths.retain(|path| !path.is_empty());
    assert!(paths.contains(&"resources[5].group"), "{paths:?}");
    assert!(paths.contains(&"resources[6].version"), "{paths:?}");
    assert_eq!(marks(&api), before);
}

/// More than one transaction holds is refused whole, by the dry run too; in parts it is taken, and
/// what is there already costs nothing.
#[test]
fn what_is_too_much_for_one_transaction_is_refused_whole() {
    let site = Site::set();
    let api = site.api();
    let services: Vec<_> = (0..130)
        .map(|n| service(&format!("s{n}"), &format!("/s{n}")))
        .collect();
    let body = json!({ "resources": services });
    let plan = planned(&api, &body);
    let problems = plan["problems"].to_string();
    assert!(problems.contains("limit_exceeded"), "{problems}");
    assert!(problems.contains("split"), "says what to do: {problems}");
    assert_eq!(refused(&apply(&api, &body), 422), ["limit_exceeded"]);
    assert_eq!(items(&api.get("/services?limit=200")).len(), 0);

    for part in services.chunks(50) {
        succeeded(&apply(&api, &json!({ "resources": part })));
    }
    assert_eq!(items(&api.get("/services?limit=200")).len(), 130);
}

#[test]
fn what_goes_by_label_is_listed_first() {
    let site = Site::set();
    let api = site.api();
    let first = json!({"resources": all(&site, "/orders", "1.0.0")});
    succeeded(&apply(&api, &first));
    let kept = json!({"kind": "gateway_group", "name": "production", "labels": {"team": "core"}});
    let mut body = json!({"resources": [kept], "prune": {"labels": {"team": "core"}}});

    let plan = planned(&api, &body);
    let gone = [
        "delete orders",
        "delete orders in production",
        "delete orders in test",
        "unchanged production",
    ];
    assert_eq!(actions(&plan), gone);
    assert_eq!(site.get("/orders").status, 200, "it was only listed");

    body["expect_plan"] = plan["plan"].clone();
    let pruned = succeeded(&apply(&api, &body));
    assert_eq!(actions(&pruned), gone);
    assert_eq!(site.get("/orders").status, 404);
    assert_eq!(items(&api.get("/services")).len(), 0);
    assert_eq!(group(&api, "production")["revision"], 2);
    let registries = api.get("/gateway-groups/production/registries");
    assert_eq!(items(&registries).len(), 1, "what has no labels stays");
}

#[test]
fn a_key_stands_for_its_first_call() {
    let site = Site::set();
    let api = site.api();
    let body = json!({"resources": all(&site, "/orders", "1.0.0")});
    let call = |body: &Value| api.call("POST", "/apply", &["Idempotency-Key: once"], Some(body));
    let first = call(&body).json();
    let id = text(&first["operation"]["operation"]).to_owned();
    let path = format!("/operations/{id}");
    eventually(DELIVERY_TIME_MAX, "the operation ends", || {
        let operation = api.get(&path).json_of(200);
        (operation["state"] == "succeeded").then_some(())
    });

    // Somebody takes it back; the same call again is the same call, and changes nothing.
    let path = format!("/gateway-groups/{GROUP}/services/orders?wait=30s");
    succeeded(&api.delete(&path));
    let before = marks(&api);
    let again = call(&body).json_of(200);
    assert_eq!(again["operation"]["operation"], json!(id));
    assert_eq!(marks(&api), before);
    assert_eq!(site.get("/orders").status, 404);

    let other = json!({"resources": [service("others", "/others")]});
    assert_eq!(refused(&call(&other), 422), ["idempotency_key_reused"]);
}
