//! What a session is told, and what it asks for.

use std::sync::Arc;

use bytes::Bytes;
use ferryway_model::{Digest, View};
use ferryway_proto::{AgentMessage, ControlMessage, DecodeError, Fault, Position};
use tokio::time::Instant;
use uuid::Uuid;

use crate::candidate::{Candidate, Outcome};
use crate::hold::Holds;
use crate::load::Content;

/// What a session is told.
#[derive(Debug)]
pub enum Event {
    /// A stream is open.
    Connected,
    /// A message came on it.
    Message(Box<ControlMessage>),
    /// A message came that cannot be read.
    Undecodable(DecodeError),
    /// The stream is gone, or could not be opened.
    Lost,
    /// Content that was asked for. What is in neither list could not be got now.
    Fetched {
        /// Content; under what digest is for the session to find out.
        found: Vec<Bytes>,
        /// What the control plane has said it does not have.
        missing: Vec<Digest>,
    },
    /// What became of the candidate.
    Installed(Outcome),
    /// Everything up to this record will survive a loss of power.
    Durable {
        /// Its number.
        record: u64,
        /// The effective position in it.
        position: Position,
    },
    /// What was to be saved will not be for now: there is no disk, or it cannot be written. Until
    /// something is durable again, nothing waits for it.
    Unkept,
    /// What the checks of a candidate found that was applied already.
    Checked {
        /// Where the candidate led.
        position: Position,
        /// What fails.
        faults: Vec<Fault>,
    },
    /// What the instance shall run instead: a file that it serves from says something else now.
    Replaced {
        /// All of it.
        view: View,
        /// The content of the view.
        content: Content,
    },
    /// Time has passed.
    Tick,
}

/// What a session asks for, to be done in this order.
#[derive(Debug)]
pub enum Action {
    /// Send this on the stream; nothing happens where there is none.
    Send(AgentMessage),
    /// Put this on the disk, soon. Nothing waits for it but the word that something is held.
    Save(Record),
    /// Get this content, from the disk or from the control plane; answer with `Fetched`.
    Fetch {
        /// What is needed.
        digests: Vec<Digest>,
        /// The session to name to the control plane; none: there is only the disk.
        session: Option<Uuid>,
    },
    /// Install this; answer with `Installed`. One at a time.
    Install(Arc<Candidate>),
    /// Run the checks of this, which was applied and is not waited for; answer with `Checked`.
    Check(Arc<Candidate>),
    /// Close the stream, if there is one, and open one.
    Redial {
        /// When.
        at: Instant,
        /// Control planes that are said to be there; none: nothing is said.
        to: Vec<String>,
    },
}

/// What is to be on the disk.
#[derive(Clone, Debug)]
pub enum Record {
    /// What the instance is about to run.
    Desired(Desired, Content),
    /// What it runs, with what it should run: holds say how the one differs from the other, and a
    /// start that found the new one of them with the old other would take a hold for a plan.
    Settled {
        /// Rises by one with each; from 1 in each run.
        number: u64,
        /// What it should run.
        desired: Desired,
        /// What it runs.
        effective: Effective,
    },
}

/// What an instance should run.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Up to which transaction.
    pub position: Position,
    /// The view there.
    pub view: View,
    /// Whether each entry is an atom of its own (a reconcile), or all changes are one.
    pub atoms: Atoms,
}

/// What an instance runs.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Up to which transaction, and the root of what runs.
    pub position: Position,
    /// What runs.
    pub view: View,
    /// What stays behind the desired view.
    pub holds: Holds,
}

/// What is loaded or held together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Atoms {
    /// All changes: they are one transaction.
    Whole,
    /// Each entry by itself: one bad entry must not hold a reconcile.
    Each,
}
