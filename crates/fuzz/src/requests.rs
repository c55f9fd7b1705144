//! What a request asks for, and what definitions say of it: paths, hosts, queries, names.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::LazyLock;

use ferryway_model::{
    BasePath, Binding, Definition, Digest, HostName, HostPattern, Name, NodeHost, PathPattern,
    Span, VersionNumber, normal_path,
};
use ferryway_router::{Change, Found, RequestHead, RouteTable, ServiceRoutes, request_host};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;

/// Lines: a path, a host, a query, a cookie. Each has one normal form, and what a table answers
/// fits what was asked.
pub(crate) fn check(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (path, host, query, cookie) = (line(), line(), line(), line());
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let (path, host, query) = (text(path), text(host), text(query));

    for text in [path, host, query] {
        names(text);
    }
    hosts(host);
    if let Ok(normal) = normal_path(path) {
        one_normal_form(&normal);
        route(&normal, host, query, cookie);
    }
}

/// What parses is shown as something that parses as the same.
fn names(text: &str) {
    stays_itself::<Name>(text);
    stays_itself::<VersionNumber>(text);
    stays_itself::<Span>(text);
    stays_itself::<Digest>(text);
    stays_itself::<HostName>(text);
    stays_itself::<HostPattern>(text);
    stays_itself::<NodeHost>(text);
    stays_itself::<PathPattern>(text);
    if let Ok(base) = text.parse::<BasePath>() {
        assert_eq!(base.as_str(), text);
    }
}

fn stays_itself<T: FromStr + Display + Debug + PartialEq>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let shown = read.to_string();
        assert!(
            shown.parse::<T>().is_ok_and(|again| again == read),
            "{shown:?}"
        );
    }
}

fn one_normal_form(normal: &str) {
    assert_eq!(normal_path(normal).as_deref(), Ok(normal));
    assert!(normal.starts_with('/'));
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()));
    let mut segments = normal.split('/');
    assert!(
        !segments.any(|segment| segment == "." || segment == ".."),
        "{normal}"
    );
}

/// A request's host and a definition's are compared in the same form.
fn hosts(raw: &str) {
    let host = request_host(raw);
    if let Ok(name) = raw.parse::<HostName>() {
        assert_eq!(name.as_str(), host);
        let pattern = HostPattern::Exact(name);
        assert!(pattern.matches(&host));
    }
    // Of two dots at the end one is left, and such a host is nobody's.
    if let Ok(name) = host.parse::<HostName>()
        && !host.ends_with('.')
    {
        assert_eq!(name.as_str(), host, "of {raw:?}");
    }
}

/// Routes of which at most one can answer each request: the oracle is a look at them all.
static PATTERNS: LazyLock<Vec<PathPattern>> = LazyLock::new(|| {
    let texts = [
        "/a",
        "/a/{x}",
        "/a/*",
        "/a/b/{x}/c",
        "/{x}/b/*",
        "/%2F/*",
        "/b//c",
    ];
    let patterns = texts.iter().map(|text| text.parse().expect("is a pattern"));
    patterns.collect()
});

static TABLE: LazyLock<RouteTable<usize>> = LazyLock::new(|| {
    let routes = PATTERNS.iter().enumerate().flat_map(|(n, pattern)| {
        let paths = [pattern.to_string()];
        [
            json!({"name": format!("plain-{n}"), "paths": paths}),
            json!({"name": format!("asks-{n}"), "paths": paths, "match": [
                {"query": "q", "op": "exists"},
                {"cookie": "c", "op": "not_equals", "value": "no"},
                {"header": "cookie", "op": "regex", "value": "c=.*;"}]}),
        ]
    });
    let body = json!({"name": "s", "hosts": ["*.example"], "routes": routes.collect::<Vec<_>>()});
    let definition = Definition::parse(&body, None).expect("is a definition");
    let binding = Binding::parse(&json!({"nodes": [{"host": "a"}]})).expect("is a binding");
    let mut n = 0;
    let routes = ServiceRoutes::of(&definition.content, &binding.content, |_| {
        n += 1;
        n - 1
    });
    RouteTable::empty().with([Change::Put(routes)])
});

fn route(path: &str, host: &str, query: &str, cookie: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(cookie) {
        headers.append(header::COOKIE, value);
    }
    let host = request_host(host);
    let found = TABLE.find(&RequestHead {
        method: &Method::GET,
        host: Some(&*host),
        path,
        query: Some(query),
        headers: &headers,
    });
    let ours: HostPattern = "*.example".parse().expect("is a host");
    let mut fits = PATTERNS.iter().map(|pattern| pattern.matches(path));
    match found {
        Found::Route(number) => {
            assert!(ours.matches(&host), "{host:?}");
            assert!(
                PATTERNS[number / 2].matches(path),
                "{path} is answered by {number}"
            );
            // Odd ones ask for a query parameter.
            assert!(number % 2 == 0 || has_parameter(query, "q"), "{query:?}");
        }
        _ => assert!(
            !ours.matches(&host) || !fits.any(|fits| fits),
            "{host:?} {path}"
        ),
    }
}

/// Whether a query has this parameter, by the letter of the URL standard.
fn has_parameter(query: &str, name: &str) -> bool {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .any(|pair| {
            let key = pair.split('=').next().unwrap_or_default();
            decoded(key.as_bytes()) == name.as_bytes()
        })
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let hex = |n: usize| text.get(n).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        match (text[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    out
}
