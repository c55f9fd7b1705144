//! The world as it would be with the documents' plain resources in it: what is declared beside
//! something may be named by it, whatever comes first in the body.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::conflict::RouteIndex;
use crate::definition::{Definition, Sealed};
use crate::document::Document;
use crate::name::{Name, VersionNumber};
use crate::plan::{Catalogue, GroupFacts, InstanceFacts, Past, RollbackTo, Running, World};
use crate::registry::Registry;

/// A world, and what a call puts over it.
pub(super) struct Overlay<'a, W> {
    world: &'a W,
    groups: BTreeMap<&'a Name, GroupFacts>,
    registries: BTreeMap<(&'a Name, &'a Name), &'a Arc<Sealed<Registry>>>,
    hub: BTreeMap<&'a Name, &'a Arc<Sealed<Definition>>>,
}

impl<'a, W: Catalogue> Overlay<'a, W> {
    pub(super) fn of(world: &'a W, documents: &[(usize, &'a Document)]) -> Self {
        let mut overlay = Self {
            world,
            groups: BTreeMap::new(),
            registries: BTreeMap::new(),
            hub: BTreeMap::new(),
        };
        for (_, document) in documents {
            match document {
                Document::GatewayGroup(group) => {
                    let facts = GroupFacts {
                        enforce_publishing: group.enforce_publishing,
                    };
                    overlay.groups.insert(&group.name, facts);
                }
                Document::Registry {
                    group, registry, ..
                } => {
                    let place = (group, &registry.content.name);
                    overlay.registries.insert(place, registry);
                }
                Document::Service { definition, .. } => {
                    overlay.hub.insert(&definition.content.name, definition);
                }
                Document::PublishedService(_) => {}
            }
        }
        overlay
    }
}

impl<W: Catalogue> World for Overlay<'_, W> {
    fn group(&self, group: &Name) -> Option<GroupFacts> {
        let declared = self.groups.get(group).copied();
        declared.or_else(|| self.world.group(group))
    }

    fn hub(&self, service: &Name) -> Option<Arc<Sealed<Definition>>> {
        let declared = self.hub.get(service).map(|it| Arc::clone(it));
        declared.or_else(|| self.world.hub(service))
    }

    fn version_used(&self, service: &Name, version: &VersionNumber) -> bool {
        self.world.version_used(service, version)
    }

    fn running(&self, group: &Name, service: &Name) -> Option<Running> {
        self.world.running(group, service)
    }

    fn registry(&self, group: &Name, registry: &Name) -> Option<Arc<Sealed<Registry>>> {
        let declared = self.registries.get(&(group, registry));
        let declared = declared.map(|it| Arc::clone(it));
        declared.or_else(|| self.world.registry(group, registry))
    }

    fn past(&self, group: &Name, service: &Name, to: &RollbackTo) -> Option<Past> {
        self.world.past(group, service, to)
    }

    fn instances(&self, group: &Name) -> Vec<InstanceFacts> {
        self.world.instances(group)
    }

    fn with_routes<R>(&self, group: &Name, read: impl FnOnce(&RouteIndex) -> R) -> R {
        self.world.with_routes(group, read)
    }
}
