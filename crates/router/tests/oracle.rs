//! The table against a naive matcher that is written from the contract's words and goes through
//! all routes: for precedence, fallback, 405, and for tables made by changes in any order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ferryway_model::{
    BasePath, End, HostPattern, Name, Op, PathPattern, Predicate, Segment, Source,
};
use ferryway_router::{Change, Found, RequestHead, RouteSpec, RouteTable, ServiceRoutes};
use http::{HeaderMap, Method};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

type Routes = ServiceRoutes<u32>;

/// A request whose parts are not yet written out.
#[derive(Clone, Debug)]
struct Request {
    method: Method,
    host: Option<&'static str>,
    path: String,
    header: Vec<&'static str>,
    query: Vec<&'static str>,
    cookie: Vec<&'static str>,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Route(u32),
    MethodNotAllowed(BTreeSet<String>),
    NotFound,
}

/// "The most specific matching host first": an exact one, then the longer wildcard, then none.
fn host_order(host: Option<&HostPattern>) -> (u8, Reverse<usize>) {
    match host {
        Some(HostPattern::Exact(_)) => (0, Reverse(0)),
        Some(HostPattern::Suffix(suffix)) => (1, Reverse(suffix.as_str().split('.').count())),
        None => (2, Reverse(0)),
    }
}

/// "Read both from the left, segment by segment: a literal beats a parameter, a parameter `*`."
fn path_order(path: &PathPattern) -> Vec<u8> {
    let segments = path.segments().iter().map(|segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Parameter(_) => 1,
    });
    // A base path alone is matched by the `/*` below it.
    let open = path.end() != End::Here;
    segments.chain(open.then_some(2)).collect()
}

fn predicates_hold(route: &RouteSpec<u32>, request: &Request) -> bool {
    route.predicates.iter().all(|predicate| {
        let values = match &predicate.source {
            Source::Header(_) => &request.header,
            Source::Query(_) => &request.query,
            Source::Cookie(_) => &request.cookie,
        };
        predicate.op.holds(values.iter().copied())
    })
}

fn naive<'s>(services: impl Iterator<Item = &'s Routes>, request: &Request) -> Answer {
    let mut matching = Vec::new();
    for service in services {
        let hosts: Vec<Option<&HostPattern>> = match service.hosts.is_empty() {
            true => vec![None],
            false => service.hosts.iter().map(Some).collect(),
        };
        for host in hosts {
            let asked = request.host;
            if !host.is_none_or(|host| asked.is_some_and(|asked| host.matches(asked))) {
                continue;
            }
            for route in &service.routes {
                for path in route
                    .paths
                    .iter()
                    .filter(|path| path.matches(&request.path))
                {
                    let order = (
                        host_order(host),
                        path_order(path),
                        Reverse(route.priority),
                        Reverse(route.predicates.len()),
                        &service.service,
                        &route.name,
                    );
                    matching.push((order, route));
                }
            }
        }
    }
    matching.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut allow = BTreeSet::new();
    for (_, route) in matching {
        if !predicates_hold(route, request) {
            continue;
        }
        if route.methods.is_empty() || route.methods.contains(&request.method) {
            return Answer::Route(route.target);
        }
        allow.extend(route.methods.iter().map(Method::to_string));
    }
    match allow.is_empty() {
        true => Answer::NotFound,
        false => Answer::MethodNotAllowed(allow),
    }
}

fn ask(table: &RouteTable<u32>, request: &Request) -> Answer {
    let headers = request
        .header
        .iter()
        .map(|value| (http::HeaderName::from_static("h"), *value));
    let cookies: Vec<_> = request
        .cookie
        .iter()
        .map(|value| format!("other=1; c={value}"))
        .collect();
    let cookies = cookies
        .iter()
        .map(|pair| (http::header::COOKIE, pair.as_str()));
    let headers: HeaderMap = headers
        .chain(cookies)
        .map(|(name, value)| (name, value.parse().expect("is a value")))
        .collect();
    let query: Vec<_> = request
        .query
        .iter()
        .map(|value| format!("q={value}"))
        .collect();
    let query = query.join("&");
    let head = RequestHead {
        method: &request.method,
        host: request.host,
        path: &request.path,
        query: (!query.is_empty()).then_some(&*query),
        headers: &headers,
    };
    match table.find(&head) {
        Found::Route(target) => Answer::Route(*target),
        Found::MethodNotAllowed(allow) => {
            Answer::MethodNotAllowed(allow.methods().map(Method::to_string).collect())
        }
        Found::NotFound => Answer::NotFound,
    }
}

