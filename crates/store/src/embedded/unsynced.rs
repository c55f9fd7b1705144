//! What was told and would not outlive a crash yet, kept until it would.
//!
//! redb gives up all that is not durable when the file has to be opened anew after a failed write.
//! The process goes on then, and so does what it was told: a reader that holds a transaction, and a
//! durable one that builds on it, must find it. So the writer does those once more.

use std::sync::Arc;

use crate::history::bytes;
use crate::{Event, Revision};

/// After so many bytes of keys and values that are not durable the next write is.
const BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// After so many transactions that are not durable the next write is.
const TRANSACTIONS_MAX: usize = 1_024;

/// The transactions since the last durable write, in order and without a gap.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    events: Vec<Arc<Event>>,
    bytes: usize,
}

impl Unsynced {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether there is enough of it.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX || self.events.len() >= TRANSACTIONS_MAX
    }

    pub(super) fn extend(&mut self, events: &[Arc<Event>]) {
        self.bytes += events.iter().map(|event| bytes(event)).sum::<usize>();
        self.events.extend_from_slice(events);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets what is in a file of this revision. What is left follows it, up to `head`; none
    /// where it doesn't.
    pub(super) fn missing(&mut self, file: Revision, head: Revision) -> Option<&[Arc<Event>]> {
        let events = std::mem::take(self).events;
        let missing: Vec<_> = events
            .into_iter()
            .filter(|event| event.revision > file)
            .collect();
        self.extend(&missing);
        let first = self.events.first()?.revision;
        let last = self.events.last()?.revision;
        (first == file.next() && last == head).then_some(&self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Key};

    fn unsynced(revisions: impl IntoIterator<Item = u64>, value_bytes: usize) -> Unsynced {
        let event = |revision| {
            Arc::new(Event {
                revision: Revision::new(revision),
                changes: vec![Change {
                    key: Key::new("k").unwrap(),
                    value: Some(vec![0; value_bytes].into()),
                }],
            })
        };
        let mut unsynced = Unsynced::default();
        unsynced.extend(&revisions.into_iter().map(event).collect::<Vec<_>>());
        unsynced
    }

    #[track_caller]
    fn check(file: u64, head: u64, expect: Option<&[u64]>) {
        let mut unsynced = unsynced(5..=8, 1);
        let missing = unsynced.missing(Revision::new(file), Revision::new(head));
        let missing = missing.map(|events| {
            let revisions = events.iter().map(|event| event.revision.number());
            revisions.collect::<Vec<_>>()
        });
        assert_eq!(missing.as_deref(), expect);
    }

    #[test]
    fn what_is_missing_joins_the_file_to_the_head() {
        check(4, 8, Some(&[5, 6, 7, 8]));
        check(6, 8, Some(&[7, 8]));
        check(8, 8, None);
        check(3, 8, None);
        check(6, 9, None);
    }

    #[test]
    fn there_is_an_end_to_it() {
        assert!(!unsynced(0..TRANSACTIONS_MAX as u64 - 1, 1).is_full());
        assert!(unsynced(0..TRANSACTIONS_MAX as u64, 1).is_full());
        let mut large = unsynced(1..=2, BYTES_MAX / 2);
        assert!(large.is_full());
        large.clear();
        assert!(large.is_empty() && !large.is_full());
    }
}
