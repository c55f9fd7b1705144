use serde_json::json;

use super::signpost::{Sign, Signpost};

#[test]
fn a_method_that_no_route_has_is_told_which_there_are() {
    let signpost = Signpost::set(&[
        Sign::of("read", &json!({"paths": ["/orders"], "methods": ["GET"]})),
        Sign::of(
            "write",
            &json!({"paths": ["/orders"], "methods": ["POST", "PUT"]}),
        ),
        Sign::of(
            "custom",
            &json!({"paths": ["/custom"], "methods": ["PURGE"]}),
        ),
        Sign::at("every", "/every"),
    ]);
    for (request, expect) in [
        ("GET any /orders", "read /orders"),
        ("POST any /orders", "write /orders"),
        ("PUT any /orders", "write /orders"),
        (
            "DELETE any /orders",
            "405 method_not_allowed GET, POST, PUT",
        ),
        ("PATCH any /custom", "405 method_not_allowed PURGE"),
        ("PURGE any /custom", "custom /custom"),
        ("DELETE any /every", "every /every"),
        ("PURGE any /every", "every /every"),
        ("DELETE any /none", "404 no_route"),
    ] {
        signpost.check(request, expect);
    }
}

#[test]
fn a_less_specific_path_with_the_method_answers() {
    let signpost = Signpost::set(&[
        Sign::of("exact", &json!({"paths": ["/a/b"], "methods": ["POST"]})),
        Sign::of("wide", &json!({"paths": ["/a/*"], "methods": ["GET"]})),
    ]);
    for (request, expect) in [
        ("POST any /a/b", "exact /a/b"),
        ("GET any /a/b", "wide /a/b"),
        ("PUT any /a/b", "405 method_not_allowed GET, POST"),
        ("PUT any /a/c", "405 method_not_allowed GET"),
    ] {
        signpost.check(request, expect);
    }
}

#[test]
fn a_route_that_fails_by_its_predicates_is_no_reason_for_a_405() {
    let only = json!([{"header": "x-key", "op": "exists"}]);
    let route = json!({"paths": ["/a"], "methods": ["POST"], "match": only});
    let signpost = Signpost::set(&[Sign::of("keyed", &route)]);
    signpost.check("GET any /a", "404 no_route");
    signpost.check("GET any /a\nX-Key: 1", "405 method_not_allowed POST");
    signpost.check("POST any /a\nX-Key: 1", "keyed /a");
}
