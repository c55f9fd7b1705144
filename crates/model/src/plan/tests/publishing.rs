//! Publishing, and syncing exactly what the source runs.

use super::*;

#[test]
fn publishing() {
    let small = small();
    check(
        &small,
        &publish("1.1.0", vec![to("test", None), to("production", Some("p"))]),
        &["test/a 1.1.0@t", "production/a 1.1.0@p"],
        &[],
    );
    check(
        &small,
        &publish("1.0.0", vec![to("test", None)]),
        &[],
        &["version_exists version"],
    );
    check(
        &small,
        &publish(
            "2",
            vec![
                to("nowhere", None),
                to("production", None),
                to("test", None),
                to("test", None),
            ],
        ),
        &["test/a 2@t"],
        &[
            "group_missing groups[0].group",
            "duplicate groups[3].group",
            "binding_required groups[1].binding",
        ],
    );
    check(
        &small,
        &publish("2", vec![to("dr", Some("d"))]),
        &["dr/a 2@d"],
        &["no_instances groups[0]"],
    );
    let mut skewed = small.clone();
    let instances = skewed.instances.get_mut(&name("test")).expect("has one");
    let facts = |hostname: &str, schemas: &[u32]| InstanceFacts {
        hostname: hostname.into(),
        schemas: schemas.to_vec(),
        ..instances[0].clone()
    };
    let (older, newer, silent) = (facts("o", &[0]), facts("n", &[1, 2]), facts("s", &[]));
    instances.extend([older, newer, silent]);
    let two = publish("2", vec![to("test", None)]);
    check(
        &skewed,
        &two,
        &["test/a 2@t"],
        &["instance_too_old groups[0]"],
    );
    let planned = plan(&two, &skewed).expect("is planned");
    let problem = planned.all_problems().next().expect("is warned of");
    assert!(
        problem.message.starts_with("o (build 1) in test"),
        "{problem}"
    );
    let of = |service: &str| Request::Publish {
        service: name(service),
        version: number("1"),
        groups: vec![],
        expect_digest: Some(Digest::of(b"")),
    };
    check(&small, &of("b"), &[], &["not_found "]);
    check(&small, &of("a"), &[], &["source_moved expect_digest"]);
}

#[test]
fn syncing_exactly_what_the_source_runs() {
    let mut small = small();
    check(
        &small,
        &sync(None, None, vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &[],
    );
    check(
        &small,
        &sync(None, Some("0.9"), vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &["source_moved expect_version"],
    );
    check(
        &small,
        &sync(Some("2"), None, vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &["version_not_expected version"],
    );
    check(
        &small,
        &sync(
            None,
            None,
            vec![
                to("test", None),
                to("production", None),
                to("nowhere", None),
            ],
        ),
        &[],
        &[
            "invalid to[0].group",
            "group_missing to[2].group",
            "binding_required to[1].binding",
        ],
    );
    let there = small.running[&(name("test"), name("a"))].clone();
    small.running.insert(
        (name("production"), name("a")),
        Running {
            binding: binding("p"),
            enabled: false,
            ..there
        },
    );
    check(
        &small,
        &sync(None, None, vec![to("production", None)]),
        &[],
        &[],
    );
    check(
        &small,
        &sync(None, None, vec![to("production", Some("q"))]),
        &["production/a 1.0.0@q off"],
        &[],
    );
    small.instances.get_mut(&name("test")).expect("is there")[0].current = false;
    check(
        &small,
        &sync(None, None, vec![to("production", None)]),
        &[],
        &["source_not_converged "],
    );
}

#[test]
fn a_source_without_a_version_needs_a_number_and_takes_it() {
    let mut small = small();
    let edited = definition("a", "/edited");
    small
        .running
        .insert((name("test"), name("a")), running(None, &edited, "t"));
    check(
        &small,
        &sync(None, None, vec![to("production", Some("p"))]),
        &["production/a none@p"],
        &["version_required version"],
    );
    check(
        &small,
        &sync(Some("1.0.0"), None, vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &["version_exists version"],
    );
    check(
        &small,
        &sync(Some("1.1"), None, vec![to("production", Some("p"))]),
        &["test/a 1.1@t", "production/a 1.1@p"],
        &[],
    );
    check(
        &small,
        &publish("1.2", vec![to("test", None)]),
        &["test/a 1.2@t"],
        &["unversioned_edit_replaced groups[0]"],
    );
}

#[test]
fn a_source_lags_only_with_the_service_in_question() {
    let mut small = small();
    let held = |small: &mut Small, service| {
        small.instances.get_mut(&name("test")).expect("is there")[0].held = vec![name(service)];
    };
    let request = sync(None, None, vec![to("production", Some("p"))]);
    held(&mut small, "other");
    check(&small, &request, &["production/a 1.0.0@p"], &[]);
    held(&mut small, "a");
    check(
        &small,
        &request,
        &["production/a 1.0.0@p"],
        &["source_not_converged "],
    );
}
