use serde_json::{Value, json};

use super::signpost::{Sign, Signpost};

/// A service at `/a` for requests where this holds. Each has a priority of its own: a request could
/// meet the conditions of several.
fn when(name: &'static str, priority: i32, predicates: &Value) -> Sign {
    let route = json!({"paths": ["/a"], "priority": priority, "match": predicates});
    Sign::of(name, &route)
}

#[test]
fn of_headers() {
    let signpost = Signpost::set(&[
        when(
            "equals",
            1,
            &json!([{"header": "X-A", "op": "equals", "value": "1"}]),
        ),
        when(
            "one-of",
            2,
            &json!([{"header": "x-a", "op": "in", "value": ["2", "3"]}]),
        ),
        when(
            "regex",
            3,
            &json!([{"header": "x-b", "op": "regex", "value": "^[0-9]+$"}]),
        ),
        when(
            "prefix",
            4,
            &json!([{"header": "x-c", "op": "prefix", "value": "Bearer "}]),
        ),
        when("exists", 5, &json!([{"header": "x-d", "op": "exists"}])),
        Sign::at("else", "/a"),
    ]);
    for (headers, expect) in [
        ("x-a: 1", "equals"),
        ("X-A: 1", "equals"),
        ("x-a: 11", "else"),
        ("x-a: 3", "one-of"),
        ("x-a: 4", "else"),
        ("x-b: 42", "regex"),
        ("x-b: 42x", "else"),
        ("x-c: Bearer t", "prefix"),
        ("x-c: bearer t", "else"),
        ("x-d;", "exists"),
        ("x-d: 0", "exists"),
        ("x-e: 0", "else"),
    ] {
        signpost.check(&format!("GET any /a\n{headers}"), &format!("{expect} /a"));
    }
}

#[test]
fn of_what_must_not_be() {
    let signpost = Signpost::set(&[
        when("no-a", 6, &json!([{"header": "x-a", "op": "absent"}])),
        when(
            "other",
            7,
            &json!([{"header": "x-a", "op": "not_equals", "value": "1"},
                             {"header": "x-a", "op": "exists"}]),
        ),
    ]);
    for (headers, expect) in [
        ("x-b: 1", "no-a /a"),
        ("x-a: 2", "other /a"),
        ("x-a: 1", "404 no_route"),
    ] {
        signpost.check(&format!("GET any /a\n{headers}"), expect);
    }
}

#[test]
fn of_the_query_and_cookies() {
    let signpost = Signpost::set(&[
        when(
            "big",
            8,
            &json!([{"query": "size", "op": "equals", "value": "big"}]),
        ),
        when(
            "beta",
            9,
            &json!([{"cookie": "track", "op": "equals", "value": "beta"}]),
        ),
        Sign::at("else", "/a"),
    ]);
    for (request, expect) in [
        ("GET any /a?size=big", "big /a?size=big"),
        ("GET any /a?x=1&size=big&y", "big /a?x=1&size=big&y"),
        ("GET any /a?size=b%69g", "big /a?size=b%69g"),
        ("GET any /a?size=bigger", "else /a?size=bigger"),
        ("GET any /a?sizes=big", "else /a?sizes=big"),
        ("GET any /a\nCookie: track=beta", "beta /a"),
        ("GET any /a\nCookie: x=y; track=beta; z=1", "beta /a"),
        ("GET any /a\nCookie: tracks=beta", "else /a"),
        ("GET any /a\nCookie: x=track=beta", "else /a"),
    ] {
        signpost.check(request, expect);
    }
}

#[test]
fn priority_then_the_number_of_predicates_then_names() {
    let one = json!([{"header": "x-a", "op": "exists"}]);
    let two = json!([{"header": "x-a", "op": "exists"}, {"header": "x-b", "op": "exists"}]);
    let canary = json!([{"header": "x-canary", "op": "exists"}]);
    let first = |priority: i32, predicates: &Value| json!({"paths": ["/a"], "priority": priority, "match": predicates});
    let signpost = Signpost::set(&[
        Sign::of("a-low", &first(0, &json!([]))),
        Sign::of("b-two", &first(0, &two)),
        Sign::of("c-one", &first(0, &one)),
        Sign::of("d-high", &first(7, &canary)),
    ]);
    for (headers, expect) in [
        ("x-n: 1", "a-low"),
        ("x-a: 1", "c-one"),
        ("x-a: 1\nx-b: 1", "b-two"),
        ("x-a: 1\nx-b: 1\nx-canary: 1", "d-high"),
    ] {
        signpost.check(&format!("GET any /a\n{headers}"), &format!("{expect} /a"));
    }
}
