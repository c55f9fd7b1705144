//! What must hold after each step, and what must hold once everything works again.

mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use ferryway_delivery::{
    AgentStatus, Candidate, Cause, Epoch, Occasion, Opened, Position, StartedFrom as Source, Why,
};
use ferryway_model::{Digest, Key, Name, Revision, View};
use uuid::Uuid;

use crate::net::Host;
use crate::store::{Published, Store, digest_in};
use crate::table::Table;
use crate::trace::Trace;

/// The invariants, and what they have to remember. Clones are the same.
#[derive(Clone)]
pub(crate) struct Invariants {
    store: Store,
    trace: Trace,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// What was served under each root, by anybody.
    served: BTreeMap<Digest, Digest>,
    hosts: BTreeMap<Uuid, Host>,
    instances: BTreeMap<Host, Instance>,
}

#[derive(Default)]
struct Instance {
    /// What it started from, if that is an export: the root there is that of what ran, and not of
    /// what the revision stands for.
    exported: Option<Position>,
    /// Where it stood last, since its start.
    effective: Option<Position>,
    /// What it has said would survive a loss of power.
    durable: Option<(Epoch, Revision)>,
    /// What it has said its checks rejected.
    rejected: BTreeMap<Key, Digest>,
    /// Its disk was full, and nothing was said to be durable since.
    is_unkept: bool,
    /// Another history began, and it has not arrived in it yet.
    is_astray: bool,
    /// What it told last of itself.
    told: Option<(Option<Position>, usize)>,
}

impl Invariants {
    pub(crate) fn new(store: Store, trace: Trace) -> Self {
        let known = Arc::default();
        Self {
            store,
            trace,
            known,
        }
    }

    /// Whose identity this is.
    pub(crate) fn host_of(&self, identity: Uuid) -> Host {
        let known = self.lock();
        let host = known.hosts.get(&identity).copied();
        host.expect("nobody else has a stream")
    }

    /// An instance starts from this.
    pub(crate) fn starts(&self, host: Host, opened: &Opened) {
        let mut known = self.lock();
        known.hosts.insert(opened.identity.instance, host);
        let instance = known.instances.entry(host).or_default();
        instance.effective = None;
        let effective = opened.saved.effective.as_ref();
        let entries = effective
            .iter()
            .flat_map(|effective| effective.view.entries());
        let mut content = entries.flat_map(|(_, entry)| entry.content());
        let is_there = content.all(|digest| opened.content.contains_key(&digest));
        self.trace.holds(is_there, || {
            format!("{host} has lost content of what it ran")
        });
        instance.exported = None;
        if opened.source == Source::LastGood {
            instance.exported = effective.map(|effective| effective.position);
            // After crashes, or with a disk that is full: older, and without holds.
            instance.durable = None;
            instance.rejected.clear();
        }
        let Some((epoch, revision)) = instance.durable else {
            return;
        };
        let there = effective.map(|effective| effective.position);
        let is_there = there.is_some_and(|it| it.epoch != epoch || it.revision >= revision);
        self.trace
            .holds(is_there || opened.source == Source::LastGood, || {
                format!(
                    "{host} said that revision {revision} was durable, and starts from {there:?}"
                )
            });
    }

    /// An instance has ended as it should, and with everything on its disk.
    pub(crate) fn ended(&self, host: Host, effective: Option<Position>) {
        let mut known = self.lock();
        let instance = known.instances.entry(host).or_default();
        if let Some(effective) = effective.filter(|_| !instance.is_unkept) {
            instance.durable = Some((effective.epoch, effective.revision));
        }
    }

    /// An instance is to install this.
    pub(crate) fn offered(
        &self,
        host: Host,
        group: &Name,
        candidate: &Candidate,
        running: &View,
        status: &AgentStatus,
    ) {
        let keys = changed(candidate);
        let differ = running.changes_to(&candidate.target);
        let differ: BTreeSet<Key> = differ.keys().cloned().collect();
        self.trace.holds(keys == differ, || {
            format!("{host} is to install {keys:?}, but what differs is {differ:?}")
        });
        for key in &keys {
            let digest = digest_in(&candidate.target, key);
            let hold = status
                .held
                .get(key)
                .filter(|hold| hold.why == Why::Rejected);
            self.trace
                .holds(hold.is_none_or(|hold| hold.digest != digest), || {
                    format!("{host} is offered {key} again, which it rejected")
                });
        }
        let Occasion::Sent(cause) = candidate.occasion else {
            return;
        };
        let published = self.published(host, group, &candidate.position);
        if let Some(published) = published.filter(|_| cause != Cause::Reconcile) {
            self.is_whole(host, candidate, &published);
        }
    }

