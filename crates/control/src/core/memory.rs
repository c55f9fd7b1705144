//! What the control plane knows, in memory: fed by the store's watch, read by everyone.
//!
//! Reads never touch the store. A write is answered when this memory holds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use ferryway_api::Operation;
use ferryway_model::plan::{GroupFacts, InstanceFacts, Past, RollbackTo, Running, World};
use ferryway_model::{
    Binding, Claimant, Definition, Digest, Key, Meta, Name, Places, Registry, RouteIndex, Sealed,
    ServiceEntry, VersionNumber, View,
};
use ferryway_store::{Expect, Key as StoreKey, Revision as StoreRevision};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::contents::{Content, Contents, Recent};
use super::idempotency::Used;
use super::planes::Planes;
use super::presence::Instance;
use super::records::{
    AuditRecord, AuthorityRecord, GroupRecord, HeadRecord, HistoryRecord, HubRecord,
    IdentityRecord, JoinTokenRecord, RegistryRecord, ShrinkRecord, TokenRecord, VersionRecord,
};
use super::relay::Told;
use super::sweep::Sweep;
use super::tracker::Tracker;
use super::wishes::Wishes;

/// Everything the control plane knows.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The store's transaction that this memory has come to.
    pub(super) revision: StoreRevision,
    /// The groups.
    pub(crate) groups: BTreeMap<Name, Group>,
    /// Heads of groups that are gone; one made anew goes on from there.
    pub(super) retired: BTreeMap<Name, (HeadRecord, StoreRevision)>,
    /// The service hub.
    pub(crate) hub: BTreeMap<Name, Hub>,
    /// Every version number ever used, by service.
    pub(crate) versions: BTreeMap<Name, BTreeMap<VersionNumber, VersionRecord>>,
    /// What ran where, oldest first.
    pub(crate) history: BTreeMap<(Name, Name), Vec<Ran>>,
    /// Operations by id, which is by time.
    pub(crate) operations: BTreeMap<Uuid, Arc<Operation>>,
    /// Audit entries by the id of their commit, which is by time.
    pub(crate) audit: BTreeMap<Uuid, Arc<AuditRecord>>,
    /// Answers that repeated calls get again, by where their keys lie in the store.
    pub(super) idempotency: HashMap<StoreKey, Used>,
    /// The last time that content was collected.
    pub(super) sweep: Sweep,
    /// API tokens.
    pub(crate) tokens: BTreeMap<Uuid, TokenRecord>,
    /// Join tokens of all groups.
    pub(crate) join_tokens: BTreeMap<Uuid, JoinToken>,
    /// The certificate that each instance was given last.
    pub(super) identities: BTreeMap<Uuid, Stored<IdentityRecord>>,
    /// The authorities that are made here; none: not yet.
    pub(super) authority: Option<Stored<AuthorityRecord>>,
    /// Shrunken views that operators have confirmed, by group.
    pub(super) shrinks: BTreeMap<Name, ShrinkRecord>,
    /// Instances seen, by group and id.
    pub(crate) instances: BTreeMap<Name, BTreeMap<String, Instance>>,
    /// Instances that came or went, and are not stored as such yet.
    pub(super) unsaved_instances: BTreeSet<(Name, String)>,
    pub(super) contents: Contents,
    pub(super) tracker: Tracker,
    /// What other control planes ask to be let go first.
    pub(super) wishes: Wishes,
    /// The other control planes, where there are any.
    pub(crate) planes: Planes,
    /// Tells when one came or went.
    pub(super) planes_changed: watch::Sender<()>,
    /// Those whose record went, and since when: their instances may be on their way to another one.
    pub(super) orphaned: BTreeMap<Uuid, Instant>,
    /// What other control planes are told of the instances here.
    pub(super) told: Told,
}

/// A record, and the transaction that changed it last.
#[derive(Clone, Debug)]
pub(super) struct Stored<T> {
    pub(super) record: T,
    pub(super) modified: StoreRevision,
}

/// A join token.
#[derive(Clone, Debug)]
pub(crate) struct JoinToken {
    /// The group that it lets into.
    pub(crate) group: Name,
    /// Everything but its secret.
    pub(crate) record: JoinTokenRecord,
    pub(super) modified: StoreRevision,
}

