//! The last transactions, in memory, for the watches of one store: whatever engine it has, it appends
//! here, and never waits for who reads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{Change, Event, Revision, StoreError};

/// The most transactions kept.
const HISTORY_TRANSACTIONS_MAX: usize = 4_096;

/// The most bytes of keys and values kept.
const HISTORY_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// How many transactions one look of a watch passes over while it holds the lock.
const STEP_TRANSACTIONS_MAX: usize = 256;

/// The last transactions, for watches. Who appends never waits for a reader.
pub(crate) struct History {
    ring: Mutex<Ring>,
    /// Says "look again"; what there is to see is in the ring.
    wake: watch::Sender<()>,
}

/// All events after `floor` up to `head`, in order. Revisions may have gaps, events have none.
struct Ring {
    floor: Revision,
    head: Revision,
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Grows when the past is given up: a cursor into it means nothing then.
    life: u64,
    closed: bool,
}

/// A watch's place: everything up to and with `seen` was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    seen: Revision,
    life: u64,
}

/// What a watch finds at its place.
#[derive(Debug)]
pub(crate) enum Step {
    /// A transaction of interest.
    Event(Event),
    /// Some without interest were passed over; there may be more.
    Again,
    /// Everything has been told.
    Wait,
    /// The place is no longer kept.
    Compacted { oldest: Revision },
    /// Everything has been told, and nothing will come.
    Closed,
}

impl History {
    pub(crate) fn new(head: Revision) -> Self {
        let ring = Ring {
            floor: head,
            head,
            events: VecDeque::new(),
            bytes: 0,
            life: 0,
            closed: false,
        };
        Self {
            ring: Mutex::new(ring),
            wake: watch::Sender::new(()),
        }
    }

    /// A place after `after`, and what wakes who waits there. `head` is how far the store is known
    /// to be, where that may be further than what was appended.
    pub(crate) fn start(
        &self,
        after: Revision,
        head: Revision,
    ) -> Result<(Cursor, watch::Receiver<()>), StoreError> {
        let ring = self.lock();
        if ring.closed {
            return Err(StoreError::Closed);
        }
        if after < ring.floor {
            return Err(StoreError::Compacted { oldest: ring.floor });
        }
        let head = ring.head.max(head);
        if after > head {
            return Err(StoreError::Ahead { head });
        }
        Ok((
            Cursor {
                seen: after,
                life: ring.life,
            },
            self.wake.subscribe(),
        ))
    }

    /// Appends transactions, whose revisions follow the head.
    pub(crate) fn append(&self, events: Vec<Arc<Event>>) {
        let mut ring = self.lock();
        for event in events {
            debug_assert!(event.revision > ring.head, "revisions rise");
            ring.head = event.revision;
            ring.bytes += bytes(&event);
            ring.events.push_back(event);
            while ring.is_over() {
                ring.drop_oldest();
            }
        }
        drop(ring);
        self.wake.send_replace(());
    }

    /// Waits until everything up to this revision has been appended.
    pub(crate) async fn reached(&self, revision: Revision) {
        let mut woken = self.wake.subscribe();
        loop {
            woken.borrow_and_update();
            if self.lock().head >= revision || woken.changed().await.is_err() {
                return;
            }
        }
    }

    /// Gives up the past: the store's content is no longer what the events led to.
    pub(crate) fn reset(&self, head: Revision) {
        let mut ring = self.lock();
        (ring.floor, ring.head) = (head, head);
        ring.events.clear();
        ring.bytes = 0;
        ring.life += 1;
        drop(ring);
        self.wake.send_replace(());
    }

    /// No event follows.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.send_replace(());
    }

    /// Moves `cursor` to the next event with a change under `prefix`, or as far as one look goes.
    pub(crate) fn step(&self, cursor: &mut Cursor, prefix: &str) -> Step {
        let ring = self.lock();
        if cursor.life != ring.life || cursor.seen < ring.floor {
            return Step::Compacted { oldest: ring.floor };
        }
        let passed = ring
            .events
            .partition_point(|event| event.revision <= cursor.seen);
        let mut looked = 0;
        for event in ring.events.iter().skip(passed).take(STEP_TRANSACTIONS_MAX) {
            looked += 1;
            cursor.seen = event.revision;
            if let Some(event) = under(prefix, event) {
                return Step::Event(event);
            }
        }
        match looked {
            0 if ring.closed => Step::Closed,
            0 => Step::Wait,
            _ => Step::Again,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Nothing panics while it is held; were it so, the ring would still be whole.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn is_over(&self) -> bool {
        self.events.len() > HISTORY_TRANSACTIONS_MAX || self.bytes > HISTORY_BYTES_MAX
    }

    fn drop_oldest(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.floor = event.revision;
            self.bytes -= bytes(&event);
        }
    }
}

/// The bytes of an event's keys and values.
pub(crate) fn bytes(event: &Event) -> usize {
    let change = |change: &Change| {
        change.key.as_str().len() + change.value.as_ref().map_or(0, bytes::Bytes::len)
    };
    event.changes.iter().map(change).sum()
}

