//! An instance belongs to one group, and serves what its group has.

use ferryway_testkit::{Control, Gateway, START_TIME_MAX, curl, eventually, try_curl};
use serde_json::json;

use super::absence::RECONNECT_TIME_MAX;
use crate::calls::{define, nodes, publish, published, service, succeeded};
use crate::site::{GROUP, Site, make_group, options};
use crate::upstream::Upstream;

/// Two groups, `left` and `right`, with one instance each.
#[track_caller]
pub(super) fn pair() -> (Control, [Gateway; 2]) {
    let control = Control::start();
    let gateways = ["left", "right"].map(|group| {
        make_group(&control.api(), group);
        let mut gateway = Gateway::start(options(&control, group));
        gateway.wait_ready(START_TIME_MAX);
        gateway
    });
    (control, gateways)
}

#[test]
fn a_group_serves_what_was_published_to_it() {
    let (control, gateways) = pair();
    let upstream = Upstream::start();
    let api = control.api();
    let binding = nodes(&[upstream.address()]);
    for (name, groups) in [
        ("both", &["left", "right"][..]),
        ("left-only", &["left"]),
        ("right-only", &["right"]),
    ] {
        define(&api, &service(name, &[("all", &format!("/{name}"))]));
        let groups: Vec<_> = groups.iter().map(|it| (*it, Some(&binding))).collect();
        succeeded(&publish(&api, name, "1", &groups));
    }
    let statuses = |gateway: &Gateway| {
        ["/both", "/left-only", "/right-only"].map(|path| curl([gateway.url(path)]).status)
    };
    let [left, right] = &gateways;
    assert_eq!(statuses(left), [200, 200, 404]);
    assert_eq!(statuses(right), [200, 404, 200]);
}

#[test]
fn an_instance_of_an_unknown_group_waits_for_it() {
    let control = Control::start();
    let mut gateway = Gateway::start(options(&control, "later"));
    let answer = curl([gateway.status_url("/readyz")]);
    assert_eq!(answer.status, 503);
    let error = try_curl([gateway.url("/")]).expect_err("the port is not open yet");
    assert!(error.contains("Failed to connect"), "{error}");
    assert_eq!(curl([gateway.status_url("/healthz")]).status, 200);

    make_group(&control.api(), "later");
    gateway.wait_ready(RECONNECT_TIME_MAX);
    assert_eq!(curl([gateway.url("/")]).status, 404, "an empty view counts");
}

#[test]
fn an_instance_that_started_before_the_control_plane_finds_it() {
    let mut control = Control::start();
    make_group(&control.api(), GROUP);
    control.program().kill();
    let mut gateway = Gateway::start(options(&control, GROUP));
    assert_eq!(curl([gateway.status_url("/readyz")]).status, 503);
    control.start_again();
    gateway.wait_ready(RECONNECT_TIME_MAX);
}

#[test]
fn a_second_instance_runs_what_the_first_does() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    let mut second = Gateway::start(options(&site.control, GROUP));
    second.wait_ready(START_TIME_MAX);
    eventually(RECONNECT_TIME_MAX, "two that are converged", || {
        let running = published(&site.api(), GROUP, "orders");
        let all = json!({"online": 2, "converged": 2, "held": 0});
        (running["convergence"] == all).then_some(())
    });
    assert_eq!(curl([second.url("/orders")]).status, 200);
    let (first, other) = (site.gateway.status(), second.status());
    assert_eq!(first["effective"], other["effective"]);
    assert_ne!(first["instance"], other["instance"]);

    let body = json!({"enabled": false});
    let path = format!("/gateway-groups/{GROUP}/services/orders?wait=30s");
    let operation = succeeded(&site.api().patch(&path, &body));
    let states: Vec<_> = operation["destinations"][0]["instances"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| &it["state"])
        .collect();
    assert_eq!(states, ["applied", "applied"]);
    assert_eq!(curl([second.url("/orders")]).status, 404);
}
