//! Bytes from a client, and what the gateway and a strict upstream make of them.

use std::io::Write as _;

use super::bytes;
use crate::support::{Gateway, plain};

/// A gateway for many cases, and how many it has seen.
struct Bench {
    gateway: Gateway,
    number: u32,
}

impl Bench {
    fn new() -> Self {
        Self {
            gateway: Gateway::start(plain(), &["read|ok x|again"]),
            number: 0,
        }
    }

    /// Sends `text` over a connection of its own. `expect` is the statuses of the answers, what
    /// becomes of the connection (`open` or `close`), and behind `:` the requests that the upstream
    /// sees: none, one, or some with commas.
    #[track_caller]
    fn check(&mut self, text: &str, expect: &str) {
        let (outcome, seen) = expect.split_once(": ").unwrap_or((expect, ""));
        let mut client = self.gateway.client();
        let _ = client.socket.write_all(&bytes(text));
        let mut got: Vec<String> = Vec::new();
        for _ in outcome.split(' ').skip(1) {
            got.push(client.response(false).status.to_string());
        }
        self.number += 1;
        let after = format!("/after/{}", self.number);
        if outcome.ends_with("open") {
            let next = client.ask(&format!("GET {after} HTTP/1.1\r\nhost: a\r\n\r\n"));
            got.push(format!(
                "open{}",
                if next.status == 200 { "" } else { ", but deaf" }
            ));
        } else {
            got.push(if client.is_closed() { "close" } else { "more" }.to_owned());
            let next = format!("GET {after} HTTP/1.1\r\nhost: a\r\n\r\n");
            assert_eq!(
                self.gateway.client().ask(&next).status,
                200,
                "a neighbour after {text:?}"
            );
        }
        assert_eq!(got.join(" "), outcome, "{text:?}");
        let got = self.gateway.first().seen_before(&after);
        assert_eq!(got.join(", "), seen, "what the upstream sees of {text:?}");
    }

    /// Each case in its frame is refused, the connection closed, and nothing of it, nor of what
    /// follows it, gets to the upstream.
    #[track_caller]
    fn refuses(&mut self, frame: &str, cases: &[&str]) {
        for case in cases {
            let text = frame.replace('@', case);
            self.check(&format!("{text}{EVIL}"), "400 close");
        }
    }
}

/// What would be smuggled.
const EVIL: &str = "GET /evil HTTP/1.1\nhost: a\n\n";

#[test]
fn lengths() {
    Bench::new().refuses(
        "POST / HTTP/1.1\nhost: a\n@\n\nhello",
        &[
            "content-length:",
            "content-length: +5",
            "content-length: -5",
            "content-length: 0x5",
            "content-length: 0_5",
            "content-length: 5.0",
            "content-length: 5e0",
            "content-length: 5 5",
            "content-length: 5;x",
            "content-length: \"5\"",
            "content-length: five",
            "content-length: \u{b2}",
            "content-length: 5, 5",
            "content-length: 5, 6",
            "content-length: 5,",
            "content-length: ,5",
            "content-length: 18446744073709551616",
            "content-length: 18446744073709551621",
            "content-length: 99999999999999999999999999999999",
            "content-length: 5\ncontent-length: 5",
            "content-length: 5\ncontent-length: 6",
            "content-length: 5\nContent-Length: 0",
            "content-length : 5",
            "content-length\t: 5",
            "content-length\u{b}: 5",
            "content-length:\u{b}5",
            "content-length:\u{a0}5",
            "content-length: 5\u{a0}",
            "content-length:␍5",
            "content-length: 5␍",
            "content-length: 5␍␍",
            "content-length: 5\u{0}",
            "content-length:\n 5",
            "x: 1\n content-length: 5",
            "x: 1␊content-length: 5",
            "x: 1␍content-length: 5",
        ],
    );
}

