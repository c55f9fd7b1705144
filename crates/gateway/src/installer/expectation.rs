//! Whether an answer is what a check expects.

use ferryway_model::Expect;
use ferryway_proxy::{ANSWER_BYTES_MAX, Answer, X_FERRYWAY_ERROR};
use serde_json::Value;

/// Longest piece of an answer that a sentence quotes, in bytes.
const QUOTE_BYTES_MAX: usize = 200;

/// Everything in which an answer is not what was expected; each says expected and got.
pub(super) fn disappointments(expect: &Expect, answer: &Answer) -> Vec<String> {
    let Expect {
        status,
        headers,
        body_contains,
        json,
        within: _, // Kept by who waits.
    } = expect;
    let mut wrong = Vec::new();
    wrong.extend(status.and_then(|status| status_differs(status, answer)));
    for (name, value) in headers {
        wrong.extend(header_differs(name, value, answer));
    }
    if let Some(text) = body_contains {
        wrong.extend(body_lacks(text, answer));
    }
    if !json.is_empty() {
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(body) => {
                wrong.extend(
                    json.iter()
                        .filter_map(|(at, value)| json_differs(at, value, &body)),
                );
            }
            Err(_) if answer.truncated => wrong.push(cut_off("a JSON body")),
            Err(_) => wrong.push(format!(
                "expected a JSON body, got {}",
                quoted(&answer.body)
            )),
        }
    }
    wrong
}

fn status_differs(expected: u16, answer: &Answer) -> Option<String> {
    let got = answer.status.as_u16();
    if got == expected {
        return None;
    }
    let code = answer.headers.get(&X_FERRYWAY_ERROR);
    let code = code.and_then(|code| code.to_str().ok());
    let code = code.map_or_else(String::new, |code| {
        format!(" ({code}, by the gateway itself)")
    });
    Some(format!("expected status {expected}, got {got}{code}"))
}

fn header_differs(name: &str, expected: &str, answer: &Answer) -> Option<String> {
    let mut values = answer.headers.get_all(name).iter();
    if values.any(|value| value.as_bytes() == expected.as_bytes()) {
        return None;
    }
    let got = match answer.headers.get(name) {
        Some(value) => quoted(value.as_bytes()),
        None => "none".to_owned(),
    };
    Some(format!("expected header {name}: {expected:?}, got {got}"))
}

fn body_lacks(expected: &str, answer: &Answer) -> Option<String> {
    let mut windows = answer.body.windows(expected.len().max(1));
    if expected.is_empty() || windows.any(|part| part == expected.as_bytes()) {
        return None;
    }
    let what = format!("a body with {:?}", clipped(expected));
    if answer.truncated {
        return Some(cut_off(&what));
    }
    Some(format!("expected {what}, got {}", quoted(&answer.body)))
}

fn json_differs(pointer: &str, expected: &Value, body: &Value) -> Option<String> {
    let got = body.pointer(pointer);
    if got == Some(expected) {
        return None;
    }
    let got = got.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let expected = expected.to_string();
    Some(format!(
        "expected {} at {pointer}, got {}",
        clipped(&expected),
        clipped(&got)
    ))
}

fn cut_off(what: &str) -> String {
    format!("expected {what}, got one that broke off or is over {ANSWER_BYTES_MAX} bytes")
}

fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTE_BYTES_MAX)]);
    format!(
        "{text:?}{}",
        if bytes.len() > QUOTE_BYTES_MAX {
            "…"
        } else {
            ""
        }
    )
}

fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(QUOTE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ferryway_model::Definition;
    use http::{HeaderMap, HeaderValue, StatusCode};
    use serde_json::json;

    use super::*;

    fn expect(expect: &Value) -> Expect {
        let check = json!({"name": "c", "path": "/", "expect": expect});
        let routes = json!([{"name": "r", "paths": ["/*"]}]);
        let service = json!({"name": "s", "routes": routes, "checks": [check]});
        let mut definition = Definition::parse(&service, None).unwrap().content;
        definition.checks.remove(0).expect
    }

    fn answer(status: u16, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
            truncated: false,
        }
    }

    #[track_caller]
    fn check(expected: &Value, answer: &Answer, wrong: &[&str]) {
        assert_eq!(
            disappointments(&expect(expected), answer),
            wrong,
            "{expected}"
        );
    }

    #[test]
    fn statuses() {
        check(&json!({}), &answer(200, ""), &[]);
        check(
            &json!({}),
            &answer(404, ""),
            &["expected status 200, got 404"],
        );
        check(&json!({"status": 404}), &answer(404, ""), &[]);
        check(&json!({"status": null}), &answer(500, ""), &[]);
        let mut own = answer(503, "");
        own.headers
            .insert(&X_FERRYWAY_ERROR, HeaderValue::from_static("no_endpoint"));
        check(
            &json!({}),
            &own,
            &["expected status 200, got 503 (no_endpoint, by the gateway itself)"],
        );
    }

    #[test]
    fn headers() {
        check(&json!({"headers": {"X-A": "2"}}), &answer(200, ""), &[]);
        check(
            &json!({"headers": {"X-A": "3", "x-b": ""}}),
            &answer(200, ""),
            &[
                "expected header x-a: \"3\", got \"1\"",
                "expected header x-b: \"\", got none",
            ],
        );
    }

    #[test]
    fn bodies() {
        check(&json!({"body_contains": "b"}), &answer(200, "abc"), &[]);
        check(
            &json!({"body_contains": "x"}),
            &answer(200, "abc"),
            &["expected a body with \"x\", got \"abc\""],
        );
        check(
            &json!({"body_contains": "x"}),
            &answer(200, ""),
            &["expected a body with \"x\", got \"\""],
        );
        let mut long = answer(200, "abc");
        long.truncated = true;
        check(
            &json!({"body_contains": "x", "json": {"/a": 1}}),
            &long,
            &[
                "expected a body with \"x\", got one that broke off or is over 65536 bytes",
                "expected a JSON body, got one that broke off or is over 65536 bytes",
            ],
        );
    }

    #[test]
    fn json_pointers() {
        let body = r#"{"a": {"b": [1, "x"]}}"#;
        check(
            &json!({"json": {"/a/b/1": "x", "/a/b": [1, "x"]}}),
            &answer(200, body),
            &[],
        );
        check(
            &json!({"json": {"/a/b/0": 2, "/c": null}}),
            &answer(200, body),
            &[
                "expected 2 at /a/b/0, got 1",
                "expected null at /c, got nothing",
            ],
        );
        check(
            &json!({"json": {"/a": 1}}),
            &answer(200, "<html>"),
            &["expected a JSON body, got \"<html>\""],
        );
    }
}
