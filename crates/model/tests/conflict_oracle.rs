//! Route conflicts against two oracles: the definition, word by word, over all pairs of routes; and
//! requests, of which none may find two services with equal precedence where no conflict is said.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferryway_model::{
    BasePath, Claimant, Definition, End, HostPattern, Name, Op, PathPattern, Predicate, Route,
    RouteIndex, Segment, Source,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

/// "Some host pattern is the same, or both have none."
fn hosts_meet(a: &Claimant, b: &Claimant) -> bool {
    match (a.hosts.is_empty(), b.hosts.is_empty()) {
        (true, true) => true,
        (false, false) => a.hosts.iter().any(|host| b.hosts.contains(host)),
        _ => false,
    }
}

/// "Path patterns, after `base_path`, are the same but for parameter names."
fn is_same_path(a: &PathPattern, b: &PathPattern) -> bool {
    let is_same = |pair: (&Segment, &Segment)| match pair {
        (Segment::Literal(a), Segment::Literal(b)) => a == b,
        (Segment::Parameter(_), Segment::Parameter(_)) => true,
        _ => false,
    };
    a.end() == b.end()
        && a.segments().len() == b.segments().len()
        && a.segments().iter().zip(b.segments()).all(is_same)
}

/// "Method sets meet."
fn methods_meet(a: &Route, b: &Route) -> bool {
    a.methods.is_empty()
        || b.methods.is_empty()
        || a.methods.iter().any(|method| b.methods.contains(method))
}

/// "The same header, query or cookie must `equals`/`in` values with none in common, or one says
/// `exists` and the other `absent`."
fn exclude(a: &Predicate, b: &Predicate) -> bool {
    let values = |op: &Op| match op {
        Op::Equals(value) => Some(BTreeSet::from([value.clone()])),
        Op::In(values) => Some(values.clone()),
        _ => None,
    };
    let opposite = matches!(
        (&a.op, &b.op),
        (Op::Exists, Op::Absent) | (Op::Absent, Op::Exists)
    );
    let disjoint = match (values(&a.op), values(&b.op)) {
        (Some(a), Some(b)) => a.intersection(&b).next().is_none(),
        _ => false,
    };
    a.source == b.source && (opposite || disjoint)
}

fn routes_conflict(a: (&BasePath, &Route), b: (&BasePath, &Route)) -> bool {
    let ((a_base, a), (b_base, b)) = (a, b);
    let under = |base: &BasePath, route: &Route| -> Vec<_> {
        let paths = route.paths.iter();
        paths.flat_map(|path| path.under(base)).collect()
    };
    let (a_paths, b_paths) = (under(a_base, a), under(b_base, b));
    let excluded = |p: &Predicate| b.predicates.iter().any(|q| exclude(p, q));
    a_paths
        .iter()
        .any(|a| b_paths.iter().any(|b| is_same_path(a, b)))
        && methods_meet(a, b)
        && a.priority == b.priority
        && a.predicates.len() == b.predicates.len()
        && !a.predicates.iter().any(excluded)
}

/// The pairs of routes that conflict, by their services' and their own names.
fn naive(changed: &Claimant, others: &BTreeMap<Name, Claimant>) -> BTreeSet<(Name, Name, Name)> {
    let mut found = BTreeSet::new();
    let mine = &changed.definition.content;
    for (name, other) in others
        .iter()
        .filter(|(_, other)| hosts_meet(changed, other))
    {
        let theirs = &other.definition.content;
        for a in &mine.routes {
            for b in &theirs.routes {
                if routes_conflict((&mine.base_path, a), (&theirs.base_path, b)) {
                    found.insert((a.name.clone(), name.clone(), b.name.clone()));
                }
            }
        }
    }
    found
}

/// A request with at most one value of each name: of several, each predicate may take its own, and
/// the definition leaves that case out on purpose.
struct Request {
    method: &'static str,
    host: Option<&'static str>,
    path: &'static str,
    header: Option<&'static str>,
    query: Option<&'static str>,
}

type Precedence = ((u8, Reverse<usize>), Vec<u8>, Reverse<i32>, Reverse<usize>);

/// Every way in which a service would answer a request, by all of precedence but the names.
fn ways(claimant: &Claimant, request: &Request) -> BTreeSet<Precedence> {
    let mut ways = BTreeSet::new();
    let definition = &claimant.definition.content;
    let hosts: Vec<Option<&HostPattern>> = match claimant.hosts.is_empty() {
        true => vec![None],
        false => claimant.hosts.iter().map(Some).collect(),
    };
    let asked = |host: &Option<&HostPattern>| {
        host.is_none_or(|host| request.host.is_some_and(|asked| host.matches(asked)))
    };
    for host in hosts.into_iter().filter(asked) {
        let host = match host {
            Some(HostPattern::Exact(_)) => (0, Reverse(0)),
            Some(HostPattern::Suffix(suffix)) => (1, Reverse(suffix.as_str().len())),
            None => (2, Reverse(0)),
        };
        for route in definition.routes.iter().filter(|r| takes(r, request)) {
            let paths = route.paths.iter();
            for path in paths.flat_map(|path| path.under(&definition.base_path)) {
                if path.matches(request.path) {
                    let kinds = path.segments().iter().map(|segment| match segment {
                        Segment::Literal(_) => 0,
                        Segment::Parameter(_) => 1,
                    });
                    let open = path.end() != End::Here;
                    let kinds = kinds.chain(open.then_some(2)).collect();
                    let rest = (Reverse(route.priority), Reverse(route.predicates.len()));
                    ways.insert((host, kinds, rest.0, rest.1));
                }
            }
        }
    }
    ways
}

