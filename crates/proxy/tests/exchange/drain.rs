//! The orderly end.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Gateway, plain};

/// How soon the kernel answers a client on the same machine.
const ANSWER_TIME: Duration = Duration::from_millis(20);
const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Waits until nobody listens any more. Shortly before, a client gets no answer at all: it is not
/// waited for until it asks again.
fn until_closed(gateway: &Gateway) {
    let is_refused = |connected: io::Result<TcpStream>| {
        connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    while !is_refused(TcpStream::connect_timeout(&gateway.address, ANSWER_TIME)) {
        std::thread::yield_now();
    }
}

#[test]
fn idle_connections_end_by_themselves() {
    let mut gateway = Gateway::start(plain(), &["read|ok x|again"]);
    let (mut client, mut fresh) = (gateway.client(), gateway.client());
    assert_eq!(client.ask(ASK).summary(), "200 x");
    gateway.drain();
    assert!(client.is_closed());
    assert!(fresh.is_closed());
    assert!(gateway.stop(Duration::from_secs(20)));
}

/// A client that has not heard of the drain yet may send another request.
#[test]
fn a_request_on_its_way_is_answered() {
    let mut gateway = Gateway::start(plain(), &["read|ok x|again"]);
    let (mut client, mut fresh) = (gateway.client(), gateway.client());
    assert_eq!(client.ask(ASK).summary(), "200 x");
    gateway.drain();
    until_closed(&gateway);
    for client in [&mut client, &mut fresh] {
        let response = client.ask(ASK);
        assert_eq!(response.summary(), "200 x");
        assert_eq!(response.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
    assert!(gateway.stop(Duration::from_secs(20)));
}

/// A request that is under way is answered, and its connection ends politely.
#[test]
fn a_request_under_way_is_answered() {
    let mut gateway = Gateway::start(plain(), &["read|wait|ok x"]);
    let mut client = gateway.client();
    client.send(ASK);
    gateway.first().request();
    gateway.drain();
    until_closed(&gateway);
    gateway.first().go();
    let response = client.response(false);
    assert_eq!(response.summary(), "200 x");
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert!(gateway.stop(Duration::from_secs(20)));
}

/// One that has begun to send its request may end it.
#[test]
fn a_request_that_has_begun_is_served() {
    let mut gateway = Gateway::start(plain(), &["head|read|ok x"]);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 46\r\n\r\n");
    gateway.first().request();
    gateway.drain();
    until_closed(&gateway);
    // The body looks like a request, so that the upstream can read it as its second step.
    client.send("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.response(false).summary(), "200 x");
    assert!(client.is_closed());
    assert!(gateway.stop(Duration::from_secs(20)));
}

#[test]
fn what_does_not_end_is_ended() {
    let mut gateway = Gateway::start(plain(), &["read|hold"]);
    let mut client = gateway.client();
    client.send(ASK);
    gateway.first().request();
    assert!(!gateway.stop(Duration::from_millis(100)));
    assert!(client.is_closed());
}
