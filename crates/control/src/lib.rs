//! The control plane: what every gateway group should run, how that changes, and how the changes
//! reach the instances.
//!
//! - `core`: the state in memory over the store, and its changes: planned, compiled, committed.
//! - `identity`: the authority of the instances' certificates, and who gets one.
//! - `planes`: what control planes tell each other of their instances, over the wire.
//! - `rest`: the REST API, a face of the core that knows HTTP.
//! - `secret`: what is kept of the secrets that callers show.
//! - `store_command`: what is done with a store while no control plane runs on it.
//! - `program`: the parts put together, started and stopped.
//!
//! This crate must not know: the proxy. It shares with the gateways only what lies below both: the
//! model, the router (a trial compile before a commit) and the delivery protocol.

mod admin_token;
mod api_tls;
mod core;
mod identity;
mod planes;
mod program;
mod rest;
mod secret;
mod settings;
mod store_command;

pub use api_tls::ApiTls;
pub use identity::IdentitySettings;
pub use program::run;
pub use settings::{Asked, Settings, StorePlace};
pub use store_command::StoreCommand;
