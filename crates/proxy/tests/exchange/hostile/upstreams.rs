//! Bytes from an upstream, and what a client and the next request make of them.

use serde_json::json;

use crate::support::{Gateway, service};

/// An upstream answers a `GET` (or a `HEAD`, if the case begins with `HEAD `) with `text`, and closes
/// the connection if that ends with `⏏`. `expect` is the answer's summary, and behind `; ` whether the
/// next request comes over the `same` connection or the `next`.
#[track_caller]
fn check(text: &str, expect: &str) {
    let (method, text) = match text.strip_prefix("HEAD ") {
        Some(text) => ("HEAD", text),
        None => ("GET", text),
    };
    let (text, end) = match text.strip_suffix('⏏') {
        Some(text) => (text, "close"),
        None => (text, "read|ok same|hold"),
    };
    let escaped = text
        .replace('\n', "\\r\\n")
        .replace('␊', "\\n")
        .replace('␍', "\\r");
    let script = format!("read|say {escaped}|{end}\nread|ok next|again");
    let without_retries = service(json!({"upstream": {"retry": {"retries": 0, "on": []}}}));
    let gateway = Gateway::start(without_retries, &[&script]);
    let first = gateway
        .client()
        .ask(&format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n"));
    let second = gateway.client().ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let next = second.summary().replace("200 ", "");
    let shown: String = text.chars().take(200).collect();
    assert_eq!(format!("{}; {next}", first.summary()), expect, "{shown:?}");
}

/// What is no answer is said to be the upstream's fault, and its connection is not used again.
#[test]
fn malformed() {
    let many: String = (0..101).map(|n| format!("x-{n}: 1\n")).collect();
    let flood = "HTTP/1.1 100 Continue\n\n".repeat(17);
    let good = "HTTP/1.1 200 OK\ncontent-length: 2\n\nhi";
    for text in [
        "garbage\n\n",
        "\n\n",
        "x: 1\n\n",
        "ICY 200 OK\n\n",
        "HTTP/1.1\n\n",
        "HTTP/1.1 \n\n",
        "HTTP/1.1 20 OK\n\n",
        "HTTP/1.1 2000 OK\n\n",
        "HTTP/1.1 099 OK\n\n",
        "HTTP/1.1 abc OK\n\n",
        "HTTP/1.1 +20 OK\n\n",
        "HTTP/1.2 200 OK\n\n",
        "HTTP/2.0 200 OK\n\n",
        "http/1.1 200 OK\n\n",
        "HTTP/1.1  200 OK\n\n",
        "HTTP/1.1 200 O\u{0}K\n\n",
        "HTTP/1.1 200 O␍K\n\n",
        "HTTP/1.1 200 OK␊content-length: 0␊␊",
        "HTTP/1.1 200 OK\ncontent-length: 0␊\n\n",
        "HTTP/1.1 200 OK\nx y: 1\n\n",
        "HTTP/1.1 200 OK\nx : 1\n\n",
        "HTTP/1.1 200 OK\n: 1\n\n",
        "HTTP/1.1 200 OK\nx\n\n",
        "HTTP/1.1 200 OK\n x: 1\n\n",
        "HTTP/1.1 200 OK\nx: 1\n folded\n\n",
        "HTTP/1.1 200 OK\nx: \u{0}\n\n",
        "HTTP/1.1 200 OK\nx: a␍b\n\n",
        "HTTP/1.1 200 OK\nx: a␍set-cookie: b\n\n",
        "HTTP/1.1 200 OK\ncontent-length: +2\n\nhi",
        "HTTP/1.1 200 OK\ncontent-length: -2\n\nhi",
        "HTTP/1.1 200 OK\ncontent-length: 0x2\n\nhi",
        "HTTP/1.1 200 OK\ncontent-length: 2, 2\n\nhi",
        "HTTP/1.1 200 OK\ncontent-length:\n\nhi",
        "HTTP/1.1 200 OK\ncontent-length: 18446744073709551616\n\nhi",
        "HTTP/1.1 200 OK\ncontent-length: 2\ncontent-length: 1\n\nhi",
        "HTTP/1.1 200 OK\ncontent-length: 2\ntransfer-encoding: chunked\n\n0\n\n",
        "HTTP/1.1 200 OK\ntransfer-encoding: xchunked\n\n0\n\n",
        "HTTP/1.1 200 OK\ntransfer-encoding: gzip, chunked\n\n0\n\n",
        "HTTP/1.1 200 OK\ntransfer-encoding: chunked\ntransfer-encoding: chunked\n\n0\n\n",
        "HTTP/1.1 200 OK\ntransfer-encoding : chunked\n\n0\n\n",
        "HTTP/1.0 200 OK\ntransfer-encoding: chunked\n\n0\n\n",
        "HTTP/1.1 101 Switching Protocols\nconnection: upgrade\nupgrade: x\n\n",
        &format!("HTTP/1.1 200 OK\n{many}\n"),
        &format!("HTTP/1.1 200 OK\nx: {}\n\n", "y".repeat(70_000)),
        &format!("\n{good}"),
        &format!("\n\n{good}"),
        &format!("{flood}{good}"),
    ] {
        check(text, "502 upstream_protocol; next");
    }
    for text in [
        "⏏",
        "HTTP/1.1 200 OK\ncontent-length: 0\n⏏",
        "HTTP/1.1 100 Continue\n\n⏏",
    ] {
        check(text, "502 upstream_reset; next");
    }
}

/// What breaks off does not look whole.
#[test]
fn broken_bodies() {
    for body in [
        "2\nhi\nx\n",
        "2\nhi\n-1\n",
        "2\nhi\n+1\n",
        "2\nhi\n1 \nx\n0\n\n",
        "2\nhi\n1␊x\n0\n\n",
        "2\nhi␊0\n\n",
        "2\nhiX",
        "2\nhi\n0x1\nx\n",
        "2\nhi\nffffffffffffffff\n",
        "2\nhi\n1;\u{0}\nx\n",
        "2\nhi\n0\n␊",
        "2\nhi\n0\nx y: 1\n\n",
        "2\nhi\n0\nx: 1␊␊",
        "2\nhi\n⏏",
        "2\nhi\n0\n⏏",
        "2\nhi\n0\nx: 1\n⏏",
        "9\nhi⏏",
    ] {
        let text = format!("HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n{body}");
        check(&text, "200 hi…; next");
    }
    check("HTTP/1.1 200 OK\ncontent-length: 3\n\nhi⏏", "200 hi…; next");
}

/// A connection with anything left on it that nobody asked for serves nobody else.
#[test]
fn surplus() {
    for text in [
        "HTTP/1.1 200 OK\ncontent-length: 2\n\nhiX",
        "HTTP/1.1 200 OK\ncontent-length: 2\n\nhi\n",
        "HTTP/1.1 200 OK\ncontent-length: 2\n\nhiHTTP/1.1 200 OK\ncontent-length: 4\n\nevil",
        "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n2\nhi\n0\n\nHTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\ncontent-length: 2\nconnection: close\n\nhi",
        "HTTP/1.1 200 OK\ncontent-length: 2\nconnection: x, CLOSE\n\nhi",
        "HTTP/1.0 200 OK\ncontent-length: 2\n\nhi",
        "HTTP/1.1 200 OK\n\nhi⏏",
        "HTTP/1.1 200 OK\nconnection: keep-alive\n\nhi⏏",
    ] {
        check(text, "200 hi; next");
    }
    check("HTTP/1.1 204 No Content\n\nhi", "204 ; next");
    check(
        "HTTP/1.1 304 Not Modified\ncontent-length: 2\n\nhi",
        "304 ; next",
    );
    check(
        "HTTP/1.1 304 Not Modified\ntransfer-encoding: chunked\n\n2\nhi\n0\n\n",
        "304 ; next",
    );
    check(
        "HEAD HTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
        "200 ; next",
    );
    check(
        "HEAD HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n2\nhi\n0\n\n",
        "200 ; next",
    );
}

#[test]
fn well_formed() {
    for text in [
        "HTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
        "HTTP/1.1 200\ncontent-length: 2\n\nhi",
        "HTTP/1.1 200 \u{e9}\ncontent-length: 2\n\nhi",
        "HTTP/1.1 200 OK\ncontent-length: 2\ncontent-length: 2\n\nhi",
        "HTTP/1.1 200 OK\nconnection: content-length\ncontent-length: 2\n\nhi",
        "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n1;a=b\nh\n01\ni\n0\n\n",
        "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n2\nhi\n0\ncontent-length: 9\nx: 1\n\n",
        "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nlink: x\n\nHTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
        "HTTP/1.0 200 OK\nconnection: keep-alive\ncontent-length: 2\n\nhi",
    ] {
        check(text, "200 hi; same");
    }
    check(
        "HTTP/1.1 204 No Content\ncontent-length: 2\n\n",
        "204 ; same",
    );
    check("HEAD HTTP/1.1 200 OK\ncontent-length: 2\n\n", "200 ; same");
    check("HEAD HTTP/1.1 200 OK\n\n", "200 ; same");
}
