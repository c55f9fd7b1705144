//! Requests without a client, against a table that is not in use.

use std::sync::Arc;

use ferryway_balance::{Endpoint, EndpointSet, LiveEndpoints};
use ferryway_proxy::{
    ANSWER_BYTES_MAX, Answer, Metrics, Prober, Settings, Upstream as ProxyUpstream,
};
use http::Request;

use crate::support::gateway::{block_on, parse, table};
use crate::support::{Event, Upstream, plain};

struct Candidate {
    upstream: Upstream,
    table: Arc<ferryway_proxy::Table>,
    prober: Prober,
}

impl Candidate {
    fn new(script: &str) -> Self {
        let upstream = Upstream::start(script);
        let definition = parse(&plain());
        let endpoint = Endpoint {
            name: "a".into(),
            address: upstream.address,
            weight: 1,
            priority: 0,
        };
        let endpoints = Arc::new(LiveEndpoints::new(EndpointSet::new(vec![endpoint])));
        let scheme = definition.upstream.scheme;
        let target = ProxyUpstream::new(&definition.upstream, scheme, endpoints, 0);
        let table = Arc::new(table(&definition, &target, &Metrics::new(1)));
        let prober = Prober::start(Settings::default(), 9080).expect("a thread");
        Self {
            upstream,
            table,
            prober,
        }
    }

    fn ask(&self, path: &str) -> Answer {
        let request = Request::get(path)
            .header("host", "k.io")
            .body(())
            .expect("a request");
        let probe = self.prober.probe(Arc::clone(&self.table), request);
        block_on(probe).expect("the prober runs")
    }
}

#[test]
fn a_probe_goes_the_way_of_requests() {
    let candidate = Candidate::new("read|ok hello|again");
    let answer = candidate.ask("/a/../b?c");
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (200, &b"hello"[..])
    );
    assert!(!answer.truncated);
    let (_, head, _) = candidate.upstream.request();
    assert!(head.starts_with("GET /b?c HTTP/1.1\r\n"), "{head}");
    for line in [
        "x-forwarded-host: k.io",
        "x-forwarded-port: 9080",
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
}

#[test]
fn a_refusal_is_an_answer() {
    let candidate = Candidate::new("read|close");
    let answer = candidate.ask("/");
    assert_eq!(answer.status.as_u16(), 502);
    assert_eq!(answer.headers["x-ferryway-error"], "upstream_reset");
}

#[test]
fn a_long_body_is_cut() {
    let body = "x".repeat(ANSWER_BYTES_MAX + 1);
    let candidate = Candidate::new(&format!("read|ok {body}|hold"));
    let answer = candidate.ask("/");
    assert_eq!(
        (answer.body.len(), answer.truncated),
        (ANSWER_BYTES_MAX, true)
    );
}

#[test]
fn a_broken_body_is_told_from_a_whole_one() {
    let candidate =
        Candidate::new("read|say HTTP/1.1 200 OK\\r\\ncontent-length: 9\\r\\n\\r\\nhi|close");
    let answer = candidate.ask("/");
    assert_eq!((&answer.body[..], answer.truncated), (&b"hi"[..], true));
}

/// Dropping the probe gives it up, and its request with it.
#[test]
fn a_probe_can_be_given_up() {
    let candidate = Candidate::new("read|hold");
    let request = Request::get("/")
        .header("host", "k.io")
        .body(())
        .expect("a request");
    block_on(async {
        let probe = candidate
            .prober
            .probe(Arc::clone(&candidate.table), request);
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(50), probe).await;
        assert!(given_up.is_err());
    });
    assert!(matches!(candidate.upstream.event(), Event::Request { .. }));
    assert_eq!(candidate.upstream.event(), Event::Closed { connection: 0 });
}
