//! A world that is nothing but maps: a plan can be made of it, and carried out on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::conflict::{Claimant, RouteIndex};
use crate::definition::{Definition, Sealed};
use crate::document::{Document, Published};
use crate::group::Group;
use crate::meta::Meta;
use crate::name::{Name, VersionNumber};
use crate::plan::{
    ApplyPlan, Catalogue, GroupFacts, HubService, InstanceFacts, Past, ResourceChange, RollbackTo,
    Running, TitledRegistry, World,
};
use crate::registry::Registry;

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) groups: BTreeMap<Name, Group>,
    pub(super) registries: BTreeMap<(Name, Name), TitledRegistry>,
    pub(super) hub: BTreeMap<Name, HubService>,
    pub(super) versions: BTreeMap<(Name, VersionNumber), Arc<Sealed<Definition>>>,
    pub(super) running: BTreeMap<(Name, Name), Running>,
    pub(super) online: BTreeSet<Name>,
}

impl State {
    /// Does what a plan says, as it says it.
    pub(super) fn carry_out(&mut self, plan: &ApplyPlan) {
        for new in &plan.plan.new_versions {
            let place = (new.service.clone(), new.version.clone());
            let used = self.versions.insert(place, Arc::clone(&new.definition));
            assert!(used.is_none(), "a number is used once");
        }
        for resource in &plan.resources {
            let name = resource.id.name.clone();
            let group = || resource.id.group.clone().expect("lies in a group");
            match resource.change.clone() {
                ResourceChange::Group(_, after) => put(&mut self.groups, name, after),
                ResourceChange::Registry(_, after) => {
                    put(&mut self.registries, (group(), name), after);
                }
                ResourceChange::Service(_, after) => put(&mut self.hub, name, after),
                ResourceChange::Published(_) => {
                    let destination = plan.destination(resource).expect("was planned");
                    let after = destination.after.clone();
                    put(&mut self.running, (group(), name), after);
                }
            }
        }
    }

    /// Everything, as documents.
    pub(super) fn dump(&self) -> Vec<Document> {
        let groups = self.groups.values().cloned().map(Document::GatewayGroup);
        let registries = self
            .registries
            .iter()
            .map(|((group, _), it)| Document::Registry {
                group: group.clone(),
                registry: Arc::clone(&it.registry),
                title: it.title.clone(),
            });
        let hub = self.hub.values().map(|it| Document::Service {
            definition: Arc::clone(&it.definition),
            meta: it.meta.clone(),
        });
        let running = self.running.iter().map(|((group, service), it)| {
            Document::PublishedService(Published {
                group: group.clone(),
                service: service.clone(),
                version: it.version.clone(),
                definition: Some(Arc::clone(&it.definition)),
                digest: Some(it.definition.digest),
                binding: Some(Arc::clone(&it.binding)),
                enabled: Some(it.enabled),
            })
        });
        groups.chain(registries).chain(hub).chain(running).collect()
    }

    /// All that callers can see of it.
    pub(super) fn shown(&self) -> Vec<String> {
        let values = self.dump().into_iter().map(|it| it.to_value().to_string());
        values.collect()
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

impl World for State {
    fn group(&self, group: &Name) -> Option<GroupFacts> {
        let group = self.groups.get(group)?;
        Some(GroupFacts {
            enforce_publishing: group.enforce_publishing,
        })
    }
    fn hub(&self, service: &Name) -> Option<Arc<Sealed<Definition>>> {
        Some(Arc::clone(&self.hub.get(service)?.definition))
    }
    fn version_used(&self, service: &Name, version: &VersionNumber) -> bool {
        self.version(service, version).is_some()
    }
    fn running(&self, group: &Name, service: &Name) -> Option<Running> {
        self.running.get(&(group.clone(), service.clone())).cloned()
    }
    fn registry(&self, group: &Name, registry: &Name) -> Option<Arc<Sealed<Registry>>> {
        let place = (group.clone(), registry.clone());
        Some(Arc::clone(&self.registries.get(&place)?.registry))
    }
    fn past(&self, _: &Name, _: &Name, _: &RollbackTo) -> Option<Past> {
        None // no document asks for it
    }
    fn instances(&self, group: &Name) -> Vec<InstanceFacts> {
        let online = self.online.contains(group).then(|| InstanceFacts {
            id: "i".into(),
            hostname: "gw-1".into(),
            build: "1".into(),
            schemas: vec![1],
            current: true,
            held: Vec::new(),
        });
        online.into_iter().collect()
    }
    fn with_routes<R>(&self, group: &Name, read: impl FnOnce(&RouteIndex) -> R) -> R {
        let mut index = RouteIndex::default();
        for ((at, service), running) in &self.running {
            if at == group && running.enabled {
                let claimant = Claimant::of(&running.definition, &running.binding.content);
                index.put(service, claimant.places());
            }
        }
        read(&index)
    }
}

impl Catalogue for State {
    fn group_as_set(&self, group: &Name) -> Option<Group> {
        self.groups.get(group).cloned()
    }
    fn hub_meta(&self, service: &Name) -> Option<Meta> {
        Some(self.hub.get(service)?.meta.clone())
    }
    fn registry_title(&self, group: &Name, registry: &Name) -> String {
        let place = (group.clone(), registry.clone());
        let registry = self.registries.get(&place);
        registry.map(|it| it.title.clone()).unwrap_or_default()
    }
    fn version(&self, service: &Name, version: &VersionNumber) -> Option<Arc<Sealed<Definition>>> {
        let place = (service.clone(), version.clone());
        self.versions.get(&place).cloned()
    }
    fn groups(&self) -> Vec<Name> {
        self.groups.keys().cloned().collect()
    }
    fn services(&self) -> Vec<Name> {
        self.hub.keys().cloned().collect()
    }
    fn registries_of(&self, group: &Name) -> Vec<Name> {
        let registries = self.registries.keys().filter(|(at, _)| at == group);
        registries.map(|(_, name)| name.clone()).collect()
    }
    fn published_in(&self, group: &Name) -> Vec<Name> {
        let running = self.running.keys().filter(|(at, _)| at == group);
        running.map(|(_, service)| service.clone()).collect()
    }
}
