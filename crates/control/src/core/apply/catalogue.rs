//! What a plan of documents asks of memory beyond other plans.

use std::sync::Arc;

use ferryway_model::plan::Catalogue;
use ferryway_model::{Definition, Group, Meta, Name, Sealed, VersionNumber};

use super::super::Memory;

impl Catalogue for Memory {
    fn group_as_set(&self, group: &Name) -> Option<Group> {
        let record = &self.groups.get(group)?.record;
        Some(Group {
            name: group.clone(),
            meta: record.meta.clone(),
            enforce_publishing: record.enforce_publishing,
        })
    }

    fn hub_meta(&self, service: &Name) -> Option<Meta> {
        self.meta(service).cloned()
    }

    fn registry_title(&self, group: &Name, registry: &Name) -> String {
        self.registry(group, registry)
            .map(|(_, title)| title.to_owned())
            .unwrap_or_default()
    }

    fn version(&self, service: &Name, version: &VersionNumber) -> Option<Arc<Sealed<Definition>>> {
        self.definition(self.versions.get(service)?.get(version)?.digest)
    }

    fn groups(&self) -> Vec<Name> {
        self.groups.keys().cloned().collect()
    }

    fn services(&self) -> Vec<Name> {
        self.hub.keys().cloned().collect()
    }

    fn registries_of(&self, group: &Name) -> Vec<Name> {
        let view = self.groups.get(group).map(|group| &group.view);
        let names = view.into_iter().flat_map(|view| view.registries());
        let mut names: Vec<_> = names.map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    fn published_in(&self, group: &Name) -> Vec<Name> {
        let view = self.groups.get(group).map(|group| &group.view);
        let names = view.into_iter().flat_map(|view| view.services());
        let mut names: Vec<_> = names.map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }
}
