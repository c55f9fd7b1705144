//! The control plane.

mod core;
