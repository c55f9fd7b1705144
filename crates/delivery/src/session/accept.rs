//! What makes a transaction acceptable: it starts where we stand, and its root is the root of what
//! we get. Anything else moves no cursor, and is settled by a comparison with the head.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use ferryway_model::{
    Bucket, Changes, Digest, Entry, Key, Kind, RegistryEntry, Revision, ServiceEntry, View,
};
use ferryway_proto::{AckStage, Cause, Epoch, Fault, Position, Reason, Transaction};
use tokio::time::Instant;

use super::Session;
use super::assembly::Whole;
use super::event::Atoms;
use super::step::{Intent, Step};
use crate::candidate::{Checks, Occasion};
use crate::hold::Why;
use crate::limits::{ENTRIES_MAX, QUEUE_BYTES_MAX, QUEUE_MAX};
use crate::load::Content;

/// How the head differs from where we stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outdated {
    /// We stand before it.
    Behind,
    /// We stand at its revision with another view.
    OtherRoot,
    /// It belongs to another history.
    OtherEpoch,
    /// It stands before us: a control plane that went back, or lags behind the others.
    Backwards,
}

/// About what a fault takes, in bytes.
const FAULT_BYTES: usize = 512;
/// A reconcile may remove this many entries without a word from an operator.
const SHRINK_ENTRIES: usize = 3;
/// And this share of what there was, in percent.
const SHRINK_PERCENT: usize = 30;

impl Session {
    pub(super) fn part(&mut self, now: Instant, part: Transaction) {
        let Some(live) = self.link.live_mut() else {
            return;
        };
        // Sent before our question was read; what it would add comes with the answer.
        if live.reconciling.is_some() && part.cause != Cause::Reconcile {
            return;
        }
        match live.assembly.add(part) {
            Ok(None) => {}
            Ok(Some(whole)) if whole.cause == Cause::Reconcile => self.reconciled(now, whole),
            Ok(Some(whole)) => self.transaction(now, whole),
            Err(why) => self.hang_up(now, &why),
        }
    }

    /// Where `head` is, seen from where we stand.
    pub(super) fn compare(&self, head: Position) -> Result<(), Outdated> {
        match self.desired_at {
            None => Err(Outdated::Behind),
            Some(ours) if ours == head => Ok(()),
            Some(ours) if ours.epoch != head.epoch => Err(Outdated::OtherEpoch),
            Some(ours) if head.revision < ours.revision => Err(Outdated::Backwards),
            Some(ours) if ours.revision < head.revision => Err(Outdated::Behind),
            Some(_) => Err(Outdated::OtherRoot),
        }
    }

    pub(super) fn is_backwards(&self, head: Position) -> bool {
        self.compare(head) == Err(Outdated::Backwards)
    }

    /// An operator has said that what shrank up to `revision` is meant.
    pub(super) fn release_shrink(&mut self, epoch: Epoch, revision: Revision) {
        let released = self
            .holds
            .iter()
            .filter(|(_, hold)| hold.why == Why::Shrink && hold.revision <= revision);
        let keys: BTreeSet<Key> = released.map(|(key, _)| key.clone()).collect();
        let under_way = self.queue.iter().any(|step| step.intent == Intent::Release);
        let Some(position) = self.desired_at.filter(|position| position.epoch == epoch) else {
            return;
        };
        if keys.is_empty() || under_way {
            return;
        }
        tracing::info!(
            entries = keys.len(),
            "an operator confirmed the shrunken view"
        );
        self.queue.push_back(Step {
            keys: Some(keys),
            intent: Intent::Release,
            unreadable: self.unreadable.clone(),
            ..Step::new(
                position,
                self.desired.clone(),
                Occasion::Sent(Cause::Reconcile),
            )
        });
    }

