//! One sync, several groups and several services. (What the scenario shows of one is not shown
//! again here.)

use serde_json::{Value, json};

use super::desk::{Desk, binding, binding_to};
use crate::calls::{codes, define, ended, publish, published, refused, service, succeeded};

/// A desk where `test` runs `orders` 1.0.0 and `users` 3.
fn desk() -> Desk {
    let desk = Desk::published();
    define(&desk.api(), &service("users", &[("all", "/users/*")]));
    let answer = publish(&desk.api(), "users", "3", &[("test", Some(&binding()))]);
    succeeded(&answer);
    desk
}

#[track_caller]
fn sync_all(desk: &Desk, body: &Value) -> ferryway_testkit::Answer {
    desk.api().post("/gateway-groups/test/sync?wait=30s", body)
}

#[test]
fn one_service_to_several_groups() {
    let desk = desk();
    let to = [
        ("staging", Some(&binding_to(81))),
        ("production", Some(&binding_to(82))),
    ];
    let operation = succeeded(&desk.try_sync("test", &to, json!({})));
    assert_eq!(
        [
            &operation["kind"],
            &operation["service"],
            &operation["version"]
        ],
        ["sync", "orders", "1.0.0"]
    );
    for (group, port) in [("staging", 81), ("production", 82)] {
        let running = desk.running(group);
        assert_eq!(running["version"], "1.0.0");
        assert_eq!(running["digest"], desk.running("test")["digest"]);
        assert_eq!(running["binding"]["nodes"][0]["port"], port);
    }
}

#[test]
fn several_services_to_several_groups_are_one_transaction() {
    let desk = desk();
    let before = desk.revision("production");
    let both = json!({"orders": binding_to(81), "users": binding_to(82)});
    let operation = succeeded(&sync_all(
        &desk,
        &json!({
            "services": [{"service": "orders", "expect_version": "1.0.0"}, {"service": "users"}],
            "to": [{"group": "production", "bindings": both}, {"group": "staging", "bindings": both}],
        }),
    ));
    assert_eq!(
        [
            &operation["service"],
            &operation["version"],
            &operation["digest"]
        ],
        [&Value::Null; 3],
        "each destination carries its own"
    );
    let mut destinations: Vec<_> = operation["destinations"]
        .as_array()
        .expect("an operation has destinations")
        .iter()
        .map(|it| json!([it["group"], it["service"], it["version"]]))
        .map(|it| it.to_string())
        .collect();
    destinations.sort();
    assert_eq!(
        destinations,
        [
            r#"["production","orders","1.0.0"]"#,
            r#"["production","users","3"]"#,
            r#"["staging","orders","1.0.0"]"#,
            r#"["staging","users","3"]"#,
        ]
    );
    assert_eq!(desk.revision("production"), before + 1);
    let users = published(&desk.api(), "staging", "users");
    assert_eq!(users["version"], "3");
    assert_eq!(users["binding"]["nodes"][0]["port"], 82);
}

#[test]
fn bindings_that_are_not_named_are_kept() {
    let desk = desk();
    succeeded(&desk.try_sync("test", &[("production", Some(&binding_to(81)))], json!({})));
    let body = json!({
        "services": [{"service": "orders"}, {"service": "users"}],
        "to": [{"group": "production", "bindings": {"users": binding_to(82)}}],
    });
    let operation = succeeded(&sync_all(&desk, &body));
    assert_eq!(
        desk.running("production")["binding"]["nodes"][0]["port"],
        81
    );
    let of_orders = operation["destinations"].as_array().into_iter().flatten();
    let of_orders = of_orders.filter(|it| it["service"] == "orders");
    assert!(
        of_orders.clone().all(|it| it["state"] == "unchanged"),
        "{operation:#}"
    );
}

