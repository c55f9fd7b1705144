//! What a gateway instance's owner says about its data plane.

use std::net::IpAddr;
use std::time::Duration;

use ferryway_runtime::Clock;
use ipnet::IpNet;

/// Settings of all workers of an instance.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Peers whose `X-Forwarded-*` and `Forwarded` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How much of time and memory a client may take.
    pub limits: Limits,
    /// What `Date` says where an upstream says none.
    pub clock: Clock,
}

/// How much of time and memory clients may take. All times are kept to within two ticks of 50 ms.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a request's head (for the first request: from the accept) to its end.
    pub head_time: Duration,
    /// How long a kept-alive connection may wait for its next request.
    pub idle_time: Duration,
    /// Between two reads of a request's body.
    pub body_time: Duration,
    /// Between two writes of a response to a client that takes it slowly.
    pub write_time: Duration,
    /// How long connections may go on after the drain has begun.
    pub drain_time: Duration,
    /// Connections that a worker has open at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            clock: Clock::system(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            body_time: Duration::from_secs(60),
            write_time: Duration::from_secs(60),
            drain_time: Duration::from_secs(30),
            connections_max: 20_000,
        }
    }
}

impl Settings {
    /// Whether what `peer` says about earlier hops is believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

/// Largest request head, in bytes: request line and headers together.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longest request target, in bytes.
pub const URI_BYTES_MAX: usize = 8 * 1024;
/// Largest head of an upstream's answer, in bytes, and what is read ahead of its body at most.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Largest request body that is kept to be sent again, in bytes.
pub const REPLAY_BYTES_MAX: usize = 64 * 1024;
/// Requests that one HTTP/2 connection has in flight at once.
pub const H2_STREAMS_MAX: u32 = 128;