#[test]
fn codings() {
    Bench::new().refuses(
        "POST / HTTP/1.1\nhost: a\n@\n\n5\nhello\n0\n\n",
        &[
            "transfer-encoding:",
            "transfer-encoding: xchunked",
            "transfer-encoding: chunkedx",
            "transfer-encoding: chunked;q=1",
            "transfer-encoding: chunked, chunked",
            "transfer-encoding: cow, chunked",
            "transfer-encoding: chunked, cow",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: chunked,",
            "transfer-encoding: ,chunked",
            "transfer-encoding: identity",
            "transfer-encoding: identity, chunked",
            "transfer-encoding: \"chunked\"",
            "transfer-encoding: 'chunked'",
            "transfer-encoding:\u{b}chunked",
            "transfer-encoding: \u{c}chunked",
            "transfer-encoding: \u{a0}chunked",
            "transfer-encoding: chunked\u{a0}",
            "transfer-encoding: chunked\u{0}",
            "transfer-encoding: chu\u{0}nked",
            "transfer-encoding: chunked␍",
            "transfer-encoding: chunked\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\ntransfer-encoding: identity",
            "transfer-encoding: identity\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\nTransfer-Encoding: cow",
            "transfer-encoding : chunked",
            "transfer-encoding\t: chunked",
            "transfer-encoding\u{b}: chunked",
            "transfer\u{0}-encoding: chunked",
            "transfer-encoding:\n chunked",
            "x: 1\n transfer-encoding: chunked",
            "x: 1␊transfer-encoding: chunked",
            "x: 1␍transfer-encoding: chunked",
            "content-length: 5\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\ncontent-length: 5",
            "transfer-encoding: chunked\ncontent-length: 0",
            "connection: content-length\ncontent-length: 15\ntransfer-encoding: chunked",
            "connection: transfer-encoding\ncontent-length: 15\ntransfer-encoding: chunked",
        ],
    );
}

/// HTTP/1.0 knows no codings.
#[test]
fn codings_in_http_1_0() {
    Bench::new().refuses(
        "POST / HTTP/1.0\nhost: a\n@\n\n5\nhello\n0\n\n",
        &[
            "transfer-encoding: chunked",
            "connection: keep-alive\ntransfer-encoding: chunked",
            "content-length: 5\ntransfer-encoding: chunked",
            "connection: keep-alive\ncontent-length: 5\ncontent-length: 5",
        ],
    );
}

#[test]
fn request_lines() {
    Bench::new().refuses(
        "@\nhost: a\n\n",
        &[
            "GET  / HTTP/1.1",
            "GET /  HTTP/1.1",
            " GET / HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "GET /\tHTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / HTTP/1.1␍",
            "GET / HTTP/1.1␊x: 1",
            "␊GET / HTTP/1.1",
            "␍GET / HTTP/1.1",
            "GET /",
            "GET",
            "GET / HTTP/1.2",
            "GET / HTTP/2.0",
            "GET / HTTP/0.9",
            "GET / http/1.1",
            "GET / HTTP/11",
            "GET / HTTP/1.1.1",
            "GET / HTTP/01.1",
            "GET / HTTP/1.1 HTTP/1.1",
            "G@T / HTTP/1.1",
            "G\u{0}T / HTTP/1.1",
            "GET: / HTTP/1.1",
            "\"GET\" / HTTP/1.1",
            "/ HTTP/1.1",
            "GET /a b HTTP/1.1",
            "GET /\u{0} HTTP/1.1",
            "GET /\u{7f} HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET /?\u{e9} HTTP/1.1",
            "GET /?\u{0} HTTP/1.1",
            "GET /#a HTTP/1.1",
            "GET /?#a HTTP/1.1",
            "GET /␍x HTTP/1.1",
            "GET /␊x HTTP/1.1",
            "GET b HTTP/1.1",
            "GET http://b/ HTTP/1.1",
            "GET http://a:1/ HTTP/1.1",
            "GET http://u@a/ HTTP/1.1",
            "GET ftp://a/ HTTP/1.1",
            "GET http:// HTTP/1.1",
            "GET http:///a HTTP/1.1",
            "CONNECT a HTTP/1.1",
            "CONNECT a:80 HTTP/1.1",
            "CONNECT / HTTP/1.1",
        ],
    );
}

#[test]
fn header_lines() {
    Bench::new().refuses(
        "GET / HTTP/1.1\nhost: a\n@\n\n",
        &[
            "x",
            ": 1",
            "x y: 1",
            "x : 1",
            "x\t: 1",
            "x(: 1",
            "x\"y: 1",
            "x\u{e9}: 1",
            "x\u{0}: 1",
            "x␍: 1",
            "x: 1\n folded",
            "x: 1\n\tfolded",
            "x: 1\n \n y",
            "x: a\u{0}b",
            "x: a\u{1}b",
            "x: a\u{b}b",
            "x: a\u{7f}b",
            "x: a␍b",
            "x: a␊b",
            "x: a␍",
            "x: 1␍␍",
            "x: 1␊",
        ],
    );
    Bench::new().refuses("GET / HTTP/1.1\n@host: a\n\n", &[" x: 1\n", "\t\n", " "]);
}

#[test]
fn hosts() {
    Bench::new().refuses(
        "GET / HTTP/1.1\n@\n\n",
        &[
            "x: 1",
            "host:",
            "host: a\nhost: a",
            "host: a\nHost: b",
            "host: a\nconnection: host\nhost: b",
            "host: a@b",
            "host: a:99999",
            "host: a:0",
            "host: a:",
            "host: a:+1",
            "host: a:80:80",
            "host: [::1",
            "host: [::1]x",
            "host: ::1",
            "host: <x>",
            "host: a/b",
            "host: a\\b",
            "host: a?b",
            "host: a#b",
            "host: a;b",
            "host: a, b",
            "host: a b",
            "host: a%00",
            "host: a..b",
            "host: .",
            "host: \u{e9}",
        ],
    );
}

