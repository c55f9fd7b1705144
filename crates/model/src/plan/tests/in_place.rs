//! What changes a service where it runs: rolling back, setting, editing, unpublishing.

use super::*;

#[test]
fn rolling_back_to_what_ran() {
    let mut small = small();
    let old = Past {
        version: Some(number("0.9")),
        definition: definition("a", "/old"),
        binding: binding("o"),
    };
    let edited = Past {
        version: None,
        definition: definition("a", "/edited"),
        binding: binding("o"),
    };
    let digest = edited.definition.digest;
    small
        .history
        .insert((name("test"), name("a")), vec![edited, old]);
    check(
        &small,
        &rollback(RollbackTo::Version(number("0.9"))),
        &["test/a 0.9@t"],
        &[],
    );
    check(
        &small,
        &rollback(RollbackTo::Digest(digest)),
        &["test/a none@t"],
        &[],
    );
    check(
        &small,
        &rollback(RollbackTo::Version(number("0.8"))),
        &[],
        &["not_in_history version"],
    );
    let with = Request::Rollback {
        group: name("test"),
        service: name("a"),
        to: RollbackTo::Version(number("0.9")),
        with_binding: true,
    };
    check(&small, &with, &["test/a 0.9@o"], &[]);
    let elsewhere = Request::Rollback {
        group: name("production"),
        service: name("a"),
        to: RollbackTo::Digest(digest),
        with_binding: false,
    };
    check(&small, &elsewhere, &[], &["not_found "]);
}

#[test]
fn setting_editing_unpublishing() {
    let mut small = small();
    check(
        &small,
        &set(Some(false), None),
        &["test/a 1.0.0@t off"],
        &[],
    );
    check(&small, &set(Some(true), None), &[], &[]);
    check(
        &small,
        &set(None, Some(binding("n"))),
        &["test/a 1.0.0@n"],
        &[],
    );
    let discovery = |body| Some(Arc::new(Binding::parse(&body).expect("is a binding")));
    check(
        &small,
        &set(
            None,
            discovery(json!({"discovery": {"registry": "dns", "service": "a"}})),
        ),
        &["test/a discovery"],
        &["registry_missing binding.discovery.registry"],
    );
    check(&small, &edit(definition("a", "/a")), &[], &[]);
    check(
        &small,
        &edit(definition("a", "/b")),
        &["test/a none@t"],
        &[],
    );
    small.enforced.push(name("test"));
    check(
        &small,
        &edit(definition("a", "/b")),
        &["test/a none@t"],
        &["publishing_enforced "],
    );
    let unpublish = Request::Unpublish {
        group: name("test"),
        service: name("a"),
    };
    check(&small, &unpublish, &["test/a gone"], &[]);
}

#[test]
fn registries_answer_their_own_kind_of_name() {
    let mut small = small();
    let there = small.running[&(name("test"), name("a"))].clone();
    small.running.insert((name("production"), name("a")), there);
    let bind = |service: &str| Request::Set {
        group: name("production"),
        service: name("a"),
        enabled: None,
        binding: Some(Arc::new(
            Binding::parse(&json!({"discovery": {"registry": "dns", "service": service}}))
                .expect("ok"),
        )),
    };
    check(&small, &bind("a.svc"), &["production/a discovery"], &[]);
    check(
        &small,
        &bind("_a"),
        &["production/a discovery"],
        &["invalid binding.discovery"],
    );
}
