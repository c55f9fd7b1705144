//! When a change answers, and what it says of the instances.

use std::time::Duration;

use ferryway_testkit::{Signal, eventually};
use serde_json::{Value, json};

use crate::calls::{items, nodes, publish, service, succeeded, text};
use crate::site::{GROUP, Site};

const DELIVERY_TIME_MAX: Duration = Duration::from_secs(15);

#[test]
fn with_wait_the_answer_is_the_end() {
    let site = Site::set();
    let operation = site.serve(&service("orders", &[("all", "/orders")]));
    assert_ne!(operation["ended_at"], Value::Null);
    let [instance] = &instances(&operation)[..] else {
        panic!("one instance: {operation:#}")
    };
    assert_eq!(instance["state"], "applied");
    assert_eq!(instance["code"], Value::Null);
    let took = text(&instance["took"]);
    assert!(
        took.ends_with('s') && took.starts_with(|first: char| first.is_ascii_digit()),
        "{took}"
    );
    assert_eq!(site.get("/orders").status, 200);

    let id = text(&operation["operation"]);
    let shown = site.api().get(&format!("/operations/{id}")).json_of(200);
    assert_eq!(shown, operation);
    assert_eq!(items(&site.api().get("/operations"))[0], operation);
}

#[test]
fn without_wait_the_answer_may_come_before_the_end() {
    let mut site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    crate::calls::define(&site.api(), &service("orders", &[("all", "/later")]));

    site.gateway.program().signal(Signal::STOP);
    let body = json!({"version": "2.0.0", "groups": [{"group": GROUP}]});
    let answer = site.api().post("/services/orders/publish", &body);
    let operation = answer.json_of(202);
    assert_eq!(operation["state"], "progressing");
    assert_eq!(instances(&operation)[0]["state"], "pending");
    let id = text(&operation["operation"]);
    let location = answer.header("location").expect("where to ask again");
    assert!(
        location.ends_with(&format!("/api/v1/operations/{id}")),
        "{location}"
    );
    // The change itself is made.
    let running = crate::calls::published(&site.api(), GROUP, "orders");
    assert_eq!(running["version"], "2.0.0");
    // A wait that is over is no failure.
    let path = format!("/gateway-groups/{GROUP}/services/orders?wait=100ms");
    let other = nodes(&["127.0.0.1:9".parse().expect("an address")]);
    let answer = site.api().patch(&path, &json!({"binding": other}));
    assert_eq!(answer.json_of(202)["state"], "progressing");

    site.gateway.program().signal(Signal::CONT);
    eventually(DELIVERY_TIME_MAX, "the end of both operations", || {
        let all = items(&site.api().get("/operations"));
        all.iter()
            .all(|it| it["state"] != "progressing")
            .then_some(())
    });
    let first = site.api().get(&format!("/operations/{id}")).json_of(200);
    assert_eq!(first["state"], "superseded");
    assert_eq!(site.get("/later").status, 502);
}

#[test]
fn an_operation_can_be_followed() {
    let site = Site::set();
    let operation = site.serve(&service("orders", &[("all", "/orders")]));
    let id = text(&operation["operation"]);
    let events = site.api().get(&format!("/operations/{id}/events"));
    assert_eq!(events.status, 200);
    let kind = events.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let events = events.text();
    let (_, end) = events.split_once("event: end").expect("it has ended");
    let data = end.lines().find_map(|line| line.strip_prefix("data:"));
    let last: Value =
        serde_json::from_str(data.expect("the last one carries the operation")).expect("as JSON");
    assert_eq!(last, operation);
}

#[test]
fn the_same_key_makes_the_change_once() {
    let site = Site::set();
    crate::calls::define(&site.api(), &service("orders", &[("all", "/orders")]));
    let binding = nodes(&[site.upstream.address()]);
    let mut body = json!({"version": "1", "groups": [{"group": GROUP, "binding": binding}]});
    let publish_once = |body: &Value| {
        let headers = ["Idempotency-Key: 6d3f"];
        let path = "/services/orders/publish?wait=30s";
        site.api().call("POST", path, &headers, Some(body))
    };
    let first = succeeded(&publish_once(&body));
    let again = publish_once(&body).json_of(200);
    assert_eq!(again["operation"], first["operation"]);
    assert_eq!(items(&site.api().get("/operations")).len(), 1);
    body["version"] = json!("2");
    assert_eq!(publish_once(&body).status, 422);
    let second = publish(&site.api(), "orders", "2", &[(GROUP, None)]);
    succeeded(&second);
}

fn instances(operation: &Value) -> Vec<Value> {
    let instances = operation["destinations"][0]["instances"].as_array();
    instances.cloned().unwrap_or_default()
}
