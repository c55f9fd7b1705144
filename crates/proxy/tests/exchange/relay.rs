//! What goes through: paths, headers, bodies, and their ends.

use std::io::Write;

use ferryway_proxy::Settings;
use serde_json::json;

use crate::support::{Event, Gateway, check, plain, service};

/// What the upstream reads of `request`, `\r` left out; ports are written as `PORT`.
#[track_caller]
fn seen(definition: serde_json::Value, settings: Settings, request: &str) -> String {
    let gateway = Gateway::with(definition, &["read|ok x"], settings);
    assert_eq!(
        gateway.client().ask(request).summary(),
        "200 x",
        "{request:?}"
    );
    let (_, head, _) = gateway.first().request();
    let (upstream, own) = (gateway.first().address.port(), gateway.address.port());
    head.replace(&format!(":{upstream}"), ":PORT")
        .replace(&format!("port: {own}"), "port: OWN")
        .replace("\r", "")
}

#[test]
fn the_head_that_goes_upstream() {
    let request = "GET /a/./b%7e?q=%zz HTTP/1.1\r\nhost: K.io:8080\r\nx-forwarded-for: 6.6.6.6\r\n\
         forwarded: for=6.6.6.6\r\ntraceparent: 00-1-2-01\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\n\r\n";
    let head = seen(plain(), Settings::default(), request);
    let mut lines: Vec<_> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "GET /a/b~?q=%zz HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "host: a:PORT",
            "traceparent: 00-1-2-01",
            "via: 1.1 ferryway",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: K.io",
            "x-forwarded-port: OWN",
            "x-forwarded-proto: http",
            "x-real-ip: 127.0.0.1",
        ]
    );
}

#[test]
fn a_trusted_proxys_words_go_on() {
    let settings = Settings {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..Settings::default()
    };
    let request = "GET / HTTP/1.1\r\nhost: k.io\r\nx-forwarded-for: 6.6.6.6\r\nx-forwarded-proto: https\r\n\r\n";
    let head = seen(plain(), settings, request);
    assert!(
        head.contains("\nx-forwarded-for: 6.6.6.6, 127.0.0.1\n"),
        "{head}"
    );
    assert!(head.contains("\nx-real-ip: 6.6.6.6\n"), "{head}");
    assert!(head.contains("\nx-forwarded-proto: https\n"), "{head}");
}

#[test]
fn host_modes() {
    for (mode, expect) in [
        (json!({"mode": "node"}), "a:PORT"),
        (json!({"mode": "pass"}), "K.io:81"),
        (
            json!({"mode": "rewrite", "value": "fixed.io:90"}),
            "fixed.io:90",
        ),
    ] {
        let definition = service(json!({"upstream": {"host_header": mode}}));
        let head = seen(
            definition,
            Settings::default(),
            "GET / HTTP/1.1\r\nhost: K.io:81\r\n\r\n",
        );
        assert!(
            head.contains(&format!("\nhost: {expect}\n")),
            "{mode}: {head}"
        );
    }
    let pass = service(json!({"upstream": {"host_header": {"mode": "pass"}}}));
    let head = seen(pass, Settings::default(), "GET / HTTP/1.0\r\n\r\n");
    assert!(
        head.contains("\nhost: a:PORT\n"),
        "nothing to pass on: {head}"
    );
}

