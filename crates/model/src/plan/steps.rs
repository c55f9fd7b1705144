//! How each kind of request becomes a plan. From top to bottom: the kinds, then what they share.

mod apply;
mod arrive;
mod conflicts;
mod sync;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{
    Destination, InstanceFacts, NewVersion, OperationKind, Plan, Request, RollbackTo, Running,
    Target, World,
};
use crate::binding::Binding;
use crate::definition::{Definition, SCHEMA, Sealed};
use crate::digest::Digest;
use crate::name::{Name, VersionNumber};
use crate::problem::{Code, Problem};
pub use apply::plan_apply;
use arrive::{Place, Spot};
use conflicts::conflict_place;

/// Works out what a request would do.
///
/// # Errors
/// The URL names nothing: one problem with the code `not_found`. Everything else that is wrong is
/// in the plan.
pub fn plan(request: &Request, world: &impl World) -> Result<Plan, Problem> {
    let planner = Planner { world };
    let mut plan = match request {
        Request::Publish {
            service,
            version,
            groups,
            expect_digest,
        } => planner.publish(service, version, groups, *expect_digest)?,
        Request::Sync {
            source,
            services,
            to,
            form,
        } => planner.sync(source, services, to, *form)?,
        Request::Rollback {
            group,
            service,
            to,
            with_binding,
        } => planner.rollback(group, service, to, *with_binding)?,
        Request::Set {
            group,
            service,
            binding,
            enabled,
        } => planner.set(group, service, binding.as_ref(), *enabled)?,
        Request::Edit {
            group,
            service,
            definition,
        } => planner.edit(group, service, definition)?,
        Request::Unpublish { group, service } => planner.unpublish(group, service)?,
    };
    planner.note_conflicts(&mut plan, |destination, conflict| {
        conflict_place(request, destination, conflict)
    });
    planner.note_instances(&mut plan);
    Ok(plan)
}

struct Planner<'w, W> {
    world: &'w W,
}

/// What shall run somewhere, before the binding is settled.
struct Content {
    version: Option<VersionNumber>,
    definition: Arc<Sealed<Definition>>,
}

impl<W: World> Planner<'_, W> {
    fn publish(
        &self,
        service: &Name,
        version: &VersionNumber,
        groups: &[Target],
        expect: Option<Digest>,
    ) -> Result<Plan, Problem> {
        let hub = self.world.hub(service).ok_or_else(|| no_service(service))?;
        let mut plan = Plan::new(OperationKind::Publish);
        if expect.is_some_and(|expect| expect != hub.digest) {
            let message = format!(
                "the hub's definition of {service} is now {}; look at it again",
                hub.digest
            );
            plan.problems
                .push(Problem::new(Code::SourceMoved, "expect_digest", message));
        }
        if self.world.version_used(service, version) {
            let message = format!(
                "the version {version} of {service} was used before; choose another number"
            );
            plan.problems
                .push(Problem::new(Code::VersionExists, "version", message));
        }
        let content = Content {
            version: Some(version.clone()),
            definition: hub.clone(),
        };
        let mut seen = BTreeSet::new();
        for (n, target) in groups.iter().enumerate() {
            let place = Place::of(format!("groups[{n}]"), "binding");
            if let Some(problem) = self.bad_target(&target.group, &mut seen, &place.item) {
                plan.problems.push(problem);
                continue;
            }
            let binding = target.bindings.get(service);
            let destination = self.arrive(&target.group, service, &content, binding, &place);
            plan.destinations.push(destination);
        }
        plan.new_versions.push(NewVersion {
            service: service.clone(),
            version: version.clone(),
            definition: hub,
        });
        Ok(plan)
    }

    fn rollback(
        &self,
        group: &Name,
        service: &Name,
        to: &RollbackTo,
        with_binding: bool,
    ) -> Result<Plan, Problem> {
        let before = self.published(group, service)?;
        let mut plan = Plan::new(OperationKind::Rollback);
        let Some(past) = self.world.past(group, service, to) else {
            let (field, what) = match to {
                RollbackTo::Version(version) => ("version", version.to_string()),
                RollbackTo::Digest(digest) => ("digest", digest.to_string()),
            };
            let message = format!(
                "{what} of {service} never ran in {group} (what every instance rejected did not \
                 run either); its history names what did"
            );
            plan.problems
                .push(Problem::new(Code::NotInHistory, field, message));
            return Ok(plan);
        };
        let content = Content {
            version: past.version,
            definition: past.definition,
        };
        let (asks, binding) = if with_binding {
            ("with_binding", &past.binding)
        } else {
            ("", &before.binding)
        };
        let place = Place {
            item: String::new(),
            binding: Spot::Asks(asks.to_owned()),
        };
        let destination = self.arrive(group, service, &content, Some(binding), &place);
        plan.destinations.push(destination);
        Ok(plan)
    }

    fn set(
        &self,
        group: &Name,
        service: &Name,
        binding: Option<&Arc<Sealed<Binding>>>,
        enabled: Option<bool>,
    ) -> Result<Plan, Problem> {
        let before = self.published(group, service)?;
        let mut after = before.clone();
        // Whether it serves at all is the more serious of two changes.
        let kind = match (binding, enabled) {
            (_, Some(false)) if before.enabled => OperationKind::Disable,
            (_, Some(true)) if !before.enabled => OperationKind::Enable,
            (Some(_), _) => OperationKind::Binding,
            (None, Some(false)) => OperationKind::Disable,
            (None, _) => OperationKind::Enable,
        };
        let mut plan = Plan::new(kind);
        let mut problems = Vec::new();
        after.enabled = enabled.unwrap_or(before.enabled);
        if let Some(binding) = binding {
            let at = Spot::Holds("binding".to_owned());
            problems = self.binding_problems(group, service, &binding.content, &at);
            after.binding = binding.clone();
        } else if after.enabled && !before.enabled {
            let at = Spot::Asks("enabled".to_owned());
            problems = self.binding_problems(group, service, &before.binding.content, &at);
        }
        let mut destination = Destination::new(group, service, Some(before), Some(after));
        destination.problems = problems;
        plan.destinations.push(destination);
        Ok(plan)
    }

    fn edit(
        &self,
        group: &Name,
        service: &Name,
        definition: &Arc<Sealed<Definition>>,
    ) -> Result<Plan, Problem> {
        let before = self.published(group, service)?;
        let mut plan = Plan::new(OperationKind::Edit);
        if self
            .world
            .group(group)
            .is_some_and(|facts| facts.enforce_publishing)
        {
            let message = format!(
                "{group} takes definitions by publish and sync only; edit the hub's and publish it"
            );
            plan.problems
                .push(Problem::new(Code::PublishingEnforced, "", message).in_group(group));
        }
        let mut after = before.clone();
        if definition.digest != before.definition.digest {
            after.definition = definition.clone();
            after.version = None;
        }
        plan.destinations
            .push(Destination::new(group, service, Some(before), Some(after)));
        Ok(plan)
    }

    fn unpublish(&self, group: &Name, service: &Name) -> Result<Plan, Problem> {
        let before = self.published(group, service)?;
        let mut plan = Plan::new(OperationKind::Unpublish);
        plan.destinations
            .push(Destination::new(group, service, Some(before), None));
        Ok(plan)
    }

    // What the kinds share.

    /// Why a group named in the body is no target, if it isn't.
    fn bad_target(&self, group: &Name, seen: &mut BTreeSet<Name>, place: &str) -> Option<Problem> {
        let (code, message) = if self.world.group(group).is_none() {
            (
                Code::GroupMissing,
                format!("there is no gateway group {group:?}; create it, or name another"),
            )
        } else if !seen.insert(group.clone()) {
            (Code::Duplicate, format!("names the group {group} again"))
        } else {
            return None;
        };
        Some(Problem::new(code, below(place, "group"), message).in_group(group))
    }

    fn published(&self, group: &Name, service: &Name) -> Result<Running, Problem> {
        self.world.group(group).ok_or_else(|| no_group(group))?;
        self.world
            .running(group, service)
            .ok_or_else(|| not_published(group, service))
    }

    /// Names the instances that would change, and the groups that have none.
    fn note_instances(&self, plan: &mut Plan) {
        let mut without = BTreeSet::new();
        for destination in plan.destinations.iter_mut().filter(|d| !d.is_unchanged()) {
            destination.instances = self.world.instances(&destination.group);
            if destination.instances.is_empty() && without.insert(destination.group.clone()) {
                let group = &destination.group;
                let message =
                    format!("{group} has no instance online; it takes effect when one joins");
                let problem = Problem::new(Code::NoInstances, &destination.place, message);
                destination.problems.push(problem.in_group(group));
            }
            if destination.after.is_some() {
                destination.problems.extend(too_old(destination));
            }
        }
    }
}