#[test]
fn chunks() {
    let extension = format!("5;{}\nhello\n0\n\n", "x".repeat(65_536));
    Bench::new().refuses(
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n@",
        &[
            "x\n",
            "-5\nhello\n0\n\n",
            "+5\nhello\n0\n\n",
            "0x5\nhello\n0\n\n",
            "5h\nhello\n0\n\n",
            " 5\nhello\n0\n\n",
            "5 \nhello\n0\n\n",
            "5\t\nhello\n0\n\n",
            "5 5\nhello\n0\n\n",
            "5,5\nhello\n0\n\n",
            "\n5\nhello\n0\n\n",
            "5␊hello\n0\n\n",
            "5␍hello\n0\n\n",
            "5␍␍␊hello\n0\n\n",
            "5;␊xx\nhello\n0\n\n",
            "5;a=␍b\nhello\n0\n\n",
            "5;a=\"␊\"\nhello\n0\n\n",
            "5;\u{0}\nhello\n0\n\n",
            "5\nhello␊0\n\n",
            "5\nhello␍0\n\n",
            "5\nhelloX\n0\n\n",
            "5\nhello0\n\n",
            "5\nhell\n0\n\n",
            "fffffffffffffffff\nhello",
            "ffffffffffffffff\nhello",
            "10000000000000000\nhello",
            "00000000000000005\nhello\n0\n\n",
            &extension,
            "0␊␊",
            "0\n␊",
            "0␊\n",
            "0\nx\n\n",
            "0\nx y: 1\n\n",
            "0\nx : 1\n\n",
            "0\n x: 1\n\n",
            "0\nx: 1\n y\n\n",
            "0\nx: 1␊\n\n",
            "0\nx: 1␊␊",
            "0\nx: \u{0}\n\n",
            "0\ncontent-length: x\n\n",
            "0\ntransfer-encoding: cow\n\n",
        ],
    );
}

/// An attacker who ends the connection inside a line is told so at once where it is hopeless.
#[test]
fn hopeless_ends() {
    let mut bench = Bench::new();
    let head = "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n";
    for body in ["x", "5␊", "5\nhelloX", "0\n␊", "0\nx: 1␊", "5;\u{0}"] {
        bench.check(&format!("{head}{body}"), "400 close");
    }
    for head in ["␊", "GET / HTTP/1.1␊", "GET / HTTP/1.1\nhost: a␊"] {
        bench.check(head, "400 close");
    }
}

/// What is well-formed goes through as what it is, and nothing in it becomes a request of its own.
#[test]
fn accepted() {
    let mut bench = Bench::new();
    let mut check = |text: &str, expect: &str| bench.check(text, expect);
    check("GET / HTTP/1.1\nhost: a\n\n", "200 open: GET /");
    check("\n\n\nGET / HTTP/1.1\nhost: a\n\n", "200 open: GET /");
    check(
        "GET / HTTP/1.1\nhost: a\nx:\ny:\t\u{e9}\tz \n\n",
        "200 open: GET /",
    );
    check("GET http://a?x HTTP/1.1\nhost: a\n\n", "200 open: GET /?x");
    check("GET http://a HTTP/1.1\nhost: A\n\n", "200 open: GET /");
    check("GET /.. HTTP/1.1\nhost: a\n\n", "400 open");
    check(
        "POST /.. HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello",
        "400 open",
    );
    check("GET * HTTP/1.1\nhost: a\n\n", "400 open");

    // Bodies stay bodies.
    let evil = format!("content-length: 31\n\n{EVIL}");
    let seen = "GET /evil HTTP/1.1\r\nhost: a";
    let body = |method: &str| format!("200 open: {method} / {seen}");
    let post = "POST / HTTP/1.1\nhost: a\n";
    check(&format!("{post}{evil}"), &body("POST"));
    check(&format!("GET / HTTP/1.1\nhost: a\n{evil}"), &body("GET"));
    check(
        &format!("DELETE / HTTP/1.1\nhost: a\n{evil}"),
        &body("DELETE"),
    );
    check(
        &format!("{post}connection: content-length\n{evil}"),
        &body("POST"),
    );
    check(&format!("{post}connection: host\n{evil}"), &body("POST"));
    check(
        &format!("{post}expect: 100-continue\n{evil}"),
        &body("POST"),
    );
    check(
        &format!("{post}expect: y 100-continue\n{evil}"),
        &body("POST"),
    );
    check(
        &format!("GET / HTTP/1.1\nhost: a\nexpect: 100-continue\n{evil}"),
        &body("GET"),
    );
    check(
        &format!("{post}upgrade: x\nconnection: upgrade\n{evil}"),
        &body("POST"),
    );
    check(
        &format!("{post}content-length: 005\n\nhello"),
        "200 open: POST / hello",
    );
    check(
        &format!("POST / HTTP/1.0\nhost: a\nconnection: keep-alive\n{evil}"),
        &body("POST"),
    );
    check(
        &format!("POST / HTTP/1.0\nhost: a\ncontent-length: 5\n\nhello{EVIL}"),
        "200 close: POST / hello",
    );
    check(
        &format!("{post}connection: close\ncontent-length: 5\n\nhello{EVIL}"),
        "200 close: POST / hello",
    );

    let chunked = "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n";
    let hello = "200 open: POST / hello";
    check(&format!("{chunked}\n5\nhello\n0\n\n"), hello);
    check(&format!("{chunked}\n05;a;b=\"c\"\nhello\n0;d\n\n"), hello);
    check(&format!("{chunked}\n3 ; a\nhel\n2\nlo\n000\n\n"), hello);
    check(
        &format!("{chunked}connection: transfer-encoding\n\n5\nhello\n0\n\n"),
        hello,
    );
    check(
        &format!("{chunked}\n5\nhello\n0\ncontent-length: 5\nhost: b\nauthorization: x\n\n"),
        hello,
    );
    check(
        &format!("{chunked}trailer: x\n\n5\nhello\n0\nx: 1\n\n"),
        hello,
    );
    let spaced = chunked.replace(": chunked", ":chunkeD \t");
    check(&format!("{spaced}\n0\n\n"), "200 open: POST /");
}