#[test]
fn the_base_path_is_taken_off() {
    let definition = || service(json!({"base_path": "/v1"}));
    for (path, expect) in [
        ("/v1/a?b", "/a?b"),
        ("/v1/", "/"),
        ("/v1//a", "//a"),
        ("/x/../v1/%61", "/a"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: k.io\r\n\r\n");
        let head = seen(definition(), Settings::default(), &request);
        assert!(
            head.starts_with(&format!("GET {expect} HTTP/1.1\n")),
            "{path}: {head}"
        );
    }
    check(
        definition(),
        "read|ok x",
        "GET /v1/../v2 HTTP/1.1\r\nhost: a\r\n\r\n",
        "404 no_route",
    );
}

#[test]
fn absolute_form_goes_upstream_as_a_path() {
    let head = seen(
        plain(),
        Settings::default(),
        "GET http://k.io/a?b HTTP/1.1\r\nhost: k.io\r\n\r\n",
    );
    assert!(head.starts_with("GET /a?b HTTP/1.1\n"), "{head}");
}

#[test]
fn the_head_that_comes_back() {
    let script = "read|say HTTP/1.1 418 Short And Stout\\r\\nserver: tea\\r\\nset-cookie: a=1\\r\\nset-cookie: b=2\\r\\nconnection: x-hop, close\\r\\nx-hop: 1\\r\\nkeep-alive: timeout=5\\r\\ncontent-length: 2\\r\\n\\r\\nhi";
    let gateway = Gateway::start(plain(), &[script]);
    let mut client = gateway.client();
    let response = client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(response.summary(), "418 hi");
    assert!(
        response
            .head
            .starts_with("HTTP/1.1 418 Short And Stout\r\n")
    );
    assert_eq!(response.header("server"), Some("tea"));
    assert_eq!(response.head.matches("set-cookie: ").count(), 2);
    for gone in ["x-hop", "keep-alive", "connection"] {
        assert_eq!(response.header(gone), None, "{gone}");
    }
}

#[test]
fn kinds_of_bodies() {
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let say = |text: &str| format!("read|say HTTP/1.1 {text}|close");
    check(
        plain(),
        &say("200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nhi"),
        get,
        "200 hi",
    );
    check(
        plain(),
        &say("200 OK\\r\\ncontent-length: 2\\r\\ncontent-length: 2\\r\\n\\r\\nhi"),
        get,
        "200 hi",
    );
    check(
        plain(),
        &say(
            "200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n1\\r\\nh\\r\\n1\\r\\ni\\r\\n0\\r\\n\\r\\n",
        ),
        get,
        "200 hi",
    );
    check(
        plain(),
        &say("200 OK\\r\\n\\r\\nto the end"),
        get,
        "200 to the end",
    );
    check(
        plain(),
        &say("200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n"),
        get,
        "200 ",
    );
    check(plain(), &say("204 No Content\\r\\n\\r\\n"), get, "204 ");
    check(
        plain(),
        &say("304 Not Modified\\r\\ncontent-length: 7\\r\\n\\r\\n"),
        get,
        "304 ",
    );
    check(
        plain(),
        &say("100 Continue\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\n\\r\\nx"),
        get,
        "200 x",
    );
    check(
        plain(),
        &say(
            "103 Early Hints\\r\\nlink: x\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\n\\r\\nx",
        ),
        get,
        "200 x",
    );
}

#[test]
fn head_has_a_length_and_no_body() {
    let gateway = Gateway::start(
        plain(),
        &["read|say HTTP/1.1 200 OK\\r\\ncontent-length: 7\\r\\n\\r\\n|again"],
    );
    let mut client = gateway.client();
    for _ in 0..2 {
        let response = client.ask("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(
            (
                response.summary().as_str(),
                response.header("content-length")
            ),
            ("200 ", Some("7"))
        );
    }
    assert_eq!(
        gateway.first().request().0,
        gateway.first().request().0,
        "one connection"
    );
}

#[test]
fn large_bodies_stream_both_ways() {
    let body = "0123456789".repeat(300_000);
    let gateway = Gateway::start(plain(), &[&format!("read|ok {body}")]);
    let mut client = gateway.client();
    let mut sender = client.socket.try_clone().unwrap();
    let upload = body.clone();
    let sending = std::thread::spawn(move || {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
            upload.len()
        );
        sender
            .write_all(format!("{head}{upload}").as_bytes())
            .unwrap();
    });
    assert!(
        client.response(false).text() == body,
        "the body came back whole"
    );
    sending.join().unwrap();
    assert!(
        gateway.first().request().2 == body,
        "the body went up whole"
    );
}

/// A body that breaks off must not look whole.
#[test]
fn a_body_that_breaks_off() {
    for answer in [
        "HTTP/1.1 200 OK\\r\\ncontent-length: 9\\r\\n\\r\\nhi",
        "HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n2\\r\\nhi\\r\\n",
        "HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n2\\r\\nhi\\r\\nzzz\\r\\n",
    ] {
        let script = format!("read|say {answer}|close");
        check(
            plain(),
            &script,
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "200 hi…",
        );
    }
}

/// The upstream answers before it has the body: the answer goes through, and a connection with half a
/// request in it serves nobody else.
#[test]
fn an_early_response() {
    let script = "head|say HTTP/1.1 413 X\\r\\ncontent-length: 2\\r\\n\\r\\nno|hold\nread|ok x";
    let gateway = Gateway::start(plain(), &[script]);
    let mut client = gateway.client();
    let response = client.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nbegin");
    assert_eq!(response.summary(), "413 no");
    assert_eq!(gateway.first().request().0, 0);
    assert_eq!(gateway.first().event(), Event::Closed { connection: 0 });
    assert_eq!(
        gateway
            .client()
            .ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .summary(),
        "200 x"
    );
    assert_eq!(gateway.first().request().0, 1);
}

/// A client that leaves takes its request with it.
#[test]
fn a_client_that_leaves() {
    let gateway = Gateway::start(plain(), &["read|hold"]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    gateway.first().request();
    drop(client);
    assert_eq!(gateway.first().event(), Event::Closed { connection: 0 });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_response() {
    let script = "read|say HTTP/1.1 200 OK\\r\\ncontent-length: 100\\r\\n\\r\\nbegin|hold";
    let gateway = Gateway::start(plain(), &[script]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    gateway.first().request();
    let mut begun = [0; 17];
    std::io::Read::read_exact(&mut client.socket, &mut begun).unwrap();
    drop(client);
    assert_eq!(gateway.first().event(), Event::Closed { connection: 0 });
}
