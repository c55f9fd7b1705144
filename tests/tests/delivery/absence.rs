//! Gateways serve without a control plane, and catch up when there is one again.

use std::time::Duration;

use ferryway_testkit::{START_TIME_MAX, eventually};
use serde_json::{Value, json};

use crate::calls::{self, define, group, items, publish, service, succeeded};
use crate::site::{GROUP, Site, own_answer};

/// Reconnecting is spread over some seconds on purpose.
pub(super) const RECONNECT_TIME_MAX: Duration = Duration::from_secs(30);

/// Everything runs and `orders` 1.0.0 is served at `/orders`.
#[track_caller]
fn site() -> Site {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    assert_eq!(site.get("/orders").status, 200);
    site
}

/// Publishes the next version of `orders`, which is at this path.
#[track_caller]
fn move_to(site: &Site, version: &str, path: &str) -> Value {
    define(&site.api(), &service("orders", &[("all", path)]));
    succeeded(&publish(&site.api(), "orders", version, &[(GROUP, None)]))
}

#[track_caller]
pub(super) fn wait_connected(site: &Site) {
    eventually(RECONNECT_TIME_MAX, "the gateway's connection", || {
        let status = site.gateway.status();
        (status["control"]["connected"] == true).then_some(())
    });
}

/// Waits until the gateway runs what its group should.
#[track_caller]
fn wait_converged(site: &Site) {
    let group = group(&site.api(), GROUP);
    eventually(RECONNECT_TIME_MAX, "the gateway running the view", || {
        let status = site.gateway.status();
        let effective = &status["effective"];
        let is_same = ["revision", "root"]
            .iter()
            .all(|it| effective[it] == group[it]);
        (is_same && status["converged"] == true).then_some(())
    });
}

#[test]
fn a_gateway_starts_from_its_disk_without_a_control_plane() {
    let mut site = site();
    let before = site.gateway.status();
    assert_eq!(before["source"], "control");
    site.control.program().kill();
    assert_eq!(site.get("/orders").status, 200);

    site.gateway.start_again();
    site.gateway.wait_ready(START_TIME_MAX);
    assert_eq!(site.get("/orders").status, 200);
    assert_eq!(own_answer(&site.get("/none")).0, 404);
    let status = site.gateway.status();
    assert_eq!(status["source"], "disk");
    assert_eq!(status["control"]["connected"], false);
    for part in ["instance", "group", "effective"] {
        assert_eq!(status[part], before[part], "{part}");
    }
}

#[test]
fn a_control_plane_comes_back_to_gateways_that_served_on() {
    let mut site = site();
    let before = (site.gateway.status(), group(&site.api(), GROUP));
    site.control.start_again();
    wait_connected(&site);
    assert_eq!(site.get("/orders").status, 200);
    let after = (site.gateway.status(), group(&site.api(), GROUP));
    assert_eq!(after.0["effective"], before.0["effective"]);
    for part in ["revision", "root"] {
        assert_eq!(after.1[part], before.1[part], "{part}");
    }

    let operation = move_to(&site, "1.1.0", "/orders/v2");
    let instance = &operation["destinations"][0]["instances"][0];
    assert_eq!(instance["state"], "applied", "{operation:#}");
    assert_eq!(site.get("/orders/v2").status, 200);
}

#[test]
fn a_gateway_catches_up_on_what_it_missed() {
    // A few changes are still in the control plane's log; after its restart nothing is.
    for restart in [false, true] {
        let mut site = site();
        site.serve(&service("users", &[("all", "/users")]));
        site.gateway.program().kill();
        wait_offline(&site);
        // Nobody is online, so nobody has to apply it.
        move_to(&site, "1.1.0", "/orders/v2");
        site.serve(&service("news", &[("all", "/news")]));
        let users = format!("/gateway-groups/{GROUP}/services/users?wait=30s");
        succeeded(&site.api().delete(&users));
        if restart {
            site.control.start_again();
        }

        site.gateway.start_again();
        wait_converged(&site);
        for (path, status) in [
            ("/orders", 404),
            ("/orders/v2", 200),
            ("/news", 200),
            ("/users", 404),
        ] {
            let answer = site.get(path);
            assert_eq!(answer.status, status, "{path}, restarted: {restart}");
        }
    }
}

#[test]
fn what_was_acknowledged_outlives_both() {
    let mut site = site();
    move_to(&site, "1.1.0", "/orders/v2");
    site.control.program().kill();
    site.gateway.program().kill();
    site.control.start_again();
    site.gateway.start_again();
    wait_converged(&site);
    assert_eq!(site.get("/orders/v2").status, 200);
    let running = calls::published(&site.api(), GROUP, "orders");
    assert_eq!(running["version"], "1.1.0");
    let operations = items(&site.api().get("/operations"));
    let states: Vec<_> = operations.iter().map(|it| &it["state"]).collect();
    assert_eq!(json!(states), json!(["succeeded", "succeeded"]));
}

#[track_caller]
fn wait_offline(site: &Site) {
    eventually(super::presence::OFFLINE_TIME_MAX, "nobody online", || {
        let group = group(&site.api(), GROUP);
        (group["instances"]["online"] == 0).then_some(())
    });
}
