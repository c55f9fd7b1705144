//! Steps: what one changes in what runs, and what is being done about the head of the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferryway_model::{Digest, Entry, Key, View};
use ferryway_proto::{Fault, Position};
use tokio::time::Instant;

use super::Session;
use super::accept::digest_in;
use super::event::Atoms;
use crate::candidate::{Candidate, Checks, Occasion};
use crate::hold::{Hold, Why};
use crate::load::Content;

/// A step from one view to the next.
#[derive(Debug)]
pub(super) struct Step {
    /// Where it leads.
    pub(super) position: Position,
    /// The desired view there.
    pub(super) after: View,
    /// What it changes in the desired view; none: that is found out when it is the head, from what
    /// runs then.
    pub(super) keys: Option<BTreeSet<Key>>,
    pub(super) occasion: Occasion,
    pub(super) checks: Checks,
    pub(super) atoms: Atoms,
    pub(super) intent: Intent,
    /// Entries of the desired view that cannot be read.
    pub(super) unreadable: BTreeMap<Key, Fault>,
    /// Content that came with it or was fetched for it.
    pub(super) content: Content,
}

/// What is to become of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// It is applied.
    Apply,
    /// It is what was effective when the instance ended: applied, but not what is desired.
    Start,
    /// The view shrank by this many entries, and nobody has said that it should: all is held.
    HoldShrink { gone: usize },
    /// An operator has said so: what is held is applied, although its digests are the same.
    Release,
}

/// What is being done about the head of the queue.
#[derive(Debug)]
pub(super) enum Work {
    /// Nothing; there is none, or it was not looked at yet.
    Idle,
    /// Content is needed.
    Fetching {
        plan: Plan,
        /// Digests that are still needed.
        needed: BTreeSet<Digest>,
        /// When to ask again; none while a fetch is under way, or no control plane is there.
        again: Option<Instant>,
        under_way: bool,
        tries: u32,
    },
    /// A candidate is with the installer.
    Installing {
        plan: Plan,
        candidate: Arc<Candidate>,
    },
    /// The installer could not do its work; the candidate is offered again.
    Waiting {
        plan: Plan,
        candidate: Arc<Candidate>,
        until: Instant,
    },
}

/// What a step still has to change in the effective view, and what was found out on the way.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) changes: BTreeMap<Key, Option<Entry>>,
    pub(super) faults: Vec<Fault>,
    pub(super) rounds: u32,
}

impl Step {
    pub(super) fn new(position: Position, after: View, occasion: Occasion) -> Self {
        Self {
            position,
            after,
            keys: None,
            occasion,
            checks: Checks::Skip,
            atoms: Atoms::Each,
            intent: Intent::Apply,
            unreadable: BTreeMap::new(),
            content: Content::new(),
        }
    }

    /// What was effective when the instance ended.
    pub(super) fn start(position: Position, view: View, content: Content) -> Self {
        Self {
            keys: Some(view.entries().map(|(key, _)| key.clone()).collect()),
            intent: Intent::Start,
            content,
            ..Self::new(position, view, Occasion::Start)
        }
    }

    /// What was desired when the instance ended. What of it was effective or held is found out when
    /// it is the head.
    pub(super) fn unfinished(position: Position, view: View, atoms: Atoms) -> Self {
        Self {
            atoms,
            ..Self::new(position, view, Occasion::Start)
        }
    }

    fn changed_keys(&self, effective: &View) -> BTreeSet<Key> {
        self.keys
            .clone()
            .unwrap_or_else(|| effective.changes_to(&self.after).keys().cloned().collect())
    }

    pub(super) fn wanted(&self, key: &Key) -> Option<Digest> {
        digest_in(&self.after, key)
    }
}

impl Work {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Idle | Self::Installing { .. } => None,
            Self::Fetching { again, .. } => *again,
            Self::Waiting { until, .. } => Some(*until),
        }
    }
}

impl Session {
    /// Works on the head of the queue until something has to be waited for.
    pub(super) fn advance(&mut self) {
        while matches!(self.work, Work::Idle) && !self.queue.is_empty() {
            self.begin();
        }
    }

