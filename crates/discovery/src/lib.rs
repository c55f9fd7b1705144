//! Where an upstream is: named nodes and registries, followed as sets of endpoints.
//!
//! A [`Target`] says what to follow. [`Discovery::follow`] gives a [`Followed`]: the live
//! endpoints, which the proxy reads, and the status, which the gateway reports. One task per
//! distinct target keeps them true, on the gateway's control runtime; no request ever waits for a
//! name. The task ends when nobody holds the `Followed` any more.
//!
//! Reading order: [`Target`] → `follow.rs`, the rules as a state machine without I/O → `answer.rs`,
//! what may come back from DNS → `resolver.rs`, which asks → `followed.rs`, the task between them.
//!
//! The rules, in short:
//! - An error never takes an endpoint away: the last good answer is kept, on disk too.
//! - "None" never takes the last endpoint of a named node away, and that of a registry only when
//!   the registry has said so, and nothing else, for `empty_after`.
//! - Fewer, but some, is followed at once.
//!
//! What this crate must not know: services, routes, requests, health. It says what exists; the
//! balancer and the proxy find out what works.

mod answer;
mod discovery;
mod endpoints;
mod follow;
mod followed;
#[doc(hidden)]
pub mod fuzz;
mod kept;
mod reach;
mod resolver;
mod slot;
mod spots;
mod system;
mod target;

pub use discovery::{Discovery, Settings};
pub use followed::{Followed, Source, Status};
pub use kept::{Keep, KeepInMemory};
pub use target::{Target, Unfollowable};

#[cfg(test)]
mod tests;
