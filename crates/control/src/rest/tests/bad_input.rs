//! Bad input: each row is a call that must be refused, what it is answered, and a part of the
//! sentence that says what to do. After each, everything that the API shows is as it was.

mod bindings;
mod bodies;
mod limits;
mod names;
mod paths;
mod predicates;
mod values;
mod wire;

use super::*;

/// A call, its body as bytes, the answer's line, and a part of what it says.
type Row = (&'static str, Vec<u8>, &'static str, &'static str);

/// A call with a JSON body.
fn row(call: &'static str, body: &Value, expect: &'static str, says: &'static str) -> Row {
    text(call, &body.to_string(), expect, says)
}

/// A call with a body as it is.
fn text(call: &'static str, body: &str, expect: &'static str, says: &'static str) -> Row {
    (call, body.as_bytes().to_vec(), expect, says)
}

/// All that the API shows of what can be changed.
async fn shown(api: &Api) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for path in [
        "/gateway-groups",
        "/gateway-groups/test/registries",
        "/gateway-groups/test/services",
        "/gateway-groups/test/services/httpbin",
        "/gateway-groups/test/services/httpbin/definition",
        "/gateway-groups/test/services/httpbin/history",
        "/gateway-groups/production/services",
        "/services",
        "/services/httpbin",
        "/services/httpbin/versions",
        "/operations",
        "/tokens",
        "/audit",
    ] {
        let reply = api.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        all.push((path.to_owned(), reply.text));
    }
    all
}

async fn check(rows: Vec<Row>) {
    let api = Api::furnished().await;
    let before = shown(&api).await;
    let bearer = format!("Bearer {TOKEN}");
    let mut wrong = Vec::new();
    for (call, body, expect, says) in rows {
        let (method, path) = call.split_once(' ').expect("is a method and a path");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let sent = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        let reply = api.raw(method, path, &headers, body).await;
        let line = reply.line();
        if line != expect || !reply.text.contains(says) {
            let told = &reply.text[..reply.text.len().min(1_500)];
            wrong.push(format!(
                "{call} {sent}\n  got    {line}\n  expect {expect} … {says}\n  {told}"
            ));
        }
        presentable(&reply);
        assert_eq!(
            shown(&api).await,
            before,
            "{call} {sent} has changed something"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is told can be shown on any terminal, and is no larger than what a person would read.
fn presentable(reply: &Reply) {
    const ANSWER_BYTES_MAX: usize = 64 * 1024;
    assert!(
        reply.text.len() <= ANSWER_BYTES_MAX,
        "{} bytes",
        reply.text.len()
    );
    let body = reply.json();
    let problems = body["problems"].as_array().expect("is a list").iter();
    let texts = problems.flat_map(|problem| [&problem["path"], &problem["message"]]);
    for text in texts.chain([&body["detail"], &body["title"]]) {
        let text = text.as_str().expect("is a text");
        let hidden = |c: char| {
            c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.chars().any(hidden), "{text:?}");
    }
}

const PUT_SERVICE: &str = "PUT /services/x";
const EDIT: &str = "PUT /gateway-groups/test/services/httpbin/definition";
const PUBLISH: &str = "POST /services/httpbin/publish";
const SYNC: &str = "POST /gateway-groups/test/services/httpbin/sync";
const BIND: &str = "PATCH /gateway-groups/test/services/httpbin";
const PUT_GROUP: &str = "PUT /gateway-groups/x";
const PUT_REGISTRY: &str = "PUT /gateway-groups/test/registries/dns";

/// A definition with one route, and these fields.
fn service(fields: Value) -> Value {
    let mut body = json!({"routes": [{"name": "r", "paths": ["/*"]}]});
    merge(&mut body, fields);
    body
}

/// A definition whose one route has these fields.
fn route(fields: Value) -> Value {
    let mut body = service(json!({}));
    merge(&mut body["routes"][0], fields);
    body
}

/// A definition whose one check has these fields.
fn check_of(fields: Value) -> Value {
    let mut body = service(json!({"checks": [{"name": "c", "path": "/", "expect": {}}]}));
    merge(&mut body["checks"][0], fields);
    body
}

/// A binding of one node with these fields.
fn node(fields: Value) -> Value {
    let mut binding = json!({"nodes": [{"host": "a.example"}]});
    merge(&mut binding["nodes"][0], fields);
    json!({ "binding": binding })
}

fn merge(into: &mut Value, fields: Value) {
    let Value::Object(fields) = fields else {
        panic!("{fields} are no fields");
    };
    for (name, value) in fields {
        into[name] = value;
    }
}
