//! What a check asks for, what it expects, and what a failing one shows.

use serde_json::{Value, json};

use super::{checked, deliver};
use crate::calls::{refused, service, text};
use crate::upstream::Reply;

#[test]
fn everything_that_can_be_expected() {
    let site = super::site(&[]);
    let answer = b"HTTP/1.1 200 OK\r\nX-Mark: a\r\nContent-Length: 24\r\n\r\n\
        {\"a\": {\"b\": [1, \"two\"]}}";
    assert!(answer.ends_with(b"}}"));
    site.upstream.reply("/json", [Reply::Bytes(answer)]);
    let moved = b"HTTP/1.1 302 Found\r\nLocation: /json\r\nContent-Length: 5\r\n\r\nmoved";
    site.upstream.reply("/moved", [Reply::Bytes(moved)]);
    site.upstream.reply("/endless", [Reply::Endless]);
    site.upstream.reply("/slow", [Reply::Silence]);
    site.upstream.reply("/closed", [Reply::Close]);
    for (number, (path, expect, passes)) in [
        ("/json", json!({"status": 200}), true),
        ("/json", json!({"status": 201}), false),
        ("/json", json!({"headers": {"x-mark": "a"}}), true),
        ("/json", json!({"headers": {"x-mark": "b"}}), false),
        ("/json", json!({"headers": {"x-none": "a"}}), false),
        ("/json", json!({"body_contains": "two"}), true),
        ("/json", json!({"body_contains": "three"}), false),
        (
            "/json",
            json!({"json": {"/a/b/0": 1, "/a/b/1": "two"}}),
            true,
        ),
        ("/json", json!({"json": {"/a/b/0": "1"}}), false),
        ("/json", json!({"json": {"/a/c": null}}), false),
        (
            "/json",
            json!({"json": {"": {"a": {"b": [1.0, "two"]}}}}),
            true,
        ),
        ("/json", json!({"json": {"/a": {"b": [1]}}}), false),
        ("/json", json!({"headers": {"content-length": "24"}}), true),
        (
            "/json",
            json!({"status": null, "headers": {}, "body_contains": null, "json": {}}),
            true,
        ),
        ("/moved", json!({}), false),
        (
            "/moved",
            json!({"status": 302, "headers": {"location": "/json"}}),
            true,
        ),
        (
            "/moved",
            json!({"status": null, "json": {"": "moved"}}),
            false,
        ),
        ("/endless", json!({}), true),
        ("/endless", json!({"body_contains": "y"}), false),
        ("/slow", json!({"within": "100ms"}), false),
        ("/closed", json!({}), false),
    ]
    .into_iter()
    .enumerate()
    {
        let mut service = service("orders", &[("all", "/*")]);
        service["routes"][0]["priority"] = json!(number);
        service["checks"] = json!([{"name": "it", "path": path, "expect": expect}]);
        let state = if passes { "succeeded" } else { "failed" };
        deliver(&site, &service, &number.to_string(), state);
    }
}

#[test]
fn a_check_that_may_change_something_must_say_so() {
    let site = super::site(&[]);
    let mut service = checked("orders");
    service["checks"][0]["method"] = json!("POST");
    let answer = site.api().put("/services/orders", &service);
    assert_eq!(refused(&answer, 422), ["invalid"]);
    service["checks"][0]["unsafe"] = json!(true);
    service["checks"][0]["expect"] = json!({"status": 200});
    deliver(&site, &service, "1", "succeeded");
    assert_eq!(site.upstream.requests("/orders/check")[0].method(), "POST");
}

/// What the only instance says of a service with this check, which fails.
#[track_caller]
fn fails(site: &crate::site::Site, check: &Value) -> Value {
    let mut service = service("orders", &[("all", "/*")]);
    service["checks"] = json!([check]);
    let operation = deliver(site, &service, "1", "failed");
    operation["destinations"][0]["instances"][0].clone()
}

#[test]
fn a_failing_check_shows_what_it_sent_and_got() {
    let site = super::site(&[]);
    let answer = b"HTTP/1.1 418 Teapot\r\nX-Mark: a\r\nContent-Length: 6\r\n\r\nshort!";
    site.upstream.reply("/a", [Reply::Bytes(answer)]);
    let instance = fails(
        &site,
        &json!({
            "name": "it", "path": "/a?b=c", "method": "GET", "host": "a.example",
            "headers": {"X-Sent": "s"}, "expect": {"body_contains": "long"},
        }),
    );
    assert_eq!(
        instance["detail"],
        "checks[0]: check `it` failed: expected status 200, got 418; \
         expected a body with \"long\", got \"short!\""
    );
    let request = json!({
        "method": "GET", "host": "a.example", "path": "/a?b=c", "headers": {"x-sent": "s"},
    });
    assert_eq!(instance["evidence"]["request"], request);
    let response = &instance["evidence"]["response"];
    assert_eq!(response["status"], 418);
    assert_eq!(response["headers"]["x-mark"], "a");
    assert_eq!(response["body"], "short!");
    assert_eq!(response["truncated"], false);
}

#[test]
fn long_answers_are_cut_and_what_is_no_text_is_shown_safely() {
    let site = super::site(&[]);
    site.upstream.reply("/endless", [Reply::Endless]);
    let check = json!({"name": "it", "path": "/endless", "expect": {"status": 404}});
    let instance = fails(&site, &check);
    let response = &instance["evidence"]["response"];
    assert_eq!(text(&response["body"]), "x".repeat(4 * 1024));
    assert_eq!(response["truncated"], true);

    let site = super::site(&[]);
    let answer = b"HTTP/1.1 500 Bad\r\nContent-Length: 8\r\n\r\n\xff\x00\x1b[2Jok";
    site.upstream.reply("/binary", [Reply::Bytes(answer)]);
    let check = json!({"name": "it", "path": "/binary", "expect": {}});
    let instance = fails(&site, &check);
    let body = &instance["evidence"]["response"]["body"];
    assert_eq!(text(body), "\u{fffd}\0\u{1b}[2Jok");
}

#[test]
fn what_a_check_authenticates_with_stays_with_it() {
    let site = super::site(&[]);
    // The upstream says again what it was sent.
    let check = json!({
        "name": "it", "path": "/mirror", "expect": {"body_contains": "none such"},
        "headers": {"Authorization": "Bearer open-sesame", "Cookie": "session=crumbs-crumbs"},
    });
    let instance = fails(&site, &check).to_string();
    for secret in ["open-sesame", "crumbs"] {
        assert!(!instance.contains(secret), "{instance}");
    }
    let sent = &site.upstream.requests("/mirror")[0];
    assert_eq!(sent.header("authorization"), Some("Bearer open-sesame"));
    assert_eq!(sent.header("cookie"), Some("session=crumbs-crumbs"));
}