const HOSTS: [&str; 8] = [
    "io",
    "*.io",
    "x.io",
    "*.x.io",
    "k.x.io",
    "*.k.x.io",
    "y.io",
    "*.b.k.x.io",
];

fn hosts() -> impl Strategy<Value = Vec<HostPattern>> {
    let host = |text: &str| text.parse().expect("is a host");
    subsequence(&HOSTS[..], 0..=2).prop_map(move |hosts| hosts.into_iter().map(host).collect())
}

/// Patterns of few words, so that they meet; half of them begin with the same parameter, so that
/// the tails of one head are many.
fn path() -> impl Strategy<Value = PathPattern> {
    let segment = || {
        select(vec![
            "a",
            "b",
            "ab",
            "",
            "{p}",
            "{p}",
            "longer-than-8",
            "longer-than-9",
        ])
    };
    let segments = (
        any::<bool>(),
        prop::collection::vec(segment(), 0..4),
        any::<bool>(),
    );
    let path = segments.prop_map(|(parameter, segments, star)| {
        let mut text = String::new();
        let first = parameter.then_some("{p}");
        for (n, segment) in first.into_iter().chain(segments).enumerate() {
            text += "/";
            text += &segment.replace('p', &format!("p{n}"));
        }
        if star || text.is_empty() {
            text += "/*";
        }
        text.parse().expect("is a path")
    });
    let bare = select(vec!["/a", "/a/b", "/b", "/longer-than-8"]).prop_map(bare);
    prop_oneof![9 => path, 1 => bare]
}

/// A base path alone, as a service with `/*` has it.
fn bare(base: &str) -> PathPattern {
    let base: BasePath = base.parse().expect("is a base path");
    let star: PathPattern = "/*".parse().expect("is a path");
    star.under(&base).nth(1).expect("is matched too")
}

fn methods() -> impl Strategy<Value = Vec<Method>> {
    let some = [Method::GET, Method::POST, purge(), brew()];
    prop_oneof![Just(Vec::new()), subsequence(some.to_vec(), 1..=2)]
}

fn purge() -> Method {
    Method::from_bytes(b"PURGE").expect("is a method")
}

fn brew() -> Method {
    Method::from_bytes(b"BREW").expect("is a method")
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let source = select(vec![
        Source::Header(http::HeaderName::from_static("h")),
        Source::Query("q".into()),
        Source::Cookie("c".into()),
    ]);
    let op = select(vec![
        Op::Equals("1".into()),
        Op::NotEquals("1".into()),
        Op::In(["1".into(), "2".into()].into()),
        Op::Exists,
        Op::Absent,
        Op::Prefix("1".into()),
    ]);
    (source, op).prop_map(|(source, op)| Predicate { source, op })
}

fn route() -> impl Strategy<Value = RouteSpec<u32>> {
    let predicates = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec(predicate(), 1..=2),
    ];
    let paths = prop::collection::vec(path(), 1..=2);
    let all = (paths, methods(), -1..=1, predicates, any::<u32>());
    all.prop_map(|(paths, methods, priority, predicates, target)| RouteSpec {
        name: name("r"),
        paths,
        methods,
        priority,
        predicates,
        target,
    })
}

fn name(text: &str) -> Name {
    text.parse().expect("is a name")
}

