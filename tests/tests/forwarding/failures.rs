//! An upstream that fails harms its own requests, and the client is told how.

use ferryway_testkit::{Dns, curl, ports};
use serde_json::{Value, json};

use crate::calls::{nodes, service};
use crate::site::{GROUP, Site, own_answer};
use crate::upstream::{Client, Reply};

#[track_caller]
fn check(site: &Site, path: &str, expect: (u16, &str)) {
    let (status, code) = own_answer(&site.get(path));
    assert_eq!((status, code.as_str()), expect, "at {path}");
}

#[test]
fn nobody_listens() {
    let site = Site::set();
    let [port] = ports::free();
    let binding = nodes(&[([127, 0, 0, 1], port).into()]);
    site.serve_from(&service("orders", &[("all", "/orders")]), &binding);
    check(&site, "/orders", (502, "upstream_connect"));
}

#[test]
fn it_does_not_answer_in_time() {
    let site = Site::set();
    let slow = json!({"name": "slow", "paths": ["/slow"], "timeout": {"read": "200ms"}});
    let fast = json!({"name": "fast", "paths": ["/fast"]});
    site.serve(&json!({"name": "orders", "routes": [slow, fast]}));
    site.upstream.reply("/slow", [Reply::Silence]);
    check(&site, "/slow", (504, "upstream_timeout"));
    assert_eq!(site.get("/fast").status, 200);
}

#[test]
fn its_answer_is_broken() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders/*")]));
    for (path, reply, expect) in [
        ("/orders/close", Reply::Close, (502, "upstream_reset")),
        (
            "/orders/part",
            Reply::Bytes(b"HTTP/1.1 200 OK\r\nX-A"),
            (502, "upstream_reset"),
        ),
        (
            "/orders/noise",
            Reply::Bytes(b"220 smtp.example ESMTP\r\n\r\n"),
            (502, "upstream_protocol"),
        ),
        (
            "/orders/framing",
            Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
            (502, "upstream_protocol"),
        ),
    ] {
        site.upstream.reply(path, [reply]);
        check(&site, path, expect);
    }
    assert_eq!(
        site.get("/orders/well").status,
        200,
        "others are not harmed"
    );
}

#[test]
fn there_is_none() {
    let dns = Dns::start();
    dns.set_empty("none.example");
    let server = dns.address().to_string();
    let site = Site::with(&["--dns-server", &server]);
    let registry = format!("/gateway-groups/{GROUP}/registries/names");
    site.api()
        .put(&registry, &json!({"kind": "dns"}))
        .json_of(201);
    let node = |host: &str| json!({"nodes": [{"host": host, "port": 80}]});
    let found = |service: &str| json!({"discovery": {"registry": "names", "service": service}});
    for (name, binding) in [
        ("empty-node", node("none.example")),
        ("no-node", node("none-such.example")),
        ("empty-name", found("none.example:80")),
        ("no-name", found("none-such.example:80")),
        ("no-service", found("_none._tcp.example")),
    ] {
        let path = format!("/{name}");
        site.serve_from(&service(name, &[("all", &path)]), &binding);
        check(&site, &path, (503, "no_endpoint"));
    }
}

#[test]
fn a_client_that_is_at_fault_is_told_so() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/*")]));
    let long = "a".repeat(128 * 1024);
    for (request, expect) in [
        ("GET /x HTTP/1.1\r\n\r\n".to_owned(), (400, "bad_request")),
        (
            "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
            (400, "bad_request"),
        ),
        (
            "GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n".to_owned(),
            (400, "bad_request"),
        ),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_owned(),
            (400, "bad_request"),
        ),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            (400, "bad_request"),
        ),
        (format!("GET /x HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), (431, "header_too_large")),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), (414, "uri_too_long")),
    ] {
        let mut client = Client::connect(site.address()).expect("the gateway listens");
        // The gateway may have answered, and closed, before all was sent.
        let _ = client.send(&request);
        let shown = &request[..request.len().min(80)];
        let answer = client.answer();
        let answer = answer.unwrap_or_else(|error| panic!("{error} for {shown:?}"));
        let (status, code) = own_answer(&answer);
        assert_eq!((status, code.as_str()), expect, "for {shown:?}");
    }
    let seen = site.upstream.requests("/x");
    assert!(
        seen.iter()
            .all(|it| it.method() == "POST" && it.body.is_empty()),
        "{seen:?}"
    );
    assert_eq!(curl([site.gateway.url("/x")]).status, 200);
}

#[test]
fn failures_are_counted_by_their_status() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    site.upstream
        .reply("/orders", [Reply::Close, Reply::Mirror]);
    assert_eq!(site.get("/orders").status, 502);
    assert_eq!(site.get("/orders").status, 200);
    let metrics = curl([site.gateway.status_url("/metrics")]).text();
    let count = |code: &str| {
        let line = metrics.lines().find(|line| {
            line.starts_with("ferryway_requests_total{")
                && [
                    r#"service="orders""#,
                    r#"version="1.0.0""#,
                    r#"route="all""#,
                    code,
                ]
                .iter()
                .all(|label| line.contains(label))
        });
        line.and_then(|line| line.rsplit(' ').next())
            .map(str::to_owned)
    };
    assert_eq!(count(r#"code="502""#).as_deref(), Some("1"), "{metrics}");
    assert_eq!(count(r#"code="200""#).as_deref(), Some("1"), "{metrics}");
    let status: Value = curl([site.gateway.status_url("/status/upstreams")]).json_of(200);
    assert!(status.to_string().contains("127.0.0.1"), "{status}");
}
