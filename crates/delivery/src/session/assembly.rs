//! Puts the parts of a transaction together.

use std::collections::{BTreeMap, BTreeSet};

use ferryway_model::{Changes, Digest, Key, Revision};
use ferryway_proto::{Cause, Fault, Part, Position, Transaction};

use crate::blob::unpack;
use crate::limits::{ENTRIES_MAX, TRANSACTION_BYTES_MAX};
use crate::load::Content;

/// The parts that have come so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    whole: Option<Whole>,
    next: u32,
    count: u32,
    bytes: usize,
}

/// A transaction with all its parts.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) from: Option<Revision>,
    pub(super) to: Position,
    pub(super) cause: Cause,
    pub(super) changes: Changes,
    /// Entries that are new or other too, but cannot be read.
    pub(super) unreadable: BTreeMap<Key, Fault>,
    pub(super) content: Content,
    pub(super) buckets: BTreeSet<u8>,
    pub(super) confirmed: bool,
}

impl Assembly {
    /// Adds a part; the whole, if it was the last one.
    ///
    /// An error says what is wrong with the part. Nothing of its transaction can be used then.
    pub(super) fn add(&mut self, part: Transaction) -> Result<Option<Whole>, String> {
        let Transaction {
            from,
            to,
            cause,
            part: Part { number, count },
            upserts,
            unreadable,
            removals,
            blobs,
            buckets,
            confirmed,
        } = part;
        if number == 0 {
            *self = Self {
                count,
                ..Self::default()
            };
        }
        let whole = self.whole.get_or_insert_with(|| Whole {
            from,
            to,
            cause,
            changes: Changes::default(),
            unreadable: BTreeMap::new(),
            content: Content::new(),
            buckets: BTreeSet::new(),
            confirmed,
        });
        let same = (whole.from, whole.to, whole.cause, whole.confirmed);
        if same != (from, to, cause, confirmed) || (number, count) != (self.next, self.count) {
            return Err(format!(
                "part {number} of transaction {to} does not follow the one before"
            ));
        }
        self.next += 1;

        whole.changes.upserts.extend(upserts);
        whole.changes.removals.extend(removals);
        let unreadable = unreadable.into_iter();
        whole
            .unreadable
            .extend(unreadable.map(|(key, why)| (key, why.fault)));
        whole.buckets.extend(buckets);
        let changes = whole.changes.upserts.len() + whole.changes.removals.len();
        if changes + whole.unreadable.len() > ENTRIES_MAX {
            return Err(format!(
                "transaction {to} has more than {ENTRIES_MAX} entries"
            ));
        }
        for blob in &blobs {
            // What it would be is fetched, and if that is no better, it is a fault of an entry.
            let plain = match unpack(blob) {
                Ok(plain) => plain,
                Err(error) => {
                    tracing::warn!(%to, %error, "a transaction brings content that cannot be read");
                    continue;
                }
            };
            self.bytes += plain.len();
            if self.bytes > TRANSACTION_BYTES_MAX {
                return Err(format!(
                    "transaction {to} is larger than {TRANSACTION_BYTES_MAX} bytes"
                ));
            }
            whole.content.insert(Digest::of(&plain), plain);
        }
        if self.next == self.count {
            return Ok(std::mem::take(self).whole);
        }
        Ok(None)
    }
}
