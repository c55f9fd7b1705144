//! Bodies that cannot be read as what they should be.

use super::*;

#[tokio::test]
async fn no_json() {
    let unreadable = |body: &[u8], says| {
        let rows = [
            PUT_SERVICE,
            "POST /services",
            PUBLISH,
            BIND,
            EDIT,
            PUT_REGISTRY,
        ];
        rows.map(|call| (call, body.to_vec(), "400 unreadable", says))
    };
    let nested = |open: &str, levels: usize| open.repeat(levels).into_bytes();
    let mut rows = Vec::new();
    for (body, says) in [
        (&b""[..], "not readable as JSON"),
        (b"  \n", "not readable as JSON"),
        (b"{", "line 1 column 1"),
        (b"nul", "line 1"),
        (b"{\"name\":}", "line 1 column 9"),
        (b"{'name': 'x'}", "line 1"),
        (b"{name: x}", "line 1"),
        (b"name: x\nroutes: []\n", "line 1"),
        (b"{\"name\": \"x\",}", "trailing comma"),
        (b"{\"name\": \"x\"} {}", "trailing characters"),
        (b"{\"name\": \"x\"}\0", "trailing characters"),
        (b"{\"name\": 0x10}", "line 1"),
        (b"{\"name\": NaN}", "line 1"),
        (b"{\"name\": -Infinity}", "line 1"),
        (b"{\"name\": 01}", "invalid number"),
        (b"{\"name\": +1}", "line 1"),
        (b"{\"name\": 1e400}", "out of range"),
        (b"{\"name\": -1e400}", "out of range"),
        (b"{\"name\": \"a\0b\"}", "control character"),
        (b"{\"name\": \"a\nb\"}", "control character"),
        (b"{\"name\": \"\xff\xfe\"}", "not readable as JSON"),
        (b"{\"\xc3\": 1}", "not readable as JSON"),
        (b"{\"name\": \"\xed\xa0\x80\"}", "not readable as JSON"),
        (b"{\"name\": \"\\ud800\"}", "line 1"),
        (b"{\"name\": \"\\x41\"}", "invalid escape"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\0}\0", "not readable as JSON"),
        (
            b"{\"name\": \"x\", \"name\": \"x\"}",
            "\\\"name\\\" is given twice",
        ),
        (
            b"{\"routes\": [{\"name\": \"a\", \"name\": \"b\"}]}",
            "given twice",
        ),
        (b"{\"a\\u001b\": 1, \"a\\u001b\": 2}", "given twice"),
    ] {
        rows.extend(unreadable(body, says));
    }
    for levels in [33, 100_000] {
        rows.extend(unreadable(&nested("[", levels), "deeper than 32 levels"));
        rows.extend(unreadable(
            &nested("{\"a\":", levels),
            "deeper than 32 levels",
        ));
    }
    check(rows).await;
}

