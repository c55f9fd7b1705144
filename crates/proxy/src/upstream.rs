//! Upstreams: objects that outlive the tables that point at them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use ferryway_balance::{Balancer, LiveEndpoints, Policy};
use ferryway_model::{LoadBalancing, Scheme, UpstreamPolicy};

/// Where the requests of a service go, and what one instance shares about it over all workers.
///
/// Who builds a table decides what is *the same* upstream and uses the same object for it: pooled
/// connections, turns and counters then survive the swap.
#[derive(Debug)]
pub struct Upstream {
    id: UpstreamId,
    scheme: Scheme,
    endpoints: Arc<LiveEndpoints>,
    balancer: Balancer,
    idle_time: Duration,
    idle_max: u32,
    /// Idle connections over all workers.
    idle: AtomicU32,
}

/// Names an upstream for the pools of the workers; never used again in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamId(u64);

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Upstream {
    /// An upstream that follows `endpoints`. `start` is where its turns begin: draw it at random,
    /// or all instances send their first request to the same endpoint.
    #[must_use]
    pub fn new(
        policy: &UpstreamPolicy,
        scheme: Scheme,
        endpoints: Arc<LiveEndpoints>,
        start: u64,
    ) -> Arc<Self> {
        let LoadBalancing::RoundRobin = policy.load_balancing;
        Arc::new(Self {
            id: UpstreamId(NEXT_ID.fetch_add(1, Ordering::Relaxed)),
            scheme,
            endpoints,
            balancer: Balancer::new(Policy::RoundRobin, start),
            idle_time: policy.keepalive.idle_timeout.duration(),
            idle_max: policy.keepalive.max_idle,
            idle: AtomicU32::new(0),
        })
    }

    /// What discovery says about it.
    #[must_use]
    pub fn endpoints(&self) -> &Arc<LiveEndpoints> {
        &self.endpoints
    }

    /// Idle connections of this instance to it.
    #[must_use]
    pub fn idle(&self) -> u32 {
        self.idle.load(Ordering::Relaxed)
    }

    pub(crate) fn id(&self) -> UpstreamId {
        self.id
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(crate) fn balancer(&self) -> &Balancer {
        &self.balancer
    }

    pub(crate) fn idle_time(&self) -> Duration {
        self.idle_time
    }

    /// Takes room for one more idle connection, if there is any.
    pub(crate) fn keep_one(&self) -> bool {
        if self.idle.fetch_add(1, Ordering::Relaxed) < self.idle_max {
            return true;
        }
        self.let_go(1);
        false
    }

    /// Gives the room of so many idle connections back.
    pub(crate) fn let_go(&self, count: u32) {
        self.idle.fetch_sub(count, Ordering::Relaxed);
    }
}
