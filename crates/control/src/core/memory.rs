//! What the control plane knows, in memory: fed by the store's watch, read by everyone.
//!
//! Reads never touch the store. A write is answered when this memory holds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use ferryway_api::Operation;
use ferryway_model::plan::{GroupFacts, InstanceFacts, Past, Running, World};
use ferryway_model::{
    Binding, Claimant, Definition, Digest, Key, Meta, Name, Registry, RouteIndex, Sealed,
    ServiceEntry, VersionNumber, View,
};
use ferryway_store::Revision as StoreRevision;
use uuid::Uuid;

use super::presence::Instance;
use super::records::{
    AuditRecord, GroupRecord, HeadRecord, HistoryRecord, HubRecord, IdempotencyRecord,
    RegistryRecord, VersionRecord,
};
use super::tracker::Tracker;

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
    /// Answers that repeated calls get again, by key.
    pub(super) idempotency: HashMap<String, IdempotencyRecord>,
    /// Instances seen, by group and id.
    pub(crate) instances: BTreeMap<Name, BTreeMap<String, Instance>>,
    /// Instances that came or went, and are not stored as such yet.
    pub(super) unsaved_instances: BTreeSet<(Name, String)>,
    contents: HashMap<Digest, Content>,
    pub(super) tracker: Tracker,
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
    /// What people wrote about its registries.
    pub(crate) registries: BTreeMap<Name, RegistryRecord>,
    /// The places its enabled services claim.
    pub(super) routes: RouteIndex,
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

/// Content that something names.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Definition(Arc<Sealed<Definition>>),
    Binding(Arc<Sealed<Binding>>),
    Registry(Arc<Sealed<Registry>>),
}

/// What tells the kinds of content apart: only definitions have routes, only registries a kind.
#[derive(serde::Deserialize)]
struct Kind {
    routes: Option<serde::de::IgnoredAny>,
    kind: Option<serde::de::IgnoredAny>,
}

impl Content {
    /// Reads canonical bytes of whatever kind they are of.
    ///
    /// # Errors
    /// A sentence: they are of no kind that this build knows.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let kind: Kind = serde_json::from_slice(bytes)
            .map_err(|error| format!("content is no object: {error}"))?;
        let first = |problems: Vec<ferryway_model::Problem>| {
            problems
                .first()
                .map_or_else(String::new, ToString::to_string)
        };
        let read = match kind {
            Kind {
                routes: Some(_), ..
            } => Self::Definition(Arc::new(Definition::from_canonical(bytes).map_err(first)?)),
            Kind { kind: Some(_), .. } => {
                Self::Registry(Arc::new(Registry::from_canonical(bytes).map_err(first)?))
            }
            Kind { .. } => Self::Binding(Arc::new(Binding::from_canonical(bytes).map_err(first)?)),
        };
        Ok(read)
    }

    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::Definition(sealed) => sealed.digest,
            Self::Binding(sealed) => sealed.digest,
            Self::Registry(sealed) => sealed.digest,
        }
    }

    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Definition(sealed) => Bytes::copy_from_slice(&sealed.bytes),
            Self::Binding(sealed) => Bytes::copy_from_slice(&sealed.bytes),
            Self::Registry(sealed) => Bytes::copy_from_slice(&sealed.bytes),
        }
    }
}

impl Memory {
    pub(super) fn has_content(&self, digest: Digest) -> bool {
        self.contents.contains_key(&digest)
    }

    pub(super) fn put_content(&mut self, content: Content) {
        self.contents.insert(content.digest(), content);
    }

    pub(super) fn drop_content(&mut self, digest: Digest) {
        self.contents.remove(&digest);
    }

    /// The bytes of some content, as instances fetch it.
    pub(crate) fn content_bytes(&self, digest: Digest) -> Option<Bytes> {
        self.contents.get(&digest).map(Content::bytes)
    }

    /// A definition by digest.
    pub(crate) fn definition(&self, digest: Digest) -> Option<&Arc<Sealed<Definition>>> {
        match self.contents.get(&digest)? {
            Content::Definition(definition) => Some(definition),
            Content::Binding(_) | Content::Registry(_) => None,
        }
    }

    /// A binding by digest.
    pub(crate) fn binding(&self, digest: Digest) -> Option<&Arc<Sealed<Binding>>> {
        match self.contents.get(&digest)? {
            Content::Binding(binding) => Some(binding),
            Content::Definition(_) | Content::Registry(_) => None,
        }
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
        let Content::Registry(registry) = self.contents.get(&entry.content)? else {
            return None;
        };
        let title = group
            .registries
            .get(name)
            .map_or("", |record| record.title.as_str());
        Some((registry, title))
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
            .filter(|(_, group)| group.view.service(service).is_some());
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
            definition: self.definition(entry.definition)?.clone(),
            binding: self.binding(entry.binding)?.clone(),
            enabled: entry.enabled,
        })
    }

    /// Brings a group's conflict index to what its view says of one service.
    pub(super) fn reindex(&mut self, group: &Name, service: &Name) {
        let entry = self
            .groups
            .get(group)
            .and_then(|group| group.view.service(service))
            .cloned();
        let running = entry
            .filter(|entry| entry.enabled)
            .and_then(|entry| self.running_of(&entry));
        let Some(group) = self.groups.get_mut(group) else {
            return;
        };
        match running {
            None => group.routes.remove(service),
            Some(running) => {
                let claimant = Claimant::of(&running.definition, &running.binding.content);
                group.routes.put(service, &claimant);
            }
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
            .cloned()
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

    fn history(&self, group: &Name, service: &Name) -> Vec<Past> {
        let ran = self
            .history
            .get(&(group.clone(), service.clone()))
            .into_iter()
            .flatten()
            .rev();
        let past = ran.filter_map(|ran| {
            let state = ran.record.state?;
            Some(Past {
                version: ran.record.version.clone(),
                definition: self.definition(state.definition)?.clone(),
                binding: self.binding(state.binding)?.clone(),
            })
        });
        past.collect()
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
