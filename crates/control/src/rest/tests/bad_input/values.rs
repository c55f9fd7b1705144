//! Numbers, times, and text that is not what it looks like.

use super::*;

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
    for title in ["שלום עולם", "مجموعة الإنتاج", "👩‍👩‍👧", "नमस्ते"]
    {
        let reply = api
            .send("PUT", "/gateway-groups/x", json!({"title": title}))
            .await;
        assert!(reply.status.is_success(), "{title}: {reply:?}");
        assert_eq!(reply.json()["title"], title);
    }
    // A description is as long as it likes, a title stands in lists.
    let lines = json!("line\nline\ttab");
    let described = json!({"description": lines});
    let reply = api.check("PUT /gateway-groups/x", described, "200").await;
    assert_eq!(reply["description"], lines);
    let titled = json!({"title": lines});
    api.check("PUT /gateway-groups/x", titled, "422 invalid title")
        .await;
}
