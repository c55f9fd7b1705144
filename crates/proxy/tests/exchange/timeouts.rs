//! Timeouts towards upstreams: never early, and not much late.

use std::net::TcpListener;
use std::time::Duration;

use ferryway_balance::Endpoint;
use ferryway_proxy::Settings;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Gateway, plain, service};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn with_timeout(timeout: Value) -> Value {
    service(json!({"upstream": {"timeout": timeout, "retry": {"retries": 0, "on": []}}}))
}

/// How long the answer took; it must be `504 upstream_timeout`.
#[track_caller]
fn took(gateway: &Gateway, request: &str) -> Duration {
    let mut client = gateway.client();
    let start = Instant::now();
    assert_eq!(client.ask(request).summary(), "504 upstream_timeout");
    start.elapsed()
}

#[track_caller]
fn check(took: Duration, expect: Duration) {
    assert!(took >= expect, "early: {took:?} instead of {expect:?}");
    assert!(
        took < expect + Duration::from_secs(2),
        "late: {took:?} instead of {expect:?}"
    );
}

#[test]
fn read() {
    let expect = Duration::from_millis(250);
    let gateway = Gateway::start(with_timeout(json!({"read": "250ms"})), &["read|hold"]);
    check(took(&gateway, GET), expect);
}

/// The route's own timeout goes before the policy's.
#[test]
fn a_routes_own() {
    let routes = json!([{"name": "all", "paths": ["/*"], "timeout": {"read": "100ms"}}]);
    let definition = service(json!({"routes": routes}));
    let gateway = Gateway::start(definition, &["read|hold"]);
    check(took(&gateway, GET), Duration::from_millis(100));
}

/// The time runs between two reads, not over all of them; and then a body breaks off.
#[test]
fn read_in_the_middle_of_a_body() {
    let script = "read|say HTTP/1.1 200 OK\\r\\ncontent-length: 9\\r\\n\\r\\nhi|hold";
    let gateway = Gateway::start(with_timeout(json!({"read": "100ms"})), &[script]);
    assert_eq!(gateway.client().ask(GET).summary(), "200 hi…");
    assert!(
        gateway
            .metrics()
            .contains("ferryway_refusals_total{code=\"upstream_timeout\"} 1")
    );
}

/// While the client sends its body, the upstream cannot be late with its answer.
#[test]
fn a_slow_upload_is_not_the_upstreams_fault() {
    let gateway = Gateway::start(
        with_timeout(json!({"read": "100ms", "send": "100ms"})),
        &["head|read|ok x"],
    );
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nh");
    gateway.first().request();
    // Another request runs into its timeout meanwhile: that long has passed.
    assert!(took(&gateway, GET) >= Duration::from_millis(100));
    client.send("i");
    // Now the time for the answer runs, and none comes.
    assert_eq!(client.response(false).summary(), "504 upstream_timeout");
}

#[test]
fn send() {
    let gateway = Gateway::start(with_timeout(json!({"send": "250ms"})), &["stall"]);
    let body = "x".repeat(30_000_000);
    let mut client = gateway.client();
    let mut sender = client.socket.try_clone().unwrap();
    std::thread::spawn(move || {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // It is cut off in the middle.
        let _ = std::io::Write::write_all(&mut sender, format!("{head}{body}").as_bytes());
    });
    assert_eq!(client.response(false).summary(), "504 upstream_timeout");
}

#[test]
fn connect() {
    // A listener whose queue is full does not answer any more.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let _waiting = std::net::TcpStream::connect(address).unwrap();
    let endpoint = Endpoint {
        name: "a".into(),
        address,
        weight: 1,
        priority: 0,
    };
    let definition = with_timeout(json!({"connect": "250ms"}));
    let gateway = Gateway::at(definition, vec![endpoint], Vec::new(), Settings::default());
    check(took(&gateway, GET), Duration::from_millis(250));
}

#[test]
fn no_timeout_without_a_reason() {
    let gateway = Gateway::start(plain(), &["read|ok x"]);
    assert_eq!(gateway.client().ask(GET).summary(), "200 x");
    assert!(gateway.metrics().contains("ferryway_requests_in_flight 0"));
}
