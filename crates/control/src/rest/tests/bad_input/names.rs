//! Names, version numbers, digests and hosts.

use super::*;

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
