//! Path patterns, base paths and the paths of checks.

use super::*;

#[tokio::test]
async fn paths() {
    let bad = |path: &str, says| {
        [PUT_SERVICE, EDIT].map(|call| {
            row(
                call,
                &route(json!({"paths": [path]})),
                "422 invalid routes[0].paths[0]",
                says,
            )
        })
    };
    let mut rows = Vec::new();
    for (path, says) in [
        ("", "must begin with '/'"),
        ("a", "must begin with '/'"),
        ("*", "must begin with '/'"),
        ("http://a/b", "must begin with '/'"),
        ("/a b", "space"),
        ("/a\tb", "control"),
        ("/a\u{0}", "control"),
        ("/a\u{202e}", "non-ASCII"),
        ("/ä", "non-ASCII"),
        ("/%zz", "two hex digits"),
        ("/%", "two hex digits"),
        ("/%4", "two hex digits"),
        ("/..", "leaves the root"),
        ("/a/../../b", "leaves the root"),
        ("/a/../b", "write \\\"/b\\\""),
        ("/a/./b", "write \\\"/a/b\\\""),
        ("/a/.", "write \\\"/a/\\\""),
        ("/%61", "write \\\"/a\\\""),
        ("/%2f", "write \\\"/%2F\\\""),
        ("/a?b", "use `match` for queries"),
        ("/a#b", "'?' or '#'"),
        ("/a*", "'*'"),
        ("/*a", "'*'"),
        ("/a/*/b", "'*'"),
        ("/**", "'*'"),
        ("/a{x}", "brace"),
        ("/{x}b", "brace"),
        ("/{x", "brace"),
        ("/x}", "brace"),
        ("/{{x}}", "brace"),
        ("/{}", "parameter"),
        ("/{X}", "parameter"),
        ("/{1}", "parameter"),
        ("/{a-b}", "parameter"),
        ("/{x}/{x}", "twice"),
        ("/{*x}", "'*'"),
        ("/{x:[a-z]+}", "parameter"),
    ] {
        rows.extend(bad(path, says));
    }
    rows.extend([
        row(
            PUT_SERVICE,
            &route(json!({"paths": []})),
            "422 required routes[0].paths",
            "at least one path",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"paths": ["/a", "/a"]})),
            "422 duplicate routes[0].paths[1]",
            "again",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/"})),
            "422 invalid base_path",
            "end",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/a/"})),
            "422 invalid base_path",
            "end",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "a"})),
            "422 invalid base_path",
            "begin with '/'",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/{a}"})),
            "422 invalid base_path",
            "{",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/a/*"})),
            "422 invalid base_path",
            "*",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/a/../b"})),
            "422 invalid base_path",
            "/b",
        ),
        row(
            PUT_SERVICE,
            &service(json!({"base_path": "/a?b"})),
            "422 invalid base_path",
            "?",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"path": "a"})),
            "422 invalid checks[0].path",
            "must begin with '/'",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"path": "/a#b"})),
            "422 invalid checks[0].path",
            "'#'",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"path": "/a?b c"})),
            "422 invalid checks[0].path",
            "space",
        ),
    ]);
    check(rows).await;
}
