//! What the versions that documents name hold: what they held already, or what makes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{below, item};
use crate::definition::{Definition, Sealed};
use crate::document::{Document, Published};
use crate::name::{Name, VersionNumber};
use crate::plan::{Catalogue, NewVersion, Plan};
use crate::problem::{Code, Problem};

/// The versions that a call names, by service and number.
pub(super) struct Versions {
    known: BTreeMap<(Name, VersionNumber), Held>,
    /// Services whose definition in the hub a new version is made of.
    pub(super) from_hub: BTreeSet<Name>,
}

/// What a version holds.
pub(super) struct Held {
    pub(super) definition: Arc<Sealed<Definition>>,
    /// Where the body has it, if it does.
    pub(super) place: Option<String>,
    is_new: bool,
}

impl Versions {
    /// Finds what each version holds, and notes what can't be: a number that was used for something
    /// else, or that nothing says the content of.
    pub(super) fn of(
        world: &impl Catalogue,
        documents: &[(usize, &Document)],
        plan: &mut Plan,
    ) -> Self {
        let mut versions = Self {
            known: BTreeMap::new(),
            from_hub: BTreeSet::new(),
        };
        let declared: BTreeMap<_, _> = documents
            .iter()
            .filter_map(|(n, document)| match document {
                Document::Service { definition, .. } => {
                    Some((&definition.content.name, (*n, definition)))
                }
                _ => None,
            })
            .collect();
        let named = || {
            documents.iter().filter_map(|(n, document)| match document {
                Document::PublishedService(published) => {
                    Some((*n, published, published.version.as_ref()?))
                }
                _ => None,
            })
        };
        // What stands, and what documents say themselves, comes before what has to be looked for:
        // the order of the body says nothing.
        for (n, published, version) in named() {
            versions.take(world, n, published, version, plan);
        }
        for (n, published, version) in named() {
            let Published { service, .. } = published;
            let place = (service.clone(), version.clone());
            if versions.known.contains_key(&place) {
                continue;
            }
            let held = if let Some((n, definition)) = declared.get(service) {
                Held {
                    definition: Arc::clone(definition),
                    place: Some(item(*n)),
                    is_new: true,
                }
            } else if let Some(definition) = world.hub(service) {
                versions.from_hub.insert(service.clone());
                Held {
                    definition,
                    place: None,
                    is_new: true,
                }
            } else {
                let message = format!(
                    "there is no version {version} of {service}, and nothing to make it of; give a definition here, or declare the service too"
                );
                let at = below(&item(n), "version");
                let problem = Problem::new(Code::ServiceMissing, at, message).of_service(service);
                plan.problems.push(problem);
                continue;
            };
            versions.known.insert(place, held);
        }
        versions
    }

    /// What a version holds; none where nothing says it.
    pub(super) fn get(&self, service: &Name, version: &VersionNumber) -> Option<&Held> {
        self.known.get(&(service.clone(), version.clone()))
    }

    /// The numbers that the call uses up.
    pub(super) fn into_new(self) -> Vec<NewVersion> {
        let new = self.known.into_iter().filter(|(_, held)| held.is_new);
        new.map(|((service, version), held)| NewVersion {
            service,
            version,
            definition: held.definition,
        })
        .collect()
    }

    /// Takes in what stands under a number, and what a document says that it holds.
    fn take(
        &mut self,
        world: &impl Catalogue,
        n: usize,
        published: &Published,
        version: &VersionNumber,
        plan: &mut Plan,
    ) {
        let Published {
            service,
            definition,
            ..
        } = published;
        let place = (service.clone(), version.clone());
        let said = definition.as_ref();
        let said_at = below(&item(n), "definition");
        if !self.known.contains_key(&place)
            && let Some(standing) = world.version(service, version)
        {
            let held = Held {
                definition: standing,
                place: None,
                is_new: false,
            };
            self.known.insert(place.clone(), held);
        }
        let Some(said) = said else { return };
        match self.known.get_mut(&place) {
            None => {
                let held = Held {
                    definition: Arc::clone(said),
                    place: Some(said_at),
                    is_new: true,
                };
                self.known.insert(place, held);
            }
            Some(held) if held.definition.digest == said.digest => {
                held.place.get_or_insert(said_at);
            }
            Some(held) => {
                let message = match (&held.place, held.is_new) {
                    (Some(other), true) => format!(
                        "is not what {other} says that the version {version} of {service} holds; a number names one content"
                    ),
                    _ => format!(
                        "is not what the version {version} of {service} holds; choose another number, or leave the definition out"
                    ),
                };
                let problem = Problem::new(Code::Invalid, said_at, message).of_service(service);
                plan.problems.push(problem);
            }
        }
    }
}
