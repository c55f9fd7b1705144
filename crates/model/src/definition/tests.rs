//! What a definition may say: the whole of api.md's example, its defaults, and each thing that is wrong.

use serde_json::{Value, json};

use super::*;

/// api.md's example, as it stands there.
fn example() -> Value {
    json!({
        "name": "httpbin", "title": "httpbin API", "description": "", "labels": {"team": "core"},
        "hosts": ["api.example.com", "*.example.org"],
        "base_path": "",
        "upstream": {
            "scheme": "http",
            "host_header": {"mode": "node"},
            "load_balancing": {"policy": "round_robin"},
            "timeout": {"connect": "5s", "read": "60s", "send": "60s"},
            "retry": {"retries": 1, "on": ["connect_failure"]},
            "health_check": null, "tls": null, "keepalive": {"idle_timeout": "60s", "max_idle": 320}
        },
        "routes": [
            {"name": "headers", "paths": ["/headers"], "methods": ["GET"], "priority": 0, "match": [], "timeout": null, "plugins": {}},
            {"name": "anything", "paths": ["/anything/*"]},
            {"name": "user", "paths": ["/users/{id}"]}
        ],
        "plugins": {},
        "checks": [
            {"name": "headers-answers", "method": "GET", "path": "/headers", "host": null, "headers": {},
             "unsafe": false, "expect": {"status": 200, "headers": {}, "body_contains": null,
             "json": {"/headers/X-Forwarded-Host": "api.example.com"}, "within": "2s"}}
        ]
    })
}

fn minimal() -> Value {
    json!({"name": "s", "routes": [{"name": "r", "paths": ["/*"]}]})
}

#[test]
fn the_example_is_a_definition_and_its_own_normal_form() {
    let (sealed, meta) =
        Definition::parse_service(&example(), None).unwrap_or_else(|p| panic!("{p:?}"));
    assert_eq!(
        (meta.title.as_str(), meta.labels["team"].as_str()),
        ("httpbin API", "core")
    );
    // What an answer shows can be sent back, and is the same definition.
    let mut shown = sealed.content.to_value();
    shown["digest"] = json!(sealed.digest);
    let again = Definition::parse(&shown, Some(&"httpbin".parse().expect("is a name")))
        .unwrap_or_else(|p| panic!("{p:?}"));
    assert_eq!((again.digest, &again.bytes), (sealed.digest, &sealed.bytes));
    assert_eq!(
        Definition::from_canonical(&sealed.bytes).map(|s| s.digest),
        Ok(sealed.digest)
    );
}

#[test]
fn leaving_out_says_the_default() {
    let bytes = Definition::parse(&minimal(), None)
        .expect("is a definition")
        .bytes;
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        concat!(
            r#"{"base_path":"","checks":[],"hosts":[],"name":"s","plugins":{},"routes":[{"match":[],"methods":[],"name":"r","#,
            r#""paths":["/*"],"plugins":{},"priority":0,"timeout":null}],"schema":1,"upstream":{"health_check":null,"#,
            r#""host_header":{"mode":"node"},"keepalive":{"idle_timeout":"60s","max_idle":320},"load_balancing":{"policy":"#,
            r#""round_robin"},"retry":{"on":["connect_failure"],"retries":1},"scheme":"http","timeout":{"connect":"5s","#,
            r#""read":"60s","send":"60s"},"tls":null}}"#
        )
    );
}

#[test]
fn meta_changes_no_digest() {
    let (plain, _) = Definition::parse_service(&minimal(), None).expect("is a service");
    let mut titled = minimal();
    titled["title"] = json!("T");
    let (other, meta) = Definition::parse_service(&titled, None).expect("is a service");
    assert_eq!((plain.digest, meta.title.as_str()), (other.digest, "T"));
}

/// Sets one field of the minimal definition, and says which problems that makes.
#[track_caller]
fn bad(pointer: &str, value: &Value, expect: &[&str]) {
    let mut body = minimal();
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer with a parent");
    let parent = body.pointer_mut(parent).expect("the parent is there");
    match parent {
        Value::Array(items) => items[field.parse::<usize>().expect("an index")] = value.clone(),
        _ => parent[field] = value.clone(),
    }
    let problems = Definition::parse(&body, None).expect_err("there are problems");
    let got: Vec<_> = problems
        .iter()
        .map(|p| format!("{} {}", p.code, p.path))
        .collect();
    assert_eq!(got, expect, "{problems:?}");
}