    fn transaction(&mut self, now: Instant, whole: Whole) {
        let Whole {
            from,
            to,
            cause,
            changes,
            unreadable,
            content,
            buckets: _, // Only a reconcile has them.
            confirmed: _,
        } = whole;
        let Some(ours) = self.desired_at else {
            return self.ask_for_difference(now, Reason::Gap);
        };
        if to.epoch != ours.epoch {
            return self.ask_for_difference(now, Reason::Epoch);
        }
        if to.revision <= ours.revision {
            tracing::error!(%to, %ours, "refused a transaction that leads back");
            return;
        }
        // What is left out is no gap to be asked for while there is no room for the answer.
        let size = size_of(&content, &unreadable);
        if self.overrun || self.is_full(size) {
            self.overrun = true;
            return;
        }
        if from != Some(ours.revision) || to.revision != ours.revision.next() {
            return self.ask_for_difference(now, Reason::Gap);
        }
        let after = with_unreadable(&self.desired.with(&changes), &unreadable);
        if after.root() != to.root {
            return self.ask_for_difference(now, Reason::Root);
        }
        if after.len() > ENTRIES_MAX {
            return self.hang_up(
                now,
                &format!("the view has more than {ENTRIES_MAX} entries"),
            );
        }
        // What is upserted unchanged is no change.
        let keys = changed_keys(&self.desired.changes_to(&after));
        self.settled();
        self.take(Step {
            keys: Some(keys),
            checks: self.checks_of(cause, to),
            atoms: Atoms::Whole,
            unreadable,
            content,
            ..Step::new(to, after, Occasion::Sent(cause))
        });
    }

    fn reconciled(&mut self, now: Instant, whole: Whole) {
        let Whole {
            from: _, // A reconcile starts from wherever we are.
            to,
            cause,
            changes,
            unreadable,
            content,
            buckets,
            confirmed,
        } = whole;
        let expected = self
            .link
            .live_mut()
            .and_then(|live| live.reconciling.take());
        if expected.is_none() {
            tracing::warn!(%to, "ignored a reconcile that was not asked for");
            return;
        }
        if self.is_backwards(to) {
            return self.hang_up(now, "the control plane is behind this instance");
        }
        if self.is_full(size_of(&content, &unreadable)) {
            self.overrun = true;
            return;
        }
        let after = replace_buckets(&self.desired, changes, &buckets);
        let after = with_unreadable(&after, &unreadable);
        if after.root() != to.root {
            return self.hang_up(now, "the control plane's view is not what its root says");
        }
        if after.len() > ENTRIES_MAX {
            return self.hang_up(
                now,
                &format!("the view has more than {ENTRIES_MAX} entries"),
            );
        }
        let difference = self.desired.changes_to(&after);
        let gone = difference.removals.len();
        let shrinks = gone > SHRINK_ENTRIES && gone * 100 > self.desired.len() * SHRINK_PERCENT;
        let intent = if shrinks && !confirmed {
            tracing::error!(
                gone,
                of = self.desired.len(),
                "the view shrank without a transaction that says so; it waits for confirm-shrink"
            );
            Intent::HoldShrink { gone }
        } else {
            Intent::Apply
        };
        // What the disk lost part of says nothing of what was applied.
        let keys = self.desired_at.map(|_| changed_keys(&difference));
        self.settled();
        self.confirmed = true;
        self.take(Step {
            keys,
            intent,
            unreadable,
            content,
            ..Step::new(to, after, Occasion::Sent(cause))
        });
    }

    /// A file says what is desired now. It has no history, so its revisions are counted here.
    pub(super) fn replaced(&mut self, view: View, content: Content) {
        let Some(ours) = self.desired_at.filter(|_| view != self.desired) else {
            return;
        };
        let position = Position {
            revision: ours.revision.next(),
            root: view.root(),
            ..ours
        };
        let keys = changed_keys(&self.desired.changes_to(&view));
        self.take(Step {
            keys: Some(keys),
            content,
            ..Step::new(position, view, Occasion::Sent(Cause::Reconcile))
        });
    }

