//! One gateway instance: what the control plane says, turned into what the data plane serves.
//!
//! - `settings`: what it is started with.
//! - `program`: started and stopped: the order matters and is told there.
//! - `instance`: the parts put together.
//! - `view_file`: `--static`, a view from a file.
//! - `sockets`: the listening sockets, taken at the start, open when there is something to serve.
//! - `installer`: from a candidate to what serves: build upon what runs, warm new upstreams, run
//!   checks through the real proxy path, swap.
//! - `status`: the status port: probes, metrics, what runs and where requests go.
//! - `drain`: the polite end; `hangup`: another look at the log level.
//!
//! Three kinds of threads: the workers serve clients and do nothing else; the installer builds; two
//! control threads do all that waits (delivery, discovery, status, signals). The workers learn of
//! the others only by the table that is swapped under them and by the endpoints that are.
//!
//! This crate must not know: the store, the admin API, how a plan is made. What it runs comes from
//! delivery or from its own disk, and is judged by the model's code, which is the control plane's.

mod drain;
mod durations;
mod hangup;
mod installer;
mod instance;
mod keep;
mod phase;
mod program;
mod settings;
mod sockets;
mod status;
mod view_file;

pub use program::run;
pub use settings::{Asked, Basis, DRAIN_DELAY_MAX, Settings, WORKERS_MAX};