/// Every value of the wrong type, at its place; and `null` where there must be something.
#[tokio::test]
async fn wrong_types() {
    let many = ["[]", "1", "\"x\"", "true", "null"];
    let mut rows = Vec::new();
    for body in many {
        for call in [
            PUT_SERVICE,
            PUT_GROUP,
            PUT_REGISTRY,
            PUBLISH,
            SYNC,
            EDIT,
            BIND,
        ] {
            rows.push(text(call, body, "400 wrong_type", "must be an object, not"));
        }
    }
    let list = "must be a list, not";
    let string = "must be a string, not";
    let number = "must be a number, not";
    let whole = "must be a whole number, not";
    rows.extend([
        row(
            PUT_SERVICE,
            &json!({"routes": {}}),
            "400 wrong_type routes",
            list,
        ),
        row(
            PUT_SERVICE,
            &json!({"routes": [1]}),
            "400 wrong_type routes[0]",
            "must be an object",
        ),
        row(
            PUT_SERVICE,
            &json!({"routes": [[]]}),
            "400 wrong_type routes[0]",
            "must be an object",
        ),
        row(
            PUT_SERVICE,
            &json!({"routes": null}),
            "422 required routes",
            "is missing",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"paths": "/a"})),
            "400 wrong_type routes[0].paths",
            list,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"paths": null})),
            "422 required routes[0].paths",
            "is missing",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"paths": [null]})),
            "400 wrong_type routes[0].paths[0]",
            string,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"paths": [1]})),
            "400 wrong_type routes[0].paths[0]",
            string,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"name": null})),
            "422 required routes[0].name",
            "is missing",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"name": 1})),
            "400 wrong_type routes[0].name",
            string,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": "GET"})),
            "400 wrong_type routes[0].methods",
            list,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"priority": "1"})),
            "400 wrong_type routes[0].priority",
            number,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"priority": true})),
            "400 wrong_type routes[0].priority",
            number,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"match": {}})),
            "400 wrong_type routes[0].match",
            list,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"timeout": "5s"})),
            "400 wrong_type routes[0].timeout",
            "must be an object",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"timeout": {"read": 5}})),
            "400 wrong_type routes[0].timeout.read",
            string,
        ),
        row(
            PUT_SERVICE,
            &service(json!({"hosts": "a.example"})),
            "400 wrong_type hosts",
            list,
        ),
        row(
            PUT_SERVICE,
            &service(json!({"hosts": [null]})),
            "400 wrong_type hosts[0]",
            string,
        ),
        row(
            PUT_SERVICE,
            &service(json!({"upstream": []})),
            "400 wrong_type upstream",
            "must be an object",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"labels": []})),
            "400 wrong_type labels",
            "must be an object",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"labels": {"a": 1}})),
            "400 wrong_type labels.a",
            string,
        ),
        row(
            PUT_SERVICE,
            &service(json!({"title": 1})),
            "400 wrong_type title",
            string,
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"unsafe": "yes"})),
            "400 wrong_type checks[0].unsafe",
            "must be true or false, not",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": null})),
            "422 required checks[0].expect",
            "is missing",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": {"status": "200"}})),
            "400 wrong_type checks[0].expect.status",
            number,
        ),
        row(
            PUT_GROUP,
            &json!({"enforce_publishing": "true"}),
            "400 wrong_type enforce_publishing",
            "must be true or false, not",
        ),
        row(
            PUT_GROUP,
            &json!({"enforce_publishing": 1}),
            "400 wrong_type enforce_publishing",
            "must be true or false, not",
        ),
        row(
            PUT_REGISTRY,
            &json!({"kind": null}),
            "422 required kind",
            "is missing",
        ),
        row(
            PUT_REGISTRY,
            &json!({"kind": "dns", "endpoints": "1.2.3.4:53"}),
            "400 wrong_type endpoints",
            list,
        ),
        row(
            PUBLISH,
            &json!({"version": 1, "groups": []}),
            "400 wrong_type version required groups",
            string,
        ),
        row(
            PUBLISH,
            &json!({"version": 1.0, "groups": [{"group": "test"}]}),
            "400 wrong_type version",
            string,
        ),
        row(
            PUBLISH,
            &json!({"version": "2", "groups": {"test": {}}}),
            "400 wrong_type groups",
            list,
        ),
        row(
            PUBLISH,
            &json!({"version": "2", "groups": ["test"]}),
            "400 wrong_type groups[0]",
            "must be an object",
        ),
        row(
            PUBLISH,
            &json!({"version": "2", "groups": [{"group": null}]}),
            "422 required groups[0].group",
            "is missing",
        ),
        row(
            PUBLISH,
            &json!({"version": "2", "groups": [{"group": "test"}], "dry_run": "yes"}),
            "400 wrong_type dry_run",
            "must be true or false, not",
        ),
        row(
            PUBLISH,
            &json!({"version": "2", "groups": [{"group": "test"}], "expect_plan": 1}),
            "400 wrong_type expect_plan",
            string,
        ),
        row(
            SYNC,
            &json!({"to": {"group": "production"}}),
            "400 wrong_type to",
            list,
        ),
        row(
            BIND,
            &json!({"binding": null}),
            "422 invalid binding",
            "can't be removed",
        ),
        row(
            BIND,
            &json!({"enabled": null}),
            "422 invalid enabled",
            "can't be removed",
        ),
        row(
            BIND,
            &json!({"enabled": 0}),
            "400 wrong_type enabled",
            "must be true or false, not",
        ),
        row(
            BIND,
            &json!({"binding": {"nodes": {}}}),
            "400 wrong_type binding.nodes",
            list,
        ),
        row(
            BIND,
            &json!({"binding": {"nodes": null}}),
            "422 required binding",
            "nodes",
        ),
        row(
            BIND,
            &json!({"binding": {"nodes": [null]}}),
            "400 wrong_type binding.nodes[0]",
            "must be an object",
        ),
        row(
            BIND,
            &node(json!({"host": null})),
            "422 required binding.nodes[0].host",
            "is missing",
        ),
        row(
            BIND,
            &node(json!({"port": "80"})),
            "400 wrong_type binding.nodes[0].port",
            number,
        ),
        row(
            BIND,
            &node(json!({"port": 80.0})),
            "400 wrong_type binding.nodes[0].port",
            whole,
        ),
        row(
            BIND,
            &node(json!({"weight": 1.5})),
            "400 wrong_type binding.nodes[0].weight",
            whole,
        ),
        row(
            BIND,
            &node(json!({"weight": -0.0})),
            "400 wrong_type binding.nodes[0].weight",
            whole,
        ),
        text(
            BIND,
            r#"{"binding":{"nodes":[{"host":"a","weight":-0}]}}"#,
            "400 wrong_type binding.nodes[0].weight",
            whole,
        ),
        text(
            BIND,
            r#"{"binding":{"nodes":[{"host":"a","weight":1e2}]}}"#,
            "400 wrong_type binding.nodes[0].weight",
            whole,
        ),
        row(
            BIND,
            &node(json!({"priority": 0.5})),
            "400 wrong_type binding.nodes[0].priority",
            whole,
        ),
    ]);
    check(rows).await;
}