/// The instances that can't load definitions of this build's form: they go on with what they have,
/// and hold it.
fn too_old(destination: &Destination) -> Option<Problem> {
    const NAMED_MAX: usize = 10;
    let is_old = |it: &&InstanceFacts| {
        let knows = |schema: &u32| i64::from(*schema) == SCHEMA;
        !it.schemas.is_empty() && !it.schemas.iter().any(knows)
    };
    let old: Vec<_> = destination.instances.iter().filter(is_old).collect();
    let named = old.iter().take(NAMED_MAX);
    let named: Vec<_> = named
        .map(|it| format!("{} (build {})", it.hostname, it.build))
        .collect();
    let more = match old.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let group = &destination.group;
    let message = format!(
        "{}{more} in {group} can't load definitions of form {SCHEMA}: until their build is newer they \
         serve what they have, and hold this with the code schema",
        named.join(", ")
    );
    let problem = Problem::new(Code::InstanceTooOld, &destination.place, message);
    (!old.is_empty()).then(|| problem.in_group(group))
}

impl Plan {
    fn new(kind: OperationKind) -> Self {
        Self {
            kind,
            destinations: Vec::new(),
            problems: Vec::new(),
            new_versions: Vec::new(),
        }
    }
}

impl Destination {
    fn new(group: &Name, service: &Name, before: Option<Running>, after: Option<Running>) -> Self {
        let (group, service) = (group.clone(), service.clone());
        Self {
            group,
            service,
            place: String::new(),
            before,
            after,
            problems: Vec::new(),
            instances: Vec::new(),
        }
    }
}

fn below(place: &str, field: &str) -> String {
    if place.is_empty() {
        field.to_owned()
    } else {
        format!("{place}.{field}")
    }
}

fn no_service(service: &Name) -> Problem {
    Problem::new(
        Code::NotFound,
        "",
        format!("there is no service {service:?} in the hub"),
    )
}

fn no_group(group: &Name) -> Problem {
    Problem::new(
        Code::NotFound,
        "",
        format!("there is no gateway group {group:?}"),
    )
}

fn not_published(group: &Name, service: &Name) -> Problem {
    let message = format!("{service} is not published in {group}");
    Problem::new(Code::NotFound, "", message)
        .in_group(group)
        .of_service(service)
}
