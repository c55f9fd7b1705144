//! The transaction of a plan of documents: what it requires of the state that it was made from, and
//! what it then changes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ferryway_model::document::DocumentId;
use ferryway_model::plan::{
    Action, ApplyPlan, HubService, Resource, ResourceChange, TitledRegistry,
};
use ferryway_model::{Changes, Digest, Entry, Group, Key, Name, RegistryEntry, Revision, View};
use ferryway_store::{Expect, Key as StoreKey, TXN_OPERATIONS_MAX, Txn};
use jiff::Timestamp;

use super::super::blobs::tree_blobs;
use super::super::change::{changes_in, content_blobs};
use super::super::records::{
    self, GroupRecord, HeadRecord, HubRecord, RegistryRecord, VersionRecord,
};
use super::super::{Actor, Memory, keys};

/// Requirements of a transaction up to which the heads of groups are added that only might matter;
/// one is left for an idempotency key.
const NARROW_MAX: usize = TXN_OPERATIONS_MAX - 1;

/// The revisions that the groups get whose view moves.
pub(super) type Heads = BTreeMap<Name, Revision>;

/// A transaction in the making, without its commit record.
pub(super) struct Write {
    /// Each key once: several parts of a plan may lean on the same record.
    requires: BTreeMap<StoreKey, Expect>,
    puts: BTreeMap<StoreKey, Bytes>,
    deletes: BTreeSet<StoreKey>,
    blobs: BTreeMap<StoreKey, Bytes>,
    /// New version numbers, which say who made them.
    versions: Vec<(StoreKey, Digest)>,
}

impl Write {
    /// What carries out a plan that was just made from this memory.
    pub(super) fn of(plan: &ApplyPlan, memory: &Memory, now: Timestamp) -> (Self, Heads) {
        let mut write = Self {
            requires: BTreeMap::new(),
            puts: BTreeMap::new(),
            deletes: BTreeSet::new(),
            blobs: BTreeMap::new(),
            versions: Vec::new(),
        };
        let mut views: BTreeMap<&Name, Changes> = BTreeMap::new();
        for destination in &plan.plan.destinations {
            views.entry(&destination.group).or_default();
        }
        for (group, changes) in &mut views {
            *changes = changes_in(&plan.plan, group);
        }
        for resource in &plan.resources {
            if plan.action(resource) == Action::Unchanged {
                continue;
            }
            let DocumentId { group, name, .. } = &resource.id;
            match &resource.change {
                ResourceChange::Group(_, after) => write.group(memory, name, after.as_ref()),
                ResourceChange::Registry(_, after) => {
                    let Some(group) = group else { continue };
                    let changes = views.entry(group).or_default();
                    write.registry(memory, group, name, after.as_ref(), changes);
                }
                ResourceChange::Service(_, after) => write.hub(memory, name, after.as_ref(), now),
                ResourceChange::Published(_) => {}
            }
        }
        write.read_only(plan, memory);
        let mut gone = BTreeSet::new();
        for resource in &plan.resources {
            let name = &resource.id.name;
            if let ResourceChange::Group(before, after) = &resource.change
                && before.is_some() != after.is_some()
            {
                // One that comes or goes gets a head, whether anything is in it or not.
                views.entry(name).or_default();
                if after.is_none() {
                    gone.insert(name);
                }
            }
        }
        let mut heads = Heads::new();
        for (group, changes) in &views {
            if let Some(revision) = write.head(memory, group, changes, gone.contains(group)) {
                heads.insert((*group).clone(), revision);
            }
        }
        for new in &plan.plan.new_versions {
            let key = keys::version(&new.service, &new.version);
            write.requires.insert(key.clone(), Expect::Absent);
            write.versions.push((key, new.definition.digest));
        }
        let content = content_blobs(&plan.plan, |digest| memory.keeps_content(digest));
        write.blobs.extend(content);
        let (sweep, expect) = memory.sweep_as_planned();
        write.requires.insert(sweep, expect);
        write.narrow(plan, memory);
        (write, heads)
    }

    /// The transaction, still without its commit record.
    pub(super) fn txn(&self, actor: &Actor, now: Timestamp) -> Txn {
        let mut txn = Txn::new();
        for (key, expect) in &self.requires {
            txn = txn.require(key.clone(), *expect);
        }
        for key in &self.deletes {
            txn = txn.delete(key.clone());
        }
        for (key, bytes) in &self.puts {
            txn = txn.put(key.clone(), bytes.clone());
        }
        for (key, digest) in &self.versions {
            let record = VersionRecord {
                digest: *digest,
                created_at: now,
                created_by: actor.name.clone(),
            };
            txn = txn.put(key.clone(), records::write(&record));
        }
        txn
    }

    /// The content that has to be written before.
    pub(super) fn blobs(&self) -> Vec<(StoreKey, Bytes)> {
        let blobs = self.blobs.iter();
        blobs
            .map(|(key, bytes)| (key.clone(), bytes.clone()))
            .collect()
    }

    fn put<T: serde::Serialize>(&mut self, key: StoreKey, record: &T) {
        self.puts.insert(key, records::write(record).into());
    }