    /// Looks at the head: what does it change in what runs?
    fn begin(&mut self) {
        let Some(step) = self.queue.front() else {
            return;
        };
        let mut plan = Plan {
            changes: self.changes_of(step),
            ..Plan::default()
        };
        let (intent, atoms) = (step.intent, step.atoms);
        let faults = step.unreadable.iter();
        let faults = faults.filter(|(key, _)| plan.changes.contains_key(*key));
        let faults: Vec<Fault> = faults.map(|(_, fault)| fault.clone()).collect();
        if let Intent::HoldShrink { gone } = intent {
            return self.hold_shrink(plan, gone);
        }
        if atoms == Atoms::Whole && !faults.is_empty() {
            return self.rejected(plan, faults);
        }
        self.set_aside(&mut plan, faults);
        let needed = self.find_content(&plan);
        // What was effective is offered as far as it is there: the control plane may be away.
        if needed.is_empty() || intent == Intent::Start {
            return self.offer(plan);
        }
        self.fetch(plan, needed, 0);
    }

    /// What the plan needs that the head has not: a little may have passed through lately.
    fn find_content(&mut self, plan: &Plan) -> BTreeSet<Digest> {
        let Some(step) = self.queue.front_mut() else {
            return BTreeSet::new();
        };
        let mut needed = BTreeSet::new();
        for digest in plan.changes.values().flatten().flat_map(Entry::content) {
            if step.content.contains_key(&digest) {
                continue;
            }
            match self.recent.get(&digest) {
                Some(bytes) => {
                    step.content.insert(digest, bytes.clone());
                }
                None => {
                    needed.insert(digest);
                }
            }
        }
        needed
    }

    /// What a step changes in what runs: not what runs already, and not what is held with the same
    /// digest. The innocent that were held with entries it changes are released with them.
    fn changes_of(&self, step: &Step) -> BTreeMap<Key, Option<Entry>> {
        let mut keys = step.changed_keys(&self.effective);
        keys.retain(|key| {
            let wanted = step.wanted(key);
            let hold = self.holds.get(key).filter(|hold| hold.digest == wanted);
            hold.is_none_or(|hold| ends_hold(step, &hold.why))
                && wanted != digest_in(&self.effective, key)
        });
        keys.extend(self.innocent(step, &keys));
        let entry = |key: Key| {
            let entry = step.after.get(&key).cloned();
            (key, entry)
        };
        keys.into_iter().map(entry).collect()
    }

    /// Who is held for others only, none of whom will be. A culprit may have become innocent since:
    /// whoever waits for it goes with it.
    fn innocent(&self, step: &Step, keys: &BTreeSet<Key>) -> BTreeSet<Key> {
        // A word ends only the holds that wait for it; a transaction ends those of all it changes;
        // and anything that wants something else ends a hold.
        let is_ended = |culprit: &Key, hold: &Hold| match step.intent {
            Intent::Release => keys.contains(culprit),
            Intent::Apply | Intent::Start | Intent::HoldShrink { .. } => {
                let is_changed = step.keys.as_ref().is_some_and(|it| it.contains(culprit));
                hold.digest != step.wanted(culprit) || (is_changed && ends_hold(step, &hold.why))
            }
        };
        let mut freed = BTreeSet::new();
        loop {
            let settled = |culprit: &Key| {
                let held = self.holds.get(culprit);
                freed.contains(culprit) || held.is_none_or(|hold| is_ended(culprit, hold))
            };
            let more = self.holds.iter().filter(|(key, hold)| {
                let Why::Together(culprits) = &hold.why else {
                    return false;
                };
                let is_free = hold.digest == step.wanted(key) && culprits.iter().all(settled);
                is_free && !freed.contains(*key)
            });
            let more: Vec<Key> = more.map(|(key, _)| key.clone()).collect();
            if more.is_empty() {
                return freed;
            }
            freed.extend(more);
        }
    }
}

/// A transaction that changes an entry ends its hold, whatever it was, and an operator's word ends
/// what waits for it, and is still what waits for it; nothing else offers a held digest again.
fn ends_hold(step: &Step, why: &Why) -> bool {
    match step.intent {
        Intent::Release => *why == Why::Shrink,
        Intent::Apply | Intent::Start | Intent::HoldShrink { .. } => {
            step.occasion != Occasion::Start && step.atoms == Atoms::Whole
        }
    }
}
