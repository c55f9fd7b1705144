//! What is counted.

use crate::support::{Gateway, plain};

const LABELS: &str = "service=\"echo\",version=\"1.0.0\",route=\"all\"";

/// Waits until the metrics have this line: a request is counted when its last byte is written, which
/// the client may see first.
#[track_caller]
fn comes(gateway: &Gateway, line: &str) {
    let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
    while !gateway.metrics().lines().any(|it| it == line) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{line} in\n{}",
            gateway.metrics()
        );
        std::thread::yield_now();
    }
}

#[test]
fn requests_are_counted_by_route_and_code() {
    let gateway = Gateway::start(plain(), &["read|ok x|again"]);
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").summary(),
            "200 x"
        );
    }
    client.ask("GET /.. HTTP/1.1\r\nhost: a\r\n\r\n");
    comes(
        &gateway,
        &format!("ferryway_requests_total{{{LABELS},code=\"200\"}} 3"),
    );
    comes(
        &gateway,
        &format!("ferryway_request_duration_seconds_count{{{LABELS}}} 3"),
    );
    comes(
        &gateway,
        &format!("ferryway_upstream_duration_seconds_count{{{LABELS}}} 3"),
    );
    comes(
        &gateway,
        "ferryway_requests_total{service=\"\",version=\"\",route=\"\",code=\"400\"} 1",
    );
    comes(&gateway, "ferryway_refusals_total{code=\"bad_path\"} 1");
    comes(&gateway, "ferryway_upstream_connects_total 1");
    comes(&gateway, "ferryway_upstream_reuses_total 2");
    comes(&gateway, "ferryway_connections 1");
    comes(&gateway, "ferryway_requests_in_flight 0");
    drop(client);
    comes(&gateway, "ferryway_connections 0");
}

/// A request whose client leaves before there is an answer is counted, as 499.
#[test]
fn a_cancelled_request_is_counted() {
    let gateway = Gateway::start(plain(), &["read|hold"]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    gateway.first().request();
    comes(&gateway, "ferryway_requests_in_flight 1");
    drop(client);
    comes(
        &gateway,
        &format!("ferryway_requests_total{{{LABELS},code=\"499\"}} 1"),
    );
    comes(&gateway, "ferryway_requests_in_flight 0");
}