    /// Of a transaction, everything is installed or nothing.
    fn is_whole(&self, host: Host, candidate: &Candidate, published: &Published) {
        let Published { before, after } = published;
        for key in before.changes_to(after).keys() {
            let is_in = digest_in(&candidate.target, key) == digest_in(after, key);
            self.trace.holds(is_in, || {
                format!(
                    "{host} installs half of {}: {key} is not in it",
                    candidate.position
                )
            });
        }
    }

    /// An instance serves this from now on.
    pub(crate) fn serves(&self, host: Host, group: &Name, table: &Table) {
        for (key, entry) in table.view.entries() {
            let digest = entry.digest();
            self.trace
                .holds(self.store.was_published(group, key, digest), || {
                    format!("{host} serves {key}, which {group} never published")
                });
        }
        let root = table.view.root();
        let bytes = table.digest();
        let mut known = self.lock();
        let same = *known.served.entry(root).or_insert(bytes) == bytes;
        self.trace.holds(same, || {
            format!("{host} serves other bytes under the root {root}")
        });
        if let Err(why) = table.is_what_its_view_says() {
            self.trace
                .broken(format!("{host} serves what its view does not say: {why}"));
        }
        let instance = known.instances.entry(host).or_default();
        for (key, rejected) in &instance.rejected {
            self.trace
                .holds(digest_in(&table.view, key) != Some(*rejected), || {
                    format!("{host} serves {key}, which it said its checks reject")
                });
        }
    }

    /// An instance stands like this.
    pub(crate) fn stands(&self, host: Host, group: &Name, status: &AgentStatus, table: &Table) {
        let Some(effective) = status.effective else {
            return;
        };
        let root = table.view.root();
        self.trace.holds(effective.root == root, || {
            format!("{host} says that it runs {effective}, and serves {root}")
        });
        let mut known = self.lock();
        let instance = known.instances.entry(host).or_default();
        let before = instance.effective.replace(effective);
        let is_exported = instance.exported == Some(effective);
        if let Some(desired) = status.desired {
            let is_there = desired.revision == effective.revision;
            instance.is_astray &= !(is_there && self.store.is_in_history(group, &desired));
        }
        drop(known);
        if let Some(before) = before.filter(|it| it.epoch == effective.epoch) {
            self.trace.holds(before.revision <= effective.revision, || {
                format!("{host} fell from {before} to {effective}")
            });
        }
        let Some(desired) = status.desired else {
            return;
        };
        if !status.confirmed {
            // What an export holds is no position of the group's.
            return;
        }
        let Some(published) = self.published(host, group, &desired) else {
            return;
        };
        let arrived = (desired.epoch, desired.revision) == (effective.epoch, effective.revision);
        if arrived && !is_exported && self.store.is_unique(group, &desired) {
            self.differs_only_in_holds(host, &published.after, status, table);
        }
        if status.converged {
            let is_same = desired.root == root && status.held.is_empty() && arrived;
            self.trace
                .holds(is_same, || format!("{host} says it converged, and has not"));
        }
    }

    /// Whoever stands where it should runs what it should, but for what it says it holds.
    fn differs_only_in_holds(
        &self,
        host: Host,
        desired: &View,
        status: &AgentStatus,
        table: &Table,
    ) {
        let differs = table.view.changes_to(desired);
        let differs: BTreeSet<&Key> = differs.keys().collect();
        let held: BTreeSet<&Key> = status.held.keys().collect();
        self.trace.holds(differs == held, || {
            format!("{host} differs in {differs:?} from what it should run, and holds {held:?}")
        });
        for (key, hold) in status.held.iter() {
            self.trace
                .holds(hold.digest == digest_in(desired, key), || {
                    format!("{host} holds {key} for something that is not desired")
                });
        }
    }

    /// A position must be one that was published.
    fn published(&self, host: Host, group: &Name, position: &Position) -> Option<Published> {
        let published = self.store.published(group, position);
        self.trace.holds(published.is_some(), || {
            format!("{host} knows of {position}, which {group} never published")
        });
        published
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it has it")
    }
}

/// What a candidate changes.
fn changed(candidate: &Candidate) -> BTreeSet<Key> {
    let services = candidate.services.iter().map(|it| Key::service(&it.name));
    let registries = candidate.registries.iter();
    let registries = registries.map(|it| Key::registry(&it.name));
    services.chain(registries).collect()
}
