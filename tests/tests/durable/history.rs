//! What was asked, what was told, what is there; and whether that fits together.
//!
//! Every call that changes something carries a *mark*, a number that its writer uses once, in rising
//! order: the port of the binding it sets, or the title it gives. So whatever is found afterwards
//! says whose work it is, and in which order it came.

mod check;
mod seen;

use std::collections::BTreeSet;

pub(super) use check::check;
pub(super) use seen::{Audit, Entry, Place, Seen, Touch};

/// One call of a writer. Its tries, if there were several, had one idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) mark: u32,
    pub(super) effect: Effect,
    pub(super) outcome: Outcome,
}

/// What a call does if it does anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// An operation of this kind on these places.
    Operation {
        kind: &'static str,
        places: BTreeSet<Place>,
        brings: Brings,
    },
    /// A change of a plain resource: the audit's action and target.
    Plain {
        action: &'static str,
        target: String,
        /// The group whose view it moves, if it does.
        moves: Option<String>,
    },
}

/// Which version an operation brings to its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Brings {
    /// The one that is named by its mark.
    Own,
    /// What ran at this place.
    Of(Place),
    /// The one that ran there before.
    Kept,
}

/// What its writer knows of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered; with an operation, if it made one.
    Answered(Option<String>),
    /// The control plane died before an answer came.
    Cut,
}

/// The version that a publish with this mark makes.
pub(super) fn version(mark: u32) -> String {
    format!("v{mark}")
}
