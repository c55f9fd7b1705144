//! The route table.

use std::fmt;
use std::sync::Arc;

use ferryway_model::{HostPattern, Name, PathPattern};

use crate::hash;
use crate::hosts::Hosts;
use crate::leaf::{Candidate, Edit, Entry, Search};
use crate::map::{Map, Vacant};
use crate::methods::Allow;
use crate::precedence::{Host, Precedence};
use crate::request::RequestHead;
use crate::service::ServiceRoutes;
use crate::shape::Shape;

/// The routes of a group's services, each with a target of the caller's.
///
/// A table never changes. [`with`](Self::with) makes another one that shares all it can; a clone
/// shares everything and costs nothing to speak of.
#[derive(Clone)]
pub struct RouteTable<T> {
    hosts: Hosts<T>,
    services: Map<Kept<T>>,
    len: usize,
}

/// What is different in another table.
#[derive(Clone, Debug)]
pub enum Change<T> {
    /// The service has these routes, and no others.
    Put(ServiceRoutes<T>),
    /// The service has no routes.
    Remove(Name),
}

/// What a table says of a request.
#[derive(Clone, Debug)]
pub enum Found<'t, T> {
    /// The target of the route that answers.
    Route(&'t T),
    /// Routes match, and were passed over for their method alone.
    MethodNotAllowed(Allow<'t>),
    /// No route matches.
    NotFound,
}

/// A service as it was put, to find its places again.
#[derive(Debug)]
struct Service<T> {
    hosts: Vec<HostPattern>,
    routes: Vec<Arc<Entry<T>>>,
}

/// A service that the table has, or none.
#[derive(Clone, Debug)]
struct Kept<T>(Option<Arc<Service<T>>>);

impl<T: Clone> RouteTable<T> {
    /// A table without routes.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            hosts: Hosts::default(),
            services: Map::default(),
            len: 0,
        }
    }

    /// How many routes there are, each counted once, however many hosts and paths it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no route.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A table with these changes, one after the other. It costs what the changed services cost,
    /// whatever else the table holds, and shares everything else with this one.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = Change<T>>) -> Self {
        let mut table = self.clone();
        for change in changes {
            match change {
                Change::Put(routes) => {
                    let (name, service) = Service::new(routes);
                    table.replace(&name, Some(&Arc::new(service)));
                }
                Change::Remove(name) => table.replace(&name, None),
            }
        }
        table
    }

    /// Which route answers a request, by the precedence of hosts, paths, priorities, predicates and
    /// names. A route whose method or predicates fail is passed over for the next.
    #[must_use]
    pub fn find<'t>(&'t self, head: &RequestHead<'_>) -> Found<'t, T> {
        // `OPTIONS *` asks for no path.
        if !head.path.starts_with('/') {
            return Found::NotFound;
        }
        let mut search = Search::new(head);
        if let Some(target) = self.hosts.find(head.host, head.path, &mut search) {
            return Found::Route(target);
        }
        let allow = search.allow();
        if allow.is_none() {
            Found::NotFound
        } else {
            Found::MethodNotAllowed(allow)
        }
    }

    fn replace(&mut self, name: &Name, new: Option<&Arc<Service<T>>>) {
        let hash = hash::of(name.as_str());
        let mut old = None;
        self.services.edit(hash, name.as_str(), |kept| {
            old = std::mem::replace(&mut kept.0, new.cloned());
        });
        let (old, new) = (old.as_deref(), new.map(Arc::as_ref));
        let routes = |service: Option<&Service<T>>| service.map_or(0, |it| it.routes.len());
        self.len = self.len - routes(old) + routes(new);

        let mut hosts: Vec<_> = [old, new]
            .into_iter()
            .flatten()
            .flat_map(Service::hosts)
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            let under = |service: &&Service<T>| service.hosts().any(|it| it == host);
            let goes = old.filter(under).into_iter().flat_map(Service::goes);
            let comes = new.filter(under).into_iter().flat_map(Service::comes);
            self.hosts.edit(host, name, goes.chain(comes).collect());
        }
    }
}

impl<T> Service<T> {
    fn new(routes: ServiceRoutes<T>) -> (Name, Self) {
        let ServiceRoutes {
            service: name,
            hosts,
            routes,
        } = routes;
        let entry = |spec| {
            Arc::new(Entry {
                service: name.clone(),
                spec,
            })
        };
        let routes = routes.into_iter().map(entry).collect();
        (name, Self { hosts, routes })
    }

    /// The hosts it is found under: its own, or any.
    fn hosts(&self) -> impl Iterator<Item = Option<&HostPattern>> {
        let any = self.hosts.is_empty().then_some(None);
        self.hosts.iter().map(Some).chain(any)
    }

    fn places(&self) -> impl Iterator<Item = (&Arc<Entry<T>>, Shape<'_>)> {
        self.routes.iter().flat_map(|entry| {
            let shapes = entry.spec.paths.iter().map(Shape::of);
            shapes.map(move |shape| (entry, shape))
        })
    }

    fn goes(&self) -> impl Iterator<Item = Edit<'_, T>> {
        self.places().map(|(_, shape)| Edit { shape, comes: None })
    }

    fn comes(&self) -> impl Iterator<Item = Edit<'_, T>> {
        self.places().map(|(entry, shape)| Edit {
            shape,
            comes: Some(Candidate::new(entry)),
        })
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone> Vacant for Kept<T> {
    fn is_vacant(&self) -> bool {
        self.0.is_none()
    }
}

/// One line for each host and path of each route, in the order in which they are tried where they
/// match: `k.x.io/users/{id} GET,HEAD +5 2 predicates: users/by-id`.
impl<T: Clone> fmt::Display for RouteTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::with_capacity(self.len);
        self.services.for_each(|kept| {
            let service = kept.0.as_deref();
            for host in service.into_iter().flat_map(Service::hosts) {
                for entry in service.into_iter().flat_map(|it| &it.routes) {
                    for path in &entry.spec.paths {
                        let precedence = Precedence {
                            host: Host::from(host),
                            path: Shape::of(path),
                            standing: entry.standing(),
                        };
                        lines.push((precedence, host, path, entry));
                    }
                }
            }
        });
        lines.sort_by_key(|(precedence, ..)| *precedence);
        for (_, host, path, entry) in lines {
            write_line(f, host, path, entry)?;
        }
        Ok(())
    }
}

fn write_line<T>(
    f: &mut fmt::Formatter<'_>,
    host: Option<&HostPattern>,
    path: &PathPattern,
    entry: &Entry<T>,
) -> fmt::Result {
    let Entry { service, spec } = entry;
    match host {
        Some(host) => write!(f, "{host}{path}")?,
        None => write!(f, "{path}")?,
    }
    for (n, method) in spec.methods.iter().enumerate() {
        write!(f, "{}{method}", if n == 0 { ' ' } else { ',' })?;
    }
    if spec.priority != 0 {
        write!(f, " {:+}", spec.priority)?;
    }
    match spec.predicates.len() {
        0 => {}
        1 => f.write_str(" 1 predicate")?,
        n => write!(f, " {n} predicates")?,
    }
    writeln!(f, ": {service}/{}", spec.name)
}

impl<T> fmt::Debug for RouteTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A table can have 100,000 routes.
        f.debug_struct("RouteTable")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
