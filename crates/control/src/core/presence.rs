//! Which instances there are, and what each of them last said of itself.

use std::collections::BTreeMap;

use ferryway_model::{Digest, Name, Revision};
use jiff::Timestamp;
use serde_json::Value;

use super::records::InstanceRecord;

/// An instance that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// Its id, which its data-dir keeps.
    pub(crate) id: String,
    /// Where it runs, which build, when it was last heard of.
    pub(crate) record: InstanceRecord,
    /// Its stream; none: offline.
    pub(super) session: Option<u64>,
    /// Since when it is online, or offline.
    pub(crate) since: Timestamp,
    /// The view it was told to serve.
    pub(crate) desired: Option<Position>,
    /// The view it serves.
    pub(crate) effective: Option<Position>,
    /// The revision up to which it has applied or rejected everything.
    pub(super) settled: Revision,
    /// Services it holds at earlier content, by name.
    pub(crate) held: BTreeMap<Name, Held>,
}

/// A place in a group's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The revision.
    pub(crate) revision: Revision,
    /// The digest of the whole content.
    pub(crate) root: Digest,
}

/// Why an instance holds a service at earlier content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    /// For scripts.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
    /// What was seen.
    pub(crate) evidence: Option<Value>,
}

impl Instance {
    /// An instance that is known from the store only.
    pub(super) fn away(id: String, record: InstanceRecord) -> Self {
        Self {
            id,
            since: record.last_seen,
            record,
            session: None,
            desired: None,
            effective: None,
            settled: Revision(0),
            held: BTreeMap::new(),
        }
    }

    /// Whether it has a stream to this control plane.
    pub(crate) fn is_online(&self) -> bool {
        self.session.is_some()
    }

    /// Whether it serves the view of this root, and holds nothing.
    pub(crate) fn is_converged(&self, root: Option<Digest>) -> bool {
        self.held.is_empty() && self.effective.map(|position| position.root) == root
    }
}
