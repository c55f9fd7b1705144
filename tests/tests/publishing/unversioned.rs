//! No Version: a definition that was edited in its group.

use serde_json::{Value, json};

use super::desk::{Desk, binding, orders};
use crate::calls::{codes, ended, items, refused, succeeded};

#[test]
fn an_edit_in_place_takes_the_version_away() {
    let desk = Desk::published();
    let before = desk.running("test");
    let operation = succeeded(&desk.edit_in("test", "/edited"));
    assert_eq!(
        [&operation["kind"], &operation["version"]],
        [&json!("edit"), &Value::Null]
    );
    let edited = desk.running("test");
    assert_eq!(edited["version"], Value::Null);
    assert_ne!(edited["digest"], before["digest"]);
    assert_eq!(edited["binding"], before["binding"]);
    let definition = "/gateway-groups/test/services/orders/definition";
    let definition = desk.api().get(definition).json_of(200);
    assert_eq!(definition["routes"][0]["paths"], json!(["/edited"]));
    // The version is what it was, and runs nowhere.
    let version = desk
        .api()
        .get("/services/orders/versions/1.0.0")
        .json_of(200);
    assert_eq!(version["digest"], before["digest"]);
    assert_eq!(version["running_in"], json!([]));
}

#[test]
fn an_edit_that_changes_nothing_keeps_the_version() {
    let desk = Desk::published();
    let revision = desk.revision("test");
    ended(&desk.edit_in("test", "/orders"), "unchanged");
    // Neither does what GET answers, sent back as it is.
    let definition = "/gateway-groups/test/services/orders/definition";
    let got = desk.api().get(definition).json_of(200);
    ended(&desk.api().put(definition, &got), "unchanged");
    assert_eq!(desk.running("test")["version"], "1.0.0");
    assert_eq!(desk.revision("test"), revision);
}

#[test]
fn a_sync_gives_it_a_number() {
    let desk = Desk::published();
    let hub = desk.hub_digest();
    succeeded(&desk.edit_in("test", "/edited"));
    let to = [("production", Some(&binding()))];
    let answer = desk.try_sync("test", &to, json!({}));
    assert_eq!(refused(&answer, 422), ["version_required"]);
    let answer = desk.try_sync("test", &to, json!({"version": "1.0.0"}));
    assert_eq!(refused(&answer, 409), ["version_exists"]);

    let operation = succeeded(&desk.try_sync("test", &to, json!({"version": "1.0.1"})));
    assert_eq!(operation["version"], "1.0.1");
    let (test, production) = (desk.running("test"), desk.running("production"));
    for running in [&test, &production] {
        assert_eq!(running["version"], "1.0.1", "source and destination run it");
        assert_eq!(running["digest"], operation["digest"]);
    }
    assert_eq!(desk.hub_digest(), hub, "the hub is not changed");
    let versions = items(&desk.api().get("/services/orders/versions"));
    assert_eq!(versions.len(), 2);
}

#[test]
fn what_replaces_an_edit_warns_and_can_be_undone() {
    let desk = Desk::published();
    let edit = succeeded(&desk.edit_in("test", "/edited"))["digest"].clone();
    let published = succeeded(&desk.try_publish("1.1.0", &[("test", None)]));
    assert!(
        codes(&published, "warning").contains(&"unversioned_edit_replaced".to_owned()),
        "{published:#}"
    );
    assert_eq!(desk.running("test")["version"], "1.1.0");

    succeeded(&desk.try_rollback("test", &json!({"digest": edit})));
    let running = desk.running("test");
    assert_eq!(
        [&running["version"], &running["digest"]],
        [&Value::Null, &edit]
    );
}

#[test]
fn a_group_can_refuse_edits() {
    let desk = Desk::published();
    let group = "/gateway-groups/test";
    let set = |enforce: bool| {
        let body = json!({"enforce_publishing": enforce});
        let answer = desk.api().patch(group, &body).json_of(200);
        assert_eq!(answer["enforce_publishing"], enforce);
    };
    set(true);
    let answer = desk.edit_in("test", "/edited");
    assert_eq!(refused(&answer, 409), ["publishing_enforced"]);
    assert_eq!(desk.running("test")["version"], "1.0.0");
    // Where its upstream is and whether it serves stays the group's own matter.
    let other = super::desk::binding_to(81);
    succeeded(&desk.patch("test", &json!({"binding": other, "enabled": false})));
    succeeded(&desk.try_publish("1.0.1", &[("test", None)]));
    set(false);
    succeeded(&desk.edit_in("test", "/edited"));
}

#[test]
fn what_is_not_published_cannot_be_edited() {
    let desk = Desk::published();
    let body = json!({"enforce_publishing": true});
    desk.api()
        .patch("/gateway-groups/production", &body)
        .json_of(200);
    // The URL names nothing: that goes before what the group forbids.
    for group in ["staging", "production", "none-such"] {
        let answer = desk.edit_in(group, "/edited");
        assert_eq!(refused(&answer, 404), ["not_found"], "{group}");
    }
}

#[test]
fn an_edit_is_read_as_strictly_as_the_hub() {
    let desk = Desk::published();
    let path = "/gateway-groups/test/services/orders/definition";
    for (change, value, status, place) in [
        (
            "/routes/0/paths/0",
            json!("no-slash"),
            422,
            "routes[0].paths[0]",
        ),
        ("/routes/0/name", json!(7), 400, "routes[0].name"),
        ("/name", json!("users"), 422, "name"),
    ] {
        let mut body = orders("/edited");
        *body.pointer_mut(change).expect("it has that") = value;
        let refusal = desk.api().put(path, &body).json_of(status);
        assert_eq!(refusal["problems"][0]["path"], place, "{refusal:#}");
    }
}
