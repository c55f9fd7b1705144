//! Which node a request goes to.

use ferryway_testkit::ports;
use serde_json::{Value, json};

use crate::calls::service;
use crate::site::Site;
use crate::upstream::Upstream;

/// Sends so many requests through one worker to these nodes, `None` for one that is dead, each with
/// its weight and priority, and compares how many each got.
#[track_caller]
fn check(policy: &str, all: &[(Option<&Upstream>, u16, u16)], requests: usize, expect: &[usize]) {
    let site = Site::with(&["--workers", "1"]);
    let nodes: Vec<Value> = all
        .iter()
        .map(|(upstream, weight, priority)| {
            let port = match upstream {
                Some(upstream) => upstream.address().port(),
                None => ports::free::<1>()[0],
            };
            json!({"host": "127.0.0.1", "port": port, "weight": weight, "priority": priority})
        })
        .collect();
    let mut service = service("orders", &[("all", "/orders")]);
    service["upstream"] = json!({"load_balancing": {"policy": policy}});
    site.serve_from(&service, &json!({ "nodes": nodes }));
    for _ in 0..requests {
        let answer = site.get("/orders");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let got: Vec<_> = all
        .iter()
        .map(|(upstream, ..)| upstream.map_or(0, |it| it.requests("/orders").len()))
        .collect();
    assert_eq!(got, expect);
}

#[test]
fn by_weight() {
    let [a, b] = [(); 2].map(|()| Upstream::start());
    check(
        "round_robin",
        &[(Some(&a), 3, 0), (Some(&b), 1, 0)],
        40,
        &[30, 10],
    );
}

#[test]
fn a_weight_of_zero_gets_nothing() {
    let [a, b] = [(); 2].map(|()| Upstream::start());
    check(
        "round_robin",
        &[(Some(&a), 0, 0), (Some(&b), 100, 0)],
        10,
        &[0, 10],
    );
}

#[test]
fn the_higher_priority_alone() {
    let [a, b] = [(); 2].map(|()| Upstream::start());
    check(
        "round_robin",
        &[(Some(&a), 100, 0), (Some(&b), 100, 10)],
        10,
        &[0, 10],
    );
}

#[test]
fn the_lower_priority_where_the_higher_is_dead() {
    let a = Upstream::start();
    check(
        "round_robin",
        &[(Some(&a), 100, 0), (None, 100, 10)],
        10,
        &[10, 0],
    );
}
