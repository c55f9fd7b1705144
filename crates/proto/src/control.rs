//! What the control plane says.

mod transaction;
mod welcome;

use std::time::Duration;

use ferryway_model::Revision;

pub use transaction::{Cause, Part, Transaction};
pub use welcome::{Resume, Retry, Welcome};

use crate::error::DecodeError;
use crate::limits::{CONTROL_BYTES_MAX, CONTROLS_MAX};
use crate::position::{Position, position};
use crate::read::{millis, required, texts, to_millis};
use crate::wire;
use crate::wire::control_message::Message;

/// A message from the control plane to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlMessage {
    /// The answer to a hello.
    Welcome(Welcome),
    /// A part of a transaction.
    Transaction(Transaction),
    /// A sign of life, with the head.
    Heartbeat(Heartbeat),
    /// The stream ends soon.
    GoAway(GoAway),
    /// A question that only the instance could answer. This build has an answer to none.
    Ask {
        /// Which question.
        id: u64,
    },
}

/// A sign of life. Whoever gets it has been sent everything up to the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The newest position of the group's view.
    pub head: Position,
    /// Up to which revision an operator has confirmed that a view which shrank is meant.
    pub shrink_confirmed: Option<Revision>,
}

/// The stream ends soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// The agent dials again within this time.
    pub delay: Duration,
    /// Addresses of control planes that are there; none: nobody knows of any.
    pub to: Vec<String>,
}

impl ControlMessage {
    /// The message as it goes on the wire.
    #[must_use]
    pub fn encode(self) -> wire::ControlMessage {
        let message = match self {
            Self::Welcome(welcome) => Message::Welcome(welcome.into()),
            Self::Transaction(transaction) => Message::Transaction(transaction.into()),
            Self::Heartbeat(Heartbeat {
                head,
                shrink_confirmed,
            }) => Message::Heartbeat(wire::Heartbeat {
                head: Some(head.into()),
                shrink_confirmed: shrink_confirmed.map(|revision| revision.0),
            }),
            Self::GoAway(GoAway { delay, to }) => Message::GoAway(wire::GoAway {
                delay_ms: to_millis(delay),
                to,
            }),
            Self::Ask { id } => Message::Ask(wire::Ask { id }),
        };
        wire::ControlMessage {
            message: Some(message),
        }
    }

    /// Reads a message from the wire.
    ///
    /// # Errors
    /// When a field is missing, out of bounds or unknown.
    pub fn decode(message: wire::ControlMessage) -> Result<Self, DecodeError> {
        let wire::ControlMessage { message } = message;
        match required("message", message)? {
            Message::Welcome(raw) => {
                let welcome = Welcome::try_from(raw).map_err(|error| error.within("welcome"))?;
                Ok(Self::Welcome(welcome))
            }
            Message::Transaction(raw) => {
                let transaction = Transaction::try_from(raw);
                let transaction = transaction.map_err(|error| error.within("transaction"))?;
                Ok(Self::Transaction(transaction))
            }
            Message::Heartbeat(wire::Heartbeat {
                head,
                shrink_confirmed,
            }) => Ok(Self::Heartbeat(Heartbeat {
                head: position("heartbeat.head", head)?,
                shrink_confirmed: shrink_confirmed.map(Revision),
            })),
            Message::GoAway(wire::GoAway { delay_ms, to }) => Ok(Self::GoAway(GoAway {
                delay: millis("go_away.delay_ms", delay_ms)?,
                to: texts("go_away.to", to, CONTROLS_MAX, CONTROL_BYTES_MAX)?,
            })),
            Message::Ask(wire::Ask { id }) => Ok(Self::Ask { id }),
        }
    }
}
