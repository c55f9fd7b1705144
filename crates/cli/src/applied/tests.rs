use serde_json::json;

use super::*;
use crate::outcome::samples::{changes, digest, operation, problem};

fn resource(kind: &str, group: Option<&str>, name: &str, action: &str) -> AppliedResource {
    let resource = json!({
        "kind": kind, "group": group, "name": name, "action": action, "before": null, "after": null,
    });
    serde_json::from_value(resource).unwrap()
}

/// A little of everything.
fn sample() -> Applied {
    let mut staging = resource("registry", Some("production"), "dns", "update");
    staging.before = Some(json!({"title": "", "endpoints": ["10.0.0.1:53"]}));
    staging.after = Some(json!({"title": "Names", "endpoints": []}));
    let mut hub = resource("service", None, "httpbin", "update");
    hub.before = Some(json!({"title": "", "digest": digest('a')}));
    hub.after = Some(json!({"title": "httpbin API", "digest": digest('b')}));
    hub.changes = Some(changes());
    Applied {
        plan: digest('c'),
        state: operation().state,
        resources: vec![
            resource("gateway_group", None, "staging", "create"),
            staging,
            hub,
            resource("published_service", Some("production"), "httpbin", "update"),
            resource("gateway_group", None, "production", "unchanged"),
            resource("registry", Some("production"), "old", "delete"),
            resource("service", None, "users", "delete"),
        ],
        problems: Vec::new(),
        operation: Some(operation()),
    }
}

fn shown(applied: &Applied, own: impl Fn(&AppliedResource) -> bool) -> String {
    let mut background = Background::default();
    let routes = json!({"routes": [{"name": "anything", "paths": ["/anything/*"]}]});
    background.learn_routes("httpbin", &routes);
    plan_text(applied, own, &background, Paint::PLAIN)
}

#[test]
fn a_plan_begins_with_what_goes() {
    insta::assert_snapshot!(shown(&sample(), |_| true), @r#"
        - registry old in production
        - service users
        + gateway group staging
        ~ registry dns in production   endpoints ["10.0.0.1:53"] → []; title "" → "Names"
        ~ service httpbin   title "" → "httpbin API"
          ~ route user       timeout.read "60s" → "10s"
          + route anything   /anything/*
          - route old
        httpbin  1.0.0 → 1.0.1   production, 3 instances
          ~ route user       timeout.read "60s" → "10s"
          + route anything   /anything/*
          - route old
    "#);
    assert_eq!(
        shown(&sample(), |it| it.name == "staging"),
        "+ gateway group staging\n"
    );
    let counts = Counts::of(&sample().resources);
    assert_eq!(
        counts.planned(),
        "1 to create, 3 to change, 2 to delete, 1 unchanged"
    );
    assert_eq!(Counts::default().planned(), "nothing");
}

#[test]
fn an_outcome() {
    insta::assert_snapshot!(outcome_text(&sample(), Paint::PLAIN), @"
        1 created, 3 changed, 2 deleted, 1 unchanged
        3/3 applied  12 ms   undo: ferryway rollback httpbin --in production --to 1.0.0
    ");
}

#[test]
fn what_is_refused_and_what_changes_nothing() {
    let mut applied = sample();
    assert!(changes_anything(&applied) && !is_refused(&applied));
    applied.problems = vec![problem(Severity::Warning, "no_instances", "")];
    assert!(!is_refused(&applied));
    applied
        .problems
        .push(problem(Severity::Error, "route_conflict", ""));
    assert!(is_refused(&applied));
    applied
        .resources
        .retain(|it| it.action == ResourceAction::Unchanged);
    assert!(!changes_anything(&applied));
}

#[test]
fn problems_find_their_documents() {
    let at = |path: &str| Problem {
        path: path.to_owned(),
        ..problem(Severity::Error, "invalid", "m")
    };
    let problems = [
        "resources[3].routes[0].paths[1]",
        "resources[0]",
        "prune.labels",
        "resources",
        "",
    ];
    let found = located(problems.map(at).to_vec(), |n, problem| {
        let path = format!("{n}.yaml:1:1 {}", problem.path);
        Problem { path, ..problem }
    });
    let paths: Vec<_> = found.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "3.yaml:1:1 routes[0].paths[1]",
            "0.yaml:1:1 ",
            "prune.labels",
            "resources",
            ""
        ]
    );
    let message = "is dns, as resources[12] is; not as resources[x]".to_owned();
    let twice = Problem {
        message,
        ..at("resources[3]")
    };
    let found = located(vec![twice], |n, problem| {
        let path = format!("{n}.yaml:1:1 {}", problem.path);
        Problem { path, ..problem }
    });
    assert_eq!(
        found[0].message,
        "is dns, as 12.yaml:1:1 is; not as resources[x]"
    );
}
