//! The control plane's side of a group: an append-only log of frames, encoded once and shared by
//! all streams.
//!
//! A stream is a cursor into the log and a wake-up; there is no queue per instance, and the
//! publisher waits for nobody. A stream that is too slow falls out of the log and is told the head,
//! whereupon its agent asks for what differs.

mod frames;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ferryway_model::{BUCKETS, Digest, Name, Revision, View};
use ferryway_proto::{Cause, Epoch, Heartbeat, Position, Resume, Retry};
use tokio::sync::watch;

pub(crate) use frames::encode;

use crate::limits::{LOG_BYTES_MAX, LOG_TRANSACTIONS_MAX, RETRY_AFTER};

/// The log of one group.
#[derive(Debug)]
pub struct Feed {
    group: Name,
    state: Mutex<State>,
    /// Counts what happened; its value means nothing.
    wake: watch::Sender<u64>,
}

/// The newest state of a group's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose history.
    pub epoch: Epoch,
    /// How many transactions led here.
    pub revision: Revision,
    /// The view.
    pub view: View,
}

/// One transaction of a group.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The revision it leads to: the one after the head's.
    pub revision: Revision,
    /// The view it leads to.
    pub view: View,
    /// Why.
    pub cause: Cause,
    /// Content that it may bring along: definitions, bindings, registries. What instances have
    /// already is left out, and what is left out they fetch.
    pub content: Vec<Bytes>,
}

/// A transaction that does not follow the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revision {revision} does not follow the head's {head} in the feed")]
pub struct NotNext {
    /// The revision of the transaction.
    pub revision: Revision,
    /// The revision of the head.
    pub head: Revision,
}

/// Where a stream is in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    generation: u64,
    revision: Revision,
}

/// What a stream has to send next.
#[derive(Clone, Debug)]
pub(crate) enum Read {
    /// The frames of the next transaction.
    Frames(Arc<[Bytes]>),
    /// Nothing; this is the heartbeat that says so.
    AtHead { heartbeat: Bytes },
    /// The cursor was too old, and stands at the head now. The heartbeat tells the agent.
    Fallen { heartbeat: Bytes },
    /// The group is gone.
    Retired,
}

#[derive(Debug)]
struct State {
    head: Head,
    /// Changes when the head is replaced: no cursor of before can be used.
    generation: u64,
    log: VecDeque<Logged>,
    bytes: usize,
    shrink_confirmed: Option<Revision>,
    heartbeat: Bytes,
    reconciled: Option<Reconciled>,
    retired: bool,
}

#[derive(Debug)]
struct Logged {
    from: Revision,
    from_root: Digest,
    frames: Arc<[Bytes]>,
    bytes: usize,
}

/// The last answer to a reconcile. When a group starts anew, all its agents ask for the same.
#[derive(Debug)]
struct Reconciled {
    asked: Digest,
    confirmed: bool,
    frames: Arc<[Bytes]>,
}

impl Head {
    /// Its position.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            revision: self.revision,
            root: self.view.root(),
        }
    }
}

impl Feed {
    /// A feed with this head and an empty log.
    #[must_use]
    pub fn new(group: Name, head: Head) -> Self {
        Self {
            group,
            state: Mutex::new(State::new(head, 0)),
            wake: watch::Sender::new(0),
        }
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> &Name {
        &self.group
    }

    /// The newest state of the group's view.
    #[must_use]
    pub fn head(&self) -> Head {
        self.lock().head.clone()
    }

    /// Appends a transaction and wakes the streams. Waits for nobody.
    ///
    /// # Errors
    /// When it does not follow the head; nothing has changed then.
    pub fn publish(&self, publication: Publication) -> Result<(), NotNext> {
        let Publication {
            revision,
            view,
            cause,
            content,
        } = publication;
        let before = self.head();
        let follows = |head: &Head| {
            let head = head.revision;
            let next = head.next();
            (revision == next)
                .then_some(())
                .ok_or(NotNext { revision, head })
        };
        follows(&before)?;
        let head = Head {
            epoch: before.epoch,
            revision,
            view,
        };
        // Without the lock: compressing takes longer than anybody should wait for the log.
        let frames = frames::of_transaction(&before, &head, cause, content);
        let mut state = self.lock();
        // Somebody else may have published meanwhile.
        follows(&state.head)?;
        state.append(head, frames);
        drop(state);
        self.wake();
        Ok(())
    }

    /// Starts over with this head: after a restore, or when the store's watch lost its place. All
    /// agents compare theirs with it.
    pub fn replace_head(&self, head: Head) {
        let mut state = self.lock();
        *state = State::new(head, state.generation + 1);
        drop(state);
        self.wake();
    }

    /// An operator's word that the view as it is now is meant, although it shrank without
    /// transactions that say so. It holds for as long as the log knows everything that came after.
    pub fn confirm_shrink(&self) -> Revision {
        let revision = self.lock().head.revision;
        self.confirm_shrink_at(revision);
        revision
    }

    /// As [`Feed::confirm_shrink`], for the view of an earlier revision: a word that was stored. One
    /// given for an older view than the last changes nothing.
    pub fn confirm_shrink_at(&self, revision: Revision) {
        let mut state = self.lock();
        state.shrink_confirmed = state.shrink_confirmed.max(Some(revision));
        state.heartbeat = frames::of_heartbeat(state.heartbeat_message());
        drop(state);
        self.wake();
    }

    /// Ends all streams: the group is gone.
    pub fn retire(&self) {
        self.lock().retired = true;
        self.wake();
    }

    /// How many streams follow the feed.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.wake.receiver_count()
    }