/// A gateway group.
#[derive(Debug)]
pub(crate) struct Group {
    /// What its people set.
    pub(crate) record: GroupRecord,
    pub(super) modified: StoreRevision,
    /// Which view it has.
    pub(crate) head: HeadRecord,
    pub(super) head_modified: StoreRevision,
    /// What its instances should serve.
    pub(crate) view: View,
    /// The names of the services in its view, in order: the view has them by digest.
    pub(crate) published: BTreeSet<Name>,
    /// What people wrote about its registries.
    pub(crate) registries: BTreeMap<Name, Titled>,
    /// Where its enabled services claim places.
    pub(super) routes: RouteIndex,
}

/// What people wrote about a registry; its content is in the view.
#[derive(Debug)]
pub(crate) struct Titled {
    pub(crate) record: RegistryRecord,
    pub(super) modified: StoreRevision,
}

/// A service in the hub.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Its title, description, labels, digest and times.
    pub(crate) record: HubRecord,
    pub(super) modified: StoreRevision,
}

/// One entry of a service's history in a group.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// What it became.
    pub(crate) record: HistoryRecord,
    /// By which operation.
    pub(crate) operation: Uuid,
}

impl Memory {
    pub(super) fn has_content(&self, digest: Digest) -> bool {
        self.contents.has(digest)
    }

    pub(super) fn put_content(&mut self, content: Content) {
        self.contents.put(content);
    }

    pub(super) fn drop_content(&mut self, digest: Digest) {
        self.contents.remove(digest);
    }

    /// The definitions used last.
    pub(super) fn recent_definitions(&self) -> &Recent {
        self.contents.recent()
    }

    /// The bytes of some content, as instances fetch it.
    pub(crate) fn content_bytes(&self, digest: Digest) -> Option<Bytes> {
        self.contents.bytes(digest)
    }

    /// A definition by digest.
    pub(crate) fn definition(&self, digest: Digest) -> Option<Arc<Sealed<Definition>>> {
        self.contents.definition(digest)
    }

    /// A definition as answers show it: as it is stored.
    pub(crate) fn definition_json(&self, digest: Digest) -> Option<&RawValue> {
        self.contents.definition_json(digest)
    }

    /// A binding by digest.
    pub(crate) fn binding(&self, digest: Digest) -> Option<&Arc<Sealed<Binding>>> {
        self.contents.binding(digest)
    }

    /// A registry of a group, and its title.
    pub(crate) fn registry(
        &self,
        group: &Name,
        name: &Name,
    ) -> Option<(&Arc<Sealed<Registry>>, &str)> {
        let group = self.groups.get(group)?;
        let ferryway_model::Entry::Registry(entry) = group.view.get(&Key::registry(name))? else {
            return None;
        };
        let registry = self.contents.registry(entry.content)?;
        let title = group
            .registries
            .get(name)
            .map_or("", |titled| titled.record.title.as_str());
        Some((registry, title))
    }

    /// What a write of a registry requires, so that it replaces what it was worked out from: a title
    /// alone moves no head.
    pub(super) fn registry_expected(&self, group: &Name, name: &Name) -> Expect {
        let group = self.groups.get(group);
        let titled = group.and_then(|group| group.registries.get(name));
        titled.map_or(Expect::Absent, |titled| Expect::Revision(titled.modified))
    }

    /// The services of a group whose binding names this registry.
    pub(crate) fn users_of_registry(&self, group: &Name, registry: &Name) -> Vec<Name> {
        let Some(group) = self.groups.get(group) else {
            return Vec::new();
        };
        let uses = |entry: &ServiceEntry| {
            self.binding(entry.binding)
                .is_some_and(|binding| binding.content.registry() == Some(registry))
        };
        let mut names: Vec<_> = group
            .view
            .services()
            .filter(|(_, entry)| uses(entry))
            .map(|(name, _)| name.clone())
            .collect();
        names.sort_unstable();
        names
    }

    /// The groups that a service is published in.
    pub(crate) fn groups_of(&self, service: &Name) -> Vec<Name> {
        let published = self
            .groups
            .iter()
            .filter(|(_, group)| group.published.contains(service));
        published.map(|(name, _)| name.clone()).collect()
    }

