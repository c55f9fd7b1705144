//! Route conflicts: two enabled services of a group that precedence could not tell apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use crate::binding::Binding;
use crate::definition::{Definition, Route, Sealed};
use crate::host::HostPattern;
use crate::name::Name;
use crate::path::{End, PathPattern, Segment};
use crate::predicate::Predicate;

/// Who claims which place in a group: (host, path without parameter names), of its enabled services.
/// Kept beside the view, so that a change is compared with what it meets only, not with every route.
///
/// It holds a number for each place and the names of those who are there, and not what they claim:
/// a group may have a million places, and all but a few are never met.
#[derive(Clone, Debug, Default)]
pub struct RouteIndex {
    claims: BTreeMap<PlaceNumber, Claimants>,
    places: BTreeMap<Name, Places>,
}

/// The places that a service claims, as an index keeps them. Cheap to clone, and the same in all
/// groups where it is served under the same hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Arc<[PlaceNumber]>);

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

/// The hash of a place. Two places may have the same: whoever meets looks at the places themselves.
type PlaceNumber = u64;

/// The services that claim one place.
#[derive(Clone, Debug)]
#[expect(
    clippy::box_collection,
    reason = "several are rare: boxed, they leave the size of the one that there is"
)]
enum Claimants {
    One(Name),
    Several(Box<BTreeSet<Name>>),
}

#[derive(Clone, Debug)]
struct Claim {
    service: Name,
    definition: Arc<Sealed<Definition>>,
    route: usize,
    path: usize,
}

/// Equal if what they claim is. Digests are compared, not what definitions say.
impl PartialEq for Claimant {
    fn eq(&self, other: &Self) -> bool {
        self.definition.digest == other.definition.digest && self.hosts == other.hosts
    }
}

impl Eq for Claimant {}

impl Claimant {
    /// A service that would run this definition under this binding.
    #[must_use]
    pub fn of(definition: &Arc<Sealed<Definition>>, binding: &Binding) -> Self {
        Self {
            definition: Arc::clone(definition),
            hosts: binding.effective_hosts(&definition.content).to_vec(),
        }
    }

    /// The places it claims.
    #[must_use]
    pub fn places(&self) -> Places {
        let mut numbers: Vec<_> = places(self).map(|(place, ..)| place.number()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Places(numbers.into())
    }
}

impl RouteIndex {
    /// Puts an enabled service in, in place of what it claimed before.
    pub fn put(&mut self, service: &Name, places: Places) {
        self.remove(service);
        for place in places.0.iter() {
            self.claims
                .entry(*place)
                .and_modify(|claimants| claimants.insert(service))
                .or_insert_with(|| Claimants::One(service.clone()));
        }
        self.places.insert(service.clone(), places);
    }

    /// Takes a service out, if it is in.
    pub fn remove(&mut self, service: &Name) {
        let Some(places) = self.places.remove(service) else {
            return;
        };
        for place in places.0.iter() {
            let empty = self
                .claims
                .get_mut(place)
                .is_some_and(|it| it.remove(service));
            if empty {
                self.claims.remove(place);
            }
        }
    }

