//! What is wrong beside the body: queries, headers, framing.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::super::serve;
use super::*;

#[tokio::test]
async fn queries() {
    let empty = |call: &'static str, says| text(call, "", "400 invalid_query", says);
    let enable =
        |call: &'static str, says| row(call, &json!({"enabled": true}), "400 invalid_query", says);
    check(vec![
        empty("GET /services?x=1", "known are limit, cursor, label, q"),
        empty("GET /services?limit", "limit"),
        empty("GET /services?limit=", "limit"),
        empty("GET /services?limit=0", "must be 1 to 1000"),
        empty("GET /services?limit=1001", "must be 1 to 1000"),
        empty("GET /services?limit=-1", "limit"),
        empty("GET /services?limit=1e3", "limit"),
        empty("GET /services?limit=99999999999999999999", "limit"),
        empty("GET /services?limit=1&limit=1", "limit is given twice"),
        empty("GET /services?limit=1&%6Cimit=1", "limit is given twice"),
        empty("GET /services?cursor=%00", "cursor"),
        empty("GET /services?cursor=x%2Fy", "cursor"),
        empty("GET /operations?cursor=x", "cursor"),
        empty("GET /audit?cursor=x", "cursor"),
        empty("GET /services?label=a", "KEY=VALUE"),
        empty("GET /services?q=%", "%"),
        empty("GET /services?q=%zz", "%"),
        empty("GET /services?q=%4", "%"),
        empty("GET /services?q=%FF", "UTF-8"),
        empty("GET /services?q=%ED%A0%80", "UTF-8"),
        empty("GET /services?%FF=1", "UTF-8"),
        empty("GET /compare?a=test", "b=GROUP"),
        empty("GET /compare?a=TEST&b=production", "a is"),
        enable(
            "PATCH /gateway-groups/test/services/httpbin?wait=5",
            "with a unit",
        ),
        enable(
            "PATCH /gateway-groups/test/services/httpbin?wait=-5s",
            "with a unit",
        ),
        enable(
            "PATCH /gateway-groups/test/services/httpbin?wait=6m",
            "longer than",
        ),
        enable(
            "PATCH /gateway-groups/test/services/httpbin?wait=99999999999h",
            "longer than",
        ),
        enable(
            "PATCH /gateway-groups/test/services/httpbin?dry_run=yes",
            "dry_run",
        ),
        enable(
            "PATCH /gateway-groups/test/services/httpbin?expect_plan=x",
            "expect_plan",
        ),
        enable(
            "PATCH /gateway-groups/test/services/httpbin?expect_plam=x",
            "expect_plam",
        ),
    ])
    .await;
    // An escape that is one, and a plus that is a space.
    let api = Api::furnished().await;
    for query in [
        "q=httpbin+API",
        "q=%68ttpbin%20api",
        "q=HTTPBIN&label=team=core",
        "label=team%3Dcore",
    ] {
        let reply = api.get(&format!("/services?{query}")).await;
        assert_eq!(
            reply.json()["items"].as_array().map(Vec::len),
            Some(1),
            "{query}: {reply:?}"
        );
    }
}

#[tokio::test]
async fn urls() {
    let nothing = |call: &'static str| text(call, "", "404 not_found", "");
    check(vec![
        nothing("GET /services/a%2Fb"),
        nothing("GET /services/%00"),
        nothing("GET /services/%FF"),
        nothing("GET /services/%zz"),
        nothing("GET /services/.."),
        nothing("GET /services/HTTPBIN"),
        nothing("GET /services/httpbin/"),
        nothing("GET /services//httpbin"),
        nothing("GET /services/httpbin/versions/1.0.0%00"),
        nothing("GET /services/httpbin/versions/%20"),
        nothing("GET /services/h%D1%82tpbin"),
        nothing("DELETE /services/a%2Fb"),
        nothing("GET /operations/00000000-0000-0000-0000-000000000000"),
        nothing("GET /operations/x"),
    ])
    .await;
}

