//! What an agent says after its hello.

mod fault;
mod reconcile;
mod warnings;

use std::time::Duration;

use ferryway_model::Revision;

pub(crate) use fault::clip;
pub use fault::{Fault, HeldEntry, Stage};
pub use reconcile::{Reason, Reconcile};
pub use warnings::Warnings;

use crate::error::DecodeError;
use crate::hello::Hello;
use crate::limits::{DETAIL_BYTES_MAX, FAULTS_MAX, HOLDS_NAMED_MAX};
use crate::position::{Position, position_or_none};
use crate::read::{choice, list, required, text};
use crate::wire;
use crate::wire::agent_message::Message;

/// A message from an agent to the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentMessage {
    /// The first one.
    Hello(Box<Hello>),
    /// A transaction has come a stage further.
    Ack(Ack),
    /// A transaction was rejected.
    Nack(Nack),
    /// The answer to a heartbeat.
    Status(Status),
    /// The agent asks for what differs.
    Reconcile(Reconcile),
    /// What checks found that only warn.
    Warnings(Warnings),
    /// The answer to a question: the instance cannot do what was asked. This build asks nothing;
    /// the answer is there so that a later control plane may.
    Unsupported {
        /// Which question.
        id: u64,
        /// What it cannot do.
        reason: String,
    },
}

/// A transaction has come a stage further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The revision it leads to.
    pub transaction: Revision,
    /// How far it is.
    pub stage: AckStage,
    /// What the instance should run.
    pub desired: Option<Position>,
    /// What it runs.
    pub effective: Option<Position>,
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckStage {
    /// It is contiguous and its root is right.
    Received,
    /// It serves.
    Applied {
        /// Time to build the table, in whole microseconds.
        build: Duration,
        /// Time to swap it in, in whole microseconds.
        swap: Duration,
        /// Memory of the table, as far as it is known.
        table_bytes: u64,
    },
    /// It will survive a loss of power.
    Durable,
}

/// A transaction was rejected; what it changed is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nack {
    /// The revision it leads to.
    pub transaction: Revision,
    /// What the instance should run.
    pub desired: Option<Position>,
    /// What the instance runs.
    pub effective: Option<Position>,
    /// Why; at most [`FAULTS_MAX`]. Where there are more, several messages tell of the transaction,
    /// and only the last has an `effective` position that covers it.
    pub faults: Vec<Fault>,
    /// How many faults no message tells of.
    pub cut: u32,
}

/// What an instance runs, told with each heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it should run.
    pub desired: Option<Position>,
    /// What it runs.
    pub effective: Option<Position>,
    /// The first of its holds.
    pub holds: Vec<HeldEntry>,
    /// How many holds it has.
    pub held: u32,
}

impl AgentMessage {
    /// The message as it goes on the wire.
    #[must_use]
    pub fn encode(self) -> wire::AgentMessage {
        let message = match self {
            Self::Hello(hello) => Message::Hello((*hello).into()),
            Self::Ack(ack) => Message::Ack(ack.into()),
            Self::Nack(nack) => Message::Nack(nack.into()),
            Self::Status(status) => Message::Status(status.into()),
            Self::Reconcile(reconcile) => Message::Reconcile(reconcile.into()),
            Self::Warnings(warnings) => Message::Warnings(warnings.into()),
            Self::Unsupported { id, reason } => Message::Answer(wire::Answer {
                id,
                answer: Some(wire::answer::Answer::Unsupported(reason)),
            }),
        };
        wire::AgentMessage {
            message: Some(message),
        }
    }