    fn group(&mut self, memory: &Memory, name: &Name, after: Option<&Group>) {
        let key = keys::group(name);
        let standing = memory.groups.get(name);
        let expect = standing.map_or(Expect::Absent, |group| Expect::Revision(group.modified));
        self.requires.insert(key.clone(), expect);
        if let Some(Group {
            name: _,
            meta,
            enforce_publishing,
        }) = after
        {
            let record = GroupRecord {
                meta: meta.clone(),
                enforce_publishing: *enforce_publishing,
            };
            self.put(key, &record);
        } else {
            self.deletes.extend([key, keys::shrink(name)]);
        }
    }

    fn registry(
        &mut self,
        memory: &Memory,
        group: &Name,
        name: &Name,
        after: Option<&TitledRegistry>,
        changes: &mut Changes,
    ) {
        let (key, record) = (Key::registry(name), keys::registry(group, name));
        let expect = memory.registry_expected(group, name);
        self.requires.insert(record.clone(), expect);
        let Some(TitledRegistry { registry, title }) = after else {
            changes.removals.insert(key);
            self.deletes.insert(record);
            return;
        };
        let entry = RegistryEntry {
            content: registry.digest,
        };
        changes.upserts.insert(key, Entry::Registry(entry));
        let bytes = Bytes::copy_from_slice(&registry.bytes);
        self.blobs.insert(keys::content(registry.digest), bytes);
        let title = title.clone();
        self.put(record, &RegistryRecord { title });
    }

    fn hub(&mut self, memory: &Memory, name: &Name, after: Option<&HubService>, now: Timestamp) {
        let key = keys::hub(name);
        let standing = memory.hub.get(name);
        let expect = standing.map_or(Expect::Absent, |hub| Expect::Revision(hub.modified));
        self.requires.insert(key.clone(), expect);
        let Some(HubService { definition, meta }) = after else {
            self.deletes.insert(key);
            return;
        };
        let record = HubRecord {
            meta: meta.clone(),
            digest: definition.digest,
            created_at: standing.map_or(now, |hub| hub.record.created_at),
            updated_at: now,
        };
        self.put(key, &record);
        if !memory.keeps_content(definition.digest) {
            let bytes = Bytes::copy_from_slice(&definition.bytes);
            self.blobs.insert(keys::content(definition.digest), bytes);
        }
    }

    /// Requires what the plan was made from and does not change: the hub's definition that a new
    /// version is made of, and whether a group takes definitions without one.
    fn read_only(&mut self, plan: &ApplyPlan, memory: &Memory) {
        for service in &plan.from_hub {
            if let Some(hub) = memory.hub.get(service) {
                let expect = Expect::Revision(hub.modified);
                self.requires.entry(keys::hub(service)).or_insert(expect);
            }
        }
        for destination in plan.plan.destinations.iter().filter(|d| !d.is_unchanged()) {
            let is_edit = destination
                .after
                .as_ref()
                .is_some_and(|it| it.version.is_none());
            if let Some(group) = memory.groups.get(&destination.group).filter(|_| is_edit) {
                let expect = Expect::Revision(group.modified);
                let key = keys::group(&destination.group);
                self.requires.entry(key).or_insert(expect);
            }
        }
    }

    /// Requires that nobody publishes meanwhile what goes from the hub, as far as there is room in
    /// the transaction. Beyond it, that race leaves a service running that the hub has no more,
    /// which is harmless.
    fn narrow(&mut self, plan: &ApplyPlan, memory: &Memory) {
        let goes = |it: &Resource| matches!(it.change, ResourceChange::Service(Some(_), None));
        if plan.resources.iter().any(goes) {
            for (name, group) in &memory.groups {
                if self.requires.len() >= NARROW_MAX {
                    break;
                }
                let expect = Expect::Revision(group.head_modified);
                self.requires.entry(keys::head(name)).or_insert(expect);
            }
        }
    }

    /// Moves a group's head, if its view moves; answers the revision that it then has.
    fn head(
        &mut self,
        memory: &Memory,
        name: &Name,
        changes: &Changes,
        is_gone: bool,
    ) -> Option<Revision> {
        let key = keys::head(name);
        let empty = View::empty();
        let (expect, revision, view) = match (memory.groups.get(name), memory.retired.get(name)) {
            (Some(group), _) => {
                let expect = Expect::Revision(group.head_modified);
                (expect, group.head.revision, &group.view)
            }
            (None, Some((head, modified))) => (Expect::Revision(*modified), head.revision, &empty),
            (None, None) => (Expect::Absent, Revision::default(), &empty),
        };
        let is_new = !memory.groups.contains_key(name);
        self.requires.insert(key.clone(), expect);
        let target = if is_gone {
            empty.clone()
        } else {
            view.with(changes)
        };
        // A group that goes takes a revision with it, so that one made anew goes on from there.
        let moves = is_gone || target.root() != view.root();
        if moves && !is_gone {
            self.blobs.extend(tree_blobs(&target, view));
        }
        let head = HeadRecord {
            revision: if moves { revision.next() } else { revision },
            root: target.root(),
        };
        if moves || is_new {
            self.put(key, &head);
        }
        moves.then_some(head.revision)
    }
}
