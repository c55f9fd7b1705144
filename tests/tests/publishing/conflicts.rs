//! Two services of a group must not answer the same requests with equal precedence.

use serde_json::{Value, json};

use super::desk::{Desk, binding};
use crate::calls::{define, publish, published, refused, succeeded};

/// A service with one route.
fn with(name: &str, hosts: &[&str], base_path: &str, route: Value) -> Value {
    let mut route = route;
    route["name"] = json!("r");
    json!({"name": name, "hosts": hosts, "base_path": base_path, "routes": [route]})
}

#[test]
fn which_services_are_in_each_others_way() {
    let desk = Desk::set();
    let get = json!({"paths": ["/a/{id}"], "methods": ["GET"]});
    let red = json!([{"header": "x-color", "op": "equals", "value": "red"}]);
    let blue = json!([{"header": "x-color", "op": "equals", "value": "blue"}]);
    let big = json!([{"query": "size", "op": "equals", "value": "big"}]);
    let hosts = &["k.example", "l.example"];
    let first = with("first", hosts, "", get.clone());
    let first_red = with(
        "first",
        hosts,
        "",
        json!({"paths": ["/a/{id}"], "match": red}),
    );

    let cases = [
        (
            "the same",
            &first,
            with("second", hosts, "", get.clone()),
            true,
        ),
        (
            "another parameter's name, one host and one method in common",
            &first,
            with(
                "second",
                &["l.example"],
                "",
                json!({"paths": ["/b", "/a/{name}"], "methods": ["POST", "GET"]}),
            ),
            true,
        ),
        (
            "the same below a base path",
            &first,
            with("second", hosts, "/a", json!({"paths": ["/{id}"]})),
            true,
        ),
        (
            "other hosts",
            &first,
            with("second", &["m.example"], "", get.clone()),
            false,
        ),
        (
            "a wildcard, which precedence decides",
            &first,
            with("second", &["*.example"], "", get.clone()),
            false,
        ),
        ("no hosts", &first, with("second", &[], "", get), false),
        (
            "other methods",
            &first,
            with(
                "second",
                hosts,
                "",
                json!({"paths": ["/a/{id}"], "methods": ["PUT"]}),
            ),
            false,
        ),
        (
            "another priority",
            &first,
            with(
                "second",
                hosts,
                "",
                json!({"paths": ["/a/{id}"], "priority": 1}),
            ),
            false,
        ),
        (
            "a more specific path",
            &first,
            with("second", hosts, "", json!({"paths": ["/a/b"]})),
            false,
        ),
        (
            "more predicates",
            &first,
            with(
                "second",
                hosts,
                "",
                json!({"paths": ["/a/{id}"], "match": red}),
            ),
            false,
        ),
        (
            "the same predicate",
            &first_red,
            with(
                "second",
                hosts,
                "",
                json!({"paths": ["/a/{id}"], "match": red}),
            ),
            true,
        ),
        (
            "predicates that exclude each other",
            &first_red,
            with(
                "second",
                hosts,
                "",
                json!({"paths": ["/a/{id}"], "match": blue}),
            ),
            false,
        ),
        (
            "predicates that can hold together",
            &first_red,
            with(
                "second",
                hosts,
                "",
                json!({"paths": ["/a/{id}"], "match": big}),
            ),
            true,
        ),
    ];
    for (number, (what, first, second, conflict)) in cases.iter().enumerate() {
        let version = number.to_string();
        define(&desk.api(), first);
        define(&desk.api(), second);
        let to = [("test", Some(&binding()))];
        succeeded(&publish(&desk.api(), "first", &version, &to));
        let answer = publish(&desk.api(), "second", &version, &to);
        if *conflict {
            assert_eq!(refused(&answer, 409), ["route_conflict"], "{what}");
            let message = answer.json()["problems"][0]["message"].to_string();
            assert!(
                message.contains("first") && message.contains("second"),
                "{message}"
            );
            continue;
        }
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let path = "/gateway-groups/test/services/second?wait=30s";
        succeeded(&desk.api().delete(path));
    }
}

#[test]
fn the_hosts_are_those_of_the_group() {
    let desk = Desk::set();
    let route = || json!({"paths": ["/a"]});
    let hosts = |hosts: Value| json!({"nodes": binding()["nodes"], "hosts": hosts});
    define(&desk.api(), &with("first", &["a.example"], "", route()));
    define(&desk.api(), &with("second", &["b.example"], "", route()));
    let to_both = |binding: &Value, version: &str, service: &str| {
        publish(&desk.api(), service, version, &[("test", Some(binding))])
    };
    succeeded(&to_both(&hosts(Value::Null), "1", "first"));
    let answer = to_both(&hosts(json!(["A.example"])), "1", "second");
    assert_eq!(refused(&answer, 409), ["route_conflict"]);
    succeeded(&to_both(&hosts(Value::Null), "1", "second"));

    let path = "/gateway-groups/test/services/second";
    let answer = desk
        .api()
        .patch(path, &json!({"binding": hosts(json!(["a.example"]))}));
    assert_eq!(refused(&answer, 409), ["route_conflict"]);
    assert_eq!(
        published(&desk.api(), "test", "second")["binding"]["hosts"],
        Value::Null
    );
}

#[test]
fn a_disabled_service_is_in_nobodys_way_until_it_is_enabled() {
    let desk = Desk::set();
    let to = [("test", Some(&binding()))];
    for name in ["first", "second"] {
        define(&desk.api(), &with(name, &[], "", json!({"paths": ["/a"]})));
    }
    succeeded(&publish(&desk.api(), "first", "1", &to));
    let first = "/gateway-groups/test/services/first?wait=30s";
    succeeded(&desk.api().patch(first, &json!({"enabled": false})));
    succeeded(&publish(&desk.api(), "second", "1", &to));

    let answer = desk.api().patch(first, &json!({"enabled": true}));
    assert_eq!(refused(&answer, 409), ["route_conflict"]);
    succeeded(
        &desk
            .api()
            .delete("/gateway-groups/test/services/second?wait=30s"),
    );
    succeeded(&desk.api().patch(first, &json!({"enabled": true})));
}

#[test]
fn two_services_of_one_sync_can_be_in_each_others_way() {
    let desk = Desk::set();
    let hosts = |host: &str| json!({"nodes": binding()["nodes"], "hosts": [host]});
    for (name, host) in [("first", "a.example"), ("second", "b.example")] {
        define(&desk.api(), &with(name, &[], "", json!({"paths": ["/a"]})));
        succeeded(&publish(
            &desk.api(),
            name,
            "1",
            &[("test", Some(&hosts(host)))],
        ));
    }
    let sync = |second: &str| {
        let bindings = json!({"first": hosts("c.example"), "second": hosts(second)});
        let body = json!({
            "services": [{"service": "first"}, {"service": "second"}],
            "to": [{"group": "production", "bindings": bindings}],
        });
        desk.api().post("/gateway-groups/test/sync?wait=30s", &body)
    };
    let codes = refused(&sync("c.example"), 409);
    assert!(
        codes.iter().all(|code| code == "route_conflict"),
        "{codes:?}"
    );
    succeeded(&sync("d.example"));
}
