//! From definitions to a route table, and from a request head to a route.
//!
//! Which route answers is a rule that users rely on (the contract's "Which route answers"): the most
//! specific host, then the path segment by segment, then priority, number of predicates, names; a
//! route whose method or predicates fail gives way to the next, down to less specific paths and
//! hosts. This crate holds that rule once, as the order in `precedence.rs`, and a structure that is
//! built along it, so that a search compares nothing:
//!
//! - **Heads.** A pattern is filed under its *literal head*, the literal segments that it begins
//!   with: `/users/{id}/files/*` under `/users`. A request's heads are looked up from the longest to
//!   the shortest, and that *is* the order of precedence among them. Hosts are filed the same way by
//!   their labels, from the right; a service without hosts is under the empty suffix.
//! - **Tails.** The patterns that share a head and go on with a parameter are a small matchit
//!   router. matchit gives one match; the order in which to go on from it, through all patterns that
//!   overlap with it, is worked out when the router is built. Where many patterns begin alike
//!   (`/{tenant}/…`), what follows the parameter is filed by heads again.
//! - **Leaves.** The routes that share a host and a pattern, sorted.
//!
//! All maps are persistent: a table that differs in one service shares everything else, is made in
//! time that does not depend on the number of routes, and is dropped as fast. A search allocates
//! nothing unless a predicate has an escape to decode, or a path is unusually deep; its work is
//! bounded by the patterns of the table, not by the path.
//!
//! This crate must not know: what a target is, upstreams, connections, bodies, refusals' bytes. It
//! does no I/O, has no clock and starts no task. Absent on purpose: values of parameters, which
//! nobody asks for yet, and any check of a request's form, which is the proxy's.

mod hash;
mod heads;
mod hosts;
mod leaf;
mod level;
mod map;
mod methods;
mod precedence;
mod predicates;
mod request;
mod service;
mod shape;
mod table;
mod tails;

pub use methods::Allow;
pub use request::{RequestHead, request_host};
pub use service::{RouteSpec, ServiceRoutes};
pub use table::{Change, Found, RouteTable};
