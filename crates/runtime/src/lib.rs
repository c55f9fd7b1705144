//! What every program of Ferryway stands on: tasks that have a name, an owner and an end; time and
//! randomness as values that are passed in; waiting between tries; start-up settings; signals; the
//! log; and YAML that knows where each of its fields stands.
//!
//! This crate must not know a gateway word. It holds no service, no version and no group; whatever
//! it offers would serve a program about something else just as well.
//!
//! Three things happen here and nowhere else in the workspace, so that tests can hold them still:
//!
//! - spawning: [`Tasks`] is the only caller of `tokio::spawn`;
//! - reading the wall clock: [`Clock::system`] is the only reader (elapsed time is
//!   `tokio::time::Instant`, which tests pause);
//! - drawing entropy: [`Random::from_entropy`] is the only source, and it can be seeded instead.

mod backoff;
mod clock;
mod random;
pub mod settings;
pub mod signals;
mod tasks;
pub mod telemetry;
pub mod yaml;

pub use backoff::Backoff;
pub use clock::Clock;
pub use random::Random;
pub use tasks::{Stop, Task, Tasks};
