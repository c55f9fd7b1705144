//! The routes that share a host and a path pattern, in the order they are tried.

use std::cmp::Reverse;
use std::sync::Arc;

use ferryway_model::Name;
use smallvec::SmallVec;

use crate::map::Vacant;
use crate::methods::{Allow, Methods};
use crate::precedence::Standing;
use crate::predicates;
use crate::request::RequestHead;
use crate::service::RouteSpec;
use crate::shape::Shape;

/// A route of a service, shared by all places where it is found.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) service: Name,
    pub(crate) spec: RouteSpec<T>,
}

/// A route at one of its places.
#[derive(Debug)]
pub(crate) struct Candidate<T> {
    methods: Methods,
    /// Whether it has predicates: most have none, and their entry need not be looked at.
    conditional: bool,
    entry: Arc<Entry<T>>,
}

/// Candidates, sorted by [`Standing`].
#[derive(Clone, Debug)]
pub(crate) struct Leaf<T>(SmallVec<[Candidate<T>; 1]>);

/// A change of one leaf of a service's.
#[derive(Debug)]
pub(crate) struct Edit<'e, T> {
    /// Which leaf, as seen from where the edit is.
    pub(crate) shape: Shape<'e>,
    /// What comes; none: the service's candidates go. All goings come before all comings.
    pub(crate) comes: Option<Candidate<T>>,
}

/// A search under way.
#[derive(Debug)]
pub(crate) struct Search<'r, 't> {
    head: &'r RequestHead<'r>,
    method: Methods,
    allow: Allow<'t>,
}

impl<T> Entry<T> {
    pub(crate) fn standing(&self) -> Standing<'_> {
        Standing {
            priority: Reverse(self.spec.priority),
            predicates: Reverse(self.spec.predicates.len()),
            service: &self.service,
            route: &self.spec.name,
        }
    }
}

impl<T> Candidate<T> {
    pub(crate) fn new(entry: &Arc<Entry<T>>) -> Self {
        Self {
            methods: Methods::of(&entry.spec.methods),
            conditional: !entry.spec.predicates.is_empty(),
            entry: Arc::clone(entry),
        }
    }
}

impl<T> Clone for Candidate<T> {
    fn clone(&self) -> Self {
        Self {
            methods: self.methods,
            conditional: self.conditional,
            entry: Arc::clone(&self.entry),
        }
    }
}

impl<T> Leaf<T> {
    pub(crate) fn edit(&mut self, service: &Name, comes: Option<&Candidate<T>>) {
        let Some(new) = comes else {
            self.0.retain(|old| old.entry.service != *service);
            return;
        };
        // Two paths of a route can have one shape.
        if !self.0.iter().any(|old| Arc::ptr_eq(&old.entry, &new.entry)) {
            let standing = new.entry.standing();
            let place = self
                .0
                .partition_point(|old| old.entry.standing() < standing);
            self.0.insert(place, new.clone());
        }
    }

    pub(crate) fn candidates(&self) -> impl Iterator<Item = &Candidate<T>> {
        self.0.iter()
    }
}

impl<T> Default for Leaf<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T: Clone> Vacant for Leaf<T> {
    fn is_vacant(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'r, 't> Search<'r, 't> {
    pub(crate) fn new(head: &'r RequestHead<'r>) -> Self {
        Self {
            head,
            method: Methods::one(head.method),
            allow: Allow::none(),
        }
    }

    /// The first candidate that takes the request. One that is passed over for its method alone is
    /// remembered.
    pub(crate) fn first<T>(&mut self, leaf: &'t Leaf<T>) -> Option<&'t T> {
        leaf.0.iter().find_map(|candidate| {
            let spec = &candidate.entry.spec;
            if candidate.conditional && !predicates::hold(&spec.predicates, self.head) {
                return None;
            }
            if candidate
                .methods
                .take(self.method, self.head.method, &spec.methods)
            {
                return Some(&spec.target);
            }
            self.allow.add(candidate.methods, &spec.methods);
            None
        })
    }

    /// The methods that would have been taken, if the search found nothing.
    pub(crate) fn allow(self) -> Allow<'t> {
        self.allow
    }
}