    /// Reads a message from the wire.
    ///
    /// # Errors
    /// When a field is missing, out of bounds or unknown.
    pub fn decode(message: wire::AgentMessage) -> Result<Self, DecodeError> {
        let wire::AgentMessage { message } = message;
        match required("message", message)? {
            Message::Hello(hello) => {
                let hello = Hello::try_from(hello).map_err(|error| error.within("hello"))?;
                Ok(Self::Hello(Box::new(hello)))
            }
            Message::Ack(ack) => {
                let ack = Ack::try_from(ack).map_err(|error| error.within("ack"))?;
                Ok(Self::Ack(ack))
            }
            Message::Nack(nack) => {
                let nack = Nack::try_from(nack).map_err(|error| error.within("nack"))?;
                Ok(Self::Nack(nack))
            }
            Message::Status(status) => {
                let status = Status::try_from(status).map_err(|error| error.within("status"))?;
                Ok(Self::Status(status))
            }
            Message::Reconcile(raw) => {
                let raw = Reconcile::try_from(raw).map_err(|error| error.within("reconcile"))?;
                Ok(Self::Reconcile(raw))
            }
            Message::Warnings(raw) => {
                let raw = Warnings::try_from(raw).map_err(|error| error.within("warnings"))?;
                Ok(Self::Warnings(raw))
            }
            Message::Answer(wire::Answer { id, answer }) => {
                let wire::answer::Answer::Unsupported(reason) = required("answer.answer", answer)?;
                let reason = text("answer.unsupported", reason, DETAIL_BYTES_MAX)?;
                Ok(Self::Unsupported { id, reason })
            }
        }
    }
}

impl From<Ack> for wire::Ack {
    fn from(ack: Ack) -> Self {
        let Ack {
            transaction,
            stage,
            desired,
            effective,
        } = ack;
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let (stage, build_us, swap_us, table_bytes) = match stage {
            AckStage::Received => (wire::AckStage::Received, 0, 0, 0),
            AckStage::Applied {
                build,
                swap,
                table_bytes,
            } => (
                wire::AckStage::Applied,
                micros(build),
                micros(swap),
                table_bytes,
            ),
            AckStage::Durable => (wire::AckStage::Durable, 0, 0, 0),
        };
        Self {
            transaction: transaction.0,
            stage: stage.into(),
            desired: desired.map(Into::into),
            effective: effective.map(Into::into),
            build_us,
            swap_us,
            table_bytes,
        }
    }
}

impl TryFrom<wire::Ack> for Ack {
    type Error = DecodeError;

    fn try_from(ack: wire::Ack) -> Result<Self, DecodeError> {
        let wire::Ack {
            transaction,
            stage,
            desired,
            effective,
            build_us,
            swap_us,
            table_bytes,
        } = ack;
        Ok(Self {
            transaction: Revision(transaction),
            stage: choice("stage", stage, |stage| match stage {
                wire::AckStage::Unspecified => None,
                wire::AckStage::Received => Some(AckStage::Received),
                wire::AckStage::Applied => Some(AckStage::Applied {
                    build: Duration::from_micros(build_us),
                    swap: Duration::from_micros(swap_us),
                    table_bytes,
                }),
                wire::AckStage::Durable => Some(AckStage::Durable),
            })?,
            desired: position_or_none("desired", desired)?,
            effective: position_or_none("effective", effective)?,
        })
    }
}

impl From<Nack> for wire::Nack {
    fn from(nack: Nack) -> Self {
        let Nack {
            transaction,
            desired,
            effective,
            faults,
            cut,
        } = nack;
        Self {
            transaction: transaction.0,
            desired: desired.map(Into::into),
            effective: effective.map(Into::into),
            faults: faults.into_iter().map(Into::into).collect(),
            cut,
        }
    }
}

impl TryFrom<wire::Nack> for Nack {
    type Error = DecodeError;

    fn try_from(nack: wire::Nack) -> Result<Self, DecodeError> {
        let wire::Nack {
            transaction,
            desired,
            effective,
            faults,
            cut,
        } = nack;
        Ok(Self {
            transaction: Revision(transaction),
            desired: position_or_none("desired", desired)?,
            effective: position_or_none("effective", effective)?,
            faults: list("faults", faults, FAULTS_MAX, Fault::try_from)?,
            cut,
        })
    }
}

impl From<Status> for wire::Status {
    fn from(status: Status) -> Self {
        let Status {
            desired,
            effective,
            holds,
            held,
        } = status;
        Self {
            desired: desired.map(Into::into),
            effective: effective.map(Into::into),
            holds: holds.into_iter().map(Into::into).collect(),
            held,
        }
    }
}

impl TryFrom<wire::Status> for Status {
    type Error = DecodeError;

    fn try_from(status: wire::Status) -> Result<Self, DecodeError> {
        let wire::Status {
            desired,
            effective,
            holds,
            held,
        } = status;
        Ok(Self {
            desired: position_or_none("desired", desired)?,
            effective: position_or_none("effective", effective)?,
            holds: list("holds", holds, HOLDS_NAMED_MAX, HeldEntry::try_from)?,
            held,
        })
    }
}
