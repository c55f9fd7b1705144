//! What was rejected does not come to serve by a crash.

use ferryway_testkit::{START_TIME_MAX, eventually};
use serde_json::{Value, json};

use super::absence::{RECONNECT_TIME_MAX, wait_connected};
use crate::calls::{define, ended, nodes, publish, service};
use crate::site::{GROUP, Site};
use crate::upstream::Reply;

/// How often an instance is killed: whether the disk or the kill is faster is luck.
const KILLS: usize = 4;

/// `orders` at `/orders`, with a check that `/orders/check` says whether it is good, and with this
/// route too.
fn orders(path: &str) -> Value {
    let mut service = service("orders", &[("all", "/orders"), ("below", "/orders/*")]);
    let routes = service["routes"].as_array_mut().expect("it has routes");
    routes.push(json!({"name": "more", "paths": [path]}));
    service["checks"] = json!([{
        "name": "is-good", "path": "/orders/check", "expect": {"body_contains": "good"},
    }]);
    service
}

/// Publishes `orders` with this route, in this version; its check finds this.
#[track_caller]
fn deliver(site: &Site, path: &str, version: &str, found: &'static str, state: &str) -> Value {
    site.upstream
        .reply("/orders/check", [Reply::Text(200, found)]);
    define(&site.api(), &orders(path));
    let binding = nodes(&[site.upstream.address()]);
    let answer = publish(&site.api(), "orders", version, &[(GROUP, Some(&binding))]);
    ended(&answer, state)
}

/// The instance holds `orders` and serves its last good content.
#[track_caller]
fn check_held(site: &Site, rejected: &str) {
    eventually(START_TIME_MAX, "the hold", || {
        (site.gateway.status()["held"][0]["service"] == "orders").then_some(())
    });
    let status = site.gateway.status();
    assert_eq!(status["held"][0]["code"], "check_failed", "{status:#}");
    for (path, expect) in [("/orders", 200), ("/good", 200), (rejected, 404)] {
        assert_eq!(site.get(path).status, expect, "{path}: {status:#}");
    }
}

/// Rejects, and kills the instance as soon as that is known; the control plane too, if it is not to
/// help.
fn check(with_control: bool) {
    let mut site = Site::set();
    deliver(&site, "/good", "1", "good", "succeeded");
    for kill in 0..KILLS {
        let path = format!("/rejected-{kill}");
        let operation = deliver(&site, &path, &format!("{}", kill + 2), "bad", "failed");
        site.gateway.program().kill();
        let instance = &operation["destinations"][0]["instances"][0];
        assert_eq!(instance["state"], "rejected", "{operation:#}");
        if !with_control {
            site.control.program().kill();
        }
        site.gateway.start_again();
        site.gateway.wait_ready(START_TIME_MAX);
        check_held(&site, &path);
        if !with_control {
            site.control.start_again();
        }
        wait_connected(&site);
        eventually(RECONNECT_TIME_MAX, "its word", || {
            let instances = site
                .api()
                .get(&format!("/gateway-groups/{GROUP}/instances"));
            let instances = instances.json_of(200);
            (instances["items"][0]["held"][0]["service"] == "orders").then_some(())
        });
        check_held(&site, &path);
    }
}

#[test]
fn a_crash_does_not_revive_what_was_rejected() {
    check(true);
}

#[test]
fn nor_does_one_without_a_control_plane() {
    check(false);
}
