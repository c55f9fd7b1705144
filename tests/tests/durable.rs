//! Nothing acknowledged is lost: not by `kill -9`, not by a full disk, not by a torn file.
//!
//! - `history`: what writers asked and were told, and what a control plane shows afterwards; and the
//!   pure function that holds one against the other;
//! - `machine`, `instance`: a control plane and a gateway that can be killed at any moment;
//! - `writers`: who writes to the one and notes it down; `stream`: what keeps the other busy;
//! - `killed_control`, `killed_gateway`: killed in the middle of their writes;
//! - `full`: disks without room;
//! - `torn`: files that are not what was written.

mod full;
mod history;
mod instance;
mod killed_control;
mod killed_gateway;
mod machine;
mod stream;
mod torn;
mod writers;
