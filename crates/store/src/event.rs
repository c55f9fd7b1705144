use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::history::{Cursor, History, Step};
use crate::{Key, Revision, StoreError};

/// What one transaction changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The transaction's revision.
    pub revision: Revision,
    /// The changes under the watch's prefix, ordered by key. None: everything up to this revision
    /// has been told.
    pub changes: Vec<Change>,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// Its new value; `None` if it was deleted.
    pub value: Option<Bytes>,
}

/// The transactions after a revision, as they come: one [`Event`] for each that changed something
/// under the prefix, and now and then one without a change, which says how far all has been told.
///
/// There is no queue behind it, only a place in the store's own history. A watch that falls behind
/// by more than the history holds is told [`StoreError::Compacted`] and ends.
///
/// A transaction that is not durable is told too; if the process dies before a durable one follows,
/// it has not happened.
pub struct Watch {
    history: Arc<History>,
    woken: watch::Receiver<()>,
    prefix: Box<str>,
    /// `None` once the watch has ended.
    cursor: Option<Cursor>,
}

impl Watch {
    pub(crate) fn new(
        history: Arc<History>,
        woken: watch::Receiver<()>,
        prefix: &str,
        cursor: Cursor,
    ) -> Self {
        Self {
            history,
            woken,
            prefix: prefix.into(),
            cursor: Some(cursor),
        }
    }

    /// The next event. `None` once the store is closed, and after an error.
    ///
    /// Nothing is lost when the future is dropped before it is ready.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`] when the watch fell behind, or when the store had to give up
    /// transactions that were not durable.
    pub async fn next(&mut self) -> Option<Result<Event, StoreError>> {
        loop {
            // First mark the wake-ups so far as seen, then look: a change after the look wakes.
            self.woken.borrow_and_update();
            match self.history.step(self.cursor.as_mut()?, &self.prefix) {
                Step::Event(event) => return Some(Ok(event)),
                Step::Again => {}
                Step::Wait => self.woken.changed().await.ok()?,
                Step::Compacted { oldest } => {
                    self.cursor = None;
                    return Some(Err(StoreError::Compacted { oldest }));
                }
                Step::Closed => {
                    self.cursor = None;
                    return None;
                }
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("prefix", &self.prefix)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}
