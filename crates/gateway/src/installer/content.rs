//! What is installed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferryway_delivery::Service;
use ferryway_discovery::{Followed, Target};
use ferryway_model::{
    Binding, Definition, Digest, HostPattern, Keepalive, LoadBalancing, Name, Problem, Registry,
    Scheme, Sealed, VersionNumber,
};
use ferryway_proxy::Upstream;

/// What is installed: the registries of the group, and its services.
#[derive(Debug, Default)]
pub(crate) struct Content {
    registries: BTreeMap<Name, Arc<Sealed<Registry>>>,
    services: BTreeMap<Name, Arc<Running>>,
}

/// A service that is installed. Its definition is in the route table; here it is held as the
/// canonical bytes that it came as, which take a fifth of the room: they are read again when the
/// registry behind the service changes, and only then.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its name.
    pub(crate) name: Name,
    /// The version it runs; none: No Version.
    pub(crate) version: Option<VersionNumber>,
    /// Whether it serves.
    pub(crate) enabled: bool,
    /// The digest of its definition.
    pub(crate) definition: Digest,
    /// How many routes it has.
    pub(crate) routes: usize,
    /// The hosts that the group serves it under.
    pub(crate) hosts: Vec<HostPattern>,
    /// The group's half.
    pub(crate) binding: Arc<Sealed<Binding>>,
    /// Its upstream; none where it is disabled: it has no routes then.
    pub(crate) link: Option<Arc<Link>>,
    bytes: Box<[u8]>,
}

/// An upstream and what keeps its endpoints true.
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) identity: Identity,
    /// Lives as long as the link: it is followed for as long as somebody holds this.
    pub(crate) followed: Arc<Followed>,
    /// What routes point to.
    pub(crate) upstream: Arc<Upstream>,
}

/// What makes an upstream the same one. While it is equal, the object stays the same, and with it
/// pooled connections, turns, counters and health; timeouts, retries and `Host` are the routes'.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) scheme: Scheme,
    pub(super) target: Target,
    pub(super) load_balancing: LoadBalancing,
    pub(super) keepalive: Keepalive,
}

/// What another content has instead; none: it has no such thing.
#[derive(Clone, Debug, Default)]
pub(super) struct ContentChanges {
    pub(super) registries: BTreeMap<Name, Option<Arc<Sealed<Registry>>>>,
    pub(super) services: BTreeMap<Name, Option<Arc<Running>>>,
}

impl Running {
    pub(super) fn new(name: &Name, service: &Service, link: Option<Arc<Link>>) -> Self {
        let Service {
            version,
            enabled,
            definition,
            binding,
        } = service;
        Self {
            name: name.clone(),
            version: version.clone(),
            enabled: *enabled,
            definition: definition.digest,
            routes: definition.content.routes.len(),
            hosts: binding
                .content
                .effective_hosts(&definition.content)
                .to_vec(),
            binding: Arc::clone(binding),
            link,
            bytes: definition.bytes.clone(),
        }
    }

    /// What was delivered, read again.
    ///
    /// # Errors
    ///
    /// What is wrong with it: nothing, for it was read from these bytes before.
    pub(super) fn service(&self) -> Result<Service, Vec<Problem>> {
        Ok(Service {
            version: self.version.clone(),
            enabled: self.enabled,
            definition: Arc::new(Definition::from_canonical(&self.bytes)?),
            binding: Arc::clone(&self.binding),
        })
    }
}

impl Link {
    /// What is spoken to the upstream.
    pub(crate) fn scheme(&self) -> Scheme {
        self.identity.scheme
    }
}

impl Content {
    /// All services, by name.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Running>> {
        self.services.values()
    }

    pub(super) fn service(&self, name: &Name) -> Option<&Arc<Running>> {
        self.services.get(name)
    }

    pub(super) fn registry(&self, name: &Name) -> Option<&Arc<Sealed<Registry>>> {
        self.registries.get(name)
    }

    pub(super) fn apply(&mut self, changes: ContentChanges) {
        let ContentChanges {
            registries,
            services,
        } = changes;
        apply(&mut self.registries, registries);
        apply(&mut self.services, services);
    }
}

fn apply<T>(content: &mut BTreeMap<Name, T>, changes: BTreeMap<Name, Option<T>>) {
    for (name, change) in changes {
        match change {
            Some(new) => content.insert(name, new),
            None => content.remove(&name),
        };
    }
}
