//! HTTP/1.x on the client's side.

use crate::support::{Gateway, check, plain};

#[test]
fn a_connection_serves_many() {
    let gateway = Gateway::start(plain(), &["read|ok x|again"]);
    let mut client = gateway.client();
    for _ in 0..3 {
        let response = client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(response.summary(), "200 x");
        assert!(response.head.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let last = client.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert_eq!(last.header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let gateway = Gateway::start(plain(), &["read|ok one|read|ok two|read|ok three"]);
    let mut client = gateway.client();
    client.send(&"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(3));
    for expect in ["200 one", "200 two", "200 three"] {
        assert_eq!(client.response(false).summary(), expect);
    }
}

/// As `GET` may have a body, what follows it is no request.
#[test]
fn a_get_with_a_body() {
    let gateway = Gateway::start(plain(), &["read|ok x|again"]);
    let mut client = gateway.client();
    let head = "GET / HTTP/1.1\r\nhost: a\r\n";
    client.send(&format!("{head}content-length: 5\r\n\r\nhello{head}transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"));
    assert_eq!(client.response(false).summary(), "200 x");
    assert_eq!(client.response(false).summary(), "200 x");
    assert_eq!(gateway.first().request().2, "hello");
    assert_eq!(gateway.first().request().2, "hi");
}

#[test]
fn http_1_0() {
    let gateway = Gateway::start(plain(), &["read|ok x|again"]);
    let mut client = gateway.client();
    let response = client.ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(response.summary(), "200 x");
    assert!(
        response.head.starts_with("HTTP/1.1 200 OK\r\n"),
        "{}",
        response.head
    );
    assert!(client.is_closed());

    let mut client = gateway.client();
    let keep = "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n";
    assert_eq!(client.ask(keep).header("connection"), Some("keep-alive"));
    assert_eq!(client.ask(keep).summary(), "200 x");
    assert_eq!(
        gateway.first().request().1.lines().next(),
        Some("GET / HTTP/1.1")
    );
}

/// HTTP/1.0 knows no chunks: a body without a length ends with the connection.
#[test]
fn chunks_for_an_http_1_0_client() {
    let script = "read|say HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n2\\r\\nhi\\r\\n0\\r\\n\\r\\n";
    check(
        plain(),
        script,
        "GET / HTTP/1.0\r\nhost: a\r\n\r\n",
        "200 hi",
    );
}

#[test]
fn expect_100_continue_is_answered_here() {
    let gateway = Gateway::start(plain(), &["read|ok x"]);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(client.response(false).status, 100);
    client.send("hello");
    assert_eq!(client.response(false).summary(), "200 x");
    assert_eq!(gateway.first().request().2, "hello");
}

/// An upstream never sees an upgrade; what follows the head is another request, not a tunnel.
#[test]
fn an_upgrade_is_a_plain_request() {
    let gateway = Gateway::start(plain(), &["read|ok x|again"]);
    let mut client = gateway.client();
    let head = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    client.send(&format!("{head}GET /next HTTP/1.1\r\nhost: a\r\n\r\n"));
    assert_eq!(client.response(false).summary(), "200 x");
    assert_eq!(client.response(false).summary(), "200 x");
    assert!(
        gateway
            .first()
            .request()
            .1
            .starts_with("GET /ws HTTP/1.1\r\n")
    );
    assert!(
        gateway
            .first()
            .request()
            .1
            .starts_with("GET /next HTTP/1.1\r\n")
    );
}

#[test]
fn trailers_of_a_request_end_here() {
    let gateway = Gateway::start(plain(), &["read|ok x|again"]);
    let mut client = gateway.client();
    let response = client.ask(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: host\r\n\r\n\
         2\r\nhi\r\n0\r\nhost: evil\r\nauthorization: x\r\n\r\n",
    );
    assert_eq!(response.summary(), "200 x");
    let (_, head, body) = gateway.first().request();
    assert_eq!(body, "hi");
    assert!(!head.contains("evil"), "{head}");
    assert_eq!(
        client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").summary(),
        "200 x"
    );
}
