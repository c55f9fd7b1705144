//! Several control planes on one etcd, as processes: what one answers holds on all, and losing some
//! of them, and members of etcd, is noticed by nobody who sends requests or writes.
//!
//! - `fleet`: everything that runs; `pressure`: what goes on all the time beside it;
//! - `lost`: control planes and members that are killed, stopped, and healed;
//! - `conflicts`: conflicting calls to two of them at once; `slow`: a long way to etcd.

mod conflicts;
mod fleet;
mod lost;
mod pressure;
mod slow;
