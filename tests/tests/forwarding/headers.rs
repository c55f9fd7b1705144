//! The headers that the upstream gets, all of them, as they stand on the wire.

use serde_json::{Value, json};

use crate::calls::service;
use crate::site::Site;
use crate::upstream::{Client, Request};

/// Sends a request with these header lines and compares all lines that the upstream got, sorted.
/// `PORT` stands for the gateway's port, `NODE` for the node's address.
#[track_caller]
fn check(site: &Site, sent: &[&str], expect: &[&str]) {
    let mut client = Client::connect(site.address()).expect("the gateway listens");
    let lines: String = sent.iter().map(|line| format!("{line}\r\n")).collect();
    let before = site.upstream.requests("/h").len();
    client
        .send(format!("GET /h HTTP/1.1\r\n{lines}\r\n"))
        .expect("the gateway reads");
    let answer = client.answer().expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let requests = site.upstream.requests("/h");
    assert_eq!(requests.len(), before + 1);
    let mut expect: Vec<_> = expect.iter().map(|line| filled(site, line)).collect();
    expect.sort();
    assert_eq!(lines_of(&requests[before]), expect, "for {sent:?}");
}

fn lines_of(request: &Request) -> Vec<String> {
    let headers = request.headers.iter();
    let mut lines: Vec<_> = headers
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort();
    lines
}

fn filled(site: &Site, line: &str) -> String {
    let port = site.address().port().to_string();
    let node = site.upstream.address().to_string();
    line.replace("PORT", &port).replace("NODE", &node)
}

#[track_caller]
fn site(flags: &[&str], host_header: &Value) -> Site {
    let site = Site::with(flags);
    let mut service = service("headers", &[("h", "/h")]);
    service["upstream"] = json!({"host_header": host_header});
    site.serve(&service);
    site
}

const USUAL: [&str; 7] = [
    "host: NODE",
    "via: 1.1 ferryway",
    "x-forwarded-for: 127.0.0.1",
    "x-forwarded-host: client.example",
    "x-forwarded-port: PORT",
    "x-forwarded-proto: http",
    "x-real-ip: 127.0.0.1",
];

fn usual_and<'a>(further: &[&'a str]) -> Vec<&'a str> {
    [&USUAL[..], further].concat()
}

#[test]
fn of_a_client_that_nobody_vouches_for() {
    let site = site(&[], &json!({"mode": "node"}));
    check(&site, &["Host: client.example"], &USUAL);
    check(&site, &["Host: client.example:9080"], &USUAL);
    check(
        &site,
        &[
            "Host: client.example",
            "X-Forwarded-For: 1.2.3.4",
            "X-Forwarded-For: 5.6.7.8",
            "X-Real-IP: 1.2.3.4",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.example",
            "X-Forwarded-Port: 1",
            "Forwarded: for=1.2.3.4",
        ],
        &USUAL,
    );
    check(
        &site,
        &[
            "Host: client.example",
            "Accept: */*",
            "X-Own: a",
            "X-Own: b",
            "Cookie: a=b",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "Authorization: Bearer t",
        ],
        &usual_and(&[
            "accept: */*",
            "x-own: a",
            "x-own: b",
            "cookie: a=b",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "authorization: Bearer t",
        ]),
    );
    check(
        &site,
        &["Host: client.example", "Via: 1.0 fred"],
        &[&["via: 1.0 fred"], &USUAL[..]].concat(),
    );
}

#[test]
fn of_one_hop_only_are_removed() {
    let site = site(&[], &json!({"mode": "node"}));
    check(
        &site,
        &[
            "Host: client.example",
            "Connection: keep-alive, X-Private, host",
            "X-Private: secret",
            "X-Public: 1",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic abc",
            "TE: trailers",
            "Trailer: x-sum",
            "Upgrade: websocket",
        ],
        &usual_and(&["x-public: 1"]),
    );
}

#[test]
fn of_a_trusted_proxy_are_kept_and_added_to() {
    let flags = ["--trusted-proxies", "127.0.0.0/8,10.0.0.0/8"];
    let site = site(&flags, &json!({"mode": "node"}));
    check(&site, &["Host: client.example"], &USUAL);
    check(
        &site,
        &[
            "Host: gateway.internal",
            "X-Forwarded-For: 203.0.113.7, 10.1.1.1",
            "X-Real-IP: 9.9.9.9",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: front.example",
            "X-Forwarded-Port: 443",
            "Forwarded: for=203.0.113.7",
        ],
        &[
            "forwarded: for=203.0.113.7",
            "host: NODE",
            "via: 1.1 ferryway",
            "x-forwarded-for: 203.0.113.7, 10.1.1.1, 127.0.0.1",
            "x-forwarded-host: front.example",
            "x-forwarded-port: 443",
            "x-forwarded-proto: https",
            "x-real-ip: 203.0.113.7",
        ],
    );
}

#[test]
fn the_host_is_the_nodes_the_clients_or_one_that_was_written_down() {
    for (mode, host) in [
        (json!({"mode": "node"}), "host: NODE"),
        (json!({"mode": "pass"}), "host: client.example:8080"),
        (
            json!({"mode": "rewrite", "value": "inner.example"}),
            "host: inner.example",
        ),
    ] {
        let site = site(&[], &mode);
        let mut expect = USUAL.to_vec();
        expect[0] = host;
        check(&site, &["Host: client.example:8080"], &expect);
    }
}

#[test]
fn of_the_answer_go_to_the_client() {
    let site = Site::set();
    site.serve(&service("headers", &[("h", "/h")]));
    let answer = b"HTTP/1.1 201 Made\r\nX-Own: a\r\nX-Own: b\r\nSet-Cookie: a=b\r\n\
        Connection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok";
    site.upstream
        .reply("/h", [crate::upstream::Reply::Bytes(answer)]);
    let answer = site.get("/h");
    assert_eq!((answer.status, answer.text().as_str()), (201, "ok"));
    let all = |name: &str| {
        let headers = answer.headers.iter();
        let found = headers.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(all("x-own"), ["a", "b"]);
    assert_eq!(all("set-cookie"), ["a=b"]);
    for name in ["x-hop", "keep-alive", "x-ferryway-error"] {
        assert_eq!(all(name), [""; 0], "{name}");
    }
}
