//! Conflicts of routes, and where a problem is said to be: at a place of the body that was sent.

use super::*;

#[test]
fn conflicts_are_found_when_a_service_comes_is_edited_or_enabled() {
    let mut small = small();
    small.hub.insert(name("b"), definition("b", "/a"));
    small.running.insert(
        (name("test"), name("b")),
        Running {
            enabled: false,
            ..running(Some("1"), &definition("b", "/a"), "t")
        },
    );
    let enable = Request::Set {
        group: name("test"),
        service: name("b"),
        binding: None,
        enabled: Some(true),
    };
    check(
        &small,
        &enable,
        &["test/b 1@t"],
        &["route_conflict enabled"],
    );
    let edit_b = |path| Request::Edit {
        group: name("test"),
        service: name("b"),
        definition: definition("b", path),
    };
    check(&small, &edit_b("/a"), &[], &[]);
    small.running.insert(
        (name("test"), name("b")),
        running(Some("1"), &definition("b", "/b"), "t"),
    );
    check(
        &small,
        &edit_b("/a"),
        &["test/b none@t"],
        &["route_conflict routes[0].paths[0]"],
    );
    check(&small, &edit_b("/a/{x}"), &["test/b none@t"], &[]);
}

/// A body holds only what was sent: what is wrong with a binding that was kept, or that comes back,
/// has no place inside it.
#[test]
fn places_are_those_of_the_body_sent() {
    let mut small = small();
    let body = json!({"discovery": {"registry": "gone", "service": "a"}});
    let gone = Arc::new(Binding::parse(&body).expect("is a binding"));
    let there = small.running[&(name("test"), name("a"))].clone();
    for (group, enabled) in [("production", true), ("dr", false)] {
        let running = Running {
            binding: gone.clone(),
            enabled,
            ..there.clone()
        };
        small.running.insert((name(group), name("a")), running);
    }
    let mut edited = there;
    (edited.version, edited.definition) = (None, definition("a", "/edited"));
    small.running.insert((name("test"), name("a")), edited);
    let kept = "registry_missing to[0]";
    let replaced = "unversioned_edit_replaced groups[1]";
    let to_production = || vec![to("production", None)];
    check(
        &small,
        &sync(Some("2"), None, to_production()),
        &["test/a 2@t", "production/a discovery"],
        &[kept],
    );
    let publishing = publish("2", vec![to("production", None), to("test", None)]);
    check(
        &small,
        &publishing,
        &["production/a discovery", "test/a 2@t"],
        &["registry_missing groups[0]", replaced],
    );
    let enable = Request::Set {
        group: name("dr"),
        service: name("a"),
        binding: None,
        enabled: Some(true),
    };
    check(
        &small,
        &enable,
        &["dr/a discovery"],
        &["registry_missing enabled", "no_instances "],
    );
    let past = Past {
        version: Some(number("0.9")),
        definition: definition("a", "/old"),
        binding: gone,
    };
    small.history.insert((name("test"), name("a")), vec![past]);
    let back = Request::Rollback {
        group: name("test"),
        service: name("a"),
        to: RollbackTo::Version(number("0.9")),
        with_binding: true,
    };
    check(
        &small,
        &back,
        &["test/a discovery"],
        &[
            "registry_missing with_binding",
            "unversioned_edit_replaced ",
        ],
    );
}

#[test]
fn conflicts_are_said_where_the_body_brings_them_about() {
    let mut small = small();
    let b = definition("b", "/a");
    for (group, hosts, enabled) in [
        ("test", json!(["b.io"]), true),
        ("production", json!([]), true),
    ] {
        let body = json!({"nodes": [{"host": "n"}], "hosts": hosts});
        let binding = Arc::new(Binding::parse(&body).expect("is a binding"));
        let running = Running {
            binding,
            enabled,
            ..running(Some("1"), &b, "t")
        };
        small.running.insert((name(group), name("b")), running);
    }
    check(
        &small,
        &sync(None, None, vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &["route_conflict to[0]"],
    );
    let rebind = Request::Set {
        group: name("test"),
        service: name("b"),
        binding: Some(binding("n")),
        enabled: None,
    };
    check(
        &small,
        &rebind,
        &["test/b 1@n"],
        &["route_conflict binding"],
    );
}
