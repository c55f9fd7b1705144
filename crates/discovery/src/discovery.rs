//! All targets of a gateway.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ferryway_balance::LiveEndpoints;
use ferryway_model::DnsQuery;
use ferryway_runtime::{Backoff, Clock, Random, Tasks};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::follow::{Follow, Rules};
use crate::followed::{Followed, Follower, Status};
use crate::kept::{Keep, Kept};
use crate::resolver::{For, Resolver};
use crate::target::Target;

/// Follows targets; one per gateway. Its tasks run on the runtime it was made in.
#[derive(Debug)]
pub struct Discovery {
    settings: Settings,
    keep: Arc<dyn Keep>,
    tasks: Tasks,
    runtime: Handle,
    clock: Clock,
    random: Mutex<Random>,
    resolver: Arc<Resolver>,
    known: Mutex<Known>,
}

/// What is being followed, and by which servers' word; both for as long as somebody holds it.
#[derive(Debug, Default)]
struct Known {
    followed: HashMap<Target, Weak<Followed>>,
    resolvers: HashMap<Vec<SocketAddr>, Weak<Resolver>>,
    /// How many there may be before those that nobody holds are looked for.
    prune_at: usize,
}

/// How names are resolved where a registry does not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Servers to ask; none: the system's, with its hosts file and search domains.
    pub dns_servers: Vec<SocketAddr>,
    /// The least and the most time after which the name of a node is resolved again.
    pub node_ttl: RangeInclusive<Duration>,
    /// The first and the longest wait after a failure (each drawn between nothing and this).
    pub retry: RangeInclusive<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dns_servers: Vec::new(),
            node_ttl: Duration::from_secs(1)..=Duration::from_secs(300),
            retry: Duration::from_secs(1)..=Duration::from_secs(30),
        }
    }
}

impl Discovery {
    /// Follows nothing yet. `keep` is where last good answers outlive the process.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(
        settings: Settings,
        keep: Arc<dyn Keep>,
        tasks: &Tasks,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            resolver: Arc::new(Resolver::new(&settings.dns_servers)),
            settings,
            keep,
            tasks: tasks.child("discovery"),
            runtime: Handle::current(),
            clock,
            random: Mutex::new(random),
            known: Mutex::default(),
        }
    }

    /// Follows a target, from any thread. Who asks for one that is being followed shares it.
    ///
    /// Endpoints that need no answer (addresses, and what was kept) are there when this returns.
    pub fn follow(&self, target: Target) -> Arc<Followed> {
        let mut known = lock(&self.known);
        if let Some(followed) = known.followed.get(&target).and_then(Weak::upgrade) {
            return followed;
        }
        known.prune();
        let resolver = match &target {
            Target::Dns { servers, .. } if !servers.is_empty() => known.resolver(servers),
            Target::Dns { .. } | Target::Nodes { .. } => Arc::clone(&self.resolver),
        };
        let followed = Arc::new(self.start(&target, resolver));
        known.followed.insert(target, Arc::downgrade(&followed));
        followed
    }

    fn start(&self, target: &Target, resolver: Arc<Resolver>) -> Followed {
        let asker = match target {
            Target::Dns { .. } => For::Registry,
            Target::Nodes { .. } => For::Node,
        };
        let random = Random::seeded(lock(&self.random).next_u64());
        let load = |key: &str| Kept::decode(&self.keep.load(key)?);
        let follow = Follow::new(target, self.rules(target), random, Instant::now(), load);
        let nothing_to_ask = follow.is_settled_for_good();
        let mut follower = Follower {
            follow,
            resolver,
            asker,
            keep: Arc::clone(&self.keep),
            clock: self.clock.clone(),
            endpoints: Arc::new(LiveEndpoints::default()),
            status: watch::Sender::new(Status::unknown()),
            changes: 0,
            name: name(target),
        };
        let (followed, gone, questions) = follower.begin();
        if !nothing_to_ask {
            let _runtime = self.runtime.enter();
            let task = follower.name.clone();
            self.tasks
                .spawn(task, |stop| follower.run(gone, questions, stop));
        }
        followed
    }

    fn rules(&self, target: &Target) -> Rules {
        let retry = Backoff::new(*self.settings.retry.start(), *self.settings.retry.end());
        match target {
            Target::Nodes { .. } => Rules {
                min_ttl: *self.settings.node_ttl.start(),
                max_ttl: *self.settings.node_ttl.end(),
                empty_after: None,
                retry,
                asked: "node".to_owned(),
            },
            Target::Dns {
                servers,
                empty_after,
                min_ttl,
                max_ttl,
                ..
            } => {
                let servers: Vec<_> = servers.iter().map(SocketAddr::to_string).collect();
                Rules {
                    min_ttl: *min_ttl,
                    max_ttl: *max_ttl,
                    empty_after: Some(*empty_after),
                    retry,
                    asked: format!("dns/{}", servers.join(",")),
                }
            }
        }
    }
}

impl Known {
    /// The resolver that all registries with these servers share.
    fn resolver(&mut self, servers: &[SocketAddr]) -> Arc<Resolver> {
        if let Some(resolver) = self.resolvers.get(servers).and_then(Weak::upgrade) {
            return resolver;
        }
        let resolver = Arc::new(Resolver::new(servers));
        self.resolvers
            .insert(servers.to_vec(), Arc::downgrade(&resolver));
        resolver
    }

    /// Forgets what nobody holds, once there is about as much of it as of the rest.
    fn prune(&mut self) {
        if self.followed.len() < self.prune_at {
            return;
        }
        self.followed
            .retain(|_, followed| followed.strong_count() > 0);
        self.resolvers
            .retain(|_, resolver| resolver.strong_count() > 0);
        self.prune_at = (self.followed.len() * 2).max(PRUNE_AT_MIN);
    }
}

/// What tasks and the log call a target.
fn name(target: &Target) -> String {
    match target {
        Target::Nodes { nodes, .. } => match nodes.as_slice() {
            [] => "nodes".to_owned(),
            [node] => format!("node {}", node.host),
            [node, others @ ..] => format!("node {} and {} more", node.host, others.len()),
        },
        Target::Dns {
            query: DnsQuery::Address { name, .. } | DnsQuery::Service { name },
            ..
        } => {
            format!("dns {name}")
        }
    }
}

/// What these locks guard is whole after every statement, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Targets known before any are forgotten.
const PRUNE_AT_MIN: usize = 64;
