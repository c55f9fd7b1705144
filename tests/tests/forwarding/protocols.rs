//! HTTP/1.0, HTTP/1.1 with connections that are kept, and HTTP/2 without TLS.

use ferryway_testkit::curl;

use crate::calls::service;
use crate::site::{Site, own_answer};
use crate::upstream::Client;

#[track_caller]
fn site(flags: &[&str]) -> Site {
    let site = Site::with(flags);
    site.serve(&service("orders", &[("all", "/orders/*")]));
    site
}

#[test]
fn http2_with_prior_knowledge() {
    let site = site(&[]);
    let http2 = "--http2-prior-knowledge";
    let answer = curl([http2, "--data", "a=b", &site.gateway.url("/orders/1?x=y")]);
    assert_eq!(answer.status, 200);
    let [request] = &site.upstream.requests("/orders/1")[..] else {
        panic!("one request")
    };
    assert_eq!(
        request.text().lines().next(),
        Some("POST /orders/1?x=y HTTP/1.1")
    );
    assert_eq!(request.body, b"a=b");
    let host = site.upstream.address().to_string();
    for (name, value) in [
        ("host", host.as_str()),
        ("x-forwarded-host", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("via", "1.1 ferryway"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let answer = curl([http2, &site.gateway.url("/none")]);
    assert_eq!(own_answer(&answer), (404, "no_route".to_owned()));
}

#[test]
fn http10() {
    let site = site(&[]);
    let answer = curl(["--http1.0", &site.gateway.url("/orders/1")]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("transfer-encoding"), None);
    let mut client = Client::connect(site.address()).expect("the gateway listens");
    client
        .send("GET /orders/2 HTTP/1.0\r\n\r\n")
        .expect("the gateway reads");
    assert_eq!(client.answer().expect("an answer").status, 200);
    assert!(client.has_ended());
}

#[test]
fn connections_are_kept_on_both_sides() {
    let site = site(&["--workers", "1"]);
    let mut client = Client::connect(site.address()).expect("the gateway listens");
    for number in 0..20 {
        let request = format!("GET /orders/{number} HTTP/1.1\r\nHost: a\r\n\r\n");
        client.send(request).expect("the gateway reads");
        assert_eq!(client.answer().expect("an answer").status, 200);
    }
    assert_eq!(site.upstream.connections(), 1);
    // Other clients use what this one has opened, too.
    for number in 0..5 {
        assert_eq!(site.get(&format!("/orders/{number}")).status, 200);
    }
    assert_eq!(site.upstream.connections(), 1);
    client
        .send("GET /orders/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .expect("the gateway reads");
    assert_eq!(client.answer().expect("an answer").status, 200);
    assert!(client.has_ended(), "it was asked to close");
}

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    let site = site(&[]);
    let mut client = Client::connect(site.address()).expect("the gateway listens");
    let request = |number| format!("GET /orders/{number} HTTP/1.1\r\nHost: a\r\n\r\n");
    client
        .send((0..5).map(request).collect::<String>())
        .expect("the gateway reads");
    for number in 0..5 {
        let answer = client.answer().expect("an answer");
        let head = format!("GET /orders/{number} HTTP/1.1");
        assert_eq!(answer.text().lines().next(), Some(&*head));
    }
}