    /// The conflicts there would be if these services were changed, all together. A claimant that
    /// is none would be disabled or gone. `standing` says what a service that was put in claims.
    /// At most one conflict is said for each pair of routes.
    #[must_use]
    pub fn conflicts(
        &self,
        changed: &BTreeMap<Name, Option<Claimant>>,
        standing: impl Fn(&Name) -> Option<Claimant>,
    ) -> Vec<RouteConflict> {
        let mut met: HashMap<&Name, HashMap<Place, Vec<Claim>>> = HashMap::new();
        let mut own: HashMap<Place, Vec<Claim>> = HashMap::new();
        let mut said = BTreeSet::new();
        let mut found = Vec::new();
        for (service, claimant) in changed {
            let Some(claimant) = claimant else { continue };
            for (place, claim) in claims(service, claimant) {
                let there = self.claims.get(&place.number());
                let there = there.into_iter().flat_map(Claimants::iter);
                let there: Vec<&Name> = there.filter(|it| !changed.contains_key(*it)).collect();
                for other in &there {
                    met.entry(*other)
                        .or_insert_with(|| by_place(other, standing(other).as_ref()));
                }
                let stands = there.iter().filter_map(|other| met.get(other)?.get(&place));
                let earlier = own
                    .get(&place)
                    .into_iter()
                    .flatten()
                    .filter(|other| other.service != *service);
                for other in stands
                    .flatten()
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

impl Place {
    fn number(&self) -> PlaceNumber {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl Claimants {
    fn iter(&self) -> impl Iterator<Item = &Name> {
        let (one, several) = match self {
            Self::One(one) => (Some(one), None),
            Self::Several(several) => (None, Some(several.iter())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    fn insert(&mut self, service: &Name) {
        match self {
            Self::One(one) if one == service => {}
            Self::One(one) => {
                let both = BTreeSet::from([one.clone(), service.clone()]);
                *self = Self::Several(Box::new(both));
            }
            Self::Several(several) => drop(several.insert(service.clone())),
        }
    }

    /// Takes a service out; says whether nobody is left.
    fn remove(&mut self, service: &Name) -> bool {
        match self {
            Self::One(one) => one == service,
            Self::Several(several) => {
                several.remove(service);
                several.is_empty()
            }
        }
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
    places(claimant).map(|(place, route, path)| {
        let claim = Claim {
            service: service.clone(),
            definition: claimant.definition.clone(),
            route,
            path,
        };
        (place, claim)
    })
}

/// What a service claims, by place.
fn by_place(service: &Name, claimant: Option<&Claimant>) -> HashMap<Place, Vec<Claim>> {
    let mut all: HashMap<Place, Vec<Claim>> = HashMap::new();
    for (place, claim) in claimant.into_iter().flat_map(|it| claims(service, it)) {
        all.entry(place).or_default().push(claim);
    }
    all
}

/// The places of a claimant, each with the numbers of a route and of its path pattern.
fn places(claimant: &Claimant) -> impl Iterator<Item = (Place, usize, usize)> {
    let Claimant { definition, hosts } = claimant;
    let hosts: Vec<Option<HostPattern>> = if hosts.is_empty() {
        vec![None]
    } else {
        hosts.iter().cloned().map(Some).collect()
    };
    let routes = definition.content.routes.iter().enumerate();
    let paths = routes.flat_map(|(number, route)| {
        let paths = route.paths.iter().enumerate();
        paths.map(move |(path, pattern)| (number, path, pattern))
    });
    paths.flat_map(move |(route, path, pattern)| {
        let under = pattern.under(&definition.content.base_path);
        let shapes: Vec<Box<str>> = under.map(|pattern| shape(&pattern).into()).collect();
        let places = hosts.clone().into_iter().flat_map(move |host| {
            let shapes = shapes.clone().into_iter();
            shapes.map(move |shape| Place {
                host: host.clone(),
                shape,
            })
        });
        places.map(move |place| (place, route, path))
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
    shape.push_str(match pattern.end() {
        End::Here => "",
        End::Below => "/*",
        // No literal has a star.
        End::Bare => "*",
    });
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
        index.put(&name("a"), a.places());
        let changed = BTreeMap::from([(name("b"), Some(b.clone()))]);
        let alone = index.conflicts(&changed, |_| Some(a.clone()));
        let both = BTreeMap::from([(name("a"), Some(a)), (name("b"), Some(b))]);
        let together = RouteIndex::default().conflicts(&both, |_| None);
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

    /// The base path alone is the path `/` of a service, and a less specific one of its `/*`.
    #[test]
    fn base_paths_alone() {
        let based = |base: &str, path: &str| {
            let route = json!({"name": "r", "paths": [path]});
            let body = json!({"name": "s", "base_path": base, "routes": [route]});
            let definition = Definition::parse(&body, None).unwrap_or_else(|p| panic!("{p:?}"));
            Claimant {
                definition: Arc::new(definition),
                hosts: Vec::new(),
            }
        };
        let name = |text: &str| text.parse::<Name>().expect("is a name");
        for (a, b, expect) in [
            (("/api", "/"), ("", "/api"), true),
            (("/api", "/*"), ("", "/api"), false),
            (("/api", "/*"), ("/api", "/*"), true),
            (("/api", "/*"), ("/api", "/"), false),
            (("/api", "/a/*"), ("/api", "/a"), false),
            (("/api", "/"), ("", "/api/"), true),
        ] {
            let mut index = RouteIndex::default();
            let standing = based(a.0, a.1);
            index.put(&name("a"), standing.places());
            let changed = BTreeMap::from([(name("b"), Some(based(b.0, b.1)))]);
            let found = index.conflicts(&changed, |_| Some(standing.clone()));
            assert_eq!(!found.is_empty(), expect, "{a:?} {b:?} {found:?}");
        }
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
