use serde_json::{Value, json};

use super::*;
use crate::outcome::samples::digest;

fn cell(version: &str, online: u64, converged: u64, held: u64) -> Value {
    json!({
        "version": version, "digest": digest('a'), "enabled": true,
        "converged": converged, "online": online, "held": held,
    })
}

fn matrix(groups: &[&str], rows: &Value) -> Matrix {
    let matrix = json!({"groups": groups, "rows": rows, "next_cursor": null});
    serde_json::from_value(matrix).unwrap()
}

#[test]
fn the_matrix() {
    let mut disabled = cell("1.10.0-rc1", 3, 2, 0);
    disabled["enabled"] = json!(false);
    let mut edited = cell("", 2, 1, 1);
    edited["version"] = Value::Null;
    let rows = json!([
        {"service": "httpbin", "title": "", "cells": {
            "test": cell("1.0.1", 1, 1, 0), "staging": cell("1.0.0", 2, 2, 0),
            "production": cell("1.0.0", 3, 3, 0),
        }},
        {"service": "users", "title": "", "cells": {
            "test": edited, "staging": cell("2.0.0", 0, 0, 0), "production": disabled,
        }},
        {"service": "unpublished", "title": "", "cells": {}},
    ]);
    let matrix = matrix(&["test", "staging", "production"], &rows);
    insta::assert_snapshot!(matrix_text(&matrix, Paint::PLAIN), @"
        SERVICE      TEST                    STAGING             PRODUCTION
        httpbin      1.0.1       1/1 ok      1.0.0  2/2 ok       1.0.0       3/3 ok
        users        No Version  1/2 1 held  2.0.0  none online  1.10.0-rc1  2/3 behind disabled
        unpublished
    ");
}

#[test]
fn a_beginning_says_what_comes_next() {
    let text = |groups: &[&str]| matrix_text(&matrix(groups, &json!([])), Paint::PLAIN);
    assert!(text(&[]).contains("ferryway group create"));
    assert!(text(&["test"]).contains("ferryway service create"));
    assert!(places_text("httpbin", &[], Paint::PLAIN).contains("ferryway publish"));
}

#[test]
fn one_service_and_who_is_behind() {
    let place = |group: &str, converged: u64, behind: Value| Place {
        group: group.to_owned(),
        published: serde_json::from_value(json!({
            "service": "httpbin", "title": "", "version": "1.0.0", "digest": digest('a'),
            "enabled": group == "test", "rollout": null,
            "binding": {"nodes": [{"host": "httpbin.org", "port": 80}]},
            "convergence": {"online": 3, "converged": converged, "held": u64::from(converged < 3)},
        }))
        .unwrap(),
        behind: serde_json::from_value(behind).unwrap(),
    };
    let instance = |host: &str, held: Value| {
        json!({
            "id": format!("id-of-{host}"), "hostname": host, "build": "0.1.0", "state": "online",
            "since": "2026-11-24T08:00:00Z", "addresses": [], "desired": null, "effective": null,
            "converged": false, "held": held,
        })
    };
    let held = json!([{"service": "httpbin", "code": "check_failed", "message": "check a failed"}]);
    let behind = json!([instance("gw-1", held), instance("gw-2", json!([]))]);
    let places = [place("test", 3, json!([])), place("production", 1, behind)];
    insta::assert_snapshot!(places_text("httpbin", &places, Paint::PLAIN), @"
        GROUP       VERSION  INSTANCES            BINDING
        test        1.0.0    3/3 ok               httpbin.org:80 weight 100
        production  1.0.0    1/3 1 held disabled  httpbin.org:80 weight 100
        held by gw-1 (id-of-gw-1) in production: check a failed  (check_failed)
        not yet converged: gw-2 (id-of-gw-2) in production
    ");
}