#[test]
fn each_thing_that_is_wrong_is_said_at_its_place() {
    bad("/name", &json!("A b"), &["invalid name"]);
    bad("/nam", &json!("x"), &["unknown_field nam"]);
    bad("/title", &json!("x"), &["unknown_field title"]);
    bad(
        "/hosts",
        &json!(["a b", "*", "a.io:80", "a.io", "A.io"]),
        &[
            "invalid hosts[0]",
            "invalid hosts[1]",
            "invalid hosts[2]",
            "duplicate hosts[4]",
        ],
    );
    bad("/hosts", &json!("a.io"), &["wrong_type hosts"]);
    bad("/base_path", &json!("/a/"), &["invalid base_path"]);
    bad(
        "/plugins",
        &json!({"key-auth": {}}),
        &["unsupported plugins"],
    );
    bad("/routes", &json!([]), &["required routes"]);
    bad("/routes", &json!(null), &["required routes"]);
    bad(
        "/routes/0",
        &json!({}),
        &["required routes[0].name", "required routes[0].paths"],
    );
    bad("/routes/0/paths", &json!([]), &["required routes[0].paths"]);
    bad(
        "/routes/0/paths",
        &json!(["/a", "b", "/a/../b", "/a", "/{a", "/%zz"]),
        &[
            "invalid routes[0].paths[1]",
            "invalid routes[0].paths[2]",
            "duplicate routes[0].paths[3]",
            "invalid routes[0].paths[4]",
            "invalid routes[0].paths[5]",
        ],
    );
    bad(
        "/routes/0/methods",
        &json!(["get", "GET", "GET", "CONNECT", ""]),
        &[
            "invalid routes[0].methods[0]",
            "duplicate routes[0].methods[2]",
            "invalid routes[0].methods[3]",
            "invalid routes[0].methods[4]",
        ],
    );
    bad(
        "/routes/0/priority",
        &json!(1.5),
        &["wrong_type routes[0].priority"],
    );
    bad(
        "/routes/0/timeout",
        &json!({"read": "0s", "total": "5s"}),
        &[
            "invalid routes[0].timeout.read",
            "unknown_field routes[0].timeout.total",
        ],
    );
    bad(
        "/routes/0/plugins",
        &json!({"x": 1}),
        &["unsupported routes[0].plugins"],
    );
    bad(
        "/routes/0/match",
        &json!([{"header": "x", "query": "y", "op": "exists"}, {"op": "exists"},
        {"header": "a b", "op": "exists"}, {"header": "x", "op": "like", "value": "y"}, {"header": "x", "op": "equals"},
        {"header": "x", "op": "exists", "value": "y"}, {"header": "x", "op": "in", "value": []},
        {"header": "x", "op": "regex", "value": "("}, {"header": "x", "op": "regex", "value": "(\\w{100}){100}"}]),
        &[
            "invalid routes[0].match[0]",
            "invalid routes[0].match[1]",
            "invalid routes[0].match[2].header",
            "invalid routes[0].match[3].op",
            "required routes[0].match[4].value",
            "invalid routes[0].match[5].value",
            "invalid routes[0].match[6].value",
            "invalid routes[0].match[7].value",
            "invalid routes[0].match[8].value",
        ],
    );
    bad(
        "/routes",
        &json!([{"name": "r", "paths": ["/a"]}, {"name": "r", "paths": ["/b"]}]),
        &["duplicate routes[1].name"],
    );
    let many: Vec<_> = (0..1_001)
        .map(|n| json!({"name": format!("r{n}"), "paths": ["/a"]}))
        .collect();
    bad("/routes", &json!(many), &["limit_exceeded routes"]);
    let regex = json!({"header": "x", "op": "regex", "value": "\\w{9}"});
    let paths: Vec<_> = (0..64).map(|n| format!("/{n}")).collect();
    let many: Vec<_> = (0..63)
        .map(|n| json!({"name": format!("r{n}"), "paths": paths, "match": vec![&regex; 8]}))
        .collect();
    bad(
        "/routes",
        &json!(many),
        &["limit_exceeded routes", "limit_exceeded routes"],
    );
}

