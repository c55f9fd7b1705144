//! A publish makes a version that is never made again, and runs it in all its groups or in none.

use serde_json::{Value, json};

use super::desk::{Desk, SERVICE, binding, binding_to};
use crate::calls::{define, items, refused, succeeded, text};

#[test]
fn a_publish_goes_to_one_group_or_to_several() {
    let desk = Desk::set();
    let first = desk.publish("1.0.0", "test");
    assert_eq!(
        (&first["kind"], &first["service"]),
        (&json!("publish"), &json!(SERVICE))
    );
    let (test, production) = (desk.revision("test"), desk.revision("production"));

    desk.edit_hub("/orders/v2");
    let groups = [("test", None), ("production", Some(&binding_to(81)))];
    let second = succeeded(&desk.try_publish("1.1.0", &groups));
    let destinations: Vec<_> = second["destinations"]
        .as_array()
        .expect("an operation has destinations")
        .iter()
        .map(|it| [&it["group"], &it["from_version"], &it["revision"]])
        .collect();
    assert_eq!(
        json!(destinations),
        json!([
            ["test", "1.0.0", test + 1],
            ["production", null, production + 1]
        ])
    );
    for (group, binding) in [("test", binding()), ("production", binding_to(81))] {
        let running = desk.running(group);
        assert_eq!(running["version"], "1.1.0", "{group}");
        assert_eq!(running["digest"], second["digest"], "{group}");
        assert_eq!(running["binding"]["nodes"], binding["nodes"], "{group}");
        assert_eq!(running["enabled"], true, "{group}");
    }
    assert_ne!(first["digest"], second["digest"]);
}

#[test]
fn a_version_says_what_it_holds_and_where_it_runs() {
    let desk = Desk::set();
    let operation = desk.publish("1.0.0", "test");
    desk.publish("1.0.1", "production");

    let versions = items(&desk.api().get("/services/orders/versions"));
    let numbers: Vec<_> = versions.iter().map(|it| text(&it["version"])).collect();
    assert_eq!(numbers.len(), 2, "{numbers:?}");
    let version = desk
        .api()
        .get("/services/orders/versions/1.0.0")
        .json_of(200);
    assert_eq!(version["digest"], operation["digest"]);
    assert_eq!(version["running_in"], json!(["test"]));
    assert_eq!(
        version["definition"]["routes"][0]["paths"],
        json!(["/orders"])
    );
    assert_eq!(version["definition"]["title"], Value::Null);
}

#[test]
fn a_number_is_used_once_for_a_service() {
    type Step = fn(&Desk);
    let steps: [(&str, Step); 4] = [
        ("it runs", |_| {}),
        ("another one runs", |desk| {
            desk.publish("1.0.1", "test");
        }),
        ("none runs", |desk| {
            desk.unpublish("test");
        }),
        ("the service was deleted and made anew", |desk| {
            let deleted = desk.api().delete("/services/orders");
            assert_eq!(deleted.status, 204, "{}", deleted.text());
            desk.edit_hub("/anew");
        }),
    ];
    let desk = Desk::published();
    for (when, step) in steps {
        step(&desk);
        let before = desk.traces();
        let codes = refused(
            &desk.try_publish("1.0.0", &[("test", Some(&binding()))]),
            409,
        );
        assert_eq!(codes, ["version_exists"], "when {when}");
        assert_eq!(desk.traces(), before, "when {when}");
    }
    // Another service's numbers are its own.
    define(&desk.api(), &crate::calls::service("users", &[("u", "/u")]));
    let users = crate::calls::publish(&desk.api(), "users", "1.0.0", &[("test", Some(&binding()))]);
    succeeded(&users);
}

#[test]
fn numbers_have_a_form() {
    let desk = Desk::set();
    for (number, is_one) in [
        ("1", true),
        ("v1.0_rc-1+build.7", true),
        (&*"9".repeat(64), true),
        (&*"9".repeat(65), false),
        ("", false),
        (".1", false),
        ("-1", false),
        ("1/2", false),
        ("1 2", false),
        ("1\u{e9}", false),
    ] {
        let answer = desk.try_publish(number, &[("test", Some(&binding()))]);
        match is_one {
            true => drop(succeeded(&answer)),
            false => assert!(!refused(&answer, 422).is_empty(), "{number:?}"),
        }
    }
}

#[test]
fn all_groups_change_or_none_does() {
    let desk = Desk::published();
    let before = desk.traces();
    let (new, none) = (Some(&binding()), None);
    for (what, groups, code) in [
        (
            "a group that is not there",
            [("test", none), ("none-such", Some(&binding()))],
            "group_missing",
        ),
        (
            "a new group without a binding",
            [("test", none), ("production", none)],
            "binding_required",
        ),
        (
            "a group twice",
            [("test", none), ("test", new)],
            "duplicate",
        ),
    ] {
        let codes = refused(&desk.try_publish("2.0.0", &groups), 422);
        assert_eq!(codes, [code], "{what}");
        assert_eq!(desk.traces(), before, "{what}");
    }
    // The number that was refused three times is still free.
    succeeded(&desk.try_publish("2.0.0", &[("test", None)]));
}

#[test]
fn a_publish_can_insist_on_the_hubs_content() {
    let desk = Desk::set();
    let seen = desk.hub_digest();
    desk.edit_hub("/changed-meanwhile");
    let mut body = json!({
        "version": "1.0.0",
        "groups": [{"group": "test", "binding": binding()}],
        "expect_digest": seen,
    });
    let answer = desk.api().post("/services/orders/publish", &body);
    assert_eq!(refused(&answer, 409), ["source_moved"]);

    body["expect_digest"] = desk.hub_digest();
    let answer = desk.api().post("/services/orders/publish?wait=30s", &body);
    assert_eq!(succeeded(&answer)["digest"], body["expect_digest"]);
}

#[test]
fn what_names_nothing_is_said() {
    let desk = Desk::set();
    let body = json!({"version": "1", "groups": [{"group": "test", "binding": binding()}]});
    let answer = desk.api().post("/services/none-such/publish", &body);
    assert_eq!(refused(&answer, 404), ["not_found"]);
    let body = json!({"version": "1", "groups": []});
    assert_eq!(
        desk.api().post("/services/orders/publish", &body).status,
        422
    );
    let body = json!({"version": "1", "groups": [{"group": "test"}], "group": "test"});
    let answer = desk.api().post("/services/orders/publish", &body);
    assert_eq!(refused(&answer, 400), ["unknown_field"]);
}
