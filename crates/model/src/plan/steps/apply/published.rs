//! What groups shall run: content, binding and flag of each published service.

use std::sync::Arc;

use super::super::arrive::Place;
use super::super::{Content, Planner, below};
use super::version::Versions;
use super::{Planning, item, no_such_group};
use crate::conflict::RouteConflict;
use crate::definition::{Definition, Sealed};
use crate::document::{Document, Published};
use crate::name::VersionNumber;
use crate::plan::{
    Catalogue, Destination, GroupFacts, Resource, ResourceChange, Running, World as _,
};
use crate::problem::{Code, Problem};

/// Where the body speaks of a destination.
pub(super) struct Spots<'a> {
    /// Its document.
    item: String,
    document: &'a Published,
    /// The definition that it runs, where the body holds it.
    routes: Option<String>,
}

impl<'a, W: Catalogue> Planning<'a, W> {
    /// What groups shall run.
    pub(super) fn published_services(&mut self) {
        let published: Vec<_> = self
            .documents
            .iter()
            .filter_map(|(n, document)| match document {
                Document::PublishedService(published) => Some((*n, document.id(), published)),
                _ => None,
            })
            .collect();
        let versions = Versions::of(self.world, &self.documents, &mut self.plan);
        self.from_hub.clone_from(&versions.from_hub);
        for (n, id, published) in published {
            let destination = self.publish(n, published, &versions);
            let number = destination.map(|destination| {
                self.plan.destinations.push(destination);
                self.plan.destinations.len() - 1
            });
            let change = ResourceChange::Published(number);
            self.resources.insert(n, Resource { id, change });
        }
        self.plan.new_versions = versions.into_new();
    }

    /// Plans one published service.
    fn publish(
        &mut self,
        n: usize,
        published: &'a Published,
        versions: &Versions,
    ) -> Option<Destination> {
        let item = item(n);
        let Published { group, service, .. } = published;
        if self.overlay.group(group).is_none() {
            let problem = no_such_group(group, &below(&item, "group"));
            self.plan.problems.push(problem);
            return None;
        }
        let content = match &published.version {
            Some(version) => {
                let made = versions.get(service, version)?;
                let routes = made.place.clone();
                (Some(version.clone()), Arc::clone(&made.definition), routes)
            }
            None => {
                let definition = published.definition.clone()?;
                (None, definition, Some(below(&item, "definition")))
            }
        };
        let (version, definition, routes) = content;
        self.note_digest(&item, published, &definition);
        let mut destination = self.arrive(&item, published, version, definition);
        if published.version.is_none() {
            self.note_enforcement(&item, &mut destination);
        }
        let place = (group.clone(), service.clone());
        let spots = Spots {
            item,
            document: published,
            routes,
        };
        self.spots.insert(place, spots);
        Some(destination)
    }

    fn note_digest(&mut self, item: &str, published: &Published, content: &Sealed<Definition>) {
        if published
            .digest
            .is_some_and(|digest| digest != content.digest)
        {
            let message = format!(
                "is not the digest of what would run, which is {}; leave it out, or look again",
                content.digest
            );
            let problem = Problem::new(Code::Invalid, below(item, "digest"), message);
            let Published { group, service, .. } = published;
            let problem = problem.in_group(group).of_service(service);
            self.plan.problems.push(problem);
        }
    }

    fn arrive(
        &self,
        item: &str,
        published: &Published,
        version: Option<VersionNumber>,
        definition: Arc<Sealed<Definition>>,
    ) -> Destination {
        let Published { group, service, .. } = published;
        let is_edit = version.is_none();
        let standing = self.world.running(group, service);
        let is_the_same = |digest| {
            standing
                .as_ref()
                .is_some_and(|r| r.definition.digest == digest)
        };
        // An edit that edits nothing leaves the version: as PUT of a definition does.
        let version = match standing.as_ref() {
            Some(standing) if is_edit && is_the_same(definition.digest) => standing.version.clone(),
            _ => version,
        };
        let content = Content {
            version,
            definition,
        };
        let planner = Planner {
            world: &self.overlay,
        };
        let place = Place::of(item.to_owned(), "binding");
        let binding = published.binding.as_ref();
        let mut destination = planner.arrive(group, service, &content, binding, &place);
        if is_edit {
            // One edit follows another, as everywhere.
            let is_replaced = |p: &Problem| p.code == Code::UnversionedEditReplaced;
            destination.problems.retain(|problem| !is_replaced(problem));
        }
        if let (Some(after), Some(enabled)) = (&mut destination.after, published.enabled) {
            after.enabled = enabled;
        }
        destination
    }

    /// A group that takes definitions by publishing and syncing only takes no other one. One that
    /// the call makes has nothing yet to protect: so what a group was dumped as comes back whole.
    fn note_enforcement(&self, item: &str, destination: &mut Destination) {
        let group = &destination.group;
        let stands = self.world.group(group).is_some();
        let enforces = |facts: GroupFacts| facts.enforce_publishing;
        let digest =
            |running: &Option<Running>| running.as_ref().map(|running| running.definition.digest);
        let is_other = digest(&destination.before) != digest(&destination.after);
        if stands && is_other && self.overlay.group(group).is_some_and(enforces) {
            let message = format!(
                "{group} takes definitions by publish and sync only; give it a version number"
            );
            let at = below(item, "definition");
            let problem = Problem::new(Code::PublishingEnforced, at, message).in_group(group);
            let problem = problem.of_service(&destination.service);
            destination.problems.push(problem);
        }
    }
}

impl Spots<'_> {
    /// What of the document brings a conflict about.
    pub(super) fn of_conflict(
        &self,
        destination: &Destination,
        conflict: &RouteConflict,
    ) -> String {
        let RouteConflict { route, path, .. } = conflict;
        let before = destination.before.as_ref();
        let after = destination.after.as_ref();
        let digest = |running: &Running| running.definition.digest;
        let binding = |running: &Running| running.binding.digest;
        let is_served = |running: &Running| running.enabled;
        match &self.routes {
            Some(routes) if before.map(digest) != after.map(digest) => {
                below(routes, &format!("routes[{route}].paths[{path}]"))
            }
            _ if self.document.binding.is_some() && before.map(binding) != after.map(binding) => {
                below(&self.item, "binding")
            }
            _ if self.document.enabled.is_some()
                && before.map(is_served) != after.map(is_served) =>
            {
                below(&self.item, "enabled")
            }
            _ => self.item.clone(),
        }
    }
}
