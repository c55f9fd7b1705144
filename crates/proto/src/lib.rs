//! The delivery protocol: its messages as plain types over the model, and their way to and from
//! the wire.
//!
//! `proto/ferryway/delivery/v1/delivery.proto` is the contract, and `planes.proto` beside it the one
//! between control planes ([`planes_wire`]); this crate is the only one that
//! sees the types generated from it ([`wire`]). Everybody else speaks [`AgentMessage`] and
//! [`ControlMessage`], which hold names, digests and positions that have been checked. Decoding
//! takes every message apart completely, so a new field of the contract is a compile error here
//! until somebody has decided what it means; a value that is missing, out of bounds or unknown is a
//! [`DecodeError`] that names its field, or, where it is known which entry of a view it is about, an
//! [`Unreadable`] entry. What a build cannot do it refuses: nothing is dropped in silence.
//!
//! This crate must not know: sockets, tasks, the disk, what a session does with a message, and what
//! definitions and bindings say. They are bytes here.

mod blob;
mod control;
mod enroll;
mod entry;
mod error;
mod fetch;
mod hello;
pub mod limits;
mod planes;
mod position;
mod read;
mod report;
mod wire_types;

pub use blob::{Blob, Encoding};
pub use control::{
    Cause, ControlMessage, GoAway, Heartbeat, Part, Resume, Retry, Transaction, Welcome,
};
pub use enroll::{EnrollReply, EnrollRequest};
pub use entry::Unreadable;
pub use error::DecodeError;
pub use fetch::{Chunk, FetchRequest};
pub use hello::{Hello, Limits, Source};
pub use planes::{At, FollowRequest, HeldService, Standing, Told};
pub use position::{Epoch, Position};
pub use report::{
    Ack, AckStage, AgentMessage, Fault, HeldEntry, Nack, Reason, Reconcile, Stage, Status, Warnings,
};
pub use wire_types::{planes_wire, wire};

/// The number of the protocol that this build speaks.
pub const PROTOCOL: u32 = 1;
