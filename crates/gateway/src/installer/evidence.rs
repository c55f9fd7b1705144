//! What a failing check shows: the request that was sent, and the answer that came.

use ferryway_model::Check;
use ferryway_proto::limits::EVIDENCE_BYTES_MAX;
use ferryway_proxy::Answer;
use http::HeaderMap;
use serde_json::{Map, Value, json};

/// How much of an answer's body is shown, in bytes; less, where it takes many escapes.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// `{"request": …, "response": …}` as JSON, in at most [`EVIDENCE_BYTES_MAX`] bytes.
pub(super) fn evidence(check: &Check, host: &str, answer: Option<&Answer>) -> String {
    let request = json!({
        "method": check.method.as_str(),
        "host": host,
        "path": check.path,
        "headers": check.headers,
    });
    let mut body_max = BODY_BYTES_MAX;
    loop {
        let response = answer.map(|answer| response(answer, body_max, true));
        let shown = json!({"request": request, "response": response}).to_string();
        if shown.len() <= EVIDENCE_BYTES_MAX {
            return shown;
        }
        if body_max == 0 {
            break;
        }
        body_max /= 2;
    }
    // Headers alone can be longer than what may be shown.
    let response = answer.map(|answer| response(answer, 0, false));
    let request = json!({"method": check.method.as_str(), "host": host, "path": check.path});
    json!({"request": request, "response": response}).to_string()
}

fn response(answer: &Answer, body_max: usize, with_headers: bool) -> Value {
    let shown = &answer.body[..answer.body.len().min(body_max)];
    let mut response = json!({
        "status": answer.status.as_u16(),
        "body": String::from_utf8_lossy(shown),
        "truncated": answer.truncated || shown.len() < answer.body.len(),
    });
    if with_headers {
        response["headers"] = headers(&answer.headers);
    }
    response
}

/// Each header with its values, joined as lists are.
fn headers(headers: &HeaderMap) -> Value {
    let mut shown = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        shown.insert(name.to_string(), values.join(", ").into());
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ferryway_model::Definition;
    use http::{HeaderValue, StatusCode};

    use super::*;

    fn check() -> Check {
        let check = json!({"name": "c", "path": "/x?y", "headers": {"a": "b"}, "expect": {}});
        let routes = json!([{"name": "r", "paths": ["/*"]}]);
        let service = json!({"name": "s", "routes": routes, "checks": [check]});
        let mut definition = Definition::parse(&service, None).unwrap().content;
        definition.checks.remove(0)
    }

    fn answer(body: impl Into<Bytes>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a"));
        headers.append("set-cookie", HeaderValue::from_static("b"));
        Answer {
            status: StatusCode::OK,
            headers,
            body: body.into(),
            truncated: false,
        }
    }

    fn shown(answer: Option<&Answer>) -> Value {
        let text = evidence(&check(), "k.io", answer);
        assert!(text.len() <= EVIDENCE_BYTES_MAX, "{}", text.len());
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_request_and_its_answer() {
        let request =
            json!({"method": "GET", "host": "k.io", "path": "/x?y", "headers": {"a": "b"}});
        let response = json!({
            "status": 200, "body": "hello", "truncated": false, "headers": {"set-cookie": "a, b"},
        });
        let expect = json!({"request": request, "response": response});
        assert_eq!(shown(Some(&answer("hello"))), expect);
        assert_eq!(shown(None), json!({"request": request, "response": null}));
    }

    #[test]
    fn long_bodies_are_cut() {
        let response = &shown(Some(&answer("x".repeat(10_000))))["response"];
        assert_eq!(
            response["body"].as_str().map(str::len),
            Some(BODY_BYTES_MAX)
        );
        assert_eq!(response["truncated"], true);
        // Each of these takes six bytes as an escape.
        let response = &shown(Some(&answer("\u{1}".repeat(10_000))))["response"];
        assert_eq!(
            response["body"].as_str().map(str::len),
            Some(BODY_BYTES_MAX / 4)
        );
    }

    #[test]
    fn headers_are_left_out_where_they_alone_are_too_long() {
        let mut answer = answer("hello");
        let value = HeaderValue::from_str(&"v".repeat(EVIDENCE_BYTES_MAX)).unwrap();
        answer.headers.insert("x-long", value);
        let response = &shown(Some(&answer))["response"];
        assert_eq!(
            (&response["headers"], &response["status"]),
            (&Value::Null, &json!(200))
        );
    }
}
