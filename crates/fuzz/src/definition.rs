//! A service's definition: from JSON to what is stored, delivered and compiled.

use ferryway_model::{
    Binding, Definition, PathPattern, Problem, Sealed, canonical_json, parse_json,
};
use ferryway_router::{Change, Found, RequestHead, RouteTable, ServiceRoutes};
use http::{HeaderMap, Method};
use serde_json::json;

/// Whatever is accepted has canonical bytes that a gateway reads as the same, and compiles; whatever
/// is not has a problem that can be shown.
pub(crate) fn check(data: &[u8]) {
    let body = match parse_json(data) {
        Ok(body) => body,
        Err(problem) => return presentable(&[problem]),
    };
    let canonical = canonical_json(&body);
    let again = parse_json(&canonical).expect("canonical JSON is JSON");
    assert_eq!(canonical_json(&again), canonical, "canonical twice");

    match Definition::parse_service(&body, None) {
        Ok((sealed, _)) => {
            stays_itself(&sealed);
            compiles(&sealed.content);
        }
        Err(problems) => presentable(&problems),
    }
    if let Err(problems) = Definition::parse(&body, None) {
        presentable(&problems);
    }
}

/// The canonical bytes, and the definition as it is shown, are read as the same definition.
pub(crate) fn stays_itself(sealed: &Sealed<Definition>) {
    let stored =
        Definition::from_canonical(&sealed.bytes).expect("what was accepted can be loaded");
    assert_eq!(stored.digest, sealed.digest);
    assert_eq!(stored.content, sealed.content);
    let shown = Definition::parse(&sealed.content.to_value(), None);
    assert_eq!(shown.expect("what is shown is taken").digest, sealed.digest);
}

/// Problems that people and scripts can be shown: there is one, and each says something, within
/// bounds and without what would move a terminal's cursor.
pub(crate) fn presentable(problems: &[Problem]) {
    assert!(problems.iter().any(Problem::is_error), "no reason is given");
    for Problem { path, message, .. } in problems {
        assert!(!message.is_empty(), "nothing is said of {path:?}");
        for text in [path, message] {
            assert!(text.len() <= TEXT_BYTES_MAX, "{} bytes", text.len());
            let hidden = |c: char| c.is_control() || is_direction(c);
            assert!(!text.chars().any(hidden), "{text:?}");
        }
    }
}

/// Longest place or sentence of a problem, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Characters that turn the direction in which those around them are shown.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The routes go into a table, each of its paths leads somewhere, and they come out again.
fn compiles(definition: &Definition) {
    let binding = Binding::parse(&json!({"nodes": [{"host": "a.example"}], "hosts": []}));
    let binding = binding.expect("is a binding").content;
    let routes = ServiceRoutes::of(definition, &binding, |route| route.name.clone());
    let table = RouteTable::empty().with([Change::Put(routes.clone())]);
    assert_eq!(table.len(), definition.routes.len());
    assert!(!table.to_string().is_empty());

    let headers = HeaderMap::new();
    for route in &routes.routes {
        let method = route.methods.first().unwrap_or(&Method::GET);
        for path in &route.paths {
            let path = one_path(path);
            let head = RequestHead {
                method,
                host: Some("a.example"),
                path: &path,
                query: None,
                headers: &headers,
            };
            let found = table.find(&head);
            let is_hit = matches!(found, Found::Route(_));
            assert!(is_hit || !route.predicates.is_empty(), "{path}: {found:?}");
        }
    }
    let emptied = table.with([Change::Remove(definition.name.clone())]);
    assert!(emptied.is_empty());
}

/// A path that the pattern matches.
fn one_path(pattern: &PathPattern) -> String {
    let text = pattern.to_string();
    let segments = text.split('/').map(|segment| match segment {
        parameter if parameter.starts_with('{') => "x",
        other => other,
    });
    let path = segments.collect::<Vec<_>>().join("/").replace('*', "rest");
    assert!(pattern.matches(&path), "{pattern} and {path}");
    path
}
