use serde_json::json;

use super::*;
use crate::outcome::samples::{operation, problem};

fn background() -> Background {
    let mut background = Background::default();
    background.learn_routes(
        "httpbin",
        &json!({"routes": [
            {"name": "anything", "paths": ["/anything/*"]},
            {"name": "user", "paths": ["/users/{id}", "/u/{id}"]},
        ]}),
    );
    let own = json!({"nodes": [{"host": "httpbin.org", "port": 80}]});
    background
        .bindings
        .insert(("production".to_owned(), "httpbin".to_owned()), own);
    background
}

fn planned(change: impl FnOnce(&mut Destination)) -> Operation {
    let mut operation = operation();
    operation.operation = None;
    change(&mut operation.destinations[0]);
    operation
}

fn shown(operation: &Operation) -> String {
    text(operation, &background(), Paint::PLAIN)
}

#[test]
fn a_new_version_with_the_groups_own_binding() {
    insta::assert_snapshot!(shown(&planned(|_| {})), @r#"
        httpbin  1.0.0 → 1.0.1   production, 3 instances
          ~ route user       timeout.read "60s" → "10s"
          + route anything   /anything/*
          - route old
          = binding          httpbin.org:80 weight 100 (production's own)
        no problems
    "#);
}

#[test]
fn a_service_that_is_new_to_the_group() {
    let operation = planned(|it| {
        (it.from_version, it.from_digest) = (None, None);
        it.instances.truncate(1);
        let changes = json!({
            "routes": {"added": ["anything", "user"], "removed": [], "changed": []},
            "plugins": {"added": [], "removed": [], "changed": []},
            "upstream": {"before": null, "after": {"scheme": "http"}},
            "hosts": {"before": null, "after": ["api.example"]},
            "base_path": {"before": null, "after": "/v1"},
            "checks": {"added": ["answers"], "removed": [], "changed": []},
            "binding": {
                "before": null,
                "after": {"discovery": {"registry": "dns", "service": "_httpbin._tcp"}},
            },
            "enabled": {"before": null, "after": true},
        });
        it.changes = serde_json::from_value(changes).unwrap();
    });
    insta::assert_snapshot!(shown(&operation), @"
        httpbin  none → 1.0.1   production, 1 instance
          + route anything   /anything/*
          + route user       /users/{id} /u/{id}
          + check answers
          + binding          _httpbin._tcp from dns
        no problems
    ");
}

#[test]
fn everything_that_can_differ() {
    let operation = planned(|it| {
        it.version = None;
        let changes = json!({
            "routes": {
                "added": ["fresh"], "removed": ["old"],
                "changed": [{"route": "user", "diff": "priority 0 → 5"}],
            },
            "plugins": {"added": ["cors"], "removed": ["key-auth"], "changed": ["limit"]},
            "upstream": {
                "before": {"scheme": "http", "timeout": {"read": "60s", "send": "60s"}, "tls": null},
                "after": {"scheme": "http", "timeout": {"read": "10s", "send": "60s"}, "tls": {"sni": "x"}},
            },
            "hosts": {"before": [], "after": ["api.example", "*.example.org"]},
            "base_path": {"before": "", "after": "/v1"},
            "checks": {"added": [], "removed": ["slow"], "changed": ["answers"]},
            "binding": {
                "before": {"nodes": [{"host": "a", "port": 80}]},
                "after": {"nodes": [{"host": "b", "port": 80}, {"host": "c", "port": 80, "weight": 5}]},
            },
            "enabled": {"before": false, "after": true},
        });
        it.changes = serde_json::from_value(changes).unwrap();
        it.problems = vec![
            problem(
                Severity::Error,
                "route_conflict",
                "route user is claimed by users/user, too",
            ),
            problem(
                Severity::Warning,
                "no_instances",
                "the group has no instance online",
            ),
        ];
    });
    assert!(is_refused(&operation));
    insta::assert_snapshot!(shown(&operation), @r#"
        httpbin  1.0.0 → No Version   production, 3 instances
          ~ route user        priority 0 → 5
          + route fresh
          - route old
          ~ plugin limit
          + plugin cors
          - plugin key-auth
          ~ check answers
          - check slow
          ~ upstream          timeout.read "60s" → "10s"; tls.sni null → "x"
          ~ hosts             any host → api.example, *.example.org
          ~ base path         none → /v1
          ~ enabled           false → true
          ~ binding           a:80 weight 100 → b:80 weight 100, c:80 weight 5
        2 problems:
          error  production: to[0]: route user is claimed by users/user, too  (route_conflict)
          warning  production: to[0]: the group has no instance online  (no_instances)
    "#);
}

#[test]
fn nothing_that_differs() {
    let operation = planned(|it| {
        (it.from_version, it.from_digest) = (it.version.clone(), it.digest.clone());
        it.changes = Changes::default();
    });
    assert!(!is_refused(&operation));
    insta::assert_snapshot!(shown(&operation), @"
        httpbin  1.0.1   production, 3 instances
          = binding   httpbin.org:80 weight 100 (production's own)
        no problems
    ");
}

#[test]
fn colors_change_nothing_else() {
    let operation = planned(|_| {});
    let colored = text(&operation, &background(), Paint::COLORED);
    let mut plain = String::new();
    for part in colored.split('\x1b') {
        plain.push_str(
            part.split_once('m')
                .filter(|_| part.starts_with('['))
                .map_or(part, |it| it.1),
        );
    }
    assert_ne!(colored, plain);
    // Padding before a color's end is not trimmed.
    let trimmed = |text: &str| {
        text.lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(trimmed(&plain), trimmed(&shown(&operation)));
}
