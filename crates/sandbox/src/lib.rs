//! What a gateway needs around it to be tried out: names to resolve and something to forward to.
//!
//! `ferryway demo` starts both, and so do the tests. Everything here listens on loopback, lives in
//! memory and is changed from code while it runs; nothing is fit for the open network.
//!
//! - [`dns`]: an authoritative DNS server with switches for the faults a resolver must survive.
//! - [`upstream`]: an HTTP server that answers as httpbin does.
//!
//! What this crate must not know: any other part of Ferryway but the tasks it runs in. It plays
//! the outside world, so it must not share the mistakes of the inside.

pub mod dns;
pub mod upstream;
