//! How a revision of a group's view reaches every instance: in milliseconds, at the cost of what
//! changed, whole or not at all, and proven by a digest.
//!
//! The gateway's half:
//!
//! - [`Session`] is the protocol, without I/O: told what happened, it answers what to do. All rules
//!   are in it: what makes a transaction acceptable, what is held, what is never offered twice.
//! - [`Agent`] drives a session over a connection, a disk, and an [`Installer`], which the gateway
//!   implements: it turns a [`Candidate`] into what serves.
//! - [`InstanceDisk`] is what an instance starts from when no control plane is there.
//!
//! The control plane's half:
//!
//! - [`Feed`] is a group's log of frames, encoded once. Publishing appends and wakes; it waits for
//!   nobody.
//! - [`DeliveryServer`] serves the feeds to instances; the control plane gives it its groups
//!   ([`Source`](server::Source)) and hears what instances say ([`Presence`]).
//!
//! Three ideas carry the rest. State is a digest: two ends agree when their roots do, whatever
//! messages were lost. A cursor moves only over contiguous data; everything else ends in a
//! comparison with the head. *Desired* and *effective* are two things: what cannot be loaded is held
//! at its last good content, is said to be, and stops nothing else.
//!
//! This crate must not know: HTTP traffic and how it is routed, what a definition means beyond
//! being readable, where the control plane keeps its content, the REST API.

mod agent;
mod blob;
mod candidate;
mod disk;
mod feed;
mod hold;
mod keeper;
pub mod limits;
mod load;
pub mod server;
mod session;
#[cfg(test)]
mod testing;

pub use agent::{
    Agent, AgentSettings, AgentStatus, BadAddress, CannotDial, Credentials, CredentialsError, Dial,
    Dialling, Io, Origin, dial,
};
pub use candidate::{Applied, Candidate, Changed, Checks, Installer, Occasion, Outcome, Service};
#[doc(hidden)]
pub use disk::fuzz;
pub use disk::{
    DiskError, Export, ExportError, Files, Identity, InstanceDisk, Medium, Opened, Update, Working,
};
pub use feed::{Feed, Head, NotNext, Publication};
pub use hold::{CRASH_LOOP, HELD_TOGETHER, Hold, Holds, SHRINK_UNCONFIRMED, Why};
pub use load::Content;
pub use server::{DeliveryServer, Guard, Peer, Presence, Registrar, ServerSettings};
pub use session::{
    Action, Atoms, Desired, Effective, Event, Record, Saved, Session, Standing, Who,
};

/// What of the protocol others need: the gateway makes faults, the control plane reads reports.
pub use ferryway_proto::{
    Ack, AckStage, Cause, Epoch, Fault, HeldEntry, Hello, Nack, Position, Source as StartedFrom,
    Stage, Status, Warnings,
};
