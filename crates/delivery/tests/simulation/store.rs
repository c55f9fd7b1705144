//! What the control planes share: the groups' histories, and all content. It also remembers
//! everything that was ever published, for the invariants.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use ferryway_delivery::{Cause, Epoch, Head, Position};
use ferryway_model::{Changes, Digest, Key, Name, Revision, View};
use tokio::sync::Notify;
use uuid::Uuid;

/// The store. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Store(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told of each transaction, in the order in which they came: a `watch` would draw one.
    watchers: Mutex<Vec<Arc<Notify>>>,
}

struct State {
    epoch: Epoch,
    /// By revision; the first is the empty view.
    histories: BTreeMap<Name, Vec<Commit>>,
    content: BTreeMap<Digest, Bytes>,
    published: BTreeMap<Name, HashMap<Position, Published>>,
    entries: BTreeSet<(Name, Key, Digest)>,
}

/// One transaction of a group.
#[derive(Clone)]
pub(crate) struct Commit {
    pub(crate) revision: Revision,
    pub(crate) view: View,
    pub(crate) cause: Cause,
    pub(crate) content: Vec<Bytes>,
}

/// The views before and after a transaction.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) before: View,
    pub(crate) after: View,
}

impl Store {
    pub(crate) fn new(groups: &[Name]) -> Self {
        let first = Commit {
            revision: Revision(0),
            view: View::empty(),
            cause: Cause::Operation,
            content: Vec::new(),
        };
        let histories = groups
            .iter()
            .map(|group| (group.clone(), vec![first.clone()]));
        let mut state = State {
            epoch: Epoch {
                store: Uuid::from_u128(1),
                restores: 0,
            },
            histories: histories.collect(),
            content: BTreeMap::new(),
            published: BTreeMap::new(),
            entries: BTreeSet::new(),
        };
        for group in groups {
            state.note_head(group, &View::empty());
        }
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            watchers: Mutex::default(),
        }))
    }

    /// Commits a transaction; where it leads.
    pub(crate) fn publish(
        &self,
        group: &Name,
        changes: &Changes,
        content: Vec<Bytes>,
        cause: Cause,
    ) -> Position {
        let mut state = self.lock();
        let by_digest = content
            .iter()
            .map(|bytes| (Digest::of(bytes), bytes.clone()));
        state.content.extend(by_digest);
        let history = state.histories.get_mut(group).expect("is a group");
        let last = history.last().expect("is never empty");
        let before = last.view.clone();
        let commit = Commit {
            revision: last.revision.next(),
            view: before.with(changes),
            cause,
            content,
        };
        history.push(commit);
        state.note_head(group, &before);
        let position = state.head(group).position();
        drop(state);
        self.tell();
        position
    }

    /// Goes back to an older copy, in which each group has at most this many transactions less.
    /// Whoever restores says so, and a new epoch begins; whoever puts files back does not.
    pub(crate) fn go_back(&self, mut less: impl FnMut() -> usize, is_said: bool) {
        let mut state = self.lock();
        for history in state.histories.values_mut() {
            let left = history.len().saturating_sub(less()).max(1);
            history.truncate(left);
        }
        if is_said {
            state.epoch.restores += 1;
        }
        let groups: Vec<Name> = state.histories.keys().cloned().collect();
        for group in groups {
            let view = state.head(&group).view;
            state.note_head(&group, &view);
        }
    }

    pub(crate) fn groups(&self) -> Vec<Name> {
        self.lock().histories.keys().cloned().collect()
    }

    pub(crate) fn head(&self, group: &Name) -> Head {
        self.lock().head(group)
    }

    /// What was the head so many transactions ago.
    pub(crate) fn former_head(&self, group: &Name, ago: usize) -> Head {
        let state = self.lock();
        let history = &state.histories[group];
        let commit = &history[history.len().saturating_sub(ago + 1)];
        Head {
            epoch: state.epoch,
            revision: commit.revision,
            view: commit.view.clone(),
        }
    }

    /// The highest revision that this epoch ever had, in files that are gone too.
    pub(crate) fn newest(&self, group: &Name) -> Revision {
        let state = self.lock();
        let positions = state.published[group].keys();
        let ours = positions.filter(|position| position.epoch == state.epoch);
        ours.map(|position| position.revision)
            .max()
            .unwrap_or_default()
    }

    /// The transactions after this revision.
    pub(crate) fn after(&self, group: &Name, revision: Revision) -> Vec<Commit> {
        let state = self.lock();
        let history = state.histories[group].iter();
        history
            .filter(|it| it.revision > revision)
            .cloned()
            .collect()
    }

    pub(crate) fn content(&self, digests: &[Digest]) -> Vec<Bytes> {
        let state = self.lock();
        let found = digests
            .iter()
            .filter_map(|digest| state.content.get(digest));
        found.cloned().collect()
    }

    /// Told of each transaction.
    pub(crate) fn watch(&self) -> Arc<Notify> {
        let watcher = Arc::default();
        let mut watchers = self.0.watchers.lock().expect("nothing panics meanwhile");
        watchers.push(Arc::clone(&watcher));
        watcher
    }

    /// The transaction that led to this position, if one ever did.
    pub(crate) fn published(&self, group: &Name, position: &Position) -> Option<Published> {
        self.lock().published.get(group)?.get(position).cloned()
    }

    /// Whether this is a position of the history as it is now.
    pub(crate) fn is_in_history(&self, group: &Name, position: &Position) -> bool {
        let state = self.lock();
        let is_it = |commit: &Commit| {
            commit.revision == position.revision && commit.view.root() == position.root
        };
        position.epoch == state.epoch && state.histories[group].iter().any(is_it)
    }

    /// Whether the revision says which view it is. With older files put back, it does not.
    pub(crate) fn is_unique(&self, group: &Name, position: &Position) -> bool {
        let state = self.lock();
        let positions = state.published[group].keys();
        let same =
            positions.filter(|it| (it.epoch, it.revision) == (position.epoch, position.revision));
        same.count() == 1
    }

    /// Whether an entry was ever part of the group's view.
    pub(crate) fn was_published(&self, group: &Name, key: &Key, digest: Digest) -> bool {
        let entry = (group.clone(), key.clone(), digest);
        self.lock().entries.contains(&entry)
    }

    /// With which transaction the head's entry of this key became what it is.
    pub(crate) fn last_change(&self, group: &Name, key: &Key) -> Revision {
        let state = self.lock();
        let mut commits = state.histories[group].iter().rev();
        let head = commits.next().expect("is never empty");
        let mut since = head.revision;
        for earlier in commits {
            if digest_in(&earlier.view, key) != digest_in(&head.view, key) {
                break;
            }
            since = earlier.revision;
        }
        since
    }

    fn tell(&self) {
        let watchers = self.0.watchers.lock().expect("nothing panics meanwhile");
        watchers.iter().for_each(|watcher| watcher.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("nothing panics while it has it")
    }
}

impl State {
    fn head(&self, group: &Name) -> Head {
        let commit = self.histories[group].last().expect("is never empty");
        Head {
            epoch: self.epoch,
            revision: commit.revision,
            view: commit.view.clone(),
        }
    }

    fn note_head(&mut self, group: &Name, before: &View) {
        let head = self.head(group);
        for (key, entry) in head.view.entries() {
            let entry = (group.clone(), key.clone(), entry.digest());
            self.entries.insert(entry);
        }
        let published = Published {
            before: before.clone(),
            after: head.view.clone(),
        };
        let all = self.published.entry(group.clone()).or_default();
        all.insert(head.position(), published);
    }
}

/// The digest of a key's entry in a view.
pub(crate) fn digest_in(view: &View, key: &Key) -> Option<Digest> {
    view.get_digested(key).map(|(_, digest)| digest)
}