/// One after the other: what is behind a refusal that ends the connection is not looked at.
#[test]
fn pipelined() {
    let mut bench = Bench::new();
    let get = "GET /a HTTP/1.1\nhost: a\n\n";
    let upgrade = "GET /a HTTP/1.1\nhost: a\nconnection: upgrade\nupgrade: websocket\n\n";
    bench.check(&get.repeat(3), "200 200 200 open: GET /a, GET /a, GET /a");
    bench.check(&format!("{get}\n{get}"), "200 200 open: GET /a, GET /a");
    bench.check(
        &format!("{upgrade}{EVIL}"),
        "200 200 open: GET /a, GET /evil",
    );
    bench.check(
        &format!("{get}GET / HTTP/1.1\n\n{EVIL}"),
        "200 400 close: GET /a",
    );
    bench.check(
        &format!("{get}G@T / HTTP/1.1\n\n{EVIL}"),
        "200 400 close: GET /a",
    );
    bench.check(&format!("{get}␊{EVIL}"), "200 400 close: GET /a");
    bench.check(
        &format!("GET /.. HTTP/1.1\nhost: a\n\n{get}"),
        "400 200 open: GET /a",
    );
    bench.check(
        &format!("POST /.. HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n{get}"),
        "400 200 open: GET /a",
    );
    bench.check(
        &format!("POST /.. HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n5\nhelloX\n{EVIL}"),
        "400 close",
    );
    bench.check(
        "POST /.. HTTP/1.1\nhost: a\ncontent-length: 100\n\nhello",
        "400 close",
    );
}

/// The limits, to the byte: one less passes.
#[test]
fn limits() {
    let mut bench = Bench::new();
    let head = |length: usize| {
        let short = "GET /a HTTP/1.1\nhost: a\nx: \n\n";
        let text = short.replace(
            "x: ",
            &format!("x: {}", "y".repeat(length - bytes(short).len())),
        );
        assert_eq!(bytes(&text).len(), length);
        text
    };
    bench.check(&head(ferryway_proxy::HEAD_BYTES_MAX), "200 open: GET /a");
    bench.check(&head(ferryway_proxy::HEAD_BYTES_MAX + 1), "431 close");
    let target = |length: usize| format!("GET /{} HTTP/1.1\nhost: a\n\n", "x".repeat(length - 1));
    let longest = ferryway_proxy::URI_BYTES_MAX;
    bench.check(
        &target(longest),
        &format!("200 open: GET /{}", "x".repeat(longest - 1)),
    );
    bench.check(&target(longest + 1), "414 close");
    bench.check(&target(100_000), "414 close");
    let headers = |count: usize| {
        let lines: String = (1..count).map(|n| format!("x-{n}: 1\n")).collect();
        format!("GET /a HTTP/1.1\nhost: a\n{lines}\n")
    };
    bench.check(&headers(100), "200 open: GET /a");
    bench.check(&headers(101), "431 close");
}
