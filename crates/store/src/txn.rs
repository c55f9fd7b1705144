use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::{Key, Revision, StoreError};

/// The most requirements of a transaction, and the most changes.
///
/// As etcd counts (`--max-txn-ops`, 128): the longest of a transaction's lists is bounded, not their
/// sum. A put and a delete are one operation each, and stand in one list. One of each list is the
/// engine's own, by which it knows a transaction again that it has sent twice.
pub const TXN_OPERATIONS_MAX: usize = 127;

/// The most bytes of a transaction: its keys and values, and [`OPERATION_BYTES`] for each
/// requirement and change. etcd's `--max-request-bytes`.
pub const TXN_BYTES_MAX: usize = 1_572_864;

/// What one requirement or change counts beside its key and value, in bytes: room for the framing
/// on the wire and for the prefix that a shared etcd puts before each key.
pub const OPERATION_BYTES: usize = 64;

/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 1_048_576;

/// What must hold, and what then changes. Built up, and given to `Store::commit`.
#[derive(Clone, Debug)]
#[must_use = "a transaction does nothing until it is committed"]
pub struct Txn {
    pub(crate) requires: Vec<(Key, Expect)>,
    /// `None` deletes.
    pub(crate) changes: BTreeMap<Key, Option<Bytes>>,
    pub(crate) durable: bool,
}

impl Txn {
    /// A durable transaction that requires and changes nothing yet.
    pub fn new() -> Self {
        Self {
            requires: Vec::new(),
            changes: BTreeMap::new(),
            durable: true,
        }
    }

    /// Fails the whole transaction unless `key` is as expected before it.
    pub fn require(mut self, key: Key, expect: Expect) -> Self {
        self.requires.push((key, expect));
        self
    }

    /// Gives `key` this value. The last word about a key counts.
    pub fn put(mut self, key: Key, value: impl Into<Bytes>) -> Self {
        self.changes.insert(key, Some(value.into()));
        self
    }

    /// Removes `key`; if it is absent, that is no change. The last word about a key counts.
    pub fn delete(mut self, key: Key) -> Self {
        self.changes.insert(key, None);
        self
    }

    /// Whether the answer waits until the disk has the transaction (it does by default).
    ///
    /// One that is not durable is seen by all at once, and is lost if the process or the machine
    /// dies before a later durable one is answered. That is right for content named by its digest,
    /// written ahead of the durable transaction that refers to it.
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Bytes as [`TXN_BYTES_MAX`] counts them.
    pub fn bytes(&self) -> usize {
        let requires = self
            .requires
            .iter()
            .map(|(key, _)| key.as_str().len() + OPERATION_BYTES);
        let changes = self.changes.iter().map(|(key, value)| {
            key.as_str().len() + value.as_ref().map_or(0, Bytes::len) + OPERATION_BYTES
        });
        requires.chain(changes).sum()
    }

    /// Whether it is within the bounds; [`commit`](crate::Store::commit) refuses what isn't. Both
    /// engines refuse what either could not take.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`].
    pub fn check_bounds(&self) -> Result<(), StoreError> {
        let too_large = |what, max| Err(StoreError::TooLarge { what, max });
        if self.requires.len() > TXN_OPERATIONS_MAX {
            return too_large("requirements in a transaction", TXN_OPERATIONS_MAX);
        }
        if self.changes.len() > TXN_OPERATIONS_MAX {
            return too_large("changes in a transaction", TXN_OPERATIONS_MAX);
        }
        if self
            .changes
            .values()
            .flatten()
            .any(|value| value.len() > VALUE_BYTES_MAX)
        {
            return too_large("bytes of a value", VALUE_BYTES_MAX);
        }
        if self.bytes() > TXN_BYTES_MAX {
            return too_large("bytes in a transaction", TXN_BYTES_MAX);
        }
        Ok(())
    }
}

impl Default for Txn {
    fn default() -> Self {
        Self::new()
    }
}

/// What a transaction requires of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key is not there.
    Absent,
    /// The key is there, with whatever value.
    Present,
    /// The key is there and was last changed by the transaction of this revision.
    Revision(Revision),
}

impl Expect {
    /// Whether a key that was last `modified` so (`None`: absent) is as expected.
    pub(crate) fn holds(self, modified: Option<Revision>) -> bool {
        match self {
            Self::Absent => modified.is_none(),
            Self::Present => modified.is_some(),
            Self::Revision(revision) => modified == Some(revision),
        }
    }
}

/// The answer to a transaction that took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its revision; where it changed nothing, one that watches are told to have reached.
    pub revision: Revision,
    /// From the call to the answer.
    pub took: Duration,
    /// The share of `took` spent in handing the write to the disk and waiting for it. Transactions
    /// that wait at the same time share one such write.
    pub sync: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::new(format!("{n:04}")).unwrap()
    }

    #[track_caller]
    fn check(txn: &Txn, expect: Option<&str>) {
        let error = txn.check_bounds().err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expect);
    }

    #[test]
    fn each_list_is_bounded_alone() {
        let requires = |n| (0..n).fold(Txn::new(), |txn, n| txn.require(key(n), Expect::Absent));
        let changes = |n, txn| (0..n).fold(txn, |txn: Txn, n| txn.put(key(n), "v"));
        check(&changes(127, requires(127)), None);
        check(
            &requires(128),
            Some("too large: at most 127 requirements in a transaction"),
        );
        check(
            &changes(128, Txn::new()),
            Some("too large: at most 127 changes in a transaction"),
        );
    }

    #[test]
    fn a_key_counts_once_and_its_last_word_stands() {
        let txn = (0..500)
            .fold(Txn::new(), |txn, _| txn.put(key(1), "v"))
            .delete(key(1));
        check(&txn, None);
        assert_eq!(txn.changes[&key(1)], None);
    }

    #[test]
    fn bytes_are_bounded_for_a_value_and_for_all() {
        check(&Txn::new().put(key(1), vec![0; VALUE_BYTES_MAX]), None);
        let over = Txn::new().put(key(1), vec![0; VALUE_BYTES_MAX + 1]);
        check(&over, Some("too large: at most 1048576 bytes of a value"));

        let rest = TXN_BYTES_MAX - VALUE_BYTES_MAX - 2 * (4 + OPERATION_BYTES);
        let full = Txn::new()
            .put(key(1), vec![0; VALUE_BYTES_MAX])
            .put(key(2), vec![0; rest]);
        assert_eq!(full.bytes(), TXN_BYTES_MAX);
        check(&full, None);
        check(
            &full.put(key(2), vec![0; rest + 1]),
            Some("too large: at most 1572864 bytes in a transaction"),
        );
    }
}
