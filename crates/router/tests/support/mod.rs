//! Services and requests from a line of text each.

use std::collections::BTreeMap;

use ferryway_model::{Binding, Definition};
use ferryway_router::{Change, Found, RequestHead, RouteTable, ServiceRoutes, request_host};
use http::{HeaderMap, HeaderName, Method};
use serde_json::{Value, json};

/// The table of these lines.
pub(crate) fn table(lines: &str) -> RouteTable<String> {
    RouteTable::empty().with(services(lines).into_iter().map(Change::Put))
}

/// The services of lines such as `a/one: GET,PUT k.x.io,*.y.io/users/{id} +5 header:x=1`: service
/// and route (`r` if left out), methods, hosts, path, priority, predicates, `base:/v1`. Only the first
/// and the path must be there; the lines of one service have the same hosts and base path.
pub(crate) fn services(lines: &str) -> Vec<ServiceRoutes<String>> {
    let mut services: BTreeMap<&str, (&str, Vec<&str>, Vec<Value>)> = BTreeMap::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, rest) = line.split_once(": ").expect("a line has a name");
        let (service, route) = name.split_once('/').unwrap_or((name, "r"));
        let (hosts, route) = route_of(route, rest);
        let (base_path, all_hosts, routes) = services.entry(service).or_default();
        let base = rest.split(' ').find_map(|token| token.strip_prefix(BASE));
        *base_path = base.unwrap_or_default();
        *all_hosts = hosts;
        routes.push(route);
    }
    services
        .into_iter()
        .map(|(name, (base, hosts, routes))| service_of(name, base, &hosts, &routes))
        .collect()
}

/// Before a service's base path.
const BASE: &str = "base:";

fn service_of(name: &str, base: &str, hosts: &[&str], routes: &[Value]) -> ServiceRoutes<String> {
    let definition = json!({"name": name, "base_path": base, "hosts": hosts, "routes": routes});
    let definition = Definition::parse(&definition, None).expect("is a definition");
    let binding = Binding::parse(&json!({"nodes": [{"host": "u"}]})).expect("is a binding");
    let target = |route: &ferryway_model::Route| format!("{name}/{}", route.name);
    ServiceRoutes::of(&definition.content, &binding.content, target)
}

fn route_of<'l>(name: &str, line: &'l str) -> (Vec<&'l str>, Value) {
    let mut route = json!({"name": name, "methods": [], "match": []});
    let mut hosts = Vec::new();
    for token in line.split(' ').filter(|token| !token.starts_with(BASE)) {
        let predicate = ["header:", "query:", "cookie:"]
            .iter()
            .any(|source| token.starts_with(source));
        if predicate {
            push(&mut route["match"], predicate_of(token));
        } else if let Some(priority) = token
            .strip_prefix('+')
            .or_else(|| token.starts_with('-').then_some(token))
        {
            route["priority"] = json!(priority.parse::<i32>().expect("is a number"));
        } else if let Some(at) = token.find('/') {
            hosts = token[..at]
                .split(',')
                .filter(|host| !host.is_empty())
                .collect();
            route["paths"] = json!([token[at..]]);
        } else {
            token
                .split(',')
                .for_each(|method| push(&mut route["methods"], json!(method)));
        }
    }
    (hosts, route)
}

/// `header:x=1`, `!=` (not), `^=` (prefix), `~=` (regex), `=1|2` (in), `header:x` and `header:!x`.
fn predicate_of(token: &str) -> Value {
    let (source, rest) = token.split_once(':').expect("has a source");
    let (name, op, value) = match rest.split_once('=') {
        None => match rest.strip_prefix('!') {
            Some(name) => return json!({source: name, "op": "absent"}),
            None => return json!({source: rest, "op": "exists"}),
        },
        Some((name, value)) if value.contains('|') => {
            (name, "in", json!(value.split('|').collect::<Vec<_>>()))
        }
        Some((name, value)) => match name.char_indices().next_back() {
            Some((at, '!')) => (&name[..at], "not_equals", json!(value)),
            Some((at, '^')) => (&name[..at], "prefix", json!(value)),
            Some((at, '~')) => (&name[..at], "regex", json!(value)),
            _ => (name, "equals", json!(value)),
        },
    };
    json!({source: name, "op": op, "value": value})
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().expect("is a list").push(item);
}

/// What the table says of a request such as `GET k.x.io/users/7?a=1 x:1 cookie:a=1`: the target,
/// `404`, or `405` and what is allowed.
pub(crate) fn ask(table: &RouteTable<String>, request: &str) -> String {
    let mut tokens = request.split(' ');
    let method: Method = tokens.next().expect("a method").parse().expect("is one");
    let url = tokens.next().expect("a url");
    let (host, path) = url.split_at(url.find(['/', '*']).expect("has a path"));
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(p, q)| (p, Some(q)));
    let headers: HeaderMap = tokens
        .map(|token| {
            let (name, value) = token.split_once(':').expect("is a header");
            let name: HeaderName = name.parse().expect("is a name");
            (name, value.parse().expect("is a value"))
        })
        .collect();
    let host = (!host.is_empty()).then(|| request_host(host));
    let head = RequestHead {
        method: &method,
        host: host.as_deref(),
        path,
        query,
        headers: &headers,
    };
    match table.find(&head) {
        Found::Route(target) => target.clone(),
        Found::MethodNotAllowed(allow) => format!("405 {allow}"),
        Found::NotFound => "404".to_owned(),
    }
}
