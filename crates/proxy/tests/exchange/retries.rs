//! When a request is tried again, and when it is not.

use serde_json::json;

use crate::support::{Gateway, service};

/// A request of this method to a service whose endpoint `a` misbehaves as the script says and whose
/// endpoint `b` answers "b"; once with each of them first, as turns go. `fails` is what is answered
/// when `a` is first; `b` comes to the rescue where it is "200 b".
#[track_caller]
fn check(on: &[&str], retries: u32, script: &str, request: &str, expect: &str) {
    let retry = json!({"retries": retries, "on": on});
    let timeout = json!({"read": "100ms", "send": "100ms", "connect": "100ms"});
    let definition = service(json!({"upstream": {"retry": retry, "timeout": timeout}}));
    let gateway = Gateway::start(definition, &[script, "read|ok b|again"]);
    let first = gateway.client().ask(request).summary();
    let second = gateway.client().ask(request).summary();
    assert_eq!(
        [first.as_str(), second.as_str()],
        [expect, "200 b"],
        "{on:?} {retries} {script}"
    );
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
const PUT: &str = "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
const CHUNKED_PUT: &str =
    "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";

#[test]
fn connect_failure() {
    for request in [GET, POST, PUT, CHUNKED_PUT] {
        check(&["connect_failure"], 1, "refuse", request, "200 b");
        check(
            &["connect_failure"],
            0,
            "refuse",
            request,
            "502 upstream_connect",
        );
        check(&["timeout"], 1, "refuse", request, "502 upstream_connect");
    }
}

#[test]
fn reset_before_response() {
    for script in ["read|close", "read|reset"] {
        for request in [GET, PUT, CHUNKED_PUT] {
            check(&["reset_before_response"], 1, script, request, "200 b");
            check(
                &["connect_failure"],
                1,
                script,
                request,
                "502 upstream_reset",
            );
            check(
                &["reset_before_response"],
                0,
                script,
                request,
                "502 upstream_reset",
            );
        }
        check(
            &["reset_before_response"],
            1,
            script,
            POST,
            "502 upstream_reset",
        );
    }
}

#[test]
fn gateway_error() {
    for (status, code) in [("502 X", "502 e"), ("503 X", "503 e"), ("504 X", "504 e")] {
        let script =
            format!("read|say HTTP/1.1 {status}\\r\\ncontent-length: 1\\r\\n\\r\\ne|again");
        check(&["gateway_error"], 1, &script, GET, "200 b");
        check(&["gateway_error"], 1, &script, CHUNKED_PUT, "200 b");
        check(&["gateway_error"], 1, &script, POST, code);
        check(&["gateway_error"], 0, &script, GET, code);
        check(&["timeout"], 1, &script, GET, code);
    }
    let script = "read|say HTTP/1.1 500 X\\r\\ncontent-length: 1\\r\\n\\r\\ne|again";
    check(&["gateway_error"], 1, script, GET, "500 e");
}

#[test]
fn timeout() {
    check(&["timeout"], 1, "read|hold", GET, "200 b");
    check(&["timeout"], 1, "read|hold", PUT, "200 b");
    check(&["timeout"], 1, "read|hold", POST, "504 upstream_timeout");
    check(
        &["connect_failure"],
        1,
        "read|hold",
        GET,
        "504 upstream_timeout",
    );
}

/// An answer that is no HTTP is no reason to ask again: the upstream has seen the request.
#[test]
fn protocol_errors_are_not_retried() {
    let all = [
        "connect_failure",
        "reset_before_response",
        "gateway_error",
        "timeout",
    ];
    check(
        &all,
        3,
        "read|say garbage\\r\\n\\r\\n|hold",
        GET,
        "502 upstream_protocol",
    );
}

/// A body is sent again whole; one that is too large for that is not.
#[test]
fn bodies_are_replayed_up_to_a_bound() {
    for (size, expect) in [(64 * 1024, "200 b"), (64 * 1024 + 1, "502 upstream_reset")] {
        let body = "x".repeat(size);
        let sized = format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n{body}");
        let chunked = format!(
            "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
        );
        check(&["reset_before_response"], 1, "read|close", &sized, expect);
        check(
            &["reset_before_response"],
            1,
            "read|close",
            &chunked,
            expect,
        );
    }
}

/// The part of the body that had not come yet when the first try failed goes to the second only.
#[test]
fn a_body_in_the_making_goes_on_in_the_next_try() {
    let retry = json!({"retries": 1, "on": ["reset_before_response"]});
    let definition = service(json!({"upstream": {"retry": retry}}));
    let gateway = Gateway::start(definition, &["head|close", "read|ok b"]);
    let mut client = gateway.client();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nfirst");
    gateway.upstreams[0].request();
    client.send(" last");
    assert_eq!(client.response(false).summary(), "200 b");
    assert_eq!(gateway.upstreams[1].request().2, "first last");
}

/// With one endpoint, another try goes there again.
#[test]
fn a_lone_endpoint_is_tried_again() {
    let retry = json!({"retries": 2, "on": ["reset_before_response"]});
    let definition = service(json!({"upstream": {"retry": retry}}));
    let gateway = Gateway::start(definition, &["read|close\nread|close\nread|ok x"]);
    assert_eq!(gateway.client().ask(GET).summary(), "200 x");
    assert!(gateway.metrics().contains("ferryway_retries_total 2"));
}
