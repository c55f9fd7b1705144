//! Every change can be asked what it would do, and be made conditional on that answer.

use serde_json::{Value, json};

use super::desk::{Desk, binding, binding_to};
use crate::calls::{codes, ended, refused, succeeded, text};

/// A change that can be previewed: where it is sent, and its body.
type Change = (&'static str, Value);

/// One of each sort, on a desk where `test` ran 1.0.0 and runs 1.1.0.
fn changes() -> [Change; 4] {
    [
        (
            "/services/orders/publish",
            json!({"version": "2.0.0", "groups": [{"group": "test"}]}),
        ),
        (
            "/gateway-groups/test/services/orders/sync",
            json!({"to": [{"group": "production", "binding": binding()}]}),
        ),
        (
            "/gateway-groups/test/sync",
            json!({"services": [{"service": "orders"}],
                   "to": [{"group": "production", "bindings": {"orders": binding()}}]}),
        ),
        (
            "/gateway-groups/test/services/orders/rollback",
            json!({"version": "1.0.0"}),
        ),
    ]
}

fn desk() -> Desk {
    let desk = Desk::published();
    desk.edit_hub("/orders/v2");
    desk.publish("1.1.0", "test");
    desk.edit_hub("/orders/v3");
    desk
}

/// The plan's digest from a dry run that must find no error.
#[track_caller]
fn preview(desk: &Desk, (path, body): &Change) -> Value {
    let mut body = body.clone();
    body["dry_run"] = json!(true);
    let planned = ended(&desk.api().post(path, &body), "planned");
    assert_eq!(planned["operation"], Value::Null, "a dry run makes none");
    assert_eq!(planned["destinations"][0]["revision"], Value::Null);
    assert!(text(&planned["plan"]).starts_with("blake3:"));
    planned["plan"].clone()
}

/// The change, if the plan is still this one.
#[track_caller]
fn make(desk: &Desk, (path, body): &Change, plan: &Value) -> ferryway_testkit::Answer {
    let mut body = body.clone();
    body["expect_plan"] = plan.clone();
    desk.api().post(&format!("{path}?wait=30s"), &body)
}

#[test]
fn a_dry_run_changes_nothing_and_can_be_insisted_on() {
    for change in changes() {
        let desk = desk();
        let before = desk.traces();
        let plan = preview(&desk, &change);
        assert_eq!(desk.traces(), before, "{}", change.0);
        assert_eq!(preview(&desk, &change), plan, "{}", change.0);

        let operation = succeeded(&make(&desk, &change, &plan));
        assert_eq!(operation["plan"], plan, "{}", change.0);
    }
}

#[test]
fn a_plan_that_is_another_by_now_is_refused() {
    for change in changes() {
        let desk = desk();
        let plan = preview(&desk, &change);
        // What the change starts from moves on, in the source and in the destination.
        succeeded(&desk.patch("test", &json!({"binding": binding_to(81)})));
        desk.edit_hub("/orders/v4");
        succeeded(&desk.edit_in("test", "/edited"));
        succeeded(&desk.try_publish("1.2.0", &[("test", None)]));
        let before = desk.traces();
        assert_eq!(
            refused(&make(&desk, &change, &plan), 409),
            ["plan_changed"],
            "{}",
            change.0
        );
        assert_eq!(desk.traces(), before, "{}", change.0);
    }
}

#[test]
fn a_dry_run_says_what_would_be_refused() {
    let desk = desk();
    for (path, body, code) in [
        (
            "/services/orders/publish",
            json!({"version": "1.1.0", "groups": [{"group": "test"}]}),
            "version_exists",
        ),
        (
            "/services/orders/publish",
            json!({"version": "3", "groups": [{"group": "production"}]}),
            "binding_required",
        ),
        (
            "/gateway-groups/test/services/orders/sync",
            json!({"to": [{"group": "production", "binding": binding()}], "expect_version": "9"}),
            "source_moved",
        ),
        (
            "/gateway-groups/test/services/orders/rollback",
            json!({"version": "9"}),
            "not_in_history",
        ),
    ] {
        let before = desk.traces();
        let mut dry = body.clone();
        dry["dry_run"] = json!(true);
        let planned = ended(&desk.api().post(path, &dry), "planned");
        assert_eq!(codes(&planned, "error"), [code], "{planned:#}");
        assert_eq!(desk.traces(), before);
        let answer = desk.api().post(path, &body);
        assert_eq!(codes(&answer.json(), "error"), [code]);
        assert!([409, 422].contains(&answer.status), "{}", answer.status);
    }
    let nowhere = "/gateway-groups/none-such/services/orders/rollback";
    let answer = desk
        .api()
        .post(nowhere, &json!({"version": "1", "dry_run": true}));
    assert_eq!(refused(&answer, 404), ["not_found"]);
}

#[test]
fn a_plan_shows_the_differences() {
    let desk = desk();
    let mut definition = super::desk::orders("/orders/v4");
    definition["routes"]
        .as_array_mut()
        .expect("it has routes")
        .push(json!({"name": "one", "paths": ["/orders/{id}"]}));
    definition["hosts"] = json!(["orders.example"]);
    crate::calls::define(&desk.api(), &definition);
    let body = json!({
        "version": "2.0.0",
        "groups": [{"group": "test", "binding": binding_to(81)}],
        "dry_run": true,
    });
    let planned = ended(
        &desk.api().post("/services/orders/publish", &body),
        "planned",
    );
    let destination = &planned["destinations"][0];
    assert_eq!(
        [&destination["from_version"], &planned["version"]],
        ["1.1.0", "2.0.0"]
    );
    let changes = &destination["changes"];
    assert_eq!(changes["routes"]["added"], json!(["one"]));
    assert_eq!(changes["routes"]["removed"], json!([]));
    assert_eq!(changes["routes"]["changed"][0]["route"], "all");
    assert!(text(&changes["routes"]["changed"][0]["diff"]).contains("/orders/v4"));
    assert_eq!(changes["binding"]["before"]["nodes"], binding()["nodes"]);
    assert_eq!(
        changes["binding"]["after"]["nodes"],
        binding_to(81)["nodes"]
    );
    assert_ne!(changes["hosts"], Value::Null);
    assert_eq!(changes["upstream"], Value::Null);
    assert_eq!(changes["checks"], Value::Null);
}
