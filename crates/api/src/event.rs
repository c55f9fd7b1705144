//! What the events of an operation carry.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::operation::{InstanceDelivery, Operation, OperationState};

/// One step of an operation's delivery, as a server-sent event: `event` names the kind, `data` is
/// what the kind carries.
#[derive(Clone, Debug, PartialEq)]
pub enum OperationEvent {
    /// `event: instance`.
    Instance(InstanceEvent),
    /// `event: state`.
    State(StateEvent),
    /// `event: end`: the operation in its final state. Nothing follows.
    End(Box<Operation>),
}

/// How delivery stands on one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstanceEvent {
    /// The destination's group.
    pub group: String,
    /// The destination's service.
    pub service: String,
    /// The instance as it now is in the operation.
    pub instance: InstanceDelivery,
}

/// How an operation, or one destination of it, stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateEvent {
    /// The destination's group; null: the operation as a whole.
    pub group: Option<String>,
    /// The destination's service; null: the operation as a whole.
    pub service: Option<String>,
    /// The state it is now in.
    pub state: OperationState,
}

impl OperationEvent {
    /// The kind, as the event's name says it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Instance(_) => "instance",
            Self::State(_) => "state",
            Self::End(_) => "end",
        }
    }

    /// The data, as JSON.
    ///
    /// # Errors
    /// None that the types of this crate can bring about; serde_json's signature has one.
    pub fn data(&self) -> serde_json::Result<String> {
        match self {
            Self::Instance(event) => serde_json::to_string(event),
            Self::State(event) => serde_json::to_string(event),
            Self::End(operation) => serde_json::to_string(operation),
        }
    }
}