    /// Whether there is no room for a step of about this many bytes. For one there always is.
    fn is_full(&self, size: usize) -> bool {
        let waiting = self.queue.iter();
        let waiting: usize = waiting
            .map(|step| size_of(&step.content, &step.unreadable))
            .sum();
        self.queue.len() >= QUEUE_MAX
            || (!self.queue.is_empty() && waiting + size > QUEUE_BYTES_MAX)
    }

    /// Desired is now what this step leads to.
    fn take(&mut self, step: Step) {
        self.desired = step.after.clone();
        self.unreadable.extend(step.unreadable.clone());
        let desired = &self.desired;
        self.unreadable
            .retain(|key, fault| digest_in(desired, key) == fault.digest);
        self.desired_at = Some(step.position);
        self.acknowledge(step.position, AckStage::Received);
        self.queue.push_back(step);
    }

    /// Checks gate what is being changed now. What we catch up with passed them when it was made.
    fn checks_of(&self, cause: Cause, to: Position) -> Checks {
        let caught_up = self.link.live().map(|live| live.caught_up);
        let is_live = caught_up.is_none_or(|head| head.revision < to.revision);
        match cause {
            Cause::Operation if is_live => Checks::Gate,
            Cause::Rollback | Cause::Abort if is_live => Checks::Warn,
            Cause::Operation
            | Cause::Rollback
            | Cause::Abort
            | Cause::Resource
            | Cause::Reconcile => Checks::Skip,
        }
    }
}

/// About how many bytes a step takes.
fn size_of(content: &Content, unreadable: &BTreeMap<Key, Fault>) -> usize {
    content.values().map(Bytes::len).sum::<usize>() + unreadable.len() * FAULT_BYTES
}

fn changed_keys(changes: &Changes) -> BTreeSet<Key> {
    changes.keys().cloned().collect()
}

/// The view with these buckets holding exactly the listed entries. An entry of a bucket that is not
/// listed makes a root that nobody promised, and is found out by it.
fn replace_buckets(view: &View, mut listed: Changes, buckets: &BTreeSet<u8>) -> View {
    for number in buckets {
        let there = view.buckets()[usize::from(*number)].entries();
        let gone = there.filter(|(key, _)| !listed.upserts.contains_key(*key));
        listed.removals.extend(gone.map(|(key, _)| key.clone()));
    }
    view.with(&listed)
}

/// The view with these entries, too. What they say is not known, and never asked for: they are held
/// before anything of them is loaded. That they are in the view, under the digest that they came
/// with, is what makes its root.
fn with_unreadable(view: &View, unreadable: &BTreeMap<Key, Fault>) -> View {
    let mut buckets = view.buckets().clone();
    let mut of_bucket: BTreeMap<usize, Vec<(&Key, Digest)>> = BTreeMap::new();
    for (key, fault) in unreadable {
        if let Some(digest) = fault.digest {
            let keys = of_bucket.entry(key.bucket()).or_default();
            keys.push((key, digest));
        }
    }
    for (number, added) in of_bucket {
        let there = view.buckets()[number].entries();
        let mut entries: BTreeMap<Key, (Entry, Digest)> = there
            .filter_map(|(key, entry)| {
                let digest = digest_in(view, key)?;
                Some((key.clone(), (entry.clone(), digest)))
            })
            .collect();
        let added = added.into_iter();
        entries.extend(added.map(|(key, digest)| (key.clone(), (unknown(key.kind), digest))));
        buckets[number] = Arc::new(Bucket::new(entries));
    }
    View::from_buckets(buckets)
}

/// Stands where an entry is that cannot be read.
fn unknown(kind: Kind) -> Entry {
    let nothing = Digest::of(b"");
    match kind {
        Kind::Service => Entry::Service(ServiceEntry {
            version: None,
            definition: nothing,
            binding: nothing,
            enabled: false,
            candidate: None,
            rollout: None,
        }),
        Kind::Registry => Entry::Registry(RegistryEntry { content: nothing }),
    }
}

/// The digest of a key's entry in a view.
pub(super) fn digest_in(view: &View, key: &Key) -> Option<Digest> {
    view.get_digested(key).map(|(_, digest)| digest)
}
