//! A rollback runs what has run before in that group.

use serde_json::{Value, json};

use super::desk::{Desk, binding, binding_to};
use crate::calls::{ended, refused, succeeded, text};

/// `test` has run 1.0.0 with port 80, then 1.1.0 with port 81.
fn desk() -> Desk {
    let desk = Desk::published();
    desk.edit_hub("/orders/v2");
    succeeded(&desk.try_publish("1.1.0", &[("test", Some(&binding_to(81)))]));
    desk
}

#[test]
fn by_version_or_digest_and_with_the_binding_of_that_time_if_asked() {
    type Body = fn(digest: &str) -> Value;
    let cases: [(Body, u16); 4] = [
        (|_| json!({"version": "1.0.0"}), 81),
        (|digest| json!({"digest": digest}), 81),
        (|_| json!({"version": "1.0.0", "with_binding": true}), 80),
        (|digest| json!({"digest": digest, "with_binding": true}), 80),
    ];
    for (body, port) in cases {
        let desk = desk();
        let first = desk
            .api()
            .get("/services/orders/versions/1.0.0")
            .json_of(200)["digest"]
            .clone();
        let body = body(text(&first));
        let operation = succeeded(&desk.try_rollback("test", &body));
        assert_eq!(operation["kind"], "rollback", "{body}");
        let running = desk.running("test");
        assert_eq!(
            [&running["version"], &running["digest"]],
            [&json!("1.0.0"), &first],
            "{body}"
        );
        assert_eq!(running["binding"]["nodes"][0]["port"], port, "{body}");
        let definition = "/gateway-groups/test/services/orders/definition";
        let definition = desk.api().get(definition).json_of(200);
        assert_eq!(
            definition["routes"][0]["paths"],
            json!(["/orders"]),
            "{body}"
        );
    }
}

#[test]
fn to_what_runs_changes_nothing() {
    let desk = desk();
    let revision = desk.revision("test");
    let answer = desk.try_rollback("test", &json!({"version": "1.1.0"}));
    ended(&answer, "unchanged");
    assert_eq!(desk.revision("test"), revision);
}

#[test]
fn only_to_what_ran_in_that_group() {
    let desk = desk();
    // 1.2.0 exists, and ran in production only.
    desk.edit_hub("/orders/v3");
    let elsewhere = succeeded(&desk.try_publish("1.2.0", &[("production", Some(&binding()))]));
    let never = format!("blake3:{}", "0".repeat(64));
    for body in [
        json!({"version": "1.2.0"}),
        json!({"version": "9"}),
        json!({"digest": elsewhere["digest"]}),
        json!({"digest": never}),
    ] {
        let answer = desk.try_rollback("test", &body);
        assert_eq!(refused(&answer, 422), ["not_in_history"], "{body}");
    }
    for body in [json!({}), json!({"version": "1.0.0", "digest": never})] {
        assert_eq!(desk.try_rollback("test", &body).status, 422, "{body}");
    }
    for group in ["staging", "none-such"] {
        let answer = desk.try_rollback(group, &json!({"version": "1.0.0"}));
        assert_eq!(refused(&answer, 404), ["not_found"], "{group}");
    }
}

#[test]
fn a_later_publish_keeps_it_in_the_history() {
    let desk = desk();
    succeeded(&desk.try_rollback("test", &json!({"version": "1.0.0"})));
    succeeded(&desk.try_rollback("test", &json!({"version": "1.1.0"})));
    assert_eq!(desk.running("test")["version"], "1.1.0");
}