    /// What people wrote about a service in the hub; nothing if it is gone from there.
    pub(crate) fn meta(&self, service: &Name) -> Option<&Meta> {
        self.hub.get(service).map(|hub| &hub.record.meta)
    }

    /// What an entry of a view says, with its content.
    pub(crate) fn running_of(&self, entry: &ServiceEntry) -> Option<Running> {
        Some(Running {
            version: entry.version.clone(),
            definition: self.definition(entry.definition)?,
            binding: self.binding(entry.binding)?.clone(),
            enabled: entry.enabled,
        })
    }

    /// Brings the groups' conflict indexes to what their views say of these services, each named
    /// with its group behind it.
    pub(super) fn reindex(&mut self, mut changed: Vec<(Name, Name)>) {
        // By service: most of its groups run the same, whose places are then worked out once.
        changed.sort_unstable();
        let mut last: Option<(Claimant, Places)> = None;
        for (service, group) in changed {
            let group_of = self.groups.get(&group);
            let entry = group_of.and_then(|group| group.view.service(&service));
            let running = entry
                .filter(|entry| entry.enabled)
                .and_then(|entry| self.running_of(entry));
            let claimant = running.map(|it| Claimant::of(&it.definition, &it.binding.content));
            let Some(group) = self.groups.get_mut(&group) else {
                continue;
            };
            let Some(claimant) = claimant else {
                group.routes.remove(&service);
                continue;
            };
            let places = match &last {
                Some((known, places)) if *known == claimant => places.clone(),
                _ => claimant.places(),
            };
            group.routes.put(&service, places.clone());
            last = Some((claimant, places));
        }
    }
}

impl World for Memory {
    fn group(&self, group: &Name) -> Option<GroupFacts> {
        let group = self.groups.get(group)?;
        Some(GroupFacts {
            enforce_publishing: group.record.enforce_publishing,
        })
    }

    fn hub(&self, service: &Name) -> Option<Arc<Sealed<Definition>>> {
        self.definition(self.hub.get(service)?.record.digest)
    }

    fn version_used(&self, service: &Name, version: &VersionNumber) -> bool {
        self.versions
            .get(service)
            .is_some_and(|versions| versions.contains_key(version))
    }

    fn running(&self, group: &Name, service: &Name) -> Option<Running> {
        self.running_of(self.groups.get(group)?.view.service(service)?)
    }

    fn registry(&self, group: &Name, registry: &Name) -> Option<Arc<Sealed<Registry>>> {
        self.registry(group, registry)
            .map(|(registry, _)| registry.clone())
    }

    fn past(&self, group: &Name, service: &Name, to: &RollbackTo) -> Option<Past> {
        let ran = self.history.get(&(group.clone(), service.clone()))?;
        let (record, state) = ran
            .iter()
            .rev()
            .filter(|ran| !ran.record.rejected)
            .filter_map(|ran| Some((&ran.record, ran.record.state?)))
            .find(|(record, state)| to.names(record.version.as_ref(), state.definition))?;
        Some(Past {
            version: record.version.clone(),
            definition: self.definition(state.definition)?,
            binding: self.binding(state.binding)?.clone(),
        })
    }

    fn instances(&self, group: &Name) -> Vec<InstanceFacts> {
        let instances = self
            .instances
            .get(group)
            .into_iter()
            .flat_map(BTreeMap::values);
        let present = self.groups.get(group).map(|group| group.head.revision);
        instances
            .filter(|instance| instance.is_online())
            .map(|instance| InstanceFacts {
                id: instance.id.as_str().into(),
                hostname: instance.record.hostname.as_str().into(),
                build: instance.record.build.as_str().into(),
                schemas: instance.schemas.clone(),
                current: present.is_some_and(|present| instance.settled() >= present),
                held: instance.held.keys().cloned().collect(),
            })
            .collect()
    }

    fn with_routes<R>(&self, group: &Name, read: impl FnOnce(&RouteIndex) -> R) -> R {
        match self.groups.get(group) {
            Some(group) => read(&group.routes),
            None => read(&RouteIndex::default()),
        }
    }
}
