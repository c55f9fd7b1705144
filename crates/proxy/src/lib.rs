//! The data plane: from a client's connection to an upstream's and back.
//!
//! A request's way: [`Workers`] accept a connection (`worker.rs`), hyper reads requests from it
//! (`client_connection/`), and each is an `Exchange` (`exchange.rs`), which reads from top to bottom as a
//! table of contents: read strictly what is asked for (`target.rs`), find the route in the live
//! table (`table.rs`), rewrite the headers (`headers.rs`), forward (`forward.rs`: pick an endpoint,
//! take a connection from the pool, send, wait no longer than allowed, try again where that is
//! allowed), relay the answer (`body.rs`). What the gateway answers by itself is a [`Refusal`].
//!
//! What holds everywhere here:
//!
//! - A worker is a thread with a listener, a pool and a runtime of its own; a request never changes
//!   threads. What workers share is frozen (the table) or a relaxed atomic (turns, counters).
//! - The seam between `exchange.rs` and what reads and writes messages is narrow (a head, a body
//!   stream, a head, a body stream), so that another codec, or HTTP/2 to upstreams, fits behind it:
//!   `upstream_connection.rs` towards upstreams, `connection.rs` towards clients.
//! - Deadlines are coarse and cost two stores (`ticks.rs`); header maps are changed in place and not
//!   cloned, unless the route's retry policy may need the request a second time.
//! - Everything ends by being dropped: an `Exchange` counts its request when it is dropped, so a
//!   cancelled one is counted too; a connection that is dropped in the middle of an answer is closed.
//!
//! This crate must not know: gRPC, the control plane, files, revisions, names that need resolving.
//! It knows no certificate yet: TLS towards clients and upstreams comes later.
//!
//! Absent on purpose: `Upgrade`. It is a hop-by-hop header and taken off like the others, so an
//! upstream never sees one and a `101` that nobody asked for is a protocol error.

mod body;
mod buffers;
mod client;
mod client_connection;
mod exchange;
mod forward;
#[doc(hidden)]
pub mod fuzz;
mod h1;
mod headers;
mod listen;
mod metrics;
mod patience;
mod pool;
mod probe;
mod refusal;
mod replay;
mod settings;
mod table;
mod target;
mod ticks;
mod upstream;
mod upstream_connection;
mod worker;
mod workers;

pub use listen::bind;
pub use metrics::{Metrics, RouteMetrics};
pub use probe::{ANSWER_BYTES_MAX, Answer, Prober};
pub use refusal::{Refusal, Side, Wait, X_FERRYWAY_ERROR};
pub use settings::{
    H2_STREAMS_MAX, HEAD_BYTES_MAX, Limits, REPLAY_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX, Settings,
    URI_BYTES_MAX,
};
pub use table::{LiveTable, ProxyRoute, Table, retire, service_routes};
pub use upstream::Upstream;
pub use workers::Workers;
