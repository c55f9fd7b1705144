//! Holds: entries that stay at their last good content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferryway_model::{Digest, Key, Revision};
use ferryway_proto::limits::HOLDS_NAMED_MAX;
use ferryway_proto::{Fault, HeldEntry, Stage};
use serde::{Deserialize, Serialize};

/// The holds of an instance, by entry. Cheap to clone.
pub type Holds = Arc<BTreeMap<Key, Hold>>;

/// Why an entry stays at its last good content. It ends when the digest of the desired entry
/// changes; until then the same digest is not offered for installation again, also not after a
/// restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The digest of the desired entry; none: its removal is desired.
    pub digest: Option<Digest>,
    /// The revision with which the hold began.
    pub revision: Revision,
    /// What kind of hold it is.
    pub why: Why,
    /// Why, for scripts.
    pub code: String,
    /// The place in the content; empty for all of it.
    pub path: String,
    /// Why, for people.
    pub message: String,
    /// What was seen: a request and its answer.
    pub evidence: Option<String>,
}

/// What kind of hold it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The entry itself was rejected.
    Rejected,
    /// Nothing is wrong with it, but these were rejected, and one transaction changed them all.
    /// It is released with the last of them.
    Together(#[serde(with = "keys")] BTreeSet<Key>),
    /// A view that shrank waits for an operator.
    Shrink,
    /// The instance ended three times in a row while it had this content.
    CrashLoop,
}

/// The code of a hold that waits for an operator's `confirm-shrink`.
pub const SHRINK_UNCONFIRMED: &str = "shrink_unconfirmed";
/// The code of a hold for an innocent entry of a rejected transaction.
pub const HELD_TOGETHER: &str = "held_together";
/// The code of a hold for content with which the instance kept ending.
pub const CRASH_LOOP: &str = "crash_loop";

impl Hold {
    /// The entry was rejected.
    pub(crate) fn rejected(revision: Revision, digest: Option<Digest>, fault: Fault) -> Self {
        let Fault {
            key: _,
            digest: _,
            stage: _,
            code,
            path,
            detail,
            evidence,
        } = fault;
        Self {
            digest,
            revision,
            why: Why::Rejected,
            code,
            path,
            message: detail,
            evidence,
        }
    }

    /// Others of its transaction were.
    pub(crate) fn together(
        revision: Revision,
        digest: Option<Digest>,
        culprits: &BTreeSet<Key>,
    ) -> Self {
        let list = culprits.iter().take(LISTED_MAX).map(ToString::to_string);
        let list = list.collect::<Vec<_>>().join(", ");
        let message = format!("changed together with {list}, which was rejected");
        let why = Why::Together(culprits.clone());
        Self::plain(revision, digest, why, HELD_TOGETHER, message)
    }

    /// The view shrank, and nobody has said that it should.
    pub(crate) fn shrink(revision: Revision, digest: Option<Digest>, gone: usize) -> Self {
        let message = format!(
            "the view lost {gone} entries without a transaction that removes them; \
             confirm-shrink on the group applies it"
        );
        Self::plain(revision, digest, Why::Shrink, SHRINK_UNCONFIRMED, message)
    }

    /// The instance kept ending with it.
    pub(crate) fn crash_loop(revision: Revision, digest: Option<Digest>) -> Self {
        let message = "the instance ended several times in a row with this content, and started \
                       from its last good view; publish other content to leave this state"
            .to_owned();
        Self::plain(revision, digest, Why::CrashLoop, CRASH_LOOP, message)
    }

    fn plain(
        revision: Revision,
        digest: Option<Digest>,
        why: Why,
        code: &str,
        message: String,
    ) -> Self {
        Self {
            digest,
            revision,
            why,
            code: code.to_owned(),
            path: String::new(),
            message,
            evidence: None,
        }
    }

    /// As a fault of its entry.
    pub(crate) fn fault(&self, key: &Key) -> Fault {
        Fault {
            key: key.clone(),
            digest: self.digest,
            stage: Stage::Reference,
            code: self.code.clone(),
            path: self.path.clone(),
            detail: self.message.clone(),
            evidence: self.evidence.clone(),
        }
    }

    /// As it is told to the control plane.
    fn told(&self, key: &Key) -> HeldEntry {
        HeldEntry {
            key: key.clone(),
            digest: self.digest,
            revision: self.revision,
            code: self.code.clone(),
            path: self.path.clone(),
            detail: self.message.clone(),
        }
    }
}

/// The first of the holds, as they are told to the control plane, and how many there are.
pub(crate) fn told(holds: &Holds) -> (Vec<HeldEntry>, u32) {
    let named = holds.iter().take(HOLDS_NAMED_MAX);
    let named = named.map(|(key, hold)| hold.told(key)).collect();
    (named, u32::try_from(holds.len()).unwrap_or(u32::MAX))
}

/// Most culprits named in the sentence of an innocent's hold.
const LISTED_MAX: usize = 8;

/// Keys as the texts they are written as.
mod keys {
    use std::collections::BTreeSet;

    use ferryway_model::Key;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(keys: &BTreeSet<Key>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(keys.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeSet<Key>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        let keys = texts
            .iter()
            .map(|text| text.parse::<Key>().map_err(D::Error::custom));
        keys.collect()
    }
}
