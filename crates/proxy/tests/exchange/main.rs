//! The data plane over real loopback sockets, byte for byte: a raw client, the workers, and a strict
//! upstream that plays a script.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests fail by panicking, and take what is made on the spot"
)]

mod support;

mod drain;
mod hostile;
mod http1;
mod http2;
mod metrics;
mod pool;
mod probe;
mod refusals;
mod relay;
mod retries;
mod timeouts;
