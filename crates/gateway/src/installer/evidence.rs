//! What a failing check shows: the request that was sent, and the answer that came.

use ferryway_model::Check;
use ferryway_proto::limits::EVIDENCE_BYTES_MAX;
use ferryway_proxy::Answer;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::secrets::{HIDDEN, Secrets, is_secret};

/// How much of an answer's body is shown, in bytes; less, where it takes many escapes.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// `{"request": …, "response": …}` as JSON, in at most [`EVIDENCE_BYTES_MAX`] bytes. It is kept with
/// the operation and read by whoever may read that, so that secrets are hidden.
pub(super) fn evidence(
    check: &Check,
    host: &str,
    answer: Option<&Answer>,
    secrets: &Secrets,
) -> String {
    let sent = check.headers.iter().map(|(name, value)| {
        let shown = if is_secret(name) { HIDDEN } else { value };
        (name.to_string(), shown.into())
    });
    let request = json!({
        "method": check.method.as_str(),
        "host": host,
        "path": check.path,
        "headers": sent.collect::<Map<_, _>>(),
    });
    let answer = answer.map(|answer| Shown::of(answer, secrets));
    let mut body_max = BODY_BYTES_MAX;
    loop {
        let response = answer.as_ref().map(|it| it.response(body_max, true));
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
    let response = answer.map(|answer| answer.response(0, false));
    let request = json!({"method": check.method.as_str(), "host": host, "path": check.path});
    json!({"request": request, "response": response}).to_string()
}

/// An answer as it is shown.
struct Shown {
    status: u16,
    headers: Value,
    /// What is no text has U+FFFD in its place: bytes that a terminal could take for commands, or a
    /// reader for text, are not worth what they would tell.
    body: String,
    truncated: bool,
}

impl Shown {
    fn of(answer: &Answer, secrets: &Secrets) -> Self {
        Self {
            status: answer.status.as_u16(),
            headers: headers(&answer.headers, secrets),
            // Before it is cut: a secret could lie across the cut.
            body: secrets.hide(&String::from_utf8_lossy(&answer.body)),
            truncated: answer.truncated,
        }
    }

    fn response(&self, body_max: usize, with_headers: bool) -> Value {
        let shown = &self.body[..self.body.floor_char_boundary(body_max)];
        let mut response = json!({
            "status": self.status,
            "body": shown,
            "truncated": self.truncated || shown.len() < self.body.len(),
        });
        if with_headers {
            response["headers"] = self.headers.clone();
        }
        response
    }
}

/// Each header with its values, joined as lists are.
fn headers(headers: &HeaderMap, secrets: &Secrets) -> Value {
    let mut shown = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| {
            if is_secret(name.as_str()) {
                return HIDDEN.to_owned();
            }
            secrets.hide(&String::from_utf8_lossy(value.as_bytes()))
        });
        let values: Vec<_> = values.collect();
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
        let headers = json!({"a": "b", "authorization": "Bearer 12345678"});
        let check = json!({"name": "c", "path": "/x?y", "headers": headers, "expect": {}});
        let routes = json!([{"name": "r", "paths": ["/*"]}]);
        let service = json!({"name": "s", "routes": routes, "checks": [check]});
        let mut definition = Definition::parse(&service, None).unwrap().content;
        definition.checks.remove(0)
    }

    fn answer(body: impl Into<Bytes>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.append("vary", HeaderValue::from_static("a"));
        headers.append("vary", HeaderValue::from_static("b"));
        Answer {
            status: StatusCode::OK,
            headers,
            body: body.into(),
            truncated: false,
        }
    }

    fn shown(answer: Option<&Answer>) -> Value {
        let check = check();
        let text = evidence(&check, "k.io", answer, &Secrets::of(&check));
        assert!(text.len() <= EVIDENCE_BYTES_MAX, "{}", text.len());
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_request_and_its_answer() {
        let sent = json!({"a": "b", "authorization": "(hidden)"});
        let request = json!({"method": "GET", "host": "k.io", "path": "/x?y", "headers": sent});
        let response = json!({
            "status": 200, "body": "hello", "truncated": false, "headers": {"vary": "a, b"},
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

    #[test]
    fn secrets_are_hidden_wherever_they_turn_up() {
        let echo = "x".repeat(BODY_BYTES_MAX - 4) + "12345678";
        let mut answer = answer(format!("{echo}, and \"Bearer 12345678\""));
        let cookie = HeaderValue::from_static("session=abc");
        answer.headers.append("set-cookie", cookie);
        let value = HeaderValue::from_static("you said 12345678");
        answer.headers.append("x-echo", value);
        let text = shown(Some(&answer)).to_string();
        for secret in ["12345678", "1234", "abc"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains(r#""x-echo":"you said (hidden)""#), "{text}");
        assert!(text.contains(r#""set-cookie":"(hidden)""#), "{text}");
    }

    #[test]
    fn what_is_no_text_is_shown_safely() {
        let response = &shown(Some(&answer(&b"\xff\x00\x1b[2Jok\xc3"[..])))["response"];
        assert_eq!(response["body"], "\u{fffd}\0\u{1b}[2Jok\u{fffd}");
        // A character is shown whole, or not at all.
        let long = format!("{}é", "x".repeat(BODY_BYTES_MAX - 1));
        let response = &shown(Some(&answer(long)))["response"];
        assert_eq!(response["body"], "x".repeat(BODY_BYTES_MAX - 1));
        assert_eq!(response["truncated"], true);
    }
}
