//! From HTTP/2 to HTTP/1.1: what is framing there must not become another framing here.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::http2::{ask_or_reset, connect};
use crate::support::gateway::block_on;
use crate::support::{Gateway, plain};

type Sent = Request<Full<Bytes>>;

fn post(body: &'static str, headers: &[(&str, &str)]) -> Sent {
    let request = headers
        .iter()
        .fold(Request::post("http://a/"), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(Full::from(body)).expect("a request")
}

fn get(uri: &str) -> Sent {
    Request::get(uri).body(Full::default()).expect("a request")
}

/// Each is answered with the status, or reset where there is none; `seen` is what the upstream sees.
#[test]
fn downgrades() {
    let gateway = Gateway::start(plain(), &["read|ok x|again"]);
    let nothing: &[&str] = &[];
    let cases: Vec<(Sent, Option<u16>, &[&str])> = vec![
        (
            post("hello", &[("content-length", "5")]),
            Some(200),
            &["POST / hello"],
        ),
        (post("hello", &[("content-length", "3")]), None, nothing),
        (post("hello", &[("content-length", "9")]), None, nothing),
        (post("", &[("content-length", "5")]), None, nothing),
        (post("hello", &[("content-length", "+5")]), None, nothing),
        (
            post("hello", &[("content-length", "5"), ("content-length", "6")]),
            None,
            nothing,
        ),
        (
            post("hello", &[("content-length", "5"), ("content-length", "5")]),
            Some(400),
            nothing,
        ),
        (post("", &[("content-length", "")]), Some(400), nothing),
        (
            post("hello", &[("expect", "100-continue")]),
            Some(200),
            &["POST / hello"],
        ),
        (
            post("hello", &[("host", "a")]),
            Some(200),
            &["POST / hello"],
        ),
        (post("hello", &[("host", "b")]), Some(400), nothing),
        (
            post("hello", &[("host", "a"), ("host", "a")]),
            Some(400),
            nothing,
        ),
        (
            post("hello", &[("te", "trailers"), ("trailer", "x")]),
            Some(200),
            &["POST / hello"],
        ),
        (get("http://a?x"), Some(200), &["GET /?x"]),
        (get("http://a/?\u{e9}"), Some(400), nothing),
        (get("http://a/\u{e9}"), Some(400), nothing),
        (get("http://a/.."), Some(400), nothing),
        (get("http://u@a/"), Some(400), nothing),
        (get("http://a:99999/"), Some(400), nothing),
        (get("ftp://a/"), Some(400), nothing),
    ];
    block_on(async {
        for (number, (request, status, seen)) in cases.into_iter().enumerate() {
            let shown = format!("{} {:?}", request.uri(), request.headers());
            // A connection for each: a reset must not hide in another stream's end.
            let got = ask_or_reset(&mut connect(&gateway).await, request).await;
            assert_eq!(got, status, "{shown}");
            let after = format!("/after/{number}");
            let next = get(&format!("http://a{after}"));
            assert_eq!(
                ask_or_reset(&mut connect(&gateway).await, next).await,
                Some(200)
            );
            assert_eq!(gateway.first().seen_before(&after), seen, "{shown}");
        }
    });
}
