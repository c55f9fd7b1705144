//! What users rely on, tried from outside. One module for each promise; `calls`, `site` and
//! `upstream` are what they share.
#![expect(clippy::panic, reason = "a test's helper fails by failing its test")]

mod caller;
mod calls;
mod checks;
mod command_line;
mod contract;
mod delivery;
mod demo;
mod deploy;
mod durable;
mod forwarding;
mod identity;
mod processes;
mod publishing;
mod routing;
mod sandbox;
mod scenario;
mod several_planes;
mod site;
mod two_machines;
mod upstream;
