use ferryway_api::{BeforeAfter, Severity};
use serde_json::json;

use super::samples::{digest, instance, operation, problem};
use super::*;

#[test]
fn every_state_has_its_exit_code() {
    for (state, expect) in [
        (OperationState::Planned, Exit::Done),
        (OperationState::Unchanged, Exit::Done),
        (OperationState::Progressing, Exit::Done),
        (OperationState::Succeeded, Exit::Done),
        (OperationState::Failed, Exit::Failed),
        (OperationState::Superseded, Exit::Failed),
        (OperationState::Paused, Exit::Done),
        (OperationState::Halted, Exit::Halted),
        (OperationState::RolledBack, Exit::Halted),
        (OperationState::Aborted, Exit::Failed),
    ] {
        let mut operation = operation();
        operation.state = state;
        assert_eq!(exit(&operation), expect, "{state:?}");
    }
    let mut planned = operation();
    planned.state = OperationState::Planned;
    planned.problems = vec![problem(Severity::Warning, "no_instances", "")];
    assert_eq!(exit(&planned), Exit::Done);
    planned.destinations[0].problems = vec![problem(Severity::Error, "route_conflict", "")];
    assert_eq!(exit(&planned), Exit::Refused);
}

#[test]
fn all_have_applied_it() {
    insta::assert_snapshot!(text(&operation(), Paint::PLAIN), @"
        3/3 applied  12 ms   undo: ferryway rollback httpbin --in production --to 1.0.0
    ");
}

#[test]
fn one_has_rejected_it_and_shows_why() {
    let mut operation = operation();
    operation.state = OperationState::Failed;
    let destination = &mut operation.destinations[0];
    destination.state = OperationState::Failed;
    destination.instances[1] = InstanceDelivery {
        code: Some("check_failed".to_owned()),
        detail: Some("check headers-answers: expected status 200, got 503".to_owned()),
        evidence: Some(json!({
            "request": {"method": "GET", "path": "/headers"},
            "response": {"status": 503, "body": "no\nendpoint"},
        })),
        ..instance("gw-2", DeliveryState::Rejected)
    };
    destination.instances[2] = instance("gw-3", DeliveryState::Offline);
    insta::assert_snapshot!(text(&operation, Paint::PLAIN), @"
        1/3 applied, 1 rejected, 1 offline  12 ms   undo: ferryway rollback httpbin --in production --to 1.0.0
          rejected by gw-2 (id-of-gw-2): check headers-answers: expected status 200, got 503  (check_failed)
            request:
              method: GET
              path: /headers
            response:
              body: |-
                no
                endpoint
              status: 503
    ");
}

#[test]
fn one_has_applied_it_and_warns() {
    let mut operation = operation();
    let destination = &mut operation.destinations[0];
    destination.instances[1] = InstanceDelivery {
        code: Some("check_failed".to_owned()),
        detail: Some("checks[0]: check `up` failed: expected status 200, got 503".to_owned()),
        evidence: Some(json!({"request": {"method": "GET", "path": "/up"}, "response": null})),
        ..instance("gw-2", DeliveryState::Applied)
    };
    destination.problems = vec![
        problem(Severity::Warning, "check_failed", "said above"),
        problem(
            Severity::Warning,
            "unversioned_edit_replaced",
            "is said here",
        ),
    ];
    assert_eq!(exit(&operation), Exit::Done);
    insta::assert_snapshot!(text(&operation, Paint::PLAIN), @"
        3/3 applied  12 ms   undo: ferryway rollback httpbin --in production --to 1.0.0
          applied, but warned by gw-2 (id-of-gw-2): checks[0]: check `up` failed: expected status 200, got 503  (check_failed)
            request:
              method: GET
              path: /up
            response: null
          warning  production: to[0]: is said here  (unversioned_edit_replaced)
    ");
}

/// What an upstream answered reaches the terminal of whoever published.
#[test]
fn what_an_answer_says_to_a_terminal_is_only_shown() {
    let evil = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}x\r\nb\0\u{7f}";
    let mut operation = operation();
    operation.destinations[0].instances[1] = InstanceDelivery {
        code: Some("check_failed".to_owned()),
        detail: Some(format!("expected a body with \"x\", got {evil}")),
        evidence: Some(json!({"response": {"body": evil, "headers": {evil: evil}}})),
        ..instance("gw-2", DeliveryState::Rejected)
    };
    let text = text(&operation, Paint::PLAIN);
    let seen = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
    assert!(text.chars().all(seen), "{text:?}");
}

#[test]
fn nobody_waited_for_it() {
    let mut operation = operation();
    (operation.state, operation.ended_at) = (OperationState::Progressing, None);
    let destination = &mut operation.destinations[0];
    destination.state = OperationState::Progressing;
    destination.instances[2] = instance("gw-3", DeliveryState::Pending);
    insta::assert_snapshot!(text(&operation, Paint::PLAIN), @"
        2/3 applied, 1 pending   undo: ferryway rollback httpbin --in production --to 1.0.0
        it goes on: ferryway operation watch 01973a5e-0000-7000-8000-000000000000
    ");
}

#[test]
fn several_destinations_each_have_a_line() {
    let mut operation = operation();
    let mut other = operation.destinations[0].clone();
    other.group = "staging".to_owned();
    (other.from_version, other.from_digest) = (None, None);
    other.instances.clear();
    other.problems = vec![problem(
        Severity::Warning,
        "no_instances",
        "the group has no instance online",
    )];
    operation.destinations.push(other);
    let mut third = operation.destinations[0].clone();
    (third.group, third.state) = ("test".to_owned(), OperationState::Unchanged);
    operation.destinations.push(third);
    insta::assert_snapshot!(text(&operation, Paint::PLAIN), @"
        httpbin in production  3/3 applied  12 ms   undo: ferryway rollback httpbin --in production --to 1.0.0
        httpbin in staging  no instance online: it takes effect when one joins   undo: ferryway unpublish httpbin --in staging
        httpbin in test  nothing to do: httpbin is 1.0.1 in test already
    ");
}

#[test]
fn what_brings_it_back() {
    let check = |kind, change: fn(&mut Destination), expect: Option<&str>| {
        let mut destination = operation().destinations.remove(0);
        change(&mut destination);
        assert_eq!(undo(kind, &destination).as_deref(), expect, "{kind:?}");
    };
    let place = "httpbin --in production";
    let to = |what: &str| format!("ferryway rollback {place} --to {what}");
    check(OperationKind::Sync, |_| {}, Some(&to("1.0.0")));
    check(
        OperationKind::Edit,
        |it| it.from_version = None,
        Some(&to(&digest('a'))),
    );
    check(
        OperationKind::Publish,
        |it| (it.from_version, it.from_digest) = (None, None),
        Some("ferryway unpublish httpbin --in production"),
    );
    let rebound: fn(&mut Destination) = |it| {
        it.changes.binding = Some(BeforeAfter {
            before: json!({"nodes": [{"host": "a", "port": 80}]}),
            after: json!({"nodes": [{"host": "b", "port": 80}]}),
        });
    };
    check(
        OperationKind::Rollback,
        rebound,
        Some(&to("1.0.0 --with-binding")),
    );
    check(
        OperationKind::Binding,
        rebound,
        Some("ferryway bind httpbin --in production --node a:80"),
    );
    check(OperationKind::Binding, |_| {}, None);
    // Another number for the same content is undone as any other.
    let same_content: fn(&mut Destination) = |it| it.digest.clone_from(&it.from_digest);
    check(OperationKind::Sync, same_content, Some(&to("1.0.0")));
    check(
        OperationKind::Sync,
        |it| {
            it.digest.clone_from(&it.from_digest);
            it.version.clone_from(&it.from_version);
            let before = json!({"nodes": [{"host": "a", "port": 80}]});
            let after = json!({"nodes": [{"host": "b", "port": 80}]});
            it.changes.binding = Some(BeforeAfter { before, after });
        },
        Some("ferryway bind httpbin --in production --node a:80"),
    );
    check(
        OperationKind::Enable,
        |_| {},
        Some("ferryway disable httpbin --in production"),
    );
    check(
        OperationKind::Disable,
        |_| {},
        Some("ferryway enable httpbin --in production"),
    );
    check(OperationKind::Unpublish, |_| {}, None);
}

#[test]
fn an_undo_can_be_typed() {
    use crate::args::Arguments;
    use clap::Parser as _;
    for kind in [
        OperationKind::Sync,
        OperationKind::Enable,
        OperationKind::Disable,
    ] {
        let line = undo(kind, &operation().destinations[0]).unwrap();
        Arguments::try_parse_from(line.split_whitespace())
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}
