//! The table of what calls are answered (`table.txt`): all rows in one place, one row for each
//! status and code.

use std::collections::BTreeSet;

use ferryway_api::codes_of;
use ferryway_model::{Class, Code};

use super::*;

const TABLE: &str = include_str!("table.txt");

/// Codes without a row, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("limit_exceeded", "bodies too large for a line; `limits`"),
    ("body_too_large", "`methods_types_and_sizes`"),
    ("idempotency_key_reused", "the tests of idempotency keys"),
    (
        "idempotency_key_in_progress",
        "the tests of idempotency keys",
    ),
    ("store_unavailable", "`a_store_that_is_away`"),
    ("contended", "`a_race_that_is_lost_too_often`, of the core"),
    ("internal", "a mistake in Ferryway; `panics`"),
    ("plugin_unsupported", "this build has no plugins"),
    ("certificate_missing", "this build has no certificates"),
    ("consumer_missing", "this build has no consumers"),
    ("secret_missing", "this build has no secrets"),
    ("rollout_in_progress", "this build has no rollouts"),
];

/// A line of the table.
struct Row<'t> {
    call: &'t str,
    path: &'t str,
    method: &'t str,
    headers: Vec<(&'t str, &'t str)>,
    body: &'t str,
    expect: &'t str,
}

impl<'t> Row<'t> {
    fn read(line: &'t str) -> Self {
        let (call, expect) = line.rsplit_once(" => ").expect("says what is expected");
        let (method, rest) = call.split_once(' ').expect("has a method");
        let (path, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut headers = Vec::new();
        // A body begins like JSON, a header with its name.
        while let Some((name, value)) = rest.split_once(": ").filter(|(name, _)| is_name(name)) {
            let end = [" {", " [", " | "]
                .iter()
                .filter_map(|end| value.find(end))
                .min();
            let (value, after) = value.split_at(end.unwrap_or(value.len()));
            headers.push((name, value));
            rest = after.trim_start_matches([' ', '|']);
        }
        Self {
            call,
            path,
            method,
            headers,
            body: rest,
            expect,
        }
    }
}

fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
}

/// As [`Reply::line`], with commas between problems, and the first the one that gives the type.
fn said(reply: &Reply) -> String {
    if reply.status.as_u16() < 400 {
        return reply.status.as_u16().to_string();
    }
    reply.line(); // checks the form
    let body = reply.json();
    let mut problems: Vec<(bool, String)> = body["problems"]
        .as_array()
        .expect("has problems")
        .iter()
        .filter(|problem| problem["severity"] == "error")
        .map(|problem| {
            let text = |field: &str| problem[field].as_str().expect("is a text").to_owned();
            let leads = body["type"] == format!("/problems/{}", text("code"));
            (!leads, format!("{} {}", text("code"), text("path")))
        })
        .collect();
    problems.sort_by_key(|(follows, _)| *follows);
    assert_eq!(
        problems.first().map(|(follows, _)| *follows),
        Some(false),
        "{body}"
    );
    let problems: Vec<_> = problems.iter().map(|(_, text)| text.trim_end()).collect();
    format!("{} {}", reply.status.as_u16(), problems.join(", "))
}

/// What the table says that happens between two calls.
fn happens(deed: &str, api: &Api, puppet: &mut Option<delivery::Puppet>) {
    match (deed, &*puppet) {
        ("an instance joins test", None) => *puppet = Some(delivery::Puppet::joins(api)),
        ("an instance of an older build joins test", _) => {
            drop(delivery::Puppet::of_build(api, "0.0.9", 0));
        }
        ("it holds httpbin", Some(puppet)) => puppet.holds("stale"),
        ("it applies, and finds no endpoint of httpbin", Some(puppet)) => {
            puppet.warns("upstream_empty");
            puppet.applies();
        }
        _ => panic!("nobody knows how {deed:?} happens"),
    }
}

/// The codes of all warnings in an answer, wherever they stand.
fn warnings(reply: &Reply) -> BTreeSet<String> {
    fn collect(value: &Value, codes: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if value["severity"] == "warning" {
                    codes.extend(value["code"].as_str().map(str::to_owned));
                }
                fields.values().for_each(|value| collect(value, codes));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, codes)),
            _ => {}
        }
    }
    let mut codes = BTreeSet::new();
    if reply.text.starts_with('{') {
        collect(&reply.json(), &mut codes);
    }
    codes
}

