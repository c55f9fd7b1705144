//! What is wrong with the etcd just now, said in the log when it changes.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{StoreError, Trouble};

/// Shared by all who talk to etcd.
#[derive(Debug)]
pub(super) struct Health {
    /// The address and the prefix, for people.
    at: Arc<str>,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Why the watch stands still.
    pub(super) following: Option<Trouble>,
    /// Why the last write failed.
    pub(super) writing: Option<Trouble>,
    /// Why this store can't go on at all.
    pub(super) lost: Option<Trouble>,
}

impl State {
    /// What matters most.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        let Self {
            following,
            writing,
            lost,
        } = self;
        lost.as_ref().or(writing.as_ref()).or(following.as_ref())
    }
}

impl Health {
    pub(super) fn new(at: Arc<str>) -> Self {
        Self {
            at,
            state: watch::Sender::default(),
        }
    }

    /// The error of a call that met this trouble.
    pub(super) fn error(&self, doing: &'static str, trouble: Trouble) -> StoreError {
        StoreError::Etcd {
            doing,
            at: Arc::clone(&self.at),
            trouble,
        }
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.state.borrow().trouble().cloned()
    }

    pub(super) fn lost(&self) -> Option<Trouble> {
        self.state.borrow().lost.clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The watch stands still, or goes on.
    pub(super) fn follows(&self, trouble: Option<Trouble>) {
        self.set(|state| state.following = trouble);
    }

    /// A write failed, or not.
    pub(super) fn writes(&self, trouble: Option<Trouble>) {
        self.set(|state| state.writing = trouble);
    }

    /// This store can't go on. That is not taken back.
    pub(super) fn loses(&self, trouble: Trouble) {
        self.set(|state| state.lost = Some(trouble));
    }

    /// Says a change once: for as long as an outage lasts its kind stays, though the words of each
    /// failed call differ.
    fn set(&self, set: impl FnOnce(&mut State)) {
        let mut said = None;
        self.state.send_if_modified(|state| {
            let before = state.trouble().map(Trouble::code);
            let was_writing = state.writing.is_some();
            set(state);
            let after = state.trouble().cloned();
            let is_changed = before != after.as_ref().map(Trouble::code);
            if is_changed {
                said = Some(after);
            }
            is_changed || was_writing != state.writing.is_some()
        });
        match said {
            Some(Some(trouble)) => {
                tracing::error!(store = %self.at, kind = trouble.code(), %trouble, "the store is in trouble; what is held in memory is served on");
            }
            Some(None) => tracing::info!(store = %self.at, "the store is well again"),
            None => {}
        }
    }
}