/// What an event is to a watch of this prefix. One that changed nothing at all says how far all has
/// been told, which concerns everybody.
fn under(prefix: &str, event: &Event) -> Option<Event> {
    if event.changes.is_empty() {
        return Some(event.clone());
    }
    let of_interest = |change: &&Change| change.key.as_str().starts_with(prefix);
    let changes: Vec<Change> = event.changes.iter().filter(of_interest).cloned().collect();
    (!changes.is_empty()).then_some(Event {
        revision: event.revision,
        changes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn event(revision: u64, key: &str, value_bytes: usize) -> Arc<Event> {
        let change = Change {
            key: Key::new(key).unwrap(),
            value: Some(vec![0; value_bytes].into()),
        };
        Arc::new(Event {
            revision: Revision::new(revision),
            changes: vec![change],
        })
    }

    #[track_caller]
    fn expect_event(step: &Step, revision: u64) {
        assert!(
            matches!(step, Step::Event(e) if e.revision.number() == revision),
            "{step:?}"
        );
    }

    #[test]
    fn a_place_is_kept_until_too_many_follow() {
        let history = History::new(Revision::new(10));
        let (mut slow, _woken) = history.start(Revision::new(10), Revision::ZERO).unwrap();
        let full = HISTORY_TRANSACTIONS_MAX as u64;
        history.append((11..=10 + full).map(|n| event(n, "k", 1)).collect());
        expect_event(&history.step(&mut slow, ""), 11);
        history.append(vec![event(11 + full, "k", 1)]);
        expect_event(&history.step(&mut slow, ""), 12);

        let early = history.start(Revision::new(10), Revision::ZERO);
        assert!(matches!(early, Err(StoreError::Compacted { oldest }) if oldest.number() == 11));
        history.append(vec![event(12 + full, "k", 1), event(13 + full, "k", 1)]);
        let step = history.step(&mut slow, "");
        assert!(
            matches!(step, Step::Compacted { oldest } if oldest.number() == 13),
            "{step:?}"
        );
    }

    #[test]
    fn revisions_may_have_gaps_and_a_place_may_lie_ahead() {
        let history = History::new(Revision::new(10));
        let early = history.start(Revision::new(15), Revision::new(14));
        assert!(matches!(early, Err(StoreError::Ahead { head }) if head.number() == 14));
        let (mut ahead, _woken) = history.start(Revision::new(15), Revision::new(20)).unwrap();
        let (mut behind, _woken) = history.start(Revision::new(12), Revision::new(20)).unwrap();
        history.append(vec![event(12, "a", 1), event(15, "a", 1)]);
        assert!(matches!(history.step(&mut ahead, ""), Step::Wait));
        expect_event(&history.step(&mut behind, ""), 15);
        history.append(vec![event(19, "a", 1)]);
        expect_event(&history.step(&mut ahead, ""), 19);
        expect_event(&history.step(&mut behind, ""), 19);
    }

    #[test]
    fn how_far_all_is_told_concerns_every_prefix() {
        let history = History::new(Revision::ZERO);
        let (mut cursor, _woken) = history.start(Revision::ZERO, Revision::ZERO).unwrap();
        let mark = Event {
            revision: Revision::new(3),
            changes: Vec::new(),
        };
        history.append(vec![event(2, "a", 1), Arc::new(mark)]);
        expect_event(&history.step(&mut cursor, "b"), 3);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let history = History::new(Revision::ZERO);
        let half = HISTORY_BYTES_MAX / 2;
        history.append(vec![
            event(1, "k", half),
            event(2, "k", half),
            event(3, "k", half),
        ]);
        assert!(history.lock().bytes <= HISTORY_BYTES_MAX);
        assert!(matches!(
            history.start(Revision::new(1), Revision::ZERO),
            Err(StoreError::Compacted { .. })
        ));
        history.start(Revision::new(2), Revision::ZERO).unwrap();
    }

    #[test]
    fn what_is_of_no_interest_is_passed_over_in_bounded_looks() {
        let history = History::new(Revision::ZERO);
        let (mut cursor, _woken) = history.start(Revision::ZERO, Revision::ZERO).unwrap();
        let many = STEP_TRANSACTIONS_MAX as u64;
        history.append((1..=many).map(|n| event(n, "a", 1)).collect());
        history.append(vec![event(many + 1, "b", 1)]);
        assert!(matches!(history.step(&mut cursor, "b"), Step::Again));
        expect_event(&history.step(&mut cursor, "b"), many + 1);
        assert!(matches!(history.step(&mut cursor, "b"), Step::Wait));
        history.close();
        assert!(matches!(history.step(&mut cursor, "b"), Step::Closed));
        assert!(matches!(
            history.start(Revision::ZERO, Revision::ZERO),
            Err(StoreError::Closed)
        ));
    }

    #[test]
    fn a_reset_ends_every_place_even_one_at_the_head() {
        let history = History::new(Revision::ZERO);
        history.append(vec![event(1, "a", 1)]);
        let (mut cursor, _woken) = history.start(Revision::new(1), Revision::ZERO).unwrap();
        history.reset(Revision::new(1));
        let step = history.step(&mut cursor, "");
        assert!(
            matches!(step, Step::Compacted { oldest } if oldest.number() == 1),
            "{step:?}"
        );
        assert!(matches!(
            history.start(Revision::ZERO, Revision::ZERO),
            Err(StoreError::Compacted { .. })
        ));
        assert!(matches!(
            history.start(Revision::new(2), Revision::ZERO),
            Err(StoreError::Ahead { .. })
        ));
    }
}
