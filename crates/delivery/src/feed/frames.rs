//! Encoding what a feed hands out: messages as the bytes that go on the wire, each made once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use ferryway_model::{BUCKETS, Digest, Entry, Key, View};
use ferryway_proto::limits::PART_BYTES;
use ferryway_proto::{Blob, Cause, ControlMessage, Heartbeat, Part, Transaction};
use prost::Message;

use super::Head;
use crate::blob::pack;
use crate::limits::INLINE_BYTES_MAX;

/// More than an entry takes on the wire, in bytes: name, version, two digests and the envelope.
const ENTRY_BYTES: usize = 256;
/// More than a blob's envelope takes, in bytes.
const BLOB_ENVELOPE_BYTES: usize = 32;

/// The bytes of a message.
pub(crate) fn encode(message: ControlMessage) -> Bytes {
    message.encode().encode_to_vec().into()
}

pub(super) fn of_heartbeat(heartbeat: Heartbeat) -> Bytes {
    encode(ControlMessage::Heartbeat(heartbeat))
}

/// The frames of the transaction between two heads.
pub(super) fn of_transaction(
    before: &Head,
    after: &Head,
    cause: Cause,
    content: Vec<Bytes>,
) -> Arc<[Bytes]> {
    let changes = before.view.changes_to(&after.view);
    let blobs = inline(&before.view, &changes.upserts, content);
    let whole = Transaction {
        from: Some(before.revision),
        to: after.position(),
        cause,
        part: Part::WHOLE,
        upserts: changes.upserts,
        unreadable: BTreeMap::new(),
        removals: changes.removals,
        blobs,
        buckets: BTreeSet::new(),
        confirmed: false,
    };
    in_parts(whole)
}

/// The frames that lead from a view with these buckets to the head.
pub(super) fn of_reconcile(
    head: &Head,
    buckets: Option<&[Digest; BUCKETS]>,
    confirmed: bool,
) -> Arc<[Bytes]> {
    let empty = View::empty();
    let has = |number: u8| {
        let number = usize::from(number);
        buckets.map_or_else(
            || empty.buckets()[number].digest(),
            |digests| digests[number],
        )
    };
    let is_other = |number: &u8| head.view.buckets()[usize::from(*number)].digest() != has(*number);
    let other: BTreeSet<u8> = (0..=u8::MAX).filter(is_other).collect();
    let entries = other
        .iter()
        .flat_map(|number| head.view.buckets()[usize::from(*number)].entries());
    let whole = Transaction {
        from: None,
        to: head.position(),
        cause: Cause::Reconcile,
        part: Part::WHOLE,
        upserts: entries
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect(),
        unreadable: BTreeMap::new(),
        removals: BTreeSet::new(),
        blobs: Vec::new(),
        buckets: other,
        confirmed,
    };
    in_parts(whole)
}

/// What tells one question for a reconcile from another.
pub(super) fn digest_of(buckets: Option<&[Digest; BUCKETS]>) -> Digest {
    let digests = buckets.into_iter().flatten();
    let bytes: Vec<u8> = digests.flat_map(|digest| *digest.as_bytes()).collect();
    Digest::of(&bytes)
}

/// The content that instances are not known to have: named by an entry, but not by the one it
/// replaces.
fn inline(before: &View, upserts: &BTreeMap<Key, Entry>, content: Vec<Bytes>) -> Vec<Blob> {
    let mut new = BTreeSet::new();
    for (key, entry) in upserts {
        let old: BTreeSet<Digest> = before
            .get(key)
            .into_iter()
            .flat_map(Entry::content)
            .collect();
        new.extend(entry.content().filter(|digest| !old.contains(digest)));
    }
    let mut room = INLINE_BYTES_MAX;
    let mut blobs = Vec::new();
    for bytes in content {
        if bytes.len() > room || !new.remove(&Digest::of(&bytes)) {
            continue;
        }
        if let Some(blob) = pack(&bytes) {
            room -= bytes.len();
            blobs.push(blob);
        }
    }
    blobs
}

/// Cuts a transaction into parts of about `PART_BYTES`, and encodes them.
fn in_parts(whole: Transaction) -> Arc<[Bytes]> {
    let Transaction {
        from,
        to,
        cause,
        part: _,
        upserts,
        unreadable: _, // A head has none.
        removals,
        blobs,
        buckets,
        confirmed,
    } = whole;
    let fresh = || Transaction {
        from,
        to,
        cause,
        part: Part::WHOLE,
        upserts: BTreeMap::new(),
        unreadable: BTreeMap::new(),
        removals: BTreeSet::new(),
        blobs: Vec::new(),
        buckets: BTreeSet::new(),
        confirmed,
    };
    let mut cutter = Cutter {
        done: Vec::new(),
        part: Transaction { buckets, ..fresh() },
        bytes: 0,
    };
    for (key, entry) in upserts {
        cutter.make_room(ENTRY_BYTES, fresh);
        cutter.part.upserts.insert(key, entry);
    }
    for key in removals {
        cutter.make_room(ENTRY_BYTES, fresh);
        cutter.part.removals.insert(key);
    }
    for blob in blobs {
        cutter.make_room(blob.content.len() + BLOB_ENVELOPE_BYTES, fresh);
        cutter.part.blobs.push(blob);
    }
    cutter.done.push(cutter.part);
    // At most ENTRIES_MAX × ENTRY_BYTES + INLINE_BYTES_MAX: far from PARTS_MAX, and from u32.
    let count = u32::try_from(cutter.done.len()).unwrap_or(u32::MAX);
    let parts = (0..count).zip(cutter.done).map(|(number, mut part)| {
        part.part = Part { number, count };
        encode(ControlMessage::Transaction(part))
    });
    parts.collect()
}

struct Cutter {
    done: Vec<Transaction>,
    part: Transaction,
    bytes: usize,
}

impl Cutter {
    fn make_room(&mut self, bytes: usize, fresh: impl Fn() -> Transaction) {
        if self.bytes > 0 && self.bytes + bytes > PART_BYTES {
            self.done.push(std::mem::replace(&mut self.part, fresh()));
            self.bytes = 0;
        }
        self.bytes += bytes;
    }
}
