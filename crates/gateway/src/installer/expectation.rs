//! Whether an answer is what a check expects.

use ferryway_model::Expect;
use ferryway_proxy::{ANSWER_BYTES_MAX, Answer, X_FERRYWAY_ERROR};
use serde_json::{Number, Value};

use super::secrets::{HIDDEN, is_secret};

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
        Some(_) if is_secret(name) => format!("another: {HIDDEN}"),
        Some(value) => quoted(value.as_bytes()),
        None => "none".to_owned(),
    };
    let expected = match is_secret(name) {
        true => HIDDEN.to_owned(),
        false => quoted(expected.as_bytes()),
    };
    Some(format!("expected header {name}: {expected}, got {got}"))
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
    if got.is_some_and(|got| is_same(expected, got)) {
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

/// Whether two values are the same JSON: `1` and `1.0` are one number, and the order of an object's
/// fields means nothing.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => is_same_number(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, a)| b.get(name).is_some_and(|b| is_same(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => a == b,
    }
}

fn is_same_number(a: &Number, b: &Number) -> bool {
    // Whole numbers as such: as floats, large ones would run together.
    let is_whole = |n: &Number| n.is_i64() || n.is_u64();
    a == b || (!(is_whole(a) && is_whole(b)) && a.as_f64() == b.as_f64())
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
    fn secret_headers_are_not_quoted() {
        let mut answer = answer(200, "");
        let cookie = HeaderValue::from_static("session=1");
        answer.headers.insert("set-cookie", cookie);
        check(
            &json!({"headers": {"set-cookie": "session=2", "x-token": "3"}}),
            &answer,
            &[
                "expected header set-cookie: (hidden), got another: (hidden)",
                "expected header x-token: (hidden), got none",
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
        let binary = Answer {
            body: Bytes::from_static(b"\xff\xc3\xa9\0"),
            ..answer(200, "")
        };
        check(&json!({"body_contains": "é"}), &binary, &[]);
        check(
            &json!({"body_contains": "x", "json": {"": 1}}),
            &binary,
            &[
                "expected a body with \"x\", got \"\u{fffd}é\\0\"",
                "expected a JSON body, got \"\u{fffd}é\\0\"",
            ],
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
        // Every type, at places whose names need escapes, and the whole body.
        let body = r#"{"s": "", "n": 1, "f": 1.5, "t": true, "z": null, "l": [], "o": {"x": {}},
            "a/b~c": [[1]], "": 7, "big": 9007199254740993, "é": "ü"}"#;
        let expected = json!({
            "/s": "", "/n": 1.0, "/f": 15e-1, "/t": true, "/z": null, "/l": [], "/o": {"x": {}},
            "/a~1b~0c": [[1.0]], "/": 7, "/big": 9_007_199_254_740_993_u64, "/é": "ü",
        });
        check(&json!({"json": expected}), &answer(200, body), &[]);
        let whole = json!({"json": {"": [1, {"b": 2.0, "a": 1}]}});
        check(&whole, &answer(200, r#"[1, {"a": 1, "b": 2}]"#), &[]);
        for (place, other, got) in [
            ("/s", json!(null), "\"\""),
            ("/n", json!("1"), "1"),
            ("/n", json!(true), "1"),
            ("/t", json!(1), "true"),
            ("/z", json!(false), "null"),
            ("/l", json!({}), "[]"),
            ("/o", json!({}), r#"{"x":{}}"#),
            ("/o", json!({"x": {}, "y": 1}), r#"{"x":{}}"#),
            ("/a~1b~0c/0", json!([1, 2]), "[1]"),
            ("/big", json!(9_007_199_254_740_992_u64), "9007199254740993"),
            ("/l/0", json!(null), "nothing"),
            ("/a~1b~0c/00", json!([1]), "nothing"),
            ("/a~1b~0c/-", json!([1]), "nothing"),
        ] {
            let wrong = format!("expected {other} at {place}, got {got}");
            check(
                &json!({"json": {place: other}}),
                &answer(200, body),
                &[&wrong],
            );
        }
        check(
            &json!({"json": {"/a": 1}}),
            &answer(200, "<html>"),
            &["expected a JSON body, got \"<html>\""],
        );
    }
}
