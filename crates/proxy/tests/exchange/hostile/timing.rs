//! Where a message is cut into reads, and how long its parts may take.

use std::time::Duration;

use ferryway_proxy::{Limits, Settings};

use crate::support::{Gateway, plain};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// What comes while a request is answered is looked at together with what came with the request.
#[test]
fn cuts_between_requests() {
    for (first, second, expect) in [
        ("\r", "\n", None),
        ("\r", "\n\r\n", None),
        ("\r\n\r", "\n", None),
        ("\r", "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", Some("200 x")),
        (
            "\r",
            "\n\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            Some("400 bad_request"),
        ),
        (
            "\r",
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            Some("400 bad_request"),
        ),
        ("G", "ET / HTTP/1.1\r\nhost: a\r\n\r\n", Some("200 x")),
        ("GET / HTTP/1.1\r\nhost: a\r\n\r", "\n", Some("200 x")),
        ("GET / HTTP/1.1\r\nhost: a\r", "\n\r\n", Some("200 x")),
        (
            "GET / HTTP/1.1\r\nhost: a",
            "\n\r\n",
            Some("400 bad_request"),
        ),
    ] {
        let gateway = Gateway::start(plain(), &["read|wait|ok x|read|ok x|read|ok x"]);
        let mut client = gateway.client();
        client.send(&format!("{GET}{first}"));
        gateway.first().request();
        client.send(second);
        // The bytes are there when the answer has gone out: loopback keeps their order.
        gateway.first().go();
        assert_eq!(client.response(false).summary(), "200 x");
        let shown = format!("{first:?} {second:?}");
        match expect {
            Some(expect) => assert_eq!(client.response(false).summary(), expect, "{shown}"),
            None => assert_eq!(client.ask(GET).summary(), "200 x", "{shown}"),
        }
    }
}

/// A head that began behind another request has the time of a head, not that of an idle connection.
#[test]
fn a_head_that_began_early() {
    let limits = Limits {
        head_time: Duration::from_millis(100),
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let gateway = Gateway::with(plain(), &["read|ok x|again"], settings);
    let mut client = gateway.client();
    client.send(&format!("{GET}GET / HT"));
    assert_eq!(client.response(false).summary(), "200 x");
    assert_eq!(client.response(false).summary(), "408 request_timeout");
    assert!(client.is_closed());
}

/// A client whose body is malformed after the answer has begun is to blame for its end.
#[test]
fn blame_for_a_late_mistake() {
    let script = "head|say HTTP/1.1 200 OK\\r\\ncontent-length: 9\\r\\n\\r\\nhi|hold";
    let gateway = Gateway::start(plain(), &[script]);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n");
    gateway.first().request();
    let mut begun = [0; 17];
    std::io::Read::read_exact(&mut client.socket, &mut begun).unwrap();
    client.send("zzz\r\n");
    // To its end, however that comes.
    let _ = std::io::Read::read_to_end(&mut client.socket, &mut Vec::new());
    let metrics = gateway.metrics();
    assert!(
        metrics.contains("ferryway_refusals_total{code=\"bad_request\"} 1"),
        "{metrics}"
    );
    assert!(!metrics.contains("code=\"upstream_reset\""), "{metrics}");
}
