//! Route conflicts: two enabled services of a group that precedence could not tell apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::binding::Binding;
use crate::definition::{Definition, Route, Sealed};
use crate::host::HostPattern;
use crate::name::Name;
use crate::path::{PathPattern, Segment};
use crate::predicate::Predicate;

/// The places that a group's enabled services claim: (host, path without parameter names). Kept
/// beside the view, so that a change is compared with what it meets only, not with every route.
#[derive(Clone, Debug, Default)]
pub struct RouteIndex {
    claims: HashMap<Place, Vec<Claim>>,
    places: BTreeMap<Name, Vec<Place>>,
}

/// A service as a conflict sees it: what it serves, under which hosts.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The definition that would run.
    pub definition: Arc<Sealed<Definition>>,
    /// Its hosts after the binding's; none means any.
    pub hosts: Vec<HostPattern>,
}

/// Two routes of different services that precedence could not tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConflict {
    /// The changed service.
    pub service: Name,
    /// Its route, by number.
    pub route: usize,
    /// The route's path pattern, by number.
    pub path: usize,
    /// The host they share; none: both have no hosts.
    pub host: Option<HostPattern>,
    /// The other service.
    pub other_service: Name,
    /// The other service's route.
    pub other_route: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    host: Option<HostPattern>,
    shape: Box<str>,
}

#[derive(Clone, Debug)]
struct Claim {
    service: Name,
    definition: Arc<Sealed<Definition>>,
    route: usize,
    path: usize,
}

impl Claimant {
    /// A service that would run this definition under this binding.
    #[must_use]
    pub fn of(definition: &Arc<Sealed<Definition>>, binding: &Binding) -> Self {
        Self {
            definition: Arc::clone(definition),
            hosts: binding.effective_hosts(&definition.content).to_vec(),
        }
    }
}

impl RouteIndex {
    /// Puts an enabled service in, in place of what it claimed before.
    pub fn put(&mut self, service: &Name, claimant: &Claimant) {
        self.remove(service);
        let mut places = Vec::new();
        for (place, claim) in claims(service, claimant) {
            self.claims.entry(place.clone()).or_default().push(claim);
            places.push(place);
        }
        self.places.insert(service.clone(), places);
    }

    /// Takes a service out, if it is in.
    pub fn remove(&mut self, service: &Name) {
        for place in self.places.remove(service).unwrap_or_default() {
            if let Some(claims) = self.claims.get_mut(&place) {
                claims.retain(|claim| claim.service != *service);
                if claims.is_empty() {
                    self.claims.remove(&place);
                }
            }
        }
    }

    /// The conflicts there would be if these services were changed, all together. A claimant that
    /// is none would be disabled or gone. At most one conflict is said for each pair of routes.
    #[must_use]
    pub fn conflicts(&self, changed: &BTreeMap<Name, Option<Claimant>>) -> Vec<RouteConflict> {
        let mut own: HashMap<Place, Vec<Claim>> = HashMap::new();
        let mut said = BTreeSet::new();
        let mut found = Vec::new();
        for (service, claimant) in changed {
            let Some(claimant) = claimant else { continue };
            for (place, claim) in claims(service, claimant) {
                let standing = self.claims.get(&place).into_iter().flatten();
                let standing = standing.filter(|other| !changed.contains_key(&other.service));
                let earlier = own
                    .get(&place)
                    .into_iter()
                    .flatten()
                    .filter(|other| other.service != *service);
                for other in standing
                    .chain(earlier)
                    .filter(|other| meet(claim.route(), other.route()))
                {
                    let pair = (
                        service.clone(),
                        claim.route,
                        other.service.clone(),
                        other.route,
                    );
                    if said.insert(pair) {
                        found.push(RouteConflict {
                            service: service.clone(),
                            route: claim.route,
                            path: claim.path,
                            host: place.host.clone(),
                            other_service: other.service.clone(),
                            other_route: other.route().name.clone(),
                        });
                    }
                }
                own.entry(place).or_default().push(claim);
            }
        }
        found
    }
}

impl Claim {
    fn route(&self) -> &Route {
        &self.definition.content.routes[self.route]
    }
}

fn claims<'a>(
    service: &'a Name,
    claimant: &'a Claimant,
) -> impl Iterator<Item = (Place, Claim)> + 'a {
    let Claimant { definition, hosts } = claimant;
    let hosts: Vec<Option<HostPattern>> = if hosts.is_empty() {
        vec![None]
    } else {
        hosts.iter().cloned().map(Some).collect()
    };
    let paths = definition
        .content
        .routes
        .iter()
        .enumerate()
        .flat_map(|(number, route)| {
            route
                .paths
                .iter()
                .enumerate()
                .map(move |(path, pattern)| (number, path, pattern))
        });
    paths.flat_map(move |(route, path, pattern)| {
        let shape: Box<str> = shape(&pattern.under(&definition.content.base_path)).into();
        hosts.clone().into_iter().map(move |host| {
            let claim = Claim {
                service: service.clone(),
                definition: definition.clone(),
                route,
                path,
            };
            (
                Place {
                    host,
                    shape: shape.clone(),
                },
                claim,
            )
        })
    })
}

