use serde_json::{Value, json};

use super::*;
use crate::outcome::samples::{changes, digest};

fn compared(service: &str, state: &str, a: &Value, b: &Value) -> Value {
    let changes = if state == "same" {
        Changes::default()
    } else {
        changes()
    };
    json!({"service": service, "state": state, "a": a, "b": b, "changes": changes})
}

#[test]
fn two_groups() {
    let side = |version: &str| json!({"version": version, "digest": digest('a'), "enabled": true, "binding": {}});
    let mut edited = side("");
    edited["version"] = Value::Null;
    let items = json!([
        compared("httpbin", "different", &side("1.0.1"), &edited),
        compared("orders", "only_a", &side("3"), &Value::Null),
        compared("stock", "only_b", &Value::Null, &side("4")),
        compared("users", "same", &side("2.0.0"), &side("2.0.0")),
    ]);
    let compare = |items: Value| -> Compare {
        let compare = json!({"a": "test", "b": "production", "items": items, "next_cursor": null});
        serde_json::from_value(compare).unwrap()
    };
    let mut background = Background::default();
    let routes = json!({"routes": [{"name": "anything", "paths": ["/anything/*"]}]});
    background.learn_routes("httpbin", &routes);
    insta::assert_snapshot!(compare_text(&compare(items), &background, Paint::PLAIN), @r#"
        httpbin  1.0.1 → No Version   test → production
          ~ route user       timeout.read "60s" → "10s"
          + route anything   /anything/*
          - route old
        orders  3   in test only
          ~ route user       timeout.read "60s" → "10s"
          + route anything
          - route old
        stock  4   in production only
          ~ route user       timeout.read "60s" → "10s"
          + route anything
          - route old
        users  2.0.0   the same in test and production
    "#);
    let nothing = compare_text(&compare(json!([])), &background, Paint::PLAIN);
    assert_eq!(nothing, "test and production run the same\n");
}

fn a_version(number: &str, definition: Value) -> Version {
    Version {
        version: number.to_owned(),
        digest: digest('a'),
        created_at: "2026-11-24T08:00:00Z".parse().unwrap(),
        created_by: "admin".to_owned(),
        running_in: Vec::new(),
        definition,
    }
}

#[test]
fn two_versions() {
    let route = |name: &str| json!({"name": name, "paths": [format!("/{name}")]});
    let before = a_version(
        "1.0.0",
        json!({"name": "s", "routes": [route("a"), route("b")]}),
    );
    let after = a_version(
        "1.1.0",
        json!({"name": "s", "routes": [route("b"), route("c")], "hosts": ["x.example"]}),
    );
    let changes = between(&before, &after).unwrap();
    let mut background = Background::default();
    background.learn_routes("s", &after.definition);
    insta::assert_snapshot!(changes_text(&changes, "s", &background, Paint::PLAIN), @"
        + route c   /c
        - route a
        ~ hosts     any host → x.example
    ");
    assert_eq!(between(&before, &before).unwrap(), Changes::default());
    let strange = a_version("9", json!({"name": "s", "routes": [], "wasm": 1}));
    let failure = between(&before, &strange).unwrap_err().to_string();
    assert!(failure.contains("cannot compare version 9"), "{failure}");
}

#[test]
fn what_can_be_compared() {
    assert!(number("httpbin@1.0.0").is_ok());
    for text in ["httpbin", "Httpbin@1", "httpbin@"] {
        assert_eq!(number(text).unwrap_err().exit(), Exit::Usage, "{text}");
    }
}
