//! Which endpoint of an upstream takes the next request.
//!
//! Two sides meet here and never see each other. Discovery writes: it builds an
//! [`EndpointSet`] and stores it into the [`LiveEndpoints`] of what it follows. The proxy reads:
//! for every request it loads the present set and asks its [`Balancer`] to pick an endpoint.
//!
//! - A set is frozen. It is built once, off the request path, with everything a pick needs:
//!   tiers by priority and, per tier, the whole cycle of turns (smooth weighted round robin)
//!   written out. A pick is then an atomic increment and an index: no lock, no allocation, no
//!   arithmetic over weights.
//! - What is *known about* an endpoint (requests in flight, connect failures, health) lives in an
//!   [`EndpointState`] that outlives the set: an endpoint that stays, by name and address, keeps
//!   its state when the set around it changes.
//! - Turns are counted per balancer, which is per upstream and instance, not per worker: eight
//!   workers together follow one cycle.
//!
//! What this crate must not know: names that need resolving, connections, HTTP, time. It does no
//! I/O and starts no task. Who is healthy is decided elsewhere and only recorded here.

mod balancer;
mod endpoint;
mod live;
mod order;
mod set;

pub use balancer::{Balancer, Policy};
pub use endpoint::{Endpoint, EndpointId, EndpointState, InFlight, Member};
pub use live::LiveEndpoints;
pub use set::EndpointSet;