#[tokio::test]
async fn headers() {
    let api = Api::furnished().await;
    let before = shown(&api).await;
    let bearer = format!("Bearer {TOKEN}");
    let auth = ("authorization", bearer.as_str());
    let json = ("content-type", "application/json");
    let (text, other) = (
        ("content-type", "text/plain"),
        ("content-type", "application/xml"),
    );
    let long = "k".repeat(256);
    let tags = vec!["\"a\""; 65].join(",");
    for (headers, expect) in [
        (&[json, text][..], "400 invalid_header"),
        (&[text, json], "400 invalid_header"),
        (&[json, json], "400 invalid_header"),
        (&[other], "415 unsupported_media_type"),
        (&[("content-type", "")], "415 unsupported_media_type"),
        (
            &[("content-type", "application/json, text/plain")],
            "415 unsupported_media_type",
        ),
        (
            &[("content-type", "application/json/x")],
            "415 unsupported_media_type",
        ),
        (
            &[("content-type", "application/*")],
            "415 unsupported_media_type",
        ),
        (&[json, ("idempotency-key", "")], "400 invalid_header"),
        (&[json, ("idempotency-key", &long)], "400 invalid_header"),
        (&[json, ("idempotency-key", "é")], "400 invalid_header"),
        (
            &[json, ("idempotency-key", "a"), ("idempotency-key", "b")],
            "400 invalid_header",
        ),
    ] {
        let headers: Vec<_> = [&[auth][..], headers].concat();
        let reply = api
            .raw(
                "POST",
                "/services",
                &headers,
                service(json!({"name": "x"})).to_string(),
            )
            .await;
        assert_eq!(reply.line(), expect, "{headers:?}: {}", reply.text);
        presentable(&reply);
    }
    for tag in [
        "",
        "x",
        "\"",
        "\"a\"b",
        "W/x",
        "*, \"a\"",
        ",",
        "\"a\" \"b",
        &tags,
    ] {
        let headers = [auth, json, ("if-match", tag)];
        let reply = api
            .raw("PUT", "/services/httpbin", &headers, httpbin().to_string())
            .await;
        assert_eq!(
            reply.line(),
            "400 invalid_header",
            "If-Match: {tag}: {}",
            reply.text
        );
        presentable(&reply);
    }
    for authorization in [
        "",
        "Bearer",
        "Bearer ",
        "bearer x y",
        "Basic eDp5",
        "Bearer é",
        &format!("Bearer {TOKEN} x"),
        &format!("Bearer {}", &TOKEN[1..]),
    ] {
        let headers = [("authorization", authorization), json];
        let reply = api
            .raw(
                "PUT",
                "/services/x",
                &headers,
                service(json!({})).to_string(),
            )
            .await;
        assert_eq!(
            reply.line(),
            "401 unauthorized",
            "{authorization:?}: {}",
            reply.text
        );
    }
    let headers = [auth, auth, json];
    let reply = api
        .raw(
            "PUT",
            "/services/x",
            &headers,
            service(json!({})).to_string(),
        )
        .await;
    assert_eq!(reply.line(), "401 unauthorized", "twice: {}", reply.text);
    assert_eq!(shown(&api).await, before);
}

/// A request as bytes; the answers until the connection ends. What is sent ends there too.
async fn speak(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("is open");
    stream.write_all(bytes).await.expect("is taken");
    stream.shutdown().await.expect("can be ended");
    let mut answer = Vec::new();
    // A server that closes with bytes unread resets the connection, behind its answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Bodies that are not framed as their heads say.
#[tokio::test]
async fn framing() {
    let api = Api::with(Access::Dev).await;
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("has an address");
    let tasks = Tasks::new("socket");
    let state = (api.core.clone(), api.identity.clone());
    serve(listener, state, Access::Dev, None, &tasks);

    let head = format!(
        "POST /api/v1/gateway-groups HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
    );
    let body = r#"{"name":"x"}"#;
    for (framing, body, expect) in [
        // Less than announced, and the end.
        ("Content-Length: 100", body, "400"),
        ("Content-Length: 13", body, "400"),
        // More than announced: the rest is no request.
        ("Content-Length: 2", "{}rest\r\n\r\n", "422"),
        ("Content-Length: 0", "", "400"),
        ("Content-Length: -1", body, "400"),
        ("Content-Length: 1x", body, "400"),
        ("Content-Length: 18446744073709551616", body, "400"),
        ("Content-Length: 12\r\nContent-Length: 11", body, "400"),
        ("Transfer-Encoding: chunked", "0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked", "", "400"),
        ("Transfer-Encoding: chunked", "zz\r\n", "400"),
        ("Transfer-Encoding: chunked", "c\r\n{\"name\":\"x\"}", "400"),
        (
            "Transfer-Encoding: chunked",
            "c\r\n{\"name\":\"x\"}\r\n",
            "400",
        ),
        ("Transfer-Encoding: gzip", body, "400"),
        ("X: a\0b", body, "400"),
        ("X: 1\n: 2", body, "400"),
    ] {
        let text = format!("{head}{framing}\r\n\r\n{body}");
        let answer = speak(address, text.as_bytes()).await;
        let line = answer.lines().next().unwrap_or_default();
        assert!(
            line.starts_with(&format!("HTTP/1.1 {expect} ")),
            "{framing} and {body:?}: {answer}"
        );
        assert!(
            !answer.contains("HTTP/1.1 2"),
            "{framing} and {body:?}: {answer}"
        );
    }
    let groups = format!(
        "GET /api/v1/gateway-groups HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    let groups = speak(address, groups.as_bytes()).await;
    assert!(
        groups.contains(r#""items":[]"#),
        "nothing was made: {groups}"
    );
    assert!(
        tasks.stop(Duration::from_secs(10)).await,
        "{:?}",
        tasks.running()
    );
}