    /// Changes whenever there may be something to read.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    /// How an agent that stands at `desired` gets level, and where its stream begins.
    pub(crate) fn resume(&self, desired: Option<Position>) -> (Resume, Cursor) {
        let state = self.lock();
        let head = state.head.position();
        let mut cursor = state.cursor();
        let Some(desired) = desired.filter(|desired| desired.epoch == head.epoch) else {
            return (Resume::Reconcile(head), cursor);
        };
        if desired == head {
            return (Resume::InSync(head), cursor);
        }
        if head.revision < desired.revision {
            let reason = format!(
                "the instance has revision {}, but the control plane only {}",
                desired.revision, head.revision
            );
            let after = RETRY_AFTER;
            return (Resume::Retry(Retry { after, reason }), cursor);
        }
        let next = state.logged(desired.revision);
        if next.is_none_or(|next| next.from_root != desired.root) {
            return (Resume::Reconcile(head), cursor);
        }
        cursor.revision = desired.revision;
        (Resume::Delta(head), cursor)
    }

    /// What comes after the cursor, which moves over it.
    pub(crate) fn read(&self, cursor: &mut Cursor) -> Read {
        let state = self.lock();
        if state.retired {
            return Read::Retired;
        }
        let heartbeat = state.heartbeat.clone();
        let now = state.cursor();
        if cursor.generation == now.generation && cursor.revision == now.revision {
            return Read::AtHead { heartbeat };
        }
        let same = cursor.generation == now.generation;
        match state.logged(cursor.revision).filter(|_| same) {
            Some(logged) => {
                cursor.revision = cursor.revision.next();
                Read::Frames(Arc::clone(&logged.frames))
            }
            None => {
                *cursor = now;
                Read::Fallen { heartbeat }
            }
        }
    }

    /// What differs between the head and a view with these buckets (none: an empty view), and
    /// where the stream goes on.
    pub(crate) fn reconcile(&self, buckets: Option<&[Digest; BUCKETS]>) -> (Arc<[Bytes]>, Cursor) {
        let asked = frames::digest_of(buckets);
        let state = self.lock();
        let (head, cursor) = (state.head.clone(), state.cursor());
        let confirmed = state.is_shrink_confirmed();
        let cached = state.reconciled.as_ref();
        let cached = cached.filter(|last| last.asked == asked && last.confirmed == confirmed);
        if let Some(last) = cached {
            return (Arc::clone(&last.frames), cursor);
        }
        drop(state);
        let frames = frames::of_reconcile(&head, buckets, confirmed);
        let mut state = self.lock();
        if state.head == head {
            state.reconciled = Some(Reconciled {
                asked,
                confirmed,
                frames: Arc::clone(&frames),
            });
        }
        (frames, cursor)
    }

    fn wake(&self) {
        self.wake
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Each change of the state is complete before anything can panic, so poison means nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(head: Head, generation: u64) -> Self {
        let mut state = Self {
            head,
            generation,
            log: VecDeque::new(),
            bytes: 0,
            shrink_confirmed: None,
            heartbeat: Bytes::new(),
            reconciled: None,
            retired: false,
        };
        state.heartbeat = frames::of_heartbeat(state.heartbeat_message());
        state
    }

    fn append(&mut self, head: Head, frames: Arc<[Bytes]>) {
        let bytes = frames.iter().map(Bytes::len).sum();
        self.log.push_back(Logged {
            from: self.head.revision,
            from_root: self.head.view.root(),
            frames,
            bytes,
        });
        self.bytes += bytes;
        while self.log.len() > LOG_TRANSACTIONS_MAX || self.bytes > LOG_BYTES_MAX {
            let Some(oldest) = self.log.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes;
        }
        self.head = head;
        self.reconciled = None;
        self.heartbeat = frames::of_heartbeat(self.heartbeat_message());
    }

    fn cursor(&self) -> Cursor {
        Cursor {
            generation: self.generation,
            revision: self.head.revision,
        }
    }

    /// The transaction that starts from this revision.
    fn logged(&self, from: Revision) -> Option<&Logged> {
        let oldest = self.log.front()?.from;
        let index = from.0.checked_sub(oldest.0)?;
        self.log.get(usize::try_from(index).ok()?)
    }

    fn is_shrink_confirmed(&self) -> bool {
        let oldest = self
            .log
            .front()
            .map_or(self.head.revision, |oldest| oldest.from);
        self.shrink_confirmed
            .is_some_and(|confirmed| oldest <= confirmed)
    }

    fn heartbeat_message(&self) -> Heartbeat {
        Heartbeat {
            head: self.head.position(),
            shrink_confirmed: self.shrink_confirmed,
        }
    }
}
