//! What goes because no document names it: by label, and never what something else still uses.

use std::collections::{BTreeMap, BTreeSet};

use super::{Planning, hub_service, titled};
use crate::document::{Document, DocumentId, DocumentKind};
use crate::meta::Meta;
use crate::name::Name;
use crate::plan::{Catalogue, Destination, Prune, Resource, ResourceChange};
use crate::problem::{Code, Problem};

/// Where the body speaks of what goes.
const PLACE: &str = "prune.labels";

impl<W: Catalogue> Planning<'_, W> {
    pub(super) fn prune(&mut self, prune: &Prune) {
        let named = self.named(prune);
        let groups = self.world.groups();
        let gone = self.prune_published(prune, &named, &groups);
        self.prune_hub(prune, &named);
        let declared: BTreeMap<_, _> = self.documents.iter().filter_map(group_meta).collect();
        for group in &groups {
            let is_of = match declared.get(group) {
                Some(meta) => prune.is_of(&meta.labels),
                None => {
                    let group = self.world.group_as_set(group);
                    group.is_some_and(|group| prune.is_of(&group.meta.labels))
                }
            };
            if !is_of {
                continue;
            }
            if !named.contains(&id(DocumentKind::GatewayGroup, None, group)) {
                self.prune_group(group, &gone);
            }
        }
        // As everything else that is listed: what is needed by others first.
        self.pruned.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// What the call names, and what that lies in or is of.
    fn named(&self, prune: &Prune) -> BTreeSet<DocumentId> {
        let documents = self.documents.iter().map(|(_, document)| document.id());
        let mut named = BTreeSet::new();
        for it in documents.chain(prune.keep.iter().cloned()) {
            if let Some(group) = &it.group {
                named.insert(id(DocumentKind::GatewayGroup, None, group));
            }
            if it.kind == DocumentKind::PublishedService {
                named.insert(id(DocumentKind::Service, None, &it.name));
            }
            named.insert(it);
        }
        named
    }

    /// Unpublishes services that carry the labels; answers which, and where.
    fn prune_published(
        &mut self,
        prune: &Prune,
        named: &BTreeSet<DocumentId>,
        groups: &[Name],
    ) -> BTreeSet<(Name, Name)> {
        let mut gone = BTreeSet::new();
        let declared: BTreeMap<_, _> = self.documents.iter().filter_map(hub_meta).collect();
        for group in groups {
            for service in self.world.published_in(group) {
                let it = id(DocumentKind::PublishedService, Some(group), &service);
                let is_of = match declared.get(&service) {
                    Some(meta) => prune.is_of(&meta.labels),
                    None => {
                        let meta = self.world.hub_meta(&service);
                        meta.is_some_and(|meta| prune.is_of(&meta.labels))
                    }
                };
                if named.contains(&it) || !is_of {
                    continue;
                }
                let before = self.world.running(group, &service);
                let mut destination = Destination::new(group, &service, before, None);
                PLACE.clone_into(&mut destination.place);
                self.plan.destinations.push(destination);
                let number = self.plan.destinations.len() - 1;
                let change = ResourceChange::Published(Some(number));
                self.pruned.push(Resource { id: it, change });
                gone.insert((group.clone(), service));
            }
        }
        gone
    }

    /// Deletes services of the hub. No group keeps one: whatever runs of it carries its labels, and
    /// a document of what runs would have named it.
    fn prune_hub(&mut self, prune: &Prune, named: &BTreeSet<DocumentId>) {
        for service in self.world.services() {
            let it = id(DocumentKind::Service, None, &service);
            let meta = self.world.hub_meta(&service);
            if !named.contains(&it) && meta.is_some_and(|meta| prune.is_of(&meta.labels)) {
                let change = ResourceChange::Service(hub_service(self.world, &service), None);
                self.pruned.push(Resource { id: it, change });
            }
        }
    }

    /// Deletes a group with its registries, if nothing holds it.
    fn prune_group(&mut self, group: &Name, gone: &BTreeSet<(Name, Name)>) {
        let mut services = self.world.published_in(group);
        services.retain(|service| !gone.contains(&(group.clone(), service.clone())));
        let services = services.iter().map(ToString::to_string).collect();
        let online = self.world.instances(group);
        let online = online.iter().map(|i| i.hostname.to_string()).collect();
        self.held(group, group, services, "still has services that do not carry the labels; unpublish them first, or declare the group");
        self.held(
            group,
            group,
            online,
            "has instances online; stop them first, or declare the group",
        );
        for registry in self.world.registries_of(group) {
            self.drop_registry(group, &registry);
        }
        let change = ResourceChange::Group(self.world.group_as_set(group), None);
        let it = id(DocumentKind::GatewayGroup, None, group);
        self.pruned.push(Resource { id: it, change });
    }

    fn drop_registry(&mut self, group: &Name, registry: &Name) {
        let change = ResourceChange::Registry(titled(self.world, group, registry), None);
        let it = id(DocumentKind::Registry, Some(group), registry);
        self.pruned.push(Resource { id: it, change });
    }

    /// Notes what holds something that would go.
    fn held(&mut self, group: &Name, what: &Name, mut by: Vec<String>, why: &str) {
        if by.is_empty() {
            return;
        }
        const SHOWN_MAX: usize = 10;
        by.sort_unstable();
        let more = by.len().saturating_sub(SHOWN_MAX);
        by.truncate(SHOWN_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!("{what} {why}: {}{more}", by.join(", "));
        let problem = Problem::new(Code::InUse, PLACE, message).in_group(group);
        self.plan.problems.push(problem);
    }
}

/// What a document says that people wrote about a group.
fn group_meta<'a>((_, document): &(usize, &'a Document)) -> Option<(&'a Name, &'a Meta)> {
    match document {
        Document::GatewayGroup(group) => Some((&group.name, &group.meta)),
        _ => None,
    }
}

/// What a document says that people wrote about a service.
fn hub_meta<'a>((_, document): &(usize, &'a Document)) -> Option<(&'a Name, &'a Meta)> {
    match document {
        Document::Service { definition, meta } => Some((&definition.content.name, meta)),
        _ => None,
    }
}

fn id(kind: DocumentKind, group: Option<&Name>, name: &Name) -> DocumentId {
    DocumentId {
        kind,
        group: group.cloned(),
        name: name.clone(),
    }
}
