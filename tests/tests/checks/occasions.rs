//! When checks run, and when they gate or only warn.

use ferryway_testkit::{Answer, START_TIME_MAX, Signal, eventually};
use serde_json::{Value, json};

use super::{END_TIME_MAX, checked, deliver, held, next, set};
use crate::calls::{codes, define, ended, publish, succeeded, text};
use crate::site::{GROUP, Site};
use crate::upstream::Reply;

/// Puts version 1 of `orders` back.
#[track_caller]
fn roll_back(site: &Site, wait: &str) -> Answer {
    let path = format!("/gateway-groups/{GROUP}/services/orders/rollback?wait={wait}");
    site.api().post(&path, &json!({"version": "1"}))
}

/// The operation, which has succeeded and says that a check fails.
#[track_caller]
fn warned(answer: &Answer) -> Value {
    let operation = succeeded(answer);
    let instance = &operation["destinations"][0]["instances"][0];
    assert_eq!(instance["state"], "applied", "{operation:#}");
    assert_eq!(instance["code"], "check_failed", "{operation:#}");
    let detail = text(&instance["detail"]);
    assert!(detail.contains("check `is-good` failed: "), "{detail}");
    assert_eq!(instance["evidence"]["response"]["body"], "bad");
    assert!(codes(&operation, "warning").contains(&"check_failed".to_owned()));
    operation
}

/// How often `/orders/check` was asked.
fn asked(site: &Site) -> usize {
    site.upstream.requests("/orders/check").len()
}

/// Changes what the group says of `orders`; the operation ends in this state.
#[track_caller]
fn patch(site: &Site, change: &Value, state: &str) -> Value {
    let path = format!("/gateway-groups/{GROUP}/services/orders?wait=30s");
    ended(&site.api().patch(&path, change), state)
}

#[test]
fn a_rollback_ends_the_hold_and_its_checks_only_warn() {
    let site = super::site(&["orders"]);
    deliver(&site, &checked("orders"), "1", "succeeded");
    set(&site, "orders", "bad");
    deliver(&site, &next("orders"), "2", "failed");
    // What runs is version 1 already: nothing is installed, and nothing checked.
    let operation = succeeded(&roll_back(&site, "30s"));
    assert_eq!(codes(&operation, "warning"), [""; 0]);
    assert_eq!(held(&site), [""; 0]);
    assert_eq!(site.get("/orders").status, 200);

    set(&site, "orders", "good");
    let mut third = next("orders");
    third["routes"][0]["priority"] = json!(1);
    deliver(&site, &third, "3", "succeeded");
    set(&site, "orders", "bad");
    let answer = roll_back(&site, "30s");
    let operation = warned(&answer);
    assert_eq!(site.get("/orders-next").status, 404);
    assert_eq!(held(&site), [""; 0]);

    // It is kept, and other readers see the same.
    let path = format!("/operations/{}", text(&operation["operation"]));
    assert_eq!(site.api().get(&path).json_of(200), operation);
}

#[test]
fn a_way_back_whose_checks_pass_says_nothing() {
    let site = super::site(&["orders"]);
    deliver(&site, &checked("orders"), "1", "succeeded");
    deliver(&site, &next("orders"), "2", "succeeded");
    let before = asked(&site);
    let operation = succeeded(&roll_back(&site, "30s"));
    let instance = &operation["destinations"][0]["instances"][0];
    assert_eq!(instance["code"], Value::Null, "{operation:#}");
    assert_eq!(codes(&operation, "warning"), [""; 0]);
    assert_eq!(asked(&site), before + 1, "it ran");
}

/// The change serves, and the next one is not kept waiting.
#[test]
fn a_way_back_waits_for_no_check() {
    let site = super::site(&["orders", "users"]);
    let mut service = checked("orders");
    service["checks"][0]["expect"]["within"] = json!("8s");
    deliver(&site, &service, "1", "succeeded");
    deliver(&site, &next("orders"), "2", "succeeded");
    site.upstream.reply("/orders/check", [Reply::Silence]);
    let begun = roll_back(&site, "0s").json_of(202);
    let path = format!("/operations/{}", text(&begun["operation"]));
    eventually(END_TIME_MAX, "version 1 serves", || {
        (site.get("/orders-next").status == 404).then_some(())
    });
    deliver(&site, &checked("users"), "1", "succeeded");
    let operation = site.api().get(&path).json_of(200);
    // Both while the check still hangs.
    assert_eq!(operation["state"], "progressing", "{operation:#}");
    let instance = &operation["destinations"][0]["instances"][0];
    assert_eq!(instance["state"], "applied", "{operation:#}");

    let operation = eventually(END_TIME_MAX, "the check is over", || {
        let operation = site.api().get(&path).json_of(200);
        (operation["state"] == "succeeded").then_some(operation)
    });
    let detail = &operation["destinations"][0]["instances"][0]["detail"];
    let why = "expected an answer within 8s, got none";
    assert!(text(detail).ends_with(why), "{operation:#}");
}

#[test]
fn enabling_checks_and_what_is_disabled_is_not_checked() {
    let site = super::site(&["orders"]);
    deliver(&site, &checked("orders"), "1", "succeeded");
    patch(&site, &json!({"enabled": false}), "succeeded");
    set(&site, "orders", "bad");
    let before = asked(&site);
    deliver(&site, &next("orders"), "2", "succeeded");
    assert_eq!(asked(&site), before);

    let operation = patch(&site, &json!({"enabled": true}), "failed");
    let instance = &operation["destinations"][0]["instances"][0];
    assert_eq!(instance["code"], "check_failed", "{operation:#}");
    assert_eq!(held(&site), ["orders"]);
    assert_eq!(site.get("/orders").status, 404);

    set(&site, "orders", "good");
    patch(&site, &json!({"enabled": false}), "succeeded");
    patch(&site, &json!({"enabled": true}), "succeeded");
    assert_eq!(site.get("/orders-next").status, 200);
}

#[test]
fn another_binding_is_a_change_and_is_checked() {
    let site = super::site(&["orders"]);
    deliver(&site, &checked("orders"), "1", "succeeded");
    let binding = json!({"nodes": [{"host": "127.0.0.1", "port": 1}]});
    let operation = patch(&site, &json!({"binding": binding}), "failed");
    let detail = text(&operation["destinations"][0]["instances"][0]["detail"]);
    let why = "expected status 200, got 502 (upstream_connect, by the gateway itself)";
    assert!(detail.contains(why), "{detail}");
    assert_eq!(site.get("/orders").status, 200);
}

#[test]
fn what_was_changed_while_an_instance_was_away_is_not_checked() {
    let mut site = Site::with(&["--drain-delay", "10ms"]);
    set(&site, "orders", "good");
    deliver(&site, &checked("orders"), "1", "succeeded");
    set(&site, "orders", "bad");
    let before = asked(&site);
    site.gateway.program().signal(Signal::TERM);
    site.gateway.program().wait_exit(END_TIME_MAX);
    define(&site.api(), &next("orders"));
    // Whether it was seen to go yet or not.
    let answer = publish(&site.api(), "orders", "2", &[(GROUP, None)]);
    succeeded(&answer);
    site.gateway.start_again();
    site.gateway.wait_ready(START_TIME_MAX);
    eventually(END_TIME_MAX, "version 2 serves", || {
        (site.get("/orders-next").status == 200).then_some(())
    });
    assert_eq!(held(&site), [""; 0]);
    assert_eq!(asked(&site), before);
}
