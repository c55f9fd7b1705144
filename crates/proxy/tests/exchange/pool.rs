//! Kept-alive connections to upstreams.

use serde_json::json;

use crate::support::gateway::block_on;
use crate::support::{Event, Gateway, plain, service};

const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Asks so many times, each over a new client connection; the upstream connections used.
fn used(gateway: &Gateway, times: usize) -> Vec<usize> {
    (0..times)
        .map(|_| {
            assert_eq!(gateway.client().ask(ASK).summary(), "200 x");
            gateway.first().request().0
        })
        .collect()
}

#[test]
fn a_connection_is_used_again() {
    for answer in [
        "ok x",
        "say HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n1\\r\\nx\\r\\n0\\r\\n\\r\\n",
    ] {
        let gateway = Gateway::start(plain(), &[&format!("read|{answer}|again")]);
        assert_eq!(used(&gateway, 4), [0, 0, 0, 0], "{answer}");
        assert_eq!(gateway.upstream.idle(), 1);
    }
}

#[test]
fn a_connection_that_says_close_is_not() {
    let close =
        "read|say HTTP/1.1 200 OK\\r\\nconnection: close\\r\\ncontent-length: 1\\r\\n\\r\\nx|again";
    let gateway = Gateway::start(plain(), &[close]);
    assert_eq!(used(&gateway, 3), [0, 1, 2]);
    assert_eq!(gateway.upstream.idle(), 0);
}

/// It survives the swap of the table, as the upstream is the same.
#[test]
fn a_swap_leaves_the_pool_alone() {
    let gateway = Gateway::start(plain(), &["read|ok x|again"]);
    assert_eq!(used(&gateway, 1), [0]);
    let old = gateway.swap(&service(
        json!({"routes": [{"name": "other", "paths": ["/*"]}]}),
    ));
    assert_eq!(used(&gateway, 2), [0, 0]);
    let weak = std::sync::Arc::downgrade(&old);
    block_on(ferryway_proxy::retire(old));
    assert_eq!(weak.strong_count(), 0, "no worker holds the old table");
}

/// One that the upstream has closed is not used; whoever would have got it notices nothing.
#[test]
fn a_closed_connection_is_left_out() {
    let gateway = Gateway::start(plain(), &["read|ok x|close"]);
    for connection in 0..20 {
        let response = gateway
            .client()
            .ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(response.summary(), "200 x");
        let (used, _, body) = gateway.first().request();
        assert_eq!((used, body.as_str()), (connection, "hi"));
        assert_eq!(gateway.first().event(), Event::Closed { connection });
    }
}

/// So is one on which the upstream has said what nobody asked for.
#[test]
fn a_connection_with_unasked_bytes_is_left_out() {
    let unasked = "read|say HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\n\\r\\nxHTTP/1.1 200 OK\\r\\ncontent-length: 4\\r\\n\\r\\nevil|read|ok evil|again";
    let gateway = Gateway::start(plain(), &[unasked]);
    assert_eq!(used(&gateway, 3), [0, 1, 2]);
}

#[test]
fn no_more_are_kept_than_allowed() {
    let definition = service(json!({"upstream": {"keepalive": {"max_idle": 0}}}));
    let gateway = Gateway::start(definition, &["read|ok x|read"]);
    assert_eq!(gateway.client().ask(ASK).summary(), "200 x");
    assert_eq!(gateway.first().request().0, 0);
    assert_eq!(gateway.first().event(), Event::Closed { connection: 0 });
    assert_eq!(gateway.upstream.idle(), 0);
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let definition = service(json!({"upstream": {"keepalive": {"idle_timeout": "100ms"}}}));
    let gateway = Gateway::start(definition, &["read|ok x|read"]);
    assert_eq!(gateway.client().ask(ASK).summary(), "200 x");
    assert_eq!(gateway.first().request().0, 0);
    assert_eq!(gateway.first().event(), Event::Closed { connection: 0 });
}
