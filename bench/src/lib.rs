//! What the benchmarks share: real programs on real ports, a client that hides nothing, content of
//! a given size, and the document that a run ends in.
//!
//! The benchmarks are the programs in `src/bin`, run by `cargo xtask bench NAME`:
//!
//! - `find`: the route table alone.
//! - `compare`: a gateway instance beside nginx and haproxy, in CPU time per request.
//! - `publish`: a control plane and one instance; how long a change takes to be applied, what of
//!   that is the disk's, how much memory both take, how fast an instance starts.
//! - `api`: the control plane with a large store and many instances: reads while it is written to,
//!   what a sync costs, memory, how fast it starts.
//! - `planes`: three control planes on an etcd of three members; how long a change takes from one to
//!   an instance at another, and how soon instances are with another one when one is lost.
//! - `reload`: what requests notice of changes. A failed one ends the run.
//!
//! A run prints one markdown document ([`Report`]) that names the machine, the versions and the
//! commit; the ones worth keeping lie in `bench/results`. A run judges states, never times: the
//! figures are for people, on a machine that they know.
//!
//! Absent on purpose: an HTTP library. A client that retries, pools or resets quietly would hide
//! what is looked for, so requests are bytes on a socket ([`wire`]).

pub mod api;
pub mod content;
pub mod cpu;
pub mod disk;
pub mod load;
pub mod machine;
pub mod metrics;
mod report;
pub mod stage;
mod times;
pub mod upstream;
pub mod wire;

use std::error::Error;

pub use machine::written_at;
pub use report::{Report, Table};
pub use times::{Times, micros, millis};

/// What a part of a benchmark comes to: nothing here can go on after an error.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