#[tokio::test]
async fn every_row() {
    let api = Api::furnished().await;
    api.check(
        "PUT /gateway-groups/test/registries/dns",
        json!({"kind": "dns"}),
        "201",
    )
    .await;
    let reader = json!({"name": "reader", "scope": "read"});
    let reader = api.check("POST /tokens", reader, "201").await;
    let operations = api.get("/operations").await.json();
    let text = |value: &Value| value.as_str().expect("is a text").to_owned();
    let places = [
        ("{operation}", text(&operations["items"][0]["operation"])),
        ("{token}", text(&reader["id"])),
        ("{reader}", format!("Bearer {}", text(&reader["secret"]))),
        ("{D}", format!("blake3:{}", "0".repeat(64))),
        ("{ID}", "01973000-0000-7000-8000-000000000000".to_owned()),
    ];
    let filled = |text: &str| {
        let fill = |text: String, (place, value): &(&str, String)| text.replace(place, value);
        places.iter().fold(text.to_owned(), fill)
    };
    let bearer = format!("Bearer {TOKEN}");
    let (mut statuses, mut codes) = (BTreeSet::new(), BTreeSet::new());
    let mut wrong = Vec::new();
    let rows = TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut puppet = None;
    for line in rows {
        if let Some(deed) = line.strip_prefix("@ ") {
            happens(deed, &api, &mut puppet);
            continue;
        }
        let row = Row::read(line);
        let (path, body) = (filled(row.path), filled(row.body));
        let body = if body == "\"\"" { String::new() } else { body };
        let given: Vec<_> = row
            .headers
            .iter()
            .map(|(name, value)| (*name, filled(value)))
            .collect();
        let mut headers: Vec<_> = given
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let defaults = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        for (name, value) in defaults {
            let is_given = given.iter().any(|(given, _)| *given == name);
            if !is_given && (name == "Authorization" || !row.body.is_empty()) {
                headers.push((name, value));
            }
        }
        let reply = api.raw(row.method, &path, &headers, body).await;
        let said = said(&reply);
        let warned = warnings(&reply);
        let (expect, warning) = match row.expect.split_once(" warned ") {
            Some((expect, warning)) => (expect, Some(warning)),
            None => (row.expect, None),
        };
        if let Some(warning) = warning.filter(|it| !warned.contains(*it)) {
            wrong.push(format!("{}\n  not warned {warning}: {warned:?}", row.call));
        }
        codes.extend(warned);
        let (mut got, mut expect): (Vec<_>, Vec<_>) =
            (said.split(", ").collect(), expect.split(", ").collect());
        // Which code leads is said by the first; the order of the others says nothing.
        got[1..].sort_unstable();
        expect[1..].sort_unstable();
        if got != expect {
            wrong.push(format!(
                "{}\n  got      {said}\n  expected {}",
                row.call, row.expect
            ));
        }
        statuses.insert(reply.status.as_u16());
        codes.extend(got[0].split(' ').nth(1).map(str::to_owned));
        codes.extend(
            got[1..]
                .iter()
                .filter_map(|it| it.split(' ').next())
                .map(str::to_owned),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let all = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 500, 503];
    let errors = all.iter().flat_map(|status| codes_of(*status));
    let warnings = Code::ALL
        .iter()
        .filter(|code| code.class() == Class::Warning);
    let missing: Vec<_> = errors
        .chain(warnings.map(|code| code.as_str()))
        .filter(|code| !codes.contains(*code) && !ELSEWHERE.iter().any(|(there, _)| there == code))
        .collect();
    assert!(missing.is_empty(), "codes without a row: {missing:?}");
    let needless: Vec<_> = ELSEWHERE
        .iter()
        .filter(|(code, _)| codes.contains(*code))
        .collect();
    assert!(needless.is_empty(), "{needless:?} have a row");
    for status in [200, 201, 400, 401, 403, 404, 405, 409, 412, 415, 422] {
        assert!(statuses.contains(&status), "no row is answered {status}");
    }
}

/// The limits of api.md, one over each: bodies too large for a line of the table.
#[tokio::test]
async fn limits() {
    let api = Api::furnished().await;
    let route = |n: usize| json!({"name": format!("r{n}"), "paths": [format!("/{n}")]});
    let path = |path: String| json!({"routes": [{"name": "r", "paths": [path]}]});
    let check = |n: usize| json!({"name": format!("c{n}"), "path": "/0", "expect": {}});
    let node = |n: usize| json!({"host": format!("n{n}")});
    let group = |n: usize| json!({"group": format!("g{n}"), "binding": nodes("a")});
    let service = |n: usize| json!({"service": format!("s{n}")});
    let regex = |text: String| {
        let predicate = json!({"header": "a", "op": "regex", "value": text});
        json!({"routes": [{"name": "r", "paths": ["/"], "match": [predicate]}]})
    };
    let many = |n: usize, item: &dyn Fn(usize) -> Value| (0..n).map(item).collect::<Value>();
    let large = "x".repeat(8 * 1024);
    let definition = json!({"description": large, "routes": many(1_000, &|n| {
        json!({"name": format!("r{n}"), "paths": [format!("/{n}/{}", "p".repeat(600))]})
    })});
    let put = "PUT /services/x";
    let publish = "POST /services/httpbin/publish";
    for (call, body, expect) in [
        (put, definition, "422 limit_exceeded"),
        (
            put,
            json!({"routes": many(1_001, &route)}),
            "422 limit_exceeded routes",
        ),
        (
            put,
            json!({"hosts": many(65, &|n| json!(format!("h{n}"))), "routes": [route(0)]}),
            "422 limit_exceeded hosts",
        ),
        (
            put,
            json!({"routes": [route(0)], "checks": many(33, &check)}),
            "422 limit_exceeded checks",
        ),
        (
            "PATCH /gateway-groups/test/services/httpbin",
            json!({"binding": {"nodes": many(257, &node)}}),
            "422 limit_exceeded binding.nodes",
        ),
        (
            put,
            path(format!("/{}", "a".repeat(1_024))),
            "422 invalid routes[0].paths[0]",
        ),
        (put, path("/a".repeat(33)), "422 invalid routes[0].paths[0]"),
        (
            put,
            regex("a".repeat(1_025)),
            "422 limit_exceeded routes[0].match[0].value",
        ),
        (
            publish,
            json!({"version": "2", "groups": many(33, &group)}),
            "422 limit_exceeded groups",
        ),
        (
            "POST /gateway-groups/test/sync",
            json!({"services": many(65, &service), "to": [{"group": "production"}]}),
            "422 limit_exceeded services",
        ),
    ] {
        api.check(call, body, expect).await;
    }
}

/// Every operation of the document takes the query that it names and no other.
#[tokio::test]
async fn unknown_parameters_are_refused_everywhere() {
    let api = Api::furnished().await;
    api.check(
        "PUT /gateway-groups/test/registries/dns",
        json!({"kind": "dns"}),
        "201",
    )
    .await;
    let puppet = delivery::Puppet::joins(&api);
    let token = json!({"name": "a", "scope": "read"});
    let token = api.check("POST /tokens", token, "201").await;
    let join = "POST /gateway-groups/test/join-tokens";
    let join = api.check(join, json!({}), "201").await;
    let operation = api.get("/operations").await.json()["items"][0]["operation"].clone();
    let document = api.get("/openapi.json").await.json();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().expect("has paths") {
        let id = match path {
            path if path.contains("/instances/") => puppet.id(),
            path if path.contains("/join-tokens/") => join["id"].as_str().unwrap().to_owned(),
            path if path.contains("/tokens/") => token["id"].as_str().unwrap().to_owned(),
            _ => operation.as_str().unwrap().to_owned(),
        };
        let there = path
            .replace("{group}", "test")
            .replace("{service}", "httpbin")
            .replace("{registry}", "dns")
            .replace("{version}", "1.0.0")
            .replace("{code}", "stale")
            .replace(
                "{fingerprint}",
                &api.identity.fingerprint().unwrap().to_string(),
            )
            .replace("{id}", &id);
        let there = match there.strip_prefix("/api/v1") {
            Some(below) => below.to_owned(),
            None => format!("/{there}"),
        };
        for method in item.as_object().expect("has methods").keys() {
            let method = method.to_uppercase();
            let reply = api
                .send(&method, &format!("{there}?nope=1"), Value::Null)
                .await;
            assert_eq!(reply.line(), "400 invalid_query", "{method} {there}");
            asked += 1;
        }
    }
    assert!(asked > 45, "{asked}");
}
