//! What a route asks of a request, and a check of an answer.

use super::*;

#[tokio::test]
async fn predicates() {
    let at = |fields: Value| route(json!({"match": [fields]}));
    let regex = |source: &str| at(json!({"header": "x", "op": "regex", "value": source}));
    let cannot = "is no regular expression that can be used";
    let value = "422 invalid routes[0].match[0].value";
    let mut rows: Vec<_> = [
        ("(a{1000}){1000}", "compiles to more than"),
        ("((a{100}){100}){100}", "compiles to more than"),
        ("\\pL{999}", "compiles to more than"),
        ("(", cannot),
        (")", cannot),
        ("[", cannot),
        ("[z-a]", cannot),
        ("*", cannot),
        ("a{2,1}", cannot),
        ("(?=a)", cannot),
        ("(a)\\1", cannot),
        ("\\", cannot),
        ("(?P<n>a)(?P<n>b)", cannot),
        ("\\u{110000}", cannot),
    ]
    .map(|(source, says)| row(PUT_SERVICE, &regex(source), value, says))
    .into();
    rows.extend([
        row(PUT_SERVICE, &regex(&"(".repeat(1_000)), value, cannot),
        row(
            PUT_SERVICE,
            &regex(&"a".repeat(1_025)),
            "422 limit_exceeded routes[0].match[0].value",
            "at most 1024",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"op": "exists"})),
            "422 invalid routes[0].match[0]",
            "exactly one of header, query and cookie",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "query": "b", "op": "exists"})),
            "422 invalid routes[0].match[0]",
            "exactly one of header, query and cookie",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a"})),
            "422 required routes[0].match[0].op",
            "is missing",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "like", "value": "x"})),
            "422 invalid routes[0].match[0].op",
            "known are",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "equals"})),
            "422 required routes[0].match[0].value",
            "needs it",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "equals", "value": null})),
            "422 required routes[0].match[0].value",
            "needs it",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "equals", "value": 1})),
            "400 wrong_type routes[0].match[0].value",
            "must be a string",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "exists", "value": "x"})),
            value,
            "leave it out",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "in", "value": []})),
            value,
            "could never match",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a", "op": "in", "value": "x"})),
            "400 wrong_type routes[0].match[0].value",
            "must be a list",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "a b", "op": "exists"})),
            "422 invalid routes[0].match[0].header",
            "header name",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"header": "", "op": "exists"})),
            "422 invalid routes[0].match[0].header",
            "header name",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"query": "", "op": "exists"})),
            "422 invalid routes[0].match[0].query",
            "is empty",
        ),
        row(
            PUT_SERVICE,
            &at(json!({"cookie": "a;b", "op": "exists"})),
            "422 invalid routes[0].match[0].cookie",
            "is no cookie name",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": ["get"]})),
            "422 invalid routes[0].methods[0]",
            "capitals",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": ["G T"]})),
            "422 invalid routes[0].methods[0]",
            "capitals",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": [""]})),
            "422 invalid routes[0].methods[0]",
            "capitals",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": ["GET", "GET"]})),
            "422 duplicate routes[0].methods[1]",
            "again",
        ),
        row(
            PUT_SERVICE,
            &route(json!({"methods": ["CONNECT"]})),
            "422 invalid routes[0].methods[0]",
            "tunnels",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"method": "POST"})),
            "422 invalid checks[0].method",
            "unsafe: true",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"headers": {"Host": "x"}})),
            "422 invalid checks[0].headers.Host",
            "is set by the gateway itself",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"headers": {"a b": "x"}})),
            "422 invalid checks[0].headers.a b",
            "is no header name",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"headers": {"x": "é"}})),
            "422 invalid checks[0].headers.x",
            "visible ASCII",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"headers": {"x": "a\nb: c"}})),
            "422 invalid checks[0].headers.x",
            "visible ASCII",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": {"json": {"a": 1}}})),
            "422 invalid checks[0].expect.json.a",
            "JSON pointer",
        ),
        row(
            PUT_SERVICE,
            &check_of(json!({"expect": {"json": {"/a~2": 1}}})),
            "422 invalid checks[0].expect.json./a~2",
            "JSON pointer",
        ),
    ]);
    check(rows).await;
}
