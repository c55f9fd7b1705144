//! How documents become a plan: first what stands on its own, then the content of versions, then
//! what groups run of them, then what goes; and last what only shows when all of it is together.

mod overlay;
mod prune;
mod published;
#[cfg(test)]
mod tests;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Planner, below};
use crate::document::{Document, DocumentId};
use crate::limits::{GROUPS_IN_CALL_MAX, SERVICES_IN_CALL_MAX};
use crate::name::Name;
use crate::plan::{
    Apply, ApplyPlan, Catalogue, HubService, OperationKind, Plan, Resource, ResourceChange,
    TitledRegistry, World as _,
};
use crate::problem::{Code, Problem};
use overlay::Overlay;
use published::Spots;

/// Works out what documents would do, all of them together. Nothing is not found here: a call of
/// documents names nothing by its URL.
#[must_use]
pub fn plan_apply(apply: &Apply, world: &impl Catalogue) -> ApplyPlan {
    let mut planning = Planning::of(apply, world);
    planning.note_limits(apply);
    planning.plain_resources();
    planning.published_services();
    if let Some(prune) = &apply.prune {
        planning.prune(prune);
    }
    planning.finish()
}

/// A plan in the making.
struct Planning<'a, W> {
    world: &'a W,
    /// The world with the documents' plain resources in it.
    overlay: Overlay<'a, W>,
    /// Documents by their number in the body, each resource once.
    documents: Vec<(usize, &'a Document)>,
    plan: Plan,
    /// By the number of their document.
    resources: BTreeMap<usize, Resource>,
    /// Those that go.
    pruned: Vec<Resource>,
    from_hub: BTreeSet<Name>,
    /// Where the body speaks of a destination, by group and service.
    spots: BTreeMap<(Name, Name), Spots<'a>>,
}

impl<'a, W: Catalogue> Planning<'a, W> {
    fn of(apply: &'a Apply, world: &'a W) -> Self {
        let mut plan = Plan::new(OperationKind::Apply);
        let mut seen: BTreeMap<DocumentId, usize> = BTreeMap::new();
        let mut documents = Vec::with_capacity(apply.documents.len());
        for (n, document) in apply.documents.iter().enumerate() {
            let id = document.id();
            if let Some(first) = seen.get(&id) {
                let message = format!("is {id}, as resources[{first}] is; keep one of them");
                let at = item(n);
                plan.problems
                    .push(Problem::new(Code::Duplicate, at, message));
            } else {
                seen.insert(id, n);
                documents.push((n, document));
            }
        }
        Self {
            world,
            overlay: Overlay::of(world, &documents),
            documents,
            plan,
            resources: BTreeMap::new(),
            pruned: Vec::new(),
            from_hub: BTreeSet::new(),
            spots: BTreeMap::new(),
        }
    }

    /// One call takes so many services and groups as any other.
    fn note_limits(&mut self, apply: &Apply) {
        let (mut groups, mut services) = (BTreeSet::new(), BTreeSet::new());
        for document in &apply.documents {
            match document {
                Document::GatewayGroup(group) => drop(groups.insert(&group.name)),
                Document::Registry { group, .. } => drop(groups.insert(group)),
                Document::Service { definition, .. } => {
                    services.insert(&definition.content.name);
                }
                Document::PublishedService(published) => {
                    groups.insert(&published.group);
                    services.insert(&published.service);
                }
            }
        }
        for (what, count, most) in [
            ("gateway groups", groups.len(), GROUPS_IN_CALL_MAX),
            ("services", services.len(), SERVICES_IN_CALL_MAX),
        ] {
            if count > most {
                let message = format!(
                    "are of {count} {what}; at most {most} fit into one call, so make several"
                );
                let problem = Problem::new(Code::LimitExceeded, "resources", message);
                self.plan.problems.push(problem);
            }
        }
    }

    /// Groups, registries and services of the hub: what they are and what they would be.
    fn plain_resources(&mut self) {
        for (n, document) in &self.documents {
            let change = match document {
                Document::GatewayGroup(group) => {
                    ResourceChange::Group(self.world.group_as_set(&group.name), Some(group.clone()))
                }
                Document::Registry {
                    group,
                    registry,
                    title,
                } => {
                    if self.overlay.group(group).is_none() {
                        let problem = no_such_group(group, &below(&item(*n), "group"));
                        self.plan.problems.push(problem);
                    }
                    let after = TitledRegistry {
                        registry: Arc::clone(registry),
                        title: title.clone(),
                    };
                    let before = titled(self.world, group, &registry.content.name);
                    ResourceChange::Registry(before, Some(after))
                }
                Document::Service { definition, meta } => {
                    let after = HubService {
                        definition: Arc::clone(definition),
                        meta: meta.clone(),
                    };
                    let before = hub_service(self.world, &definition.content.name);
                    ResourceChange::Service(before, Some(after))
                }
                Document::PublishedService(_) => continue,
            };
            let id = document.id();
            self.resources.insert(*n, Resource { id, change });
        }
    }

    /// What only shows when everything is planned.
    fn finish(self) -> ApplyPlan {
        let Self {
            overlay,
            mut plan,
            resources,
            pruned,
            from_hub,
            spots,
            ..
        } = self;
        let planner = Planner { world: &overlay };
        planner.note_conflicts(&mut plan, |destination, conflict| {
            let place = (destination.group.clone(), destination.service.clone());
            match spots.get(&place) {
                Some(spots) => spots.of_conflict(destination, conflict),
                None => destination.place.clone(),
            }
        });
        planner.note_instances(&mut plan);
        // Nobody waits for instances of a group that goes.
        let gone = |group: &Name| {
            let goes = |resource: &Resource| {
                resource.id.name == *group
                    && matches!(resource.change, ResourceChange::Group(Some(_), None))
            };
            pruned.iter().any(goes)
        };
        for destination in &mut plan.destinations {
            if gone(&destination.group) {
                let is_waiting = |p: &Problem| p.code == Code::NoInstances;
                destination.problems.retain(|problem| !is_waiting(problem));
            }
        }
        ApplyPlan {
            plan,
            resources: resources.into_values().chain(pruned).collect(),
            from_hub,
        }
    }
}

/// The place of a document.
fn item(number: usize) -> String {
    format!("resources[{number}]")
}

fn no_such_group(group: &Name, place: &str) -> Problem {
    let message = format!("there is no gateway group {group:?}; declare it too, or name another");
    Problem::new(Code::GroupMissing, place, message).in_group(group)
}

/// A registry of a group as it stands.
fn titled(world: &impl Catalogue, group: &Name, name: &Name) -> Option<TitledRegistry> {
    Some(TitledRegistry {
        registry: world.registry(group, name)?,
        title: world.registry_title(group, name),
    })
}

/// A service of the hub as it stands.
fn hub_service(world: &impl Catalogue, name: &Name) -> Option<HubService> {
    Some(HubService {
        definition: world.hub(name)?,
        meta: world.hub_meta(name)?,
    })
}
