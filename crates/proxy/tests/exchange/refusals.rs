//! Every answer of the gateway's own that this build can give.

use std::time::Duration;

use ferryway_proxy::{Limits, Settings};
use serde_json::json;

use crate::support::{Gateway, check, plain, service};

const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn no_route() {
    let definition = service(json!({"routes": [{"name": "one", "paths": ["/one"]}]}));
    check(
        definition.clone(),
        "read|ok x",
        "GET /two HTTP/1.1\r\nhost: a\r\n\r\n",
        "404 no_route",
    );
    let gateway = Gateway::start(definition, &["read|ok x"]);
    let response = gateway.client().ask(ASK);
    assert_eq!(response.text(), "{\"error_msg\": \"404 Route Not Found\"}");
    assert_eq!(response.header("content-type"), Some("application/json"));
}

#[test]
fn a_refused_head_request_has_no_body() {
    let definition = service(json!({"routes": [{"name": "one", "paths": ["/one"]}]}));
    let gateway = Gateway::start(definition, &["read|ok x|again"]);
    let mut client = gateway.client();
    let response = client.ask("HEAD /two HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(response.summary(), "404 no_route");
    // Nothing of a body is in the way of the next response.
    assert_eq!(
        client.ask("GET /one HTTP/1.1\r\nhost: a\r\n\r\n").summary(),
        "200 x"
    );
}

#[test]
fn method_not_allowed_says_what_is() {
    let routes = json!([{"name": "one", "paths": ["/*"], "methods": ["GET", "PUT"]}]);
    let gateway = Gateway::start(service(json!({"routes": routes})), &["read|ok x"]);
    let response = gateway.client().ask("DELETE / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(response.summary(), "405 method_not_allowed");
    assert_eq!(response.header("allow"), Some("GET, PUT"));
}

/// What a strict reader calls malformed never reaches the upstream, and ends the connection.
#[test]
fn bad_requests() {
    let long = "x".repeat(70_000);
    let many: String = (0..120).map(|n| format!("x-{n}: 1\r\n")).collect();
    let path = "x".repeat(9_000);
    for (request, expect) in [
        ("GET / HTTP/1.1\r\n\r\n", "400 bad_request"),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
            "400 bad_request",
        ),
        ("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n", "400 bad_request"),
        ("GET / HTTP/1.1\r\nhost: a:99999\r\n\r\n", "400 bad_request"),
        ("GET / HTTP/1.1\r\nhost: [::1\r\n\r\n", "400 bad_request"),
        ("GET / HTTP/1.1\r\nhost: <x>\r\n\r\n", "400 bad_request"),
        (
            "GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n",
            "400 bad_request",
        ),
        (
            "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n",
            "400 bad_request",
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nx y: 1\r\n\r\n",
            "400 bad_request",
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n folded\r\n\r\n",
            "400 bad_request",
        ),
        ("G@T / HTTP/1.1\r\nhost: a\r\n\r\n", "400 bad_request"),
        ("GET / HTTP/3.0\r\nhost: a\r\n\r\n", "400 bad_request"),
        (
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n and more of it",
            "400 bad_request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello",
            "400 bad_request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 6\r\n\r\nhello",
            "400 bad_request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
            "400 bad_request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551621\r\n\r\nhello",
            "400 bad_request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: cow, chunked\r\n\r\n0\r\n\r\n",
            "400 bad_request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "400 bad_request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            "400 bad_request",
        ),
        (
            "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400 bad_request",
        ),
        (
            &format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
            "431 header_too_large",
        ),
        (
            &format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"),
            "431 header_too_large",
        ),
        (
            &format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n"),
            "414 uri_too_long",
        ),
    ] {
        let gateway = Gateway::start(plain(), &["read|ok x"]);
        let mut client = gateway.client();
        let response = client.ask(request);
        let shown = &request[..request.len().min(80)];
        assert_eq!(response.summary(), expect, "{shown:?}");
        assert_eq!(response.header("connection"), Some("close"), "{shown:?}");
        assert!(client.is_closed(), "{shown:?}");
        assert!(gateway.first().is_quiet(), "{shown:?}");
    }
}

/// A head that cannot be read is refused in its turn, behind the answers to those before it.
#[test]
fn a_malformed_head_behind_a_good_one() {
    let gateway = Gateway::start(plain(), &["read|ok HTTP/1.1 400 Bad Request"]);
    let mut client = gateway.client();
    client.send(&format!("{ASK}G@T / HTTP/1.1\r\n\r\n"));
    assert_eq!(
        client.response(false).summary(),
        "200 HTTP/1.1 400 Bad Request"
    );
    assert_eq!(client.response(false).summary(), "400 bad_request");
    assert!(client.is_closed());
    let metrics = gateway.metrics();
    assert!(
        metrics.contains("ferryway_refusals_total{code=\"bad_request\"} 1"),
        "{metrics}"
    );
}

#[test]
fn bad_paths_leave_the_connection_open() {
    let gateway = Gateway::start(plain(), &["read|ok x"]);
    let mut client = gateway.client();
    for path in ["/..", "/a/../../b", "/%zz", "/%", "/a%2", "*"] {
        let response = client.ask(&format!("OPTIONS {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(response.summary(), "400 bad_path", "{path}");
    }
    assert_eq!(client.ask(ASK).summary(), "200 x");
}

/// A client's malformed body is the client's fault, not the upstream's.
#[test]
fn bad_bodies() {
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for body in [
        "xyz\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "-1\r\n",
        "ffffffffffffffffff\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
    ] {
        check(plain(), "hold", &format!("{head}{body}"), "400 bad_request");
    }
}

#[test]
fn upstream_connect() {
    let gateway = Gateway::start(plain(), &["refuse"]);
    assert_eq!(gateway.client().ask(ASK).summary(), "502 upstream_connect");
}

#[test]
fn upstream_reset() {
    check(plain(), "read|close", ASK, "502 upstream_reset");
    check(plain(), "read|reset", ASK, "502 upstream_reset");
    check(
        plain(),
        "read|say HTTP/1.1 200 OK\\r\\ncont|close",
        ASK,
        "502 upstream_reset",
    );
}

#[test]
fn upstream_protocol() {
    for answer in [
        "garbage\\r\\n\\r\\n",
        "HTTP/1.1 999999 X\\r\\n\\r\\n",
        "HTTP/1.1 200 OK\\r\\ncontent-length: -1\\r\\n\\r\\n",
        "HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\ncontent-length: 2\\r\\n\\r\\n",
        "HTTP/1.1 200 OK\\r\\ncontent-length: 5\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n",
        "HTTP/1.1 200 OK\\r\\ntransfer-encoding: cow\\r\\n\\r\\n",
        "HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n",
        "HTTP/1.1 200 OK\\r\\nx y: 1\\r\\n\\r\\n",
        "HTTP/1.1 101 Switching Protocols\\r\\nupgrade: x\\r\\nconnection: upgrade\\r\\n\\r\\n",
    ] {
        check(
            plain(),
            &format!("read|say {answer}|hold"),
            ASK,
            "502 upstream_protocol",
        );
    }
}

#[test]
fn no_endpoint() {
    let gateway = Gateway::start(plain(), &["weight 0"]);
    assert_eq!(gateway.client().ask(ASK).summary(), "503 no_endpoint");
}

fn limits(limits: Limits) -> Settings {
    Settings {
        limits,
        ..Settings::default()
    }
}

#[test]
fn a_head_that_takes_too_long() {
    let settings = limits(Limits {
        head_time: Duration::from_millis(100),
        ..Limits::default()
    });
    let gateway = Gateway::with(plain(), &["read|ok x|again"], settings);
    let mut client = gateway.client();
    let response = client.ask("GET / HTTP/1.1\r\nho");
    assert_eq!(response.summary(), "408 request_timeout");
    assert!(client.is_closed());
    // The second head of a connection has a time as well.
    let mut client = gateway.client();
    assert_eq!(client.ask(ASK).summary(), "200 x");
    assert_eq!(client.ask("GET / HT").summary(), "408 request_timeout");
    // Who says nothing at all gets no answer.
    assert!(gateway.client().is_closed());
}

#[test]
fn an_idle_connection_is_closed() {
    let settings = limits(Limits {
        idle_time: Duration::from_millis(100),
        ..Limits::default()
    });
    let gateway = Gateway::with(plain(), &["read|ok x"], settings);
    let mut client = gateway.client();
    assert_eq!(client.ask(ASK).summary(), "200 x");
    assert!(client.is_closed());
}

#[test]
fn a_body_that_takes_too_long() {
    let settings = limits(Limits {
        body_time: Duration::from_millis(100),
        ..Limits::default()
    });
    let gateway = Gateway::with(plain(), &["hold"], settings);
    let mut client = gateway.client();
    let response = client.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel");
    assert_eq!(response.summary(), "408 request_timeout");
    assert!(client.is_closed());
}

#[test]
fn a_client_that_takes_nothing_is_closed() {
    let settings = limits(Limits {
        write_time: Duration::from_millis(100),
        ..Limits::default()
    });
    // Far more than the sockets' buffers hold, to a client that does not read.
    let answer = format!("ok {}", "x".repeat(30_000_000));
    let gateway = Gateway::with(plain(), &[&format!("read|{answer}|hold")], settings);
    let mut client = gateway.client();
    client.send(ASK);
    gateway.first().request();
    assert_eq!(
        gateway.first().event(),
        crate::support::Event::Closed { connection: 0 }
    );
}