/// A service of one of `names` names.
fn service(names: usize, routes: usize) -> impl Strategy<Value = Routes> {
    let routes = prop::collection::vec(route(), 1..=routes);
    (0..names, hosts(), routes).prop_map(|(service, hosts, mut routes)| {
        for (n, route) in routes.iter_mut().enumerate() {
            route.name = name(&format!("r{n}"));
        }
        let service = name(&format!("s{service}"));
        ServiceRoutes {
            service,
            hosts,
            routes,
        }
    })
}

fn request() -> impl Strategy<Value = Request> {
    let hosts = vec![
        None,
        Some("io"),
        Some("x.io"),
        Some("k.x.io"),
        Some("a.b.k.x.io"),
        Some("y.io"),
        Some("z.com"),
        Some(".x.io"),
        Some("..io"),
        Some(""),
    ];
    let segment = select(vec!["a", "b", "ab", "c", "", "longer-than-8"]);
    let path =
        prop::collection::vec(segment, 1..6).prop_map(|parts| format!("/{}", parts.join("/")));
    let method = select(vec![Method::GET, Method::POST, purge(), Method::PUT]);
    let values = || subsequence(vec!["1", "2", "12"], 0..=2);
    let all = (method, select(hosts), path, values(), values(), values());
    all.prop_map(|(method, host, path, header, query, cookie)| Request {
        method,
        host,
        path,
        header,
        query,
        cookie,
    })
}

fn change() -> impl Strategy<Value = Change<u32>> {
    prop_oneof![
        4 => service(6, 6).prop_map(Change::Put),
        1 => (0..6_usize).prop_map(|n| Change::Remove(name(&format!("s{n}")))),
    ]
}

#[track_caller]
fn check(table: &RouteTable<u32>, services: &BTreeMap<Name, Routes>, requests: &[Request]) {
    let len: usize = services.values().map(|service| service.routes.len()).sum();
    assert_eq!(table.len(), len);
    for request in requests {
        assert_eq!(
            ask(table, request),
            naive(services.values(), request),
            "{request:?}"
        );
    }
}

fn by_name(services: Vec<Routes>) -> BTreeMap<Name, Routes> {
    services
        .into_iter()
        .map(|service| (service.service.clone(), service))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_table_answers_as_the_naive_matcher(
        services in prop::collection::vec(service(40, 8), 1..12),
        requests in prop::collection::vec(request(), 24),
    ) {
        let services = by_name(services);
        let table = RouteTable::empty().with(services.values().cloned().map(Change::Put));
        check(&table, &services, &requests);
    }

    /// Many patterns under few heads of few hosts, so that tails split into levels.
    #[test]
    fn a_crowded_table_answers_as_the_naive_matcher(
        mut services in prop::collection::vec(service(40, 30), 3..8),
        requests in prop::collection::vec(request(), 24),
    ) {
        services.iter_mut().for_each(|service| service.hosts.truncate(0));
        let services = by_name(services);
        let table = RouteTable::empty().with(services.values().cloned().map(Change::Put));
        check(&table, &services, &requests);
    }

    /// Whatever the way to it, a table is what its services are; and tables on the way stay as they
    /// were.
    #[test]
    fn changes_in_any_order_are_as_building_anew(
        changes in prop::collection::vec(change(), 1..24),
        requests in prop::collection::vec(request(), 8),
    ) {
        let mut services = BTreeMap::new();
        let mut states = vec![(RouteTable::empty(), services.clone())];
        for change in changes {
            match change.clone() {
                Change::Put(routes) => services.insert(routes.service.clone(), routes),
                Change::Remove(name) => services.remove(&name),
            };
            let table = states.last().expect("there is one").0.with([change]);
            states.push((table, services.clone()));
        }
        for (table, services) in &states {
            check(table, services, &requests);
        }
        let (last, services) = states.pop().expect("there is one");
        let anew = RouteTable::empty().with(services.values().rev().cloned().map(Change::Put));
        prop_assert_eq!(anew.to_string(), last.to_string());
        let emptied = last.with(services.into_keys().map(Change::Remove));
        prop_assert!(emptied.is_empty());
        requests.iter().for_each(|request| assert_eq!(ask(&emptied, request), Answer::NotFound));
    }
}
