use serde_json::{Value, json};

use super::{Document, DocumentId, DocumentKind};

fn service() -> Value {
    json!({"name": "httpbin", "routes": [{"name": "all", "paths": ["/*"]}]})
}

/// One document of each kind that says as little as it may, and which resource it is of.
fn least() -> Vec<(Value, &'static str)> {
    let mut hub = service();
    hub["kind"] = json!("service");
    vec![
        (
            json!({"kind": "gateway_group", "name": "test"}),
            "gateway group test",
        ),
        (
            json!({"kind": "registry", "group": "test", "name": "dns", "type": "dns"}),
            "registry dns in test",
        ),
        (hub, "service httpbin"),
        (
            json!({"kind": "published_service", "group": "test", "service": "httpbin", "version": "1.0.0"}),
            "published service httpbin in test",
        ),
        (
            json!({"kind": "published_service", "group": "test", "service": "httpbin", "definition": service(),
                "binding": {"nodes": [{"host": "a", "port": 80}]}, "enabled": false}),
            "published service httpbin in test",
        ),
    ]
}

#[test]
fn what_is_written_is_read_again() {
    for (body, name) in least() {
        let document = Document::parse(&body).expect("is a document");
        assert_eq!(document.id().to_string(), name);
        let written = document.to_value();
        let again = Document::parse(&written).expect("is a document");
        assert_eq!(again.to_value(), written, "{name}");
        assert_eq!(again.id(), document.id());
    }
}

#[test]
fn what_answers_add_is_ignored() {
    let answered = json!({
        "kind": "published_service", "group": "test", "service": "httpbin", "title": "httpbin API",
        "version": null, "definition": service(), "enabled": true, "rollout": null,
        "binding": {"nodes": [{"host": "a"}]}, "convergence": {"online": 1, "converged": 1, "held": 0},
    });
    Document::parse(&answered).expect("is a document");
    let answered = json!({
        "kind": "gateway_group", "name": "test", "title": "", "revision": 3, "root": "blake3:00",
        "instances": {"online": 0, "offline": 0, "converged": 0},
    });
    Document::parse(&answered).expect("is a document");
}

#[track_caller]
fn bad(body: &Value, expect: &[&str]) {
    let problems = Document::parse(body).expect_err("there are problems");
    let got: Vec<_> = problems
        .iter()
        .map(|p| format!("{} {}", p.code, p.path))
        .collect();
    assert_eq!(got, expect, "{problems:?}");
}

#[test]
fn all_problems_at_once_each_with_its_place() {
    bad(&json!([]), &["wrong_type "]);
    bad(&json!({"name": "x"}), &["required kind"]);
    bad(&json!({"kind": "sevice", "nmae": 1}), &["invalid kind"]);
    bad(&json!({"kind": 1}), &["wrong_type kind"]);
    bad(
        &json!({"kind": "gateway_group", "titel": "x"}),
        &["required name", "unknown_field titel"],
    );
    bad(
        &json!({"kind": "registry", "name": "r", "type": "dns", "min_ttl": "0s", "max_ttl": 1}),
        &["required group", "invalid min_ttl", "wrong_type max_ttl"],
    );
    bad(
        &json!({"kind": "registry", "group": "test", "name": "r"}),
        &["required type"],
    );
    bad(
        &json!({"kind": "service", "name": "s", "routes": [{"name": "r", "paths": ["a"]}]}),
        &["invalid routes[0].paths[0]"],
    );
    bad(
        &json!({
            "kind": "published_service", "group": "Test", "service": "httpbin", "version": "/",
            "definition": {"name": "other", "title": "x", "routes": []}, "digest": "x",
            "binding": {"nodes": []}, "enabled": 1, "rollout": {"waves": ["1"]},
        }),
        &[
            "invalid group",
            "invalid version",
            "unknown_field definition.title",
            "name_mismatch definition.name",
            "required definition.routes",
            "invalid digest",
            "required binding.nodes",
            "wrong_type enabled",
            "unsupported rollout",
        ],
    );
    bad(
        &json!({"kind": "published_service", "group": "test", "service": "httpbin", "version": null}),
        &["required definition"],
    );
}

#[test]
fn a_digest_must_be_that_of_the_definition() {
    let mut body = json!({
        "kind": "published_service", "group": "test", "service": "httpbin", "version": "1.0.0",
        "definition": service(), "digest": format!("blake3:{}", "0".repeat(64)),
    });
    bad(&body, &["invalid digest"]);
    let definition = crate::Definition::parse(&service(), None).expect("is a definition");
    body["digest"] = json!(definition.digest);
    Document::parse(&body).expect("is a document");
}

#[test]
fn kinds_and_ids() {
    for kind in DocumentKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(*kind));
    }
    let wrong = "gateway_grup".parse::<DocumentKind>().expect_err("is none");
    assert!(wrong.to_string().contains("gateway_group"), "{wrong}");
    let wrong = "consumer".parse::<DocumentKind>().expect_err("is none");
    assert!(wrong.to_string().contains("known are"), "{wrong}");
    let id = |kind, name: &str| DocumentId {
        kind,
        group: None,
        name: name.parse().expect("is a name"),
    };
    let (group, service) = (DocumentKind::GatewayGroup, DocumentKind::Service);
    assert!(
        id(group, "z") < id(service, "a"),
        "what is needed comes first"
    );
}