/// A field that is none, wherever it stands, with the one that is near.
#[tokio::test]
async fn unknown_fields() {
    let near = "did you mean";
    check(vec![
        row(
            PUT_SERVICE,
            &service(json!({"route": []})),
            "400 unknown_field route",
            near,
        ),
        row(
            PUT_SERVICE,
            &service(json!({"Hosts": []})),
            "400 unknown_field Hosts",
            near,
        ),
        row(
            PUT_SERVICE,
            &service(json!({"": 1})),
            "400 unknown_field",
            "is no field here",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"path": ["/a"]})),
            "400 unknown_field routes[0].path",
            near,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"timeout": {"red": "5s"}})),
            "400 unknown_field routes[0].timeout.red",
            near,
        ),
        row(
            PUT_SERVICE,
            &route(json!({"match": [{"header": "a", "op": "exists", "not": true}]})),
            "400 unknown_field routes[0].match[0].not",
            "is no field here",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"upstream": {"retry": {"retry": 1}}})),
            "400 unknown_field upstream.retry.retry",
            "known are retries",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": {"satus": 200}})),
            "400 unknown_field checks[0].expect.satus",
            near,
        ),
        row(
            EDIT,
            &service(json!({"title": "x"})),
            "400 unknown_field title",
            "belongs to the service in the hub",
        ),
        row(
            PUT_GROUP,
            &json!({"enforce": true}),
            "400 unknown_field enforce",
            "is no field here",
        ),
        row(
            PUT_REGISTRY,
            &json!({"kind": "dns", "endpoint": []}),
            "400 unknown_field endpoint",
            near,
        ),
        row(
            PUBLISH,
            &json!({"version": "2", "groups": [{"group": "test", "bindings": {}}]}),
            "400 unknown_field groups[0].bindings",
            near,
        ),
        row(
            PUBLISH,
            &json!({"version": "2", "groups": [{"group": "test"}], "dryrun": true}),
            "400 unknown_field dryrun",
            near,
        ),
        row(
            SYNC,
            &json!({"to": [{"group": "production"}], "from": "test"}),
            "400 unknown_field from",
            "is no field here",
        ),
        row(
            BIND,
            &node(json!({"weigth": 1})),
            "400 unknown_field binding.nodes[0].weigth",
            near,
        ),
        row(
            BIND,
            &json!({"binding": {"nodes": [{"host": "a"}], "node": []}}),
            "400 unknown_field binding.node",
            near,
        ),
        // What is shown of a name is short, and moves no cursor.
        row(
            PUT_GROUP,
            &json!({"a\u{1b}[31m\u{202e}b": 1}),
            "400 unknown_field a\\u{1b}[31m\\u{202e}b",
            "is no field here",
        ),
    ])
    .await;
}

/// However many things are wrong, the answer stays small, and says that there are more.
#[tokio::test]
async fn very_many_mistakes() {
    let fields: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("f{n}"), json!(1))).collect();
    let label = "x".repeat(500_000);
    let routes: Vec<_> = (0..1_000)
        .map(|_| json!({"name": "A\u{7}", "paths": ["x".repeat(900)]}))
        .collect();
    let api = Api::furnished().await;
    for body in [
        Value::Object(fields),
        service(json!({"labels": {label.clone(): "v"}})),
        service(json!({label.clone(): "v"})),
        check_of(json!({"headers": {label.clone(): "v"}})),
        check_of(json!({"expect": {"json": {label: "v"}}})),
        json!({ "routes": routes }),
    ] {
        let reply = api.send("PUT", "/services/x", body).await;
        assert!((400..=422).contains(&reply.status.as_u16()), "{reply:?}");
        let count = reply.json()["problems"]
            .as_array()
            .expect("is a list")
            .len();
        assert!((1..=101).contains(&count), "{count}");
        presentable(&reply);
    }
}
