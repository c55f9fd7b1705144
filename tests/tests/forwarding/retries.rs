//! What is tried again, and what never is.

use ferryway_testkit::{Answer, curl, ports};
use serde_json::{Value, json};

use crate::calls::{nodes, service};
use crate::site::{Site, own_answer};
use crate::upstream::Reply;

/// A site whose service is tried again like this.
#[track_caller]
fn site(retry: &Value) -> Site {
    let site = Site::set();
    let mut service = service("orders", &[("all", "/*")]);
    service["upstream"] = json!({"retry": retry});
    site.serve(&service);
    site
}

fn send(site: &Site, method: &str, path: &str) -> Answer {
    let data: &[&str] = match method {
        "GET" => &[],
        _ => &["--data", "a=b"],
    };
    let url = site.gateway.url(path);
    curl([&["--request", method], data, &[&*url]].concat())
}

#[test]
fn a_node_that_is_dead_costs_no_request() {
    let site = Site::set();
    let [dead] = ports::free();
    let binding = nodes(&[([127, 0, 0, 1], dead).into(), site.upstream.address()]);
    site.serve_from(&service("orders", &[("all", "/*")]), &binding);
    // It was certainly not sent, so the method does not matter.
    for method in ["GET", "POST"] {
        for _ in 0..10 {
            assert_eq!(send(&site, method, "/orders").status, 200);
        }
    }
    let seen = site.upstream.requests("/orders");
    assert_eq!(seen.len(), 20, "each of them once");
}

#[test]
fn which_requests_are_tried_again() {
    let both = json!({"retries": 2, "on": ["connect_failure", "reset_before_response"]});
    let gateway_errors = json!({"retries": 2, "on": ["gateway_error"]});
    let time_out = json!({"retries": 1, "on": ["timeout"]});
    let close = || vec![Reply::Close];
    let away = || vec![Reply::Text(503, "away")];
    let once = |first: Reply| vec![first, Reply::Text(200, "ok")];
    let cases = [
        ("a reset GET", &both, "GET", once(Reply::Close), 200, 2),
        ("a reset PUT", &both, "PUT", once(Reply::Close), 200, 2),
        ("a GET that is reset always", &both, "GET", close(), 502, 3),
        ("a reset POST", &both, "POST", close(), 502, 1),
        ("a 503, not named", &both, "GET", away(), 503, 1),
        (
            "a 503",
            &gateway_errors,
            "GET",
            once(Reply::Text(503, "away")),
            200,
            2,
        ),
        ("a 503 always", &gateway_errors, "GET", away(), 503, 3),
        ("a POST's 503", &gateway_errors, "POST", away(), 503, 1),
        (
            "a reset, not named",
            &gateway_errors,
            "GET",
            close(),
            502,
            1,
        ),
        (
            "a 500",
            &gateway_errors,
            "GET",
            vec![Reply::Text(500, "no")],
            500,
            1,
        ),
        (
            "a silent one",
            &time_out,
            "GET",
            once(Reply::Silence),
            200,
            2,
        ),
        (
            "a silent one always",
            &time_out,
            "GET",
            vec![Reply::Silence],
            504,
            2,
        ),
        (
            "a silent POST",
            &time_out,
            "POST",
            vec![Reply::Silence],
            504,
            1,
        ),
    ];
    let site = Site::set();
    for (number, (what, retry, method, replies, status, times)) in cases.into_iter().enumerate() {
        let path = format!("/case-{number}");
        let mut service = service(&path[1..], &[("all", &path)]);
        service["upstream"] = json!({"retry": retry, "timeout": {"read": "200ms"}});
        site.serve(&service);
        site.upstream.reply(&path, replies);
        let answer = send(&site, method, &path);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        let seen = site.upstream.requests(&path);
        assert_eq!(seen.len(), times, "{what}");
        let body = if method == "GET" { "" } else { "a=b" };
        assert!(seen.iter().all(|it| it.body == body.as_bytes()), "{what}");
    }
}

#[test]
fn a_large_body_is_not_sent_again() {
    let site = site(&json!({"retries": 2, "on": ["reset_before_response"]}));
    site.upstream
        .reply("/orders", [Reply::Close, Reply::Text(200, "ok")]);
    let large = "a".repeat(65 * 1024);
    let url = site.gateway.url("/orders");
    let answer = curl(["--request", "PUT", "--data", &large, &url]);
    assert_eq!(own_answer(&answer), (502, "upstream_reset".to_owned()));
    assert_eq!(site.upstream.requests("/orders").len(), 1);
}

#[test]
fn a_kept_connection_that_was_closed_costs_no_request() {
    let site = site(&json!({"retries": 0, "on": []}));
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    site.upstream.reply("/last", [Reply::Bytes(answer)]);
    for _ in 0..10 {
        for method in ["GET", "POST"] {
            assert_eq!(send(&site, method, "/last").status, 200);
            assert_eq!(send(&site, method, "/orders").status, 200);
        }
    }
    assert_eq!(site.upstream.requests("/orders").len(), 20);
}