#[test]
fn nothing_moves_if_one_part_is_refused() {
    let desk = desk();
    let before = desk.traces();
    let both = json!({"orders": binding(), "users": binding()});
    let services = |further: Value| json!([{"service": "orders"}, further]);
    for (what, services, to, status, code) in [
        (
            "a source that has moved on",
            services(json!({"service": "users", "expect_version": "2"})),
            json!([{"group": "production", "bindings": both}]),
            409,
            "source_moved",
        ),
        (
            "a service that the source does not run",
            services(json!({"service": "none-such"})),
            json!([{"group": "production", "bindings": both}]),
            422,
            "service_missing",
        ),
        (
            "a service without a binding",
            services(json!({"service": "users"})),
            json!([{"group": "production", "bindings": {"orders": binding()}}]),
            422,
            "binding_required",
        ),
        (
            "a service twice",
            services(json!({"service": "orders"})),
            json!([{"group": "production", "bindings": both}]),
            422,
            "duplicate",
        ),
        (
            "the source for a destination",
            services(json!({"service": "users"})),
            json!([{"group": "test"}, {"group": "production", "bindings": both}]),
            422,
            "invalid",
        ),
        (
            "a group twice",
            services(json!({"service": "users"})),
            json!([{"group": "production", "bindings": both}, {"group": "production"}]),
            422,
            "duplicate",
        ),
    ] {
        let body = json!({"services": services, "to": to});
        let codes = refused(&sync_all(&desk, &body), status);
        assert!(codes.contains(&code.to_owned()), "{what}: {codes:?}");
        assert_eq!(desk.traces(), before, "{what}");
    }
}

#[test]
fn a_source_must_run_the_service() {
    let desk = desk();
    let to = [("production", Some(&binding()))];
    for from in ["staging", "none-such"] {
        let answer = desk.try_sync(from, &to, json!({}));
        assert_eq!(refused(&answer, 404), ["not_found"], "{from}");
    }
    let answer = desk.try_sync("test", &[("test", None)], json!({}));
    assert_eq!(answer.status, 422, "{}", answer.text());
}

#[test]
fn expectations_are_of_the_source() {
    let desk = desk();
    let digest = desk.running("test")["digest"].clone();
    let to = [("production", Some(&binding()))];
    let other = json!(format!("blake3:{}", "0".repeat(64)));
    for wrong in [
        json!({"expect_version": "1.0.1"}),
        json!({"expect_digest": other}),
        json!({"expect_version": "1.0.0", "expect_digest": other}),
    ] {
        let answer = desk.try_sync("test", &to, wrong.clone());
        assert!(
            refused(&answer, 409)
                .iter()
                .all(|code| code == "source_moved"),
            "{wrong}"
        );
    }
    let right = json!({"expect_version": "1.0.0", "expect_digest": digest});
    succeeded(&desk.try_sync("test", &to, right));
}

#[test]
fn a_group_without_instances_takes_it_with_a_warning() {
    let desk = desk();
    let answer = desk.try_sync("test", &[("production", Some(&binding()))], json!({}));
    assert_eq!(codes(&succeeded(&answer), "warning"), ["no_instances"]);
}

#[test]
fn an_unchanged_destination_says_so() {
    let desk = desk();
    let to = [
        ("production", Some(&binding())),
        ("staging", Some(&binding())),
    ];
    succeeded(&desk.try_sync("test", &to[..1], json!({})));
    let revision = desk.revision("production");
    ended(&desk.try_sync("test", &to[..1], json!({})), "unchanged");
    // One of two: the operation is about the other.
    let operation = succeeded(&desk.try_sync("test", &to, json!({})));
    let states: Vec<_> = operation["destinations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| [&it["group"], &it["state"]])
        .collect();
    assert_eq!(
        json!(states),
        json!([["production", "unchanged"], ["staging", "succeeded"]])
    );
    assert_eq!(desk.revision("production"), revision);
}

#[test]
fn waves_are_refused_as_long_as_there_are_none() {
    let desk = desk();
    let to = [("production", Some(&binding()))];
    for (rollout, refusal) in [
        (json!({"waves": ["1", "100%"]}), true),
        (json!({"waves": ["100%"]}), false),
    ] {
        let answer = desk.try_sync("test", &to, json!({"rollout": rollout}));
        match refusal {
            true => assert_eq!(refused(&answer, 422), ["rollout_unsupported"]),
            false => drop(succeeded(&answer)),
        }
    }
}