/// A path pattern without its parameters' names.
fn shape(pattern: &PathPattern) -> String {
    let mut shape = String::new();
    for segment in pattern.segments() {
        match segment {
            Segment::Literal(text) => {
                write!(shape, "/{text}").expect("writing to a string succeeds")
            }
            Segment::Parameter(_) => shape.push_str("/{}"),
        }
    }
    if pattern.is_prefix() {
        shape.push_str("/*");
    }
    shape
}

/// Whether one request could match both routes with equal precedence, their hosts and paths equal.
fn meet(a: &Route, b: &Route) -> bool {
    let methods = a.methods.is_empty()
        || b.methods.is_empty()
        || a.methods.iter().any(|m| b.methods.contains(m));
    let excluded = |p: &Predicate| b.predicates.iter().any(|q| p.excludes(q));
    methods
        && a.priority == b.priority
        && a.predicates.len() == b.predicates.len()
        && !a.predicates.iter().any(excluded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn claimant(route: &Value, hosts: &[&str]) -> Claimant {
        let mut route = route.clone();
        route["name"] = json!("r");
        let body = json!({"name": "s", "routes": [route]});
        let definition = Definition::parse(&body, None).unwrap_or_else(|p| panic!("{p:?}"));
        let hosts = hosts
            .iter()
            .map(|h| h.parse().expect("is a host"))
            .collect();
        Claimant {
            definition: Arc::new(definition),
            hosts,
        }
    }

    #[track_caller]
    fn check(a: (&Value, &[&str]), b: (&Value, &[&str]), expect: bool) {
        let name = |text: &str| text.parse::<Name>().expect("is a name");
        let (a, b) = (claimant(a.0, a.1), claimant(b.0, b.1));
        let mut index = RouteIndex::default();
        index.put(&name("a"), &a);
        let alone = index.conflicts(&BTreeMap::from([(name("b"), Some(b.clone()))]));
        let both = BTreeMap::from([(name("a"), Some(a)), (name("b"), Some(b))]);
        let together = RouteIndex::default().conflicts(&both);
        assert_eq!(
            (!alone.is_empty(), !together.is_empty()),
            (expect, expect),
            "{alone:?} {together:?}"
        );
        // Replacing or removing the standing one ends the conflict.
        index.remove(&name("a"));
        assert!(index.claims.is_empty() && index.places.is_empty());
    }

    #[test]
    fn what_precedence_cannot_tell_apart() {
        let path = |paths: &[&str]| json!({"paths": paths});
        check((&path(&["/a"]), &[]), (&path(&["/a"]), &[]), true);
        check(
            (&path(&["/a/{x}"]), &[]),
            (&path(&["/b", "/a/{y}"]), &[]),
            true,
        );
        check((&path(&["/a/*"]), &[]), (&path(&["/a/{y}"]), &[]), false);
        check((&path(&["/a"]), &["x.io"]), (&path(&["/a"]), &[]), false);
        check(
            (&path(&["/a"]), &["x.io", "y.io"]),
            (&path(&["/a"]), &["y.io"]),
            true,
        );
        check(
            (&path(&["/a"]), &["*.x.io"]),
            (&path(&["/a"]), &["k.x.io"]),
            false,
        );
    }

    #[test]
    fn methods_priority_and_predicates() {
        let with = |more: Value| {
            let mut route = json!({"paths": ["/a"]});
            route
                .as_object_mut()
                .expect("an object")
                .extend(more.as_object().expect("an object").clone());
            route
        };
        let pairs = [
            (
                json!({"methods": ["GET"]}),
                json!({"methods": ["PUT"]}),
                false,
            ),
            (json!({"methods": ["GET"]}), json!({}), true),
            (json!({"priority": 1}), json!({}), false),
            (
                json!({"match": [{"header": "x", "op": "exists"}]}),
                json!({}),
                false,
            ),
            (
                json!({"match": [{"header": "x", "op": "equals", "value": "1"}]}),
                json!({"match": [{"header": "X", "op": "equals", "value": "2"}]}),
                false,
            ),
            (
                json!({"match": [{"header": "x", "op": "equals", "value": "1"}]}),
                json!({"match": [{"header": "x", "op": "in", "value": ["1", "2"]}]}),
                true,
            ),
            (
                json!({"match": [{"header": "x", "op": "exists"}]}),
                json!({"match": [{"header": "x", "op": "absent"}]}),
                false,
            ),
            (
                json!({"match": [{"header": "x", "op": "exists"}]}),
                json!({"match": [{"query": "x", "op": "exists"}]}),
                true,
            ),
        ];
        for (a, b, expect) in pairs {
            check((&with(a), &[]), (&with(b), &[]), expect);
        }
    }
}
