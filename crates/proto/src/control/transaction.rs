use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ferryway_model::{BUCKETS, Entry, Key, Revision};

use crate::blob::Blob;
use crate::entry::{
    Read, Unreadable, decode_entry, decode_key, encode_entry, encode_key, encode_unreadable,
};
use crate::error::DecodeError;
use crate::limits::{MESSAGE_BYTES_MAX, PARTS_MAX};
use crate::position::{Position, position};
use crate::read::{choice, list};
use crate::wire;

/// A part of one step of a group's view, or of the answer to a reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The revision it starts from; none for a reconcile, which starts from wherever the agent is.
    pub from: Option<Revision>,
    /// Where it leads.
    pub to: Position,
    /// Why.
    pub cause: Cause,
    /// Which part this is.
    pub part: Part,
    /// Entries that are new or other.
    pub upserts: BTreeMap<Key, Entry>,
    /// Entries that are new or other, and that this build cannot read.
    pub unreadable: BTreeMap<Key, Unreadable>,
    /// Keys that are gone. A reconcile has none: what its `buckets` do not list is gone.
    pub removals: BTreeSet<Key>,
    /// Content that the agent is not known to have.
    pub blobs: Vec<Blob>,
    /// In a reconcile, the buckets that `upserts` lists in full.
    pub buckets: BTreeSet<u8>,
    /// In a reconcile: whether an operator has confirmed that a view which shrank is meant.
    pub confirmed: bool,
}

/// Which part of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub number: u32,
    /// At least 1, at most [`PARTS_MAX`].
    pub count: u32,
}

/// Why a view changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Publish, sync, edit, binding, enable, disable, unpublish: checks gate it.
    Operation,
    /// A rollback: checks only warn.
    Rollback,
    /// An aborted rollout: checks only warn.
    Abort,
    /// A group-wide resource.
    Resource,
    /// The answer to a reconcile.
    Reconcile,
}

impl Part {
    /// The only part.
    pub const WHOLE: Self = Self {
        number: 0,
        count: 1,
    };

    /// Whether no part follows.
    #[must_use]
    pub fn is_last(self) -> bool {
        self.number + 1 == self.count
    }
}

impl From<Transaction> for wire::Transaction {
    fn from(transaction: Transaction) -> Self {
        let Transaction {
            from,
            to,
            cause,
            part,
            upserts,
            unreadable,
            removals,
            blobs,
            buckets,
            confirmed,
        } = transaction;
        let cause = match cause {
            Cause::Operation => wire::Cause::Operation,
            Cause::Rollback => wire::Cause::Rollback,
            Cause::Abort => wire::Cause::Abort,
            Cause::Resource => wire::Cause::Resource,
            Cause::Reconcile => wire::Cause::Reconcile,
        };
        Self {
            from: from.map(|revision| revision.0),
            to: Some(to.into()),
            cause: cause.into(),
            part: part.number,
            parts: part.count,
            upserts: upserts
                .iter()
                .map(|(key, entry)| encode_entry(key, entry))
                .chain(unreadable.values().map(encode_unreadable))
                .collect(),
            removals: removals.iter().map(encode_key).collect(),
            blobs: blobs.into_iter().map(Into::into).collect(),
            buckets: buckets.into_iter().collect::<Bytes>(),
            confirmed,
        }
    }
}

impl TryFrom<wire::Transaction> for Transaction {
    type Error = DecodeError;

    fn try_from(transaction: wire::Transaction) -> Result<Self, DecodeError> {
        let wire::Transaction {
            from,
            to,
            cause,
            part: number,
            parts: count,
            upserts,
            removals,
            blobs,
            buckets,
            confirmed,
        } = transaction;
        if count == 0 || count > PARTS_MAX || number >= count {
            let why = format!("is {number} of {count}; at most {PARTS_MAX} are allowed");
            return Err(DecodeError::new("part", why));
        }
        let cause = choice("cause", cause, decode_cause)?;
        let (upserts, unreadable) = decode_upserts(upserts)?;
        let decoded = Self {
            from: from.map(Revision),
            to: position("to", to)?,
            cause,
            part: Part { number, count },
            upserts,
            unreadable,
            removals: decode_removals(removals)?,
            blobs: list("blobs", blobs, MESSAGE_BYTES_MAX, Blob::try_from)?,
            buckets: decode_buckets(&buckets)?,
            confirmed,
        };
        decoded.refuse_contradictions()?;
        Ok(decoded)
    }
}

impl Transaction {
    /// A reconcile has buckets and no start; all others have a start and no buckets.
    fn refuse_contradictions(&self) -> Result<(), DecodeError> {
        let refuse = |field, why| Err(DecodeError::new(field, why));
        let is_reconcile = self.cause == Cause::Reconcile;
        if is_reconcile == self.from.is_some() {
            return refuse("from", "must be there unless the cause is a reconcile");
        }
        if !is_reconcile && (!self.buckets.is_empty() || self.confirmed) {
            return refuse("buckets", "and confirmed belong to a reconcile");
        }
        if is_reconcile && !self.removals.is_empty() {
            return refuse("removals", "of a reconcile follow from its buckets");
        }
        let upserted = |key| self.upserts.contains_key(key) || self.unreadable.contains_key(key);
        if self.removals.iter().any(upserted) {
            return refuse("removals", "name a key that upserts names too");
        }
        Ok(())
    }
}

fn decode_cause(cause: wire::Cause) -> Option<Cause> {
    match cause {
        wire::Cause::Unspecified => None,
        wire::Cause::Operation => Some(Cause::Operation),
        wire::Cause::Rollback => Some(Cause::Rollback),
        wire::Cause::Abort => Some(Cause::Abort),
        wire::Cause::Resource => Some(Cause::Resource),
        wire::Cause::Reconcile => Some(Cause::Reconcile),
    }
}

/// Entries that were read, and those that could not be.
type Upserts = (BTreeMap<Key, Entry>, BTreeMap<Key, Unreadable>);

fn decode_upserts(raw: Vec<wire::Entry>) -> Result<Upserts, DecodeError> {
    let count = raw.len();
    let mut entries = BTreeMap::new();
    let mut unreadable = BTreeMap::new();
    for read in list("upserts", raw, MESSAGE_BYTES_MAX, decode_entry)? {
        match read {
            Read::Entry(key, entry) => drop(entries.insert(key, entry)),
            Read::Unreadable(key, why) => drop(unreadable.insert(key, why)),
        }
    }
    let is_twice = unreadable.keys().any(|key| entries.contains_key(key));
    if is_twice || entries.len() + unreadable.len() < count {
        return Err(DecodeError::new("upserts", "name a key twice"));
    }
    Ok((entries, unreadable))
}

fn decode_removals(raw: Vec<wire::Key>) -> Result<BTreeSet<Key>, DecodeError> {
    let count = raw.len();
    let keys = list("removals", raw, MESSAGE_BYTES_MAX, decode_key)?;
    let keys: BTreeSet<_> = keys.into_iter().collect();
    if keys.len() < count {
        return Err(DecodeError::new("removals", "name a key twice"));
    }
    Ok(keys)
}

fn decode_buckets(raw: &[u8]) -> Result<BTreeSet<u8>, DecodeError> {
    let buckets: BTreeSet<u8> = raw.iter().copied().collect();
    if raw.len() > BUCKETS || buckets.len() < raw.len() {
        return Err(DecodeError::new("buckets", "name a bucket twice"));
    }
    Ok(buckets)
}
