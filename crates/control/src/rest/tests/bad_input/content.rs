//! Bodies that are read, and say what cannot be.

use super::*;

#[tokio::test]
async fn paths() {
    let bad = |path: &str, says| {
        [PUT_SERVICE, EDIT].map(|call| {
            row(
                call,
                &route(json!({"paths": [path]})),
                "422 invalid routes[0].paths[0]",
                says,
            )
        })
    };
    let mut rows = Vec::new();
    for (path, says) in [
        ("", "must begin with '/'"),
        ("a", "must begin with '/'"),
        ("*", "must begin with '/'"),
        ("http://a/b", "must begin with '/'"),
        ("/a b", "space"),
        ("/a\tb", "control"),
        ("/a\u{0}", "control"),
        ("/a\u{202e}", "non-ASCII"),
        ("/ä", "non-ASCII"),
        ("/%zz", "two hex digits"),
        ("/%", "two hex digits"),
        ("/%4", "two hex digits"),
        ("/..", "leaves the root"),
        ("/a/../../b", "leaves the root"),
        ("/a/../b", "write \\\"/b\\\""),
        ("/a/./b", "write \\\"/a/b\\\""),
        ("/a/.", "write \\\"/a/\\\""),
        ("/%61", "write \\\"/a\\\""),
        ("/%2f", "write \\\"/%2F\\\""),
        ("/a?b", "use `match` for queries"),
        ("/a#b", "'?' or '#'"),
        ("/a*", "'*'"),
        ("/*a", "'*'"),
        ("/a/*/b", "'*'"),
        ("/**", "'*'"),
        ("/a{x}", "brace"),
        ("/{x}b", "brace"),
        ("/{x", "brace"),
        ("/x}", "brace"),
        ("/{{x}}", "brace"),
        ("/{}", "parameter"),
        ("/{X}", "parameter"),
        ("/{1}", "parameter"),
        ("/{a-b}", "parameter"),
        ("/{x}/{x}", "twice"),
        ("/{*x}", "'*'"),
        ("/{x:[a-z]+}", "parameter"),
    ] {
        rows.extend(bad(path, says));
    }
    rows.extend([
        row(
            PUT_SERVICE,
            &route(json!({"paths": []})),
            "422 required routes[0].paths",
            "at least one path",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"paths": ["/a", "/a"]})),
            "422 duplicate routes[0].paths[1]",
            "again",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/"})),
            "422 invalid base_path",
            "end",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/a/"})),
            "422 invalid base_path",
            "end",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "a"})),
            "422 invalid base_path",
            "begin with '/'",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/{a}"})),
            "422 invalid base_path",
            "{",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/a/*"})),
            "422 invalid base_path",
            "*",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/a/../b"})),
            "422 invalid base_path",
            "/b",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/a?b"})),
            "422 invalid base_path",
            "?",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"path": "a"})),
            "422 invalid checks[0].path",
            "must begin with '/'",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"path": "/a#b"})),
            "422 invalid checks[0].path",
            "'#'",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"path": "/a?b c"})),
            "422 invalid checks[0].path",
            "space",
        ),
    ]);
    check(rows).await;
}

#[tokio::test]
async fn names_and_versions() {
    let mut rows = Vec::new();
    let long = "a".repeat(64);
    for name in [
        "",
        "A",
        "a b",
        "a_b",
        "a.b",
        "-a",
        "a-",
        "a/b",
        "../a",
        "%61",
        "a\u{0}",
        "a\n",
        "\u{430}",
        "раураl",
        "ａ",
        "a\u{200b}",
        "a\u{301}",
        "é",
        "İ",
        "①",
        &long,
    ] {
        rows.extend([
            row(
                "POST /services",
                &service(json!({"name": name})),
                "422 invalid name",
                "a-z, 0-9 and '-'",
            ),
            row(
                "POST /gateway-groups",
                &json!({"name": name}),
                "422 invalid name",
                "a-z, 0-9 and '-'",
            ),
            row(
                PUT_SERVICE,
                &route(json!({"name": name})),
                "422 invalid routes[0].name",
                "a-z, 0-9 and '-'",
            ),
            row(
                PUT_SERVICE,
                &check_of(json!({"name": name})),
                "422 invalid checks[0].name",
                "a-z, 0-9 and '-'",
            ),
            row(
                PUBLISH,
                &json!({"version": "2", "groups": [{"group": name}]}),
                "422 invalid groups[0].group",
                "a-z, 0-9 and '-'",
            ),
            row(
                BIND,
                &json!({"binding": {"discovery": {"registry": name, "service": "a"}}}),
                "422 invalid binding.discovery.registry",
                "a-z, 0-9 and '-'",
            ),
        ]);
    }
    let long = "1".repeat(65);
    for version in [
        "",
        ".1",
        "-1",
        "_1",
        "+1",
        "1/2",
        "1\\2",
        "../1",
        "1 ",
        " 1",
        "v 1",
        "1%2F2",
        "1?",
        "1#",
        "1\n",
        "1\u{0}",
        "１",
        "1\u{202e}",
        "é",
        &long,
    ] {
        rows.extend([
            row(
                PUBLISH,
                &json!({"version": version, "groups": [{"group": "test"}]}),
                "422 invalid version",
                "1 to 64 of",
            ),
            row(
                SYNC,
                &json!({"to": [{"group": "production"}], "expect_version": version}),
                "422 invalid expect_version",
                "1 to 64 of",
            ),
            row(
                "POST /gateway-groups/test/services/httpbin/rollback",
                &json!({"version": version}),
                "422 invalid version",
                "1 to 64 of",
            ),
        ]);
    }
    for digest in [
        "",
        "x",
        "blake3:",
        "blake3:00",
        "sha256:00",
        "BLAKE3:0000000000000000000000000000000000000000000000000000000000000000",
    ] {
        rows.push(row(
            PUBLISH,
            &json!({"version": "2", "groups": [{"group": "test"}], "expect_digest": digest}),
            "422 invalid expect_digest",
            "blake3:",
        ));
    }
    rows.extend([
        row(PUT_SERVICE, &json!({"routes": [{"name": "a", "paths": ["/a"]}, {"name": "a", "paths": ["/b"]}]}), "422 duplicate routes[1].name", "unique"),
        row(PUT_SERVICE, &service(json!({"checks": [{"name": "c", "path": "/", "expect": {}}, {"name": "c", "path": "/", "expect": {}}]})), "422 duplicate checks[1].name", "unique"),
        row(PUT_SERVICE, &service(json!({"name": "y"})), "422 name_mismatch name", "make them equal"),
        row(PUBLISH, &json!({"version": "2", "groups": [{"group": "test"}, {"group": "test"}]}), "422 duplicate groups[1].group", "again"),
    ]);
    check(rows).await;
}

#[tokio::test]
async fn hosts() {
    let mut rows = Vec::new();
    let (label, whole) = ("a".repeat(64), "a.".repeat(128));
    for (host, says) in [
        ("", "is empty"),
        (".", "is empty"),
        (" ", "is no host name"),
        ("a b", "is no host name"),
        ("a\u{0}b", "is no host name"),
        ("a\tb", "is no host name"),
        ("bücher.example", "punycode"),
        ("раураl.example", "punycode"),
        ("a\u{202e}b", "is no host name"),
        ("a@b", "is no host name"),
        ("a/b", "is no host name"),
        ("http://a", "is no host name"),
        ("a,b", "is no host name"),
        ("a..b", "each part needs 1 to 63 characters"),
        (".a", "each part needs 1 to 63 characters"),
        ("a:80", "has a port"),
        ("[::1]:80", "has a port"),
        ("::1", "is no host name"),
        ("[::1", "is no host name"),
        ("[1.2.3.4]", "is no host name"),
        ("*", "leave the list empty"),
        ("*.*.a", "'*'"),
        ("a.*.b", "'*'"),
        ("a*", "'*'"),
        ("*a.b", "'*'"),
        ("*.", "is empty"),
        ("*.1.2.3.4", "'*'"),
        (&label, "each part needs 1 to 63 characters"),
        (&whole, "at most 253"),
    ] {
        rows.push(row(
            PUT_SERVICE,
            &service(json!({"hosts": [host]})),
            "422 invalid hosts[0]",
            says,
        ));
        rows.push(row(
            BIND,
            &json!({"binding": {"nodes": [{"host": "a"}], "hosts": [host]}}),
            "422 invalid binding.hosts[0]",
            says,
        ));
        if !host.starts_with('*') && host != "::1" {
            rows.push(row(
                BIND,
                &node(json!({"host": host})),
                "422 invalid binding.nodes[0].host",
                "neither a host name nor an IP address",
            ));
        }
    }
    rows.extend([
        // Two spellings of one host.
        row(
            PUT_SERVICE,
            &service(json!({"hosts": ["a.example", "A.Example."]})),
            "422 duplicate hosts[1]",
            "again",
        ),
        row(
            BIND,
            &json!({"binding": {"nodes": [{"host": "a"}, {"host": "A."}]}}),
            "422 duplicate binding.nodes[1]",
            "again",
        ),
        row(
            BIND,
            &json!({"binding": {"nodes": [{"host": "::1"}, {"host": "[0:0::1]"}]}}),
            "422 duplicate binding.nodes[1]",
            "again",
        ),
        row(
            BIND,
            &node(json!({"host": "1.2.3"})),
            "422 invalid binding.nodes[0].host",
            "neither a host name nor an IP address",
        ),
        row(
            BIND,
            &node(json!({"host": "1.2.3.256"})),
            "422 invalid binding.nodes[0].host",
            "neither a host name nor an IP address",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"upstream": {"host_header": {"mode": "rewrite", "value": "a b"}}})),
            "422 invalid upstream.host_header.value",
            "is no host name",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"upstream": {"host_header": {"mode": "rewrite", "value": "a:0"}}})),
            "422 invalid upstream.host_header.value",
            "1 to 65535",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"host": "*.a"})),
            "422 invalid checks[0].host",
            "'*'",
        ),
    ]);
    check(rows).await;
}

#[tokio::test]
async fn numbers_and_times() {
    let port = "must be 1 to 65535";
    let mut rows = vec![
        row(
            BIND,
            &node(json!({"port": 0})),
            "422 invalid binding.nodes[0].port",
            port,
        ),
        row(
            BIND,
            &node(json!({"port": 65_536})),
            "422 invalid binding.nodes[0].port",
            port,
        ),
        row(
            BIND,
            &node(json!({"port": -1})),
            "422 invalid binding.nodes[0].port",
            port,
        ),
        row(
            BIND,
            &node(json!({"weight": 70_000})),
            "422 invalid binding.nodes[0].weight",
            "must be 0 to 65535",
        ),
        row(
            BIND,
            &node(json!({"weight": -1})),
            "422 invalid binding.nodes[0].weight",
            "must be 0 to 65535",
        ),
        row(
            BIND,
            &node(json!({"weight": 0})),
            "422 invalid binding.nodes",
            "weight above 0",
        ),
        row(
            BIND,
            &json!({"binding": {"nodes": [{"host": "a", "weight": 0}, {"host": "b", "weight": 0}]}}),
            "422 invalid binding.nodes",
            "weight above 0",
        ),
        row(
            BIND,
            &node(json!({"priority": 2_147_483_648_i64})),
            "422 invalid binding.nodes[0].priority",
            "must be -2147483648 to 2147483647",
        ),
        row(
            BIND,
            &node(json!({"priority": u64::MAX})),
            "422 invalid binding.nodes[0].priority",
            "must be",
        ),
        // Beyond what JSON readers keep as a whole number.
        text(
            BIND,
            r#"{"binding":{"nodes":[{"host":"a","port":99999999999999999999}]}}"#,
            "400 wrong_type binding.nodes[0].port",
            "must be a whole number",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"priority": -2_147_483_649_i64})),
            "422 invalid routes[0].priority",
            "must be",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"upstream": {"retry": {"retries": 11}}})),
            "422 invalid upstream.retry.retries",
            "must be 0 to 10",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"upstream": {"retry": {"on": ["always"]}}})),
            "422 invalid upstream.retry.on[0]",
            "known are",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"upstream": {"keepalive": {"max_idle": -1}}})),
            "422 invalid upstream.keepalive.max_idle",
            "must be 0 to",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": {"status": 99}})),
            "422 invalid checks[0].expect.status",
            "must be 200 to 599",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": {"status": 1000}})),
            "422 invalid checks[0].expect.status",
            "must be 200 to 599",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": {"within": "11s"}})),
            "422 invalid checks[0].expect.within",
            "10s",
        ),
        row(
            PUT_REGISTRY,
            &json!({"kind": "dns", "endpoints": ["1.2.3.4:0"]}),
            "422 invalid endpoints[0]",
            "IP:PORT",
        ),
        row(
            PUT_REGISTRY,
            &json!({"kind": "dns", "endpoints": ["1.2.3.4:65536"]}),
            "422 invalid endpoints[0]",
            "IP:PORT",
        ),
        row(
            PUT_REGISTRY,
            &json!({"kind": "dns", "endpoints": ["dns.example:53"]}),
            "422 invalid endpoints[0]",
            "IP:PORT",
        ),
        row(
            PUT_REGISTRY,
            &json!({"kind": "dns", "min_ttl": "10s", "max_ttl": "5s"}),
            "422 invalid min_ttl",
            "max_ttl",
        ),
    ];
    let unit = "a whole number with a unit";
    for (time, says) in [
        ("", unit),
        ("-5s", unit),
        ("+5s", unit),
        ("5", unit),
        ("5 s", unit),
        ("1.5s", unit),
        ("5S", unit),
        ("5d", unit),
        ("s", unit),
        ("5s1m", unit),
        ("5s5s", unit),
        ("٥s", unit),
        ("99999999999999999999h", unit),
        ("1e3s", unit),
        ("5s\u{0}", unit),
        ("99999999999h", "must be 1ms to 24h"),
        ("0s", "must be 1ms to 24h"),
        ("25h", "must be 1ms to 24h"),
    ] {
        rows.extend([
            row(
                PUT_SERVICE,
                &service(json!({"upstream": {"timeout": {"read": time}}})),
                "422 invalid upstream.timeout.read",
                says,
            ),
            row(
                PUT_SERVICE,
                &route(json!({"timeout": {"connect": time}})),
                "422 invalid routes[0].timeout.connect",
                says,
            ),
            row(
                PUT_REGISTRY,
                &json!({"kind": "dns", "empty_after": time}),
                "422 invalid empty_after",
                says,
            ),
        ]);
    }
    check(rows).await;
}

/// Text that is not what it looks like.
#[tokio::test]
async fn hidden_characters() {
    let mut rows = Vec::new();
    for text in [
        "a\u{0}b",
        "a\u{1b}[31mb",
        "a\u{7f}",
        "a\u{85}b",
        "a\rb",
        "\u{202e}gnp.exe",
        "\u{2066}a\u{2069}",
    ] {
        rows.extend([
            row(
                PUT_SERVICE,
                &service(json!({"title": text})),
                "422 invalid title",
                "leave them out",
            ),
            row(
                PUT_SERVICE,
                &service(json!({"description": text})),
                "422 invalid description",
                "leave them out",
            ),
            row(
                PUT_SERVICE,
                &service(json!({"labels": {"a": text}})),
                "422 invalid labels.a",
                "leave them out",
            ),
            row(
                PUT_GROUP,
                &json!({"title": text}),
                "422 invalid title",
                "leave them out",
            ),
            row(
                PUT_REGISTRY,
                &json!({"kind": "dns", "title": text}),
                "422 invalid title",
                "leave them out",
            ),
            row(
                PUT_SERVICE,
                &route(json!({"match": [{"query": "q", "op": "equals", "value": text}]})),
                "422 invalid routes[0].match[0].value",
                "leave them out",
            ),
            row(
                PUT_SERVICE,
                &check_of(json!({"headers": {"x": text}})),
                "422 invalid checks[0].headers.x",
                "leave them out",
            ),
        ]);
    }
    for key in ["", "a b", "a\u{0}", "ключ", "a=b"] {
        let body = service(json!({"labels": {key: "x"}}));
        let shown = key.replace('\u{0}', "\\u{0}");
        let expect = Box::leak(format!("422 invalid labels.{shown}").into_boxed_str());
        rows.push(row(PUT_SERVICE, &body, expect, "is no label key"));
    }
    check(rows).await;
    // What is written from right to left, and a family, are no tricks.
    let api = Api::new().await;
    for title in [
        "שלום עולם",
        "مجموعة الإنتاج",
        "👩‍👩‍👧",
        "नमस्ते",
        "line\nline\ttab",
    ] {
        let reply = api
            .send("PUT", "/gateway-groups/x", json!({"title": title}))
            .await;
        assert!(reply.status.is_success(), "{title}: {reply:?}");
        assert_eq!(reply.json()["title"], title);
    }
}

#[tokio::test]
async fn predicates() {
    let at = |fields: Value| route(json!({"match": [fields]}));
    let regex = |source: &str| at(json!({"header": "x", "op": "regex", "value": source}));
    let cannot = "is no regular expression that can be used";
    let value = "422 invalid routes[0].match[0].value";
    let mut rows: Vec<_> = [
        ("(a{1000}){1000}", "compiles to more than"),
        ("((a{100}){100}){100}", "compiles to more than"),
        ("\\pL{999}", "compiles to more than"),
        ("(", cannot),
        (")", cannot),
        ("[", cannot),
        ("[z-a]", cannot),
        ("*", cannot),
        ("a{2,1}", cannot),
        ("(?=a)", cannot),
        ("(a)\\1", cannot),
        ("\\", cannot),
        ("(?P<n>a)(?P<n>b)", cannot),
        ("\\u{110000}", cannot),
    ]
    .map(|(source, says)| row(PUT_SERVICE, &regex(source), value, says))
    .into();
    rows.extend([
        row(PUT_SERVICE, &regex(&"(".repeat(1_000)), value, cannot),
        row(
            PUT_SERVICE,
            &regex(&"a".repeat(1_025)),
            "422 limit_exceeded routes[0].match[0].value",
            "at most 1024",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"op": "exists"})),
            "422 invalid routes[0].match[0]",
            "exactly one of header, query and cookie",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "query": "b", "op": "exists"})),
            "422 invalid routes[0].match[0]",
            "exactly one of header, query and cookie",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a"})),
            "422 required routes[0].match[0].op",
            "is missing",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "like", "value": "x"})),
            "422 invalid routes[0].match[0].op",
            "known are",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "equals"})),
            "422 required routes[0].match[0].value",
            "needs it",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "equals", "value": null})),
            "422 required routes[0].match[0].value",
            "needs it",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "equals", "value": 1})),
            "400 wrong_type routes[0].match[0].value",
            "must be a string",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "exists", "value": "x"})),
            value,
            "leave it out",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "in", "value": []})),
            value,
            "could never match",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "in", "value": "x"})),
            "400 wrong_type routes[0].match[0].value",
            "must be a list",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a b", "op": "exists"})),
            "422 invalid routes[0].match[0].header",
            "header name",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "", "op": "exists"})),
            "422 invalid routes[0].match[0].header",
            "header name",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"query": "", "op": "exists"})),
            "422 invalid routes[0].match[0].query",
            "is empty",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"cookie": "a;b", "op": "exists"})),
            "422 invalid routes[0].match[0].cookie",
            "is no cookie name",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": ["get"]})),
            "422 invalid routes[0].methods[0]",
            "capitals",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": ["G T"]})),
            "422 invalid routes[0].methods[0]",
            "capitals",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": [""]})),
            "422 invalid routes[0].methods[0]",
            "capitals",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": ["GET", "GET"]})),
            "422 duplicate routes[0].methods[1]",
            "again",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": ["CONNECT"]})),
            "422 invalid routes[0].methods[0]",
            "tunnels",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"method": "POST"})),
            "422 invalid checks[0].method",
            "unsafe: true",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"headers": {"Host": "x"}})),
            "422 invalid checks[0].headers.Host",
            "leave it out",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"headers": {"a b": "x"}})),
            "422 invalid checks[0].headers.a b",
            "is no header name",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"headers": {"x": "é"}})),
            "422 invalid checks[0].headers.x",
            "visible ASCII",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"headers": {"x": "a\nb: c"}})),
            "422 invalid checks[0].headers.x",
            "visible ASCII",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": {"json": {"a": 1}}})),
            "422 invalid checks[0].expect.json.a",
            "JSON pointer",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": {"json": {"/a~2": 1}}})),
            "422 invalid checks[0].expect.json./a~2",
            "JSON pointer",
        ),
    ]);
    check(rows).await;
}

#[tokio::test]
async fn bindings() {
    let discovery = |fields: Value| {
        let mut body =
            json!({"binding": {"discovery": {"registry": "dns", "service": "a.example"}}});
        merge(&mut body["binding"]["discovery"], fields);
        body
    };
    let service = "422 invalid binding.discovery.service";
    check(vec![
        row(BIND, &json!({}), "422 required", "give binding, enabled, or both"),
        row(BIND, &json!({"binding": {}}), "422 required binding", "nodes"),
        row(BIND, &json!({"binding": {"nodes": []}}), "422 required binding.nodes", "at least one node"),
        row(BIND, &json!({"binding": {"nodes": [{"host": "a"}], "discovery": {"registry": "dns", "service": "a"}}}), "422 invalid binding", "exactly one"),
        row(BIND, &json!({"binding": {"nodes": [{"host": "a"}], "scheme": "gopher"}}), "422 invalid binding.scheme", "known are"),
        row(BIND, &json!({"binding": {"nodes": [{"host": "a"}], "scheme": "https"}}), "422 unsupported binding.scheme", "leave it out"),
        row(BIND, &discovery(json!({"service": ""})), service, "without spaces"),
        row(BIND, &discovery(json!({"service": "a b"})), service, "without spaces"),
        row(BIND, &discovery(json!({"service": "a\u{0}"})), service, "control characters"),
        row(BIND, &discovery(json!({"service": "x".repeat(513)})), "422 limit_exceeded binding.discovery.service", "at most 512"),
        row(BIND, &discovery(json!({"registry": "none"})), "422 registry_missing binding.discovery.registry", "none"),
        row(PUT_REGISTRY, &json!({"kind": "dns", "auth": {"user": "x"}}), "422 unsupported auth", "leave it out"),
        row(PUT_REGISTRY, &json!({"kind": "consul"}), "422 unsupported kind", "consul"),
        row(PUT_REGISTRY, &json!({"kind": "zookeeper"}), "422 invalid kind", "this build knows dns"),
        row(PUT_REGISTRY, &json!({"kind": "dns", "endpoints": ["1.2.3.4:53", "1.2.3.4:53"]}), "422 duplicate endpoints[1]", "again"),
    ])
    .await;
    // What its registry cannot answer.
    let api = Api::furnished().await;
    api.check(PUT_REGISTRY, json!({"kind": "dns"}), "201").await;
    for (fields, expect) in [
        (json!({"service": "_a"}), "422 invalid binding.discovery"),
        (json!({"service": "a:0"}), "422 invalid binding.discovery"),
        (
            json!({"service": "a:65536"}),
            "422 invalid binding.discovery",
        ),
        (json!({"service": "a:+80"}), "422 invalid binding.discovery"),
        (json!({"service": "a/b"}), "422 invalid binding.discovery"),
        (json!({"service": "ä"}), "422 invalid binding.discovery"),
        (json!({"group": "g"}), "422 invalid binding.discovery"),
        (
            json!({"namespace": "a b"}),
            "422 invalid binding.discovery.namespace",
        ),
        (json!({"namespace": ".."}), "422 invalid binding.discovery"),
    ] {
        let body = discovery(fields);
        let reply = api
            .send(
                "PATCH",
                "/gateway-groups/test/services/httpbin",
                body.clone(),
            )
            .await;
        let line = reply.line();
        assert!(line.starts_with(expect), "{body}: {line} {}", reply.text);
    }
}