#[test]
fn what_this_build_cannot_do_is_unsupported() {
    bad(
        "/upstream",
        &json!({"scheme": "https"}),
        &["unsupported upstream.scheme"],
    );
    bad(
        "/upstream",
        &json!({"scheme": "ftp"}),
        &["invalid upstream.scheme"],
    );
    bad(
        "/upstream",
        &json!({"load_balancing": {"policy": "consistent_hash", "key": {"header": "x"}}}),
        &["unsupported upstream.load_balancing.policy"],
    );
    bad(
        "/upstream",
        &json!({"health_check": {"active": {}}, "tls": {}}),
        &[
            "unsupported upstream.health_check",
            "unsupported upstream.tls",
        ],
    );
    bad(
        "/upstream",
        &json!({"host_header": {"mode": "rewrite"}}),
        &["required upstream.host_header.value"],
    );
    bad(
        "/upstream",
        &json!({"host_header": {"mode": "rewrite", "value": "a b"}}),
        &["invalid upstream.host_header.value"],
    );
    bad(
        "/upstream",
        &json!({"host_header": {"mode": "rewrite", "value": "a:+80"}}),
        &["invalid upstream.host_header.value"],
    );
    bad(
        "/upstream",
        &json!({"host_header": {"value": "a"}}),
        &["invalid upstream.host_header.value"],
    );
    bad(
        "/upstream",
        &json!({"retry": {"retries": 11, "on": ["sometimes"]}}),
        &[
            "invalid upstream.retry.retries",
            "invalid upstream.retry.on[0]",
        ],
    );
    bad(
        "/upstream",
        &json!({"timeout": {"connect": "5", "read": 5}, "keepalive": {"max_idle": -1}}),
        &[
            "invalid upstream.timeout.connect",
            "wrong_type upstream.timeout.read",
            "invalid upstream.keepalive.max_idle",
        ],
    );
}

#[test]
fn checks_are_read_strictly() {
    bad(
        "/checks",
        &json!([{"name": "c", "path": "/a/../b", "expect": {}}, {"name": "c", "path": "/a", "method": "POST", "expect": {}},
        {"path": "/a?x=1", "name": "d"}, {"name": "e", "path": "/a", "expect": {"status": 99, "json": {"a": 1}, "within": "11s"}},
        {"name": "f", "path": "/a", "headers": {"host": "x", "b": "\u{e9}"}, "expect": {}},
        {"name": "g", "path": "/a", "method": "OPTIONS", "expect": {"headers": {"A": "1", "a": "2"}, "json": {"/a~2": 1, "/a~0~1": 1}}},
        {"name": "h", "path": "/a", "unsafe": 1, "expect": {"headers": {"content-length": "1", "connection": "close"}}},
        {"name": "i", "path": "/a b", "host": "*.x.io", "expect": {"status": [200], "body_contains": 1, "json": []}}]),
        &[
            "invalid checks[0].path",
            "invalid checks[1].method",
            "required checks[2].expect",
            "invalid checks[3].expect.status",
            "invalid checks[3].expect.json.a",
            "invalid checks[3].expect.within",
            "invalid checks[4].headers.b",
            "invalid checks[4].headers.host",
            "duplicate checks[5].expect.headers.a",
            "invalid checks[5].expect.json./a~2",
            "invalid checks[5].method",
            "wrong_type checks[6].unsafe",
            "invalid checks[6].expect.headers.connection",
            "invalid checks[7].path",
            "invalid checks[7].host",
            "wrong_type checks[7].expect.status",
            "wrong_type checks[7].expect.body_contains",
            "wrong_type checks[7].expect.json",
            "duplicate checks[1].name",
        ],
    );
}

#[test]
fn the_url_and_the_body_agree_on_the_name() {
    let name = "other".parse().expect("is a name");
    let problems = Definition::parse(&minimal(), Some(&name)).expect_err("the names differ");
    assert_eq!(problems[0].code, Code::NameMismatch);
    let mut nameless = minimal();
    nameless.as_object_mut().expect("an object").remove("name");
    assert_eq!(
        Definition::parse(&nameless, Some(&name))
            .expect("takes the URL's")
            .content
            .name,
        name
    );
}

#[test]
fn stored_bytes_must_be_canonical_and_of_a_known_schema() {
    let bytes = Definition::parse(&minimal(), None)
        .expect("is a definition")
        .bytes;
    let text = String::from_utf8(bytes.to_vec()).expect("is UTF-8");
    for (other, code) in [
        (
            text.replace("\"schema\":1", "\"schema\":2"),
            Code::Unsupported,
        ),
        (text.replace("\"schema\":1", "\"schema\": 1"), Code::Invalid),
        (text.replace(",\"schema\":1", ""), Code::Unsupported),
        (
            text.replace("\"tls\":null", "\"tls\":null,\"wasm\":null"),
            Code::UnknownField,
        ),
        (text[..text.len() - 1].to_owned(), Code::Unreadable),
    ] {
        let problems = Definition::from_canonical(other.as_bytes()).expect_err(&other);
        assert_eq!(problems[0].code, code, "{other}");
    }
}
