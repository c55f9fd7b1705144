//! One endpoint: what it is, and what is known about it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// One address of an upstream.
///
/// Its identity is name and address: weight and priority may change and it is still the same
/// endpoint, with the same [`EndpointState`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What an upstream reads in `Host` when the mode is `node`, without a port: the node's name,
    /// the name a registry gave, or the address (an IPv6 address in brackets).
    pub name: Arc<str>,
    /// Where to connect to.
    pub address: SocketAddr,
    /// Its share of the requests among the endpoints of its priority; 0: no new requests.
    pub weight: u16,
    /// The highest priority that has a healthy endpoint takes all requests.
    pub priority: i32,
}

/// Names an endpoint across sets, for "tried already in this request".
///
/// A digest of name and address, so that it needs no registry of numbers. Two endpoints of one
/// set may in theory share an id; a retry would then pass over one endpoint too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointId(u64);

impl EndpointId {
    fn of(endpoint: &Endpoint) -> Self {
        let mut hasher = DefaultHasher::new();
        (&endpoint.name, endpoint.address).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// An endpoint as a member of a set, together with its state.
#[derive(Debug)]
pub struct Member {
    endpoint: Endpoint,
    id: EndpointId,
    state: Arc<EndpointState>,
}

impl Member {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            id: EndpointId::of(&endpoint),
            endpoint,
            state: Arc::default(),
        }
    }

    /// Goes on with what was known about the same endpoint in an earlier set.
    pub(crate) fn adopt(&mut self, state: &Arc<EndpointState>) {
        self.state = Arc::clone(state);
    }

    /// What the endpoint is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its name across sets.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// What is known about it.
    pub fn state(&self) -> &Arc<EndpointState> {
        &self.state
    }

    /// Counts one request as in flight until the guard is dropped.
    pub fn begin(&self) -> InFlight {
        self.state.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.state))
    }
}

/// What is known about an endpoint; shared by all workers, and kept while sets come and go.
///
/// Every counter is read and written relaxed: they steer, they do not synchronise.
#[derive(Debug)]
pub struct EndpointState {
    in_flight: AtomicU32,
    connect_failures: AtomicU32,
    healthy: AtomicBool,
}

impl EndpointState {
    /// Requests in flight to this endpoint, over all workers.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Connect failures in a row, since the last connection that came about.
    pub fn connect_failures(&self) -> u32 {
        self.connect_failures.load(Ordering::Relaxed)
    }

    /// A connection came about: the row of failures ends.
    pub fn connected(&self) {
        // Read first: on the request path the count is nearly always 0 already, and a shared read
        // leaves the cache line with every worker.
        if self.connect_failures() != 0 {
            self.connect_failures.store(0, Ordering::Relaxed);
        }
    }

    /// A connection did not come about; answers how many in a row that makes.
    pub fn connect_failed(&self) -> u32 {
        self.connect_failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    /// Whether the endpoint may be picked. True until somebody says otherwise.
    pub fn healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Says whether the endpoint may be picked.
    pub fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Relaxed);
    }
}

impl Default for EndpointState {
    fn default() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            connect_failures: AtomicU32::new(0),
            healthy: AtomicBool::new(true),
        }
    }
}

/// One request in flight to an endpoint; ends when dropped, so that cancellation cannot leak it.
#[derive(Debug)]
pub struct InFlight(Arc<EndpointState>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Member {
        Member::new(Endpoint {
            name: name.into(),
            address: "127.0.0.1:80".parse().unwrap(),
            weight: 100,
            priority: 0,
        })
    }

    #[test]
    fn in_flight_ends_with_its_guard() {
        let member = member("a");
        let (first, second) = (member.begin(), member.begin());
        assert_eq!(member.state().in_flight(), 2);
        drop(first);
        assert_eq!(member.state().in_flight(), 1);
        drop(second);
        assert_eq!(member.state().in_flight(), 0);
    }

    #[test]
    fn connect_failures_count_in_a_row() {
        let member = member("a");
        assert_eq!(member.state().connect_failed(), 1);
        assert_eq!(member.state().connect_failed(), 2);
        member.state().connected();
        assert_eq!(member.state().connect_failures(), 0);
        assert_eq!(member.state().connect_failed(), 1);
    }

    #[test]
    fn identity_is_name_and_address() {
        let heavier = Member::new(Endpoint {
            weight: 7,
            priority: 3,
            ..member("a").endpoint().clone()
        });
        assert_eq!(heavier.id(), member("a").id());
        assert_ne!(member("a").id(), member("b").id());
    }
}
