//! Each instance proves what it runs, and all places where that is shown agree.

use ferryway_testkit::curl;
use serde_json::{Value, json};

use super::groups::pair;
use crate::calls::{self, define, ended, group, items, nodes, publish, service, succeeded, text};
use crate::site::{GROUP, Site};

#[test]
fn the_gateways_word_and_the_control_planes_are_the_same() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    let group = group(&site.api(), GROUP);
    let view = json!({"revision": group["revision"], "root": group["root"]});
    assert!(text(&group["root"]).starts_with("blake3:"), "{group}");

    let status = site.gateway.status();
    for part in ["desired", "effective"] {
        for field in ["revision", "root"] {
            assert_eq!(status[part][field], view[field], "{part} of {status:#}");
        }
    }
    assert_eq!(status["converged"], true);
    assert_eq!(status["held"], json!([]));
    assert_eq!(status["group"], GROUP);
    let control = &status["control"];
    assert_eq!(control["connected"], true);
    assert!(
        site.control.delivery_url().contains(
            text(&control["address"])
                .trim_start_matches("http://")
                .trim_end_matches('/')
        )
    );

    let instances = items(
        &site
            .api()
            .get(&format!("/gateway-groups/{GROUP}/instances")),
    );
    let [instance] = &instances[..] else {
        panic!("one instance: {instances:#?}")
    };
    assert_eq!(instance["id"], status["instance"]);
    assert_eq!(instance["build"], status["build"]);
    assert_eq!(instance["state"], "online");
    assert_eq!(instance["effective"], view);
    assert_eq!(instance["desired"], view);
    assert_eq!(instance["converged"], true);
    assert_eq!(instance["held"], json!([]));
    assert_eq!(
        group["instances"],
        json!({"online": 1, "offline": 0, "converged": 1})
    );
}

#[test]
fn services_show_how_many_instances_run_them() {
    let site = Site::set();
    let operation = site.serve(&service("orders", &[("all", "/orders")]));
    let running = calls::published(&site.api(), GROUP, "orders");
    assert_eq!(
        running["convergence"],
        json!({"online": 1, "converged": 1, "held": 0})
    );
    let matrix = site.api().get("/matrix").json_of(200);
    assert_eq!(matrix["groups"], json!([GROUP]));
    let cell = json!({
        "version": "1.0.0", "digest": operation["digest"], "enabled": true,
        "converged": 1, "online": 1, "held": 0,
    });
    assert_eq!(
        matrix["rows"],
        json!([{"service": "orders", "title": "", "cells": {GROUP: cell}}])
    );
    let services = curl([site.gateway.status_url("/status/services")]).text();
    assert!(
        services.contains("orders") && services.contains("1.0.0"),
        "{services}"
    );
}

#[test]
fn metrics_say_the_same() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    let revision = group(&site.api(), GROUP)["revision"].to_string();
    let metrics = curl([site.gateway.status_url("/metrics")]).text();
    for (name, value) in [
        (r#"ferryway_revision{kind="desired"}"#, revision.as_str()),
        (r#"ferryway_revision{kind="effective"}"#, &revision),
        ("ferryway_converged", "1"),
        ("ferryway_held_services", "0"),
        ("ferryway_control_connected", "1"),
    ] {
        let line = format!("{name} {value}");
        assert!(
            metrics.lines().any(|it| it == line),
            "{line} in:\n{metrics}"
        );
    }
}

#[test]
fn a_dry_run_lists_the_instances_that_would_change() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    let id = site.gateway.status()["instance"].clone();
    let other = nodes(&["127.0.0.1:9".parse().expect("an address")]);
    let groups = json!([{"group": GROUP, "binding": other}]);
    let body = json!({"version": "2", "groups": groups, "dry_run": true});
    let planned = ended(
        &site.api().post("/services/orders/publish", &body),
        "planned",
    );
    let instances = &planned["destinations"][0]["instances"];
    assert_eq!(instances[0]["id"], id);
    assert_eq!(instances[0]["state"], "pending");
    assert_eq!(instances[1], Value::Null);
}

#[test]
fn two_groups_can_be_compared() {
    let (mut control, _gateways) = pair();
    control.program();
    let api = control.api();
    define(&api, &service("orders", &[("all", "/orders")]));
    let binding = nodes(&["127.0.0.1:9".parse().expect("an address")]);
    let to = [("left", Some(&binding)), ("right", Some(&binding))];
    succeeded(&publish(&api, "orders", "1", &to));
    let compare = |query: &str| api.get(&format!("/compare?{query}")).json_of(200);
    assert_eq!(compare("a=left&b=right")["items"], json!([]));

    define(
        &api,
        &service("orders", &[("all", "/orders"), ("new", "/new")]),
    );
    succeeded(&publish(&api, "orders", "2", &[("left", None)]));
    let differences = compare("a=right&b=left");
    assert!(differences.to_string().contains("new"), "{differences}");
    assert_eq!(differences["items"][0]["service"], "orders");
    assert_eq!(api.get("/compare?a=left&b=none-such").status, 404);
}