fn takes(route: &Route, request: &Request) -> bool {
    let method = route.methods.is_empty()
        || route
            .methods
            .iter()
            .any(|method| method.as_str() == request.method);
    method
        && route.predicates.iter().all(|predicate| {
            let value = match &predicate.source {
                Source::Header(_) => request.header,
                Source::Query(_) | Source::Cookie(_) => request.query,
            };
            predicate.op.holds(value.into_iter())
        })
}

/// Every request of a small world.
fn requests() -> Vec<Request> {
    const PATHS: [&str; 9] = [
        "/", "/a", "/b", "/a/", "/a/a", "/a/b", "/b/a", "/a/a/b", "/a/b/a",
    ];
    let mut all = Vec::new();
    for method in ["GET", "POST", "PUT"] {
        for host in [None, Some("x.io"), Some("k.x.io"), Some("y.io")] {
            for path in PATHS {
                for header in [None, Some("1"), Some("2")] {
                    for query in [None, Some("1"), Some("2")] {
                        all.push(Request {
                            method,
                            host,
                            path,
                            header,
                            query,
                        });
                    }
                }
            }
        }
    }
    all
}

fn predicate() -> impl Strategy<Value = Value> {
    let ops = vec![
        json!({"op": "equals", "value": "1"}),
        json!({"op": "equals", "value": "2"}),
        json!({"op": "in", "value": ["1", "2"]}),
        json!({"op": "in", "value": ["2", "3"]}),
        json!({"op": "not_equals", "value": "1"}),
        json!({"op": "prefix", "value": "1"}),
        json!({"op": "exists"}),
        json!({"op": "absent"}),
    ];
    (select(vec!["header", "query"]), select(ops)).prop_map(|(source, mut op)| {
        op[source] = json!("h");
        op
    })
}

fn route() -> impl Strategy<Value = Value> {
    let paths = vec![
        "/", "/a", "/b", "/a/b", "/{p}", "/{q}", "/{p}/a", "/a/{p}", "/{p}/{q}", "/*", "/a/*",
        "/{p}/*",
    ];
    (
        subsequence(paths, 1..=2),
        subsequence(vec!["GET", "POST"], 0..=2),
        0..=1,
        prop_oneof![Just(vec![]), prop::collection::vec(predicate(), 1..=2)],
    )
        .prop_map(|(paths, methods, priority, mut predicates)| {
            // What could never match is refused.
            if let [a, b] = &predicates[..] {
                let absent = [a, b].iter().any(|it| it["op"] == "absent");
                if absent && a.get("header").is_some() == b.get("header").is_some() {
                    predicates.truncate(1);
                }
            }
            json!({"paths": paths, "methods": methods, "priority": priority, "match": predicates})
        })
}

fn claimant() -> impl Strategy<Value = Claimant> {
    let hosts = subsequence(vec!["x.io", "k.x.io", "*.x.io", "*.io"], 0..=2);
    let base = select(vec!["", "", "/a"]);
    let routes = prop::collection::vec(route(), 1..=4);
    (hosts, base, routes).prop_map(|(hosts, base, mut routes)| {
        for (n, route) in routes.iter_mut().enumerate() {
            route["name"] = json!(format!("r{n}"));
        }
        let body = json!({"name": "s", "hosts": hosts, "base_path": base, "routes": routes});
        let definition = Definition::parse(&body, None).expect("is a definition");
        Claimant {
            hosts: definition.content.hosts.clone(),
            definition: Arc::new(definition),
        }
    })
}

fn service(number: usize) -> Name {
    format!("s{number}").parse().expect("is a name")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The index, however it came to what it holds, says what the definition says.
    #[test]
    fn the_index_says_what_the_definition_says(
        changes in prop::collection::vec((0..4_usize, prop::option::weighted(0.8, claimant())), 0..8),
        changed in claimant(),
    ) {
        let mut index = RouteIndex::default();
        let mut standing = BTreeMap::new();
        for (number, claimant) in changes {
            let name = service(number);
            match claimant {
                Some(claimant) => {
                    index.put(&name, claimant.places());
                    standing.insert(name, claimant);
                }
                None => {
                    index.remove(&name);
                    standing.remove(&name);
                }
            }
        }
        // The changed service stands already, as something else: that counts no more.
        let name = service(0);
        let change = BTreeMap::from([(name.clone(), Some(changed.clone()))]);
        let conflicts = index.conflicts(&change, |name| standing.get(name).cloned());
        standing.remove(&name);
        let routes = &changed.definition.content.routes;
        let said: Vec<_> = conflicts
            .into_iter()
            .map(|c| (routes[c.route].name.clone(), c.other_service, c.other_route))
            .collect();
        let once: BTreeSet<_> = said.iter().cloned().collect();
        prop_assert_eq!(said.len(), once.len(), "each pair once");
        prop_assert_eq!(once, naive(&changed, &standing));
    }

    /// Where no conflict is said, precedence tells the two services apart for every request.
    #[test]
    fn without_a_conflict_no_request_finds_two_services_equal(a in claimant(), b in claimant()) {
        let both = BTreeMap::from([(service(0), Some(a.clone())), (service(1), Some(b.clone()))]);
        if !RouteIndex::default().conflicts(&both, |_| None).is_empty() {
            return Ok(());
        }
        for request in requests() {
            let (a, b) = (ways(&a, &request), ways(&b, &request));
            prop_assert!(a.is_disjoint(&b), "{:?} {:?} {:?}", request.host, request.method, request.path);
        }
    }
}
