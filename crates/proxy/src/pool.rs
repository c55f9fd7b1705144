//! A worker's kept-alive connections to upstreams, by upstream and endpoint.
//!
//! Last in, first out: the connections used are the warm ones, and the others age until they are
//! closed. How many may be idle is counted per upstream over all workers of the instance.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Weak};

use ferryway_balance::{Endpoint, EndpointId, InFlight};
use ferryway_model::Scheme;
use http::HeaderValue;
use tokio::time::Instant;

use crate::upstream::{Upstream, UpstreamId};
use crate::upstream_connection::Connection;

/// The pool of one worker.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    places: RefCell<HashMap<Key, Place, BuildHasherDefault<Mix>>>,
}

type Key = (UpstreamId, EndpointId);

/// What a worker has for one endpoint of one upstream.
struct Place {
    upstream: Weak<Upstream>,
    /// `Host` in the mode `node`: kept here, as it is the same for every request.
    host: HeaderValue,
    /// The oldest first.
    idle: Vec<Idle>,
    used: Instant,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection in use, and what is counted while it is.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) connection: Connection,
    pub(crate) key: Key,
    /// Held for what it counts.
    pub(crate) _in_flight: InFlight,
}

impl Pool {
    /// What `Host` says to this endpoint in the mode `node`.
    pub(crate) fn host(
        &self,
        upstream: &Arc<Upstream>,
        id: EndpointId,
        endpoint: &Endpoint,
    ) -> HeaderValue {
        let mut places = self.places.borrow_mut();
        let place = places.entry((upstream.id(), id)).or_insert_with(|| Place {
            upstream: Arc::downgrade(upstream),
            host: host_of(endpoint, upstream.scheme()),
            idle: Vec::new(),
            used: Instant::now(),
        });
        place.host.clone()
    }

    /// A kept connection that can take a request, if there is one; `once` for a request that cannot
    /// be sent twice.
    pub(crate) fn take(
        &self,
        upstream: &Upstream,
        id: EndpointId,
        once: bool,
    ) -> Option<Connection> {
        let mut places = self.places.borrow_mut();
        let place = places.get_mut(&(upstream.id(), id))?;
        while let Some(Idle { connection, .. }) = place.idle.pop() {
            upstream.let_go(1);
            if connection.is_ready() && (!once || connection.is_surely_ready()) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose response is over, if it can take another request and there is room.
    pub(crate) fn give_back(&self, upstream: &Upstream, lease: Lease, now: Instant) {
        let Lease {
            mut connection,
            key,
            _in_flight,
        } = lease;
        let mut places = self.places.borrow_mut();
        let Some(place) = places.get_mut(&key) else {
            return;
        };
        if connection.rests() && upstream.keep_one() {
            place.used = now;
            place.idle.push(Idle {
                connection,
                since: now,
            });
        }
    }

    /// Closes what has been idle too long, what upstreams have closed, and what belongs to upstreams
    /// that no table has any more.
    pub(crate) fn sweep(&self, now: Instant) {
        self.places.borrow_mut().retain(|_, place| {
            let Some(upstream) = place.upstream.upgrade() else {
                return false;
            };
            let idle_time = upstream.idle_time();
            let before = place.idle.len();
            place.idle.retain(|idle| {
                now.saturating_duration_since(idle.since) < idle_time && idle.connection.is_ready()
            });
            let gone = before - place.idle.len();
            upstream.let_go(u32::try_from(gone).expect("room was taken for each"));
            !place.idle.is_empty() || now.saturating_duration_since(place.used) < idle_time
        });
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("host", &self.host)
            .field("idle", &self.idle.len())
            .finish_non_exhaustive()
    }
}

/// The endpoint's name, with the port unless it is the scheme's own.
fn host_of(endpoint: &Endpoint, scheme: Scheme) -> HeaderValue {
    let (name, port) = (&endpoint.name, endpoint.address.port());
    let text = if port == scheme.default_port() {
        name.to_string()
    } else {
        format!("{name}:{port}")
    };
    // A registry may give a name that no header can carry; the address always can.
    HeaderValue::from_str(&text).unwrap_or_else(|_| {
        HeaderValue::from_str(&endpoint.address.to_string()).expect("an address is visible ASCII")
    })
}

/// A hasher for keys that are numbers of our own making: nobody outside can choose them.
#[derive(Clone, Copy, Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(26) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn host(name: &str, address: &str, expect: &str) {
        let endpoint = Endpoint {
            name: name.into(),
            address: address.parse().unwrap(),
            weight: 1,
            priority: 0,
        };
        assert_eq!(host_of(&endpoint, Scheme::Http), expect);
    }

    #[test]
    fn a_port_is_said_unless_it_is_the_schemes() {
        host("httpbin.org", "1.2.3.4:80", "httpbin.org");
        host("httpbin.org", "1.2.3.4:8080", "httpbin.org:8080");
        host("[::1]", "[::1]:8080", "[::1]:8080");
        host("b\u{fc}cher\n", "1.2.3.4:80", "1.2.3.4:80");
    }
}
