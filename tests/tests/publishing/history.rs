//! What ran in a group stays known, newest first, and so does who did it.

use serde_json::{Value, json};

use super::desk::{Desk, binding_to};
use crate::calls::{items, succeeded, text};

#[test]
fn every_change_is_an_entry_newest_first() {
    let desk = Desk::published();
    succeeded(&desk.edit_in("test", "/edited"));
    succeeded(&desk.patch("test", &json!({"enabled": false})));
    succeeded(&desk.patch("test", &json!({"enabled": true})));
    succeeded(&desk.patch("test", &json!({"binding": binding_to(81)})));
    desk.edit_hub("/orders/v2");
    succeeded(&desk.try_publish("1.1.0", &[("test", None)]));
    succeeded(&desk.try_rollback("test", &json!({"version": "1.0.0"})));
    desk.unpublish("test");
    // A refusal and a change that changes nothing are no entries.
    assert_eq!(desk.try_publish("1.0.0", &[("test", None)]).status, 422);

    let history = desk.history("test");
    let shown: Vec<_> = history
        .iter()
        .map(|entry| json!([entry["kind"], entry["version"], entry["enabled"]]))
        .collect();
    assert_eq!(
        Value::Array(shown[1..].to_vec()),
        json!([
            ["rollback", "1.0.0", true],
            ["publish", "1.1.0", true],
            ["binding", null, true],
            ["enable", null, true],
            ["disable", null, false],
            ["edit", null, true],
            ["publish", "1.0.0", true],
        ])
    );
    assert_eq!(shown[0][0], "unpublish");
    let ports: Vec<_> = history
        .iter()
        .skip(1)
        .map(|entry| &entry["binding"]["nodes"][0]["port"])
        .collect();
    assert_eq!(json!(ports), json!([81, 81, 81, 80, 80, 80, 80]));
    assert_eq!(history[1]["digest"], history[7]["digest"]);
    for entry in &history {
        let id = text(&entry["operation"]);
        let operation = desk.api().get(&format!("/operations/{id}")).json_of(200);
        assert_eq!(operation["kind"], entry["kind"]);
        assert_eq!(operation["by"], entry["by"]);
    }
}

#[test]
fn a_sync_is_an_entry_of_its_destination() {
    let desk = Desk::published();
    let to = [("production", Some(&binding_to(81)))];
    let operation = succeeded(&desk.try_sync("test", &to, json!({})));
    assert_eq!(desk.history("test").len(), 1);
    let [entry] = &desk.history("production")[..] else {
        panic!("one entry")
    };
    assert_eq!(
        [&entry["kind"], &entry["version"], &entry["operation"]],
        [&json!("sync"), &json!("1.0.0"), &operation["operation"]]
    );
}

#[test]
fn everything_that_changes_leaves_an_audit_entry() {
    let desk = Desk::published();
    succeeded(&desk.patch("test", &json!({"enabled": false})));
    let entries = items(&desk.api().get("/audit?limit=1000"));
    assert!(
        entries.len() >= 6,
        "3 groups, a service, a publish, a switch: {entries:#?}"
    );
    for entry in &entries {
        for part in ["at", "by", "from", "action", "target"] {
            assert_ne!(entry[part], Value::Null, "{part} of {entry:#}");
        }
    }
    let operations: Vec<_> = items(&desk.api().get("/operations"))
        .iter()
        .map(|it| it["operation"].clone())
        .collect();
    for operation in &operations {
        assert!(entries.iter().any(|entry| entry["operation"] == *operation));
    }
    assert_eq!(operations.len(), 2);
}
