//! What tests and benchmarks share: real programs, real ports, a real `curl`, a real httpbin.
//!
//! Everything here acts on the machine as a user would: it starts the built programs
//! ([`Control`], [`Gateway`], or a whole [`Cluster`]), talks to them through [`curl`] and [`Api`],
//! and puts a [`Httpbin`], a [`Dns`] server and an [`Etcd`] where the scenario needs them. Whatever is started
//! ends when its value is dropped, and shows its output when the test has failed.
//!
//! The programs and the Python environment are brought by `cargo xtask test`, which says where
//! they are through the environment; a test that needs one and runs without says so and fails.
//!
//! Absent on purpose: nothing here is skipped when something is missing, and nothing sleeps for a
//! fixed time. Waiting for a real process is asking it again until a deadline ([`eventually`]).
#![expect(clippy::panic, reason = "a test helper fails by failing its test")]

mod api;
mod cluster;
mod control;
mod curl;
mod dns;
mod environment;
mod etcd;
mod eventually;
mod gateway;
mod httpbin;
pub mod lan;
pub mod linear;
pub mod loopback;
pub mod ports;
mod program;

pub use api::Api;
pub use cluster::{Cluster, ClusterBuilder};
pub use control::Control;
pub use curl::{Answer, curl, try_curl};
pub use dns::Dns;
pub use environment::{binary, venv};
pub use etcd::{Etcd, EtcdOptions};
pub use eventually::{Deadline, START_TIME_MAX, eventually};
pub use gateway::{Gateway, GatewayOptions};
pub use httpbin::Httpbin;
pub use program::{Program, Signal, heedless};
