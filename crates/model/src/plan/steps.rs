//! How each kind of request becomes a plan. From top to bottom: the kinds, then what they share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    Destination, InstanceFacts, NewVersion, OperationKind, Past, Plan, Request, RollbackTo,
    Running, SyncForm, SyncService, Target, World,
};
use crate::binding::{Binding, Upstream};
use crate::conflict::{Claimant, RouteConflict};
use crate::definition::{Definition, Sealed};
use crate::digest::Digest;
use crate::name::{Name, VersionNumber};
use crate::problem::{Code, Problem};

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
    planner.note_conflicts(&mut plan, request);
    planner.note_instances(&mut plan);
    Ok(plan)
}

struct Planner<'w, W> {
    world: &'w W,
}

/// Where the body sent speaks of a destination.
struct Place {
    /// The destination itself.
    item: String,
    /// Its binding.
    binding: Spot,
}

/// Where a body says which binding it wants.
enum Spot {
    /// It holds the binding here, or would.
    Holds(String),
    /// It asks here for one that it doesn't hold.
    Asks(String),
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

    fn sync(
        &self,
        source: &Name,
        services: &[SyncService],
        to: &[Target],
        form: SyncForm,
    ) -> Result<Plan, Problem> {
        self.world.group(source).ok_or_else(|| no_group(source))?;
        let mut plan = Plan::new(OperationKind::Sync);
        let mut named = BTreeSet::new();
        for (n, wanted) in services.iter().enumerate() {
            let place = match form {
                SyncForm::One => String::new(),
                SyncForm::Several => format!("services[{n}]"),
            };
            let service = &wanted.service;
            let Some(running) = self.world.running(source, service) else {
                if form == SyncForm::One {
                    return Err(not_published(source, service));
                }
                let message = format!("{service} is not published in {source}");
                let problem = Problem::new(Code::ServiceMissing, below(&place, "service"), message);
                plan.problems.push(problem.of_service(service));
                continue;
            };
            if !named.insert(service) {
                let message = format!("names {service} again");
                let problem = Problem::new(Code::Duplicate, below(&place, "service"), message);
                plan.problems.push(problem.of_service(service));
                continue;
            }
            self.sync_one(&mut plan, source, wanted, &running, to, form, &place);
        }
        self.note_targets(&mut plan, source, &named, to, form);
        Ok(plan)
    }

    /// Plans one service of a sync for all its destinations.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call, made once, of what sync has at hand"
    )]
    fn sync_one(
        &self,
        plan: &mut Plan,
        source: &Name,
        wanted: &SyncService,
        running: &Running,
        to: &[Target],
        form: SyncForm,
        place: &str,
    ) {
        let service = &wanted.service;
        let mut note = |code, field: &str, message: String| {
            plan.problems
                .push(Problem::new(code, below(place, field), message).of_service(service));
        };
        if let Some(expect) = &wanted.expect_version
            && running.version.as_ref() != Some(expect)
        {
            let now = shown_version(running.version.as_ref());
            note(
                Code::SourceMoved,
                "expect_version",
                format!("{source} now runs {now} of {service}, not {expect}"),
            );
        }
        if let Some(expect) = wanted.expect_digest
            && running.definition.digest != expect
        {
            let now = running.definition.digest;
            note(
                Code::SourceMoved,
                "expect_digest",
                format!("{source} now runs {now} of {service}"),
            );
        }
        let version = match (&running.version, &wanted.version) {
            (Some(version), None) => Some(version.clone()),
            (Some(version), Some(_)) => {
                let message = format!(
                    "{source} runs {version} of {service}, and exactly that is synced; leave `version` out"
                );
                note(Code::VersionNotExpected, "version", message);
                Some(version.clone())
            }
            (None, None) => {
                let message = format!(
                    "{service} was edited in {source} and has no version there; give it a new number"
                );
                note(Code::VersionRequired, "version", message);
                None
            }
            (None, Some(version)) if self.world.version_used(service, version) => {
                let message = format!(
                    "the version {version} of {service} was used before; choose another number"
                );
                note(Code::VersionExists, "version", message);
                Some(version.clone())
            }
            (None, Some(version)) => {
                plan.new_versions.push(NewVersion {
                    service: service.clone(),
                    version: version.clone(),
                    definition: running.definition.clone(),
                });
                // The source runs that version too from then on.
                let after = Running {
                    version: Some(version.clone()),
                    ..running.clone()
                };
                let mut destination =
                    Destination::new(source, service, Some(running.clone()), Some(after));
                place.clone_into(&mut destination.place);
                plan.destinations.push(destination);
                Some(version.clone())
            }
        };
        let content = Content {
            version,
            definition: running.definition.clone(),
        };
        let mut lagging = self.world.instances(source);
        lagging.retain(|i| i.held.contains(service) || !i.current);
        for (n, target) in to.iter().enumerate() {
            let group = &target.group;
            let earlier = to[..n].iter().any(|other| other.group == *group);
            if earlier || group == source || self.world.group(group).is_none() {
                continue; // said once for the call, by note_targets
            }
            let field = match form {
                SyncForm::One => "binding".to_owned(),
                SyncForm::Several => format!("bindings.{service}"),
            };
            let at = Place::of(format!("to[{n}]"), &field);
            let binding = target.bindings.get(service);
            let mut destination = self.arrive(group, service, &content, binding, &at);
            if !lagging.is_empty() {
                let message = format!(
                    "not every instance of {source} runs yet what would be synced: {}",
                    shown_hosts(&lagging)
                );
                let problem = Problem::new(Code::SourceNotConverged, place, message);
                destination
                    .problems
                    .push(problem.in_group(source).of_service(service));
            }
            plan.destinations.push(destination);
        }
    }

    /// Notes destinations that can't be one, and bindings for services that aren't synced.
    fn note_targets(
        &self,
        plan: &mut Plan,
        source: &Name,
        named: &BTreeSet<&Name>,
        to: &[Target],
        form: SyncForm,
    ) {
        let mut seen = BTreeSet::new();
        for (n, target) in to.iter().enumerate() {
            let place = format!("to[{n}]");
            if target.group == *source {
                let message = format!("{source} is the source; sync to other groups");
                plan.problems.push(
                    Problem::new(Code::Invalid, below(&place, "group"), message).in_group(source),
                );
            } else if let Some(problem) = self.bad_target(&target.group, &mut seen, &place) {
                plan.problems.push(problem);
            }
            if form == SyncForm::Several {
                for service in target
                    .bindings
                    .keys()
                    .filter(|service| !named.contains(service))
                {
                    let message = format!("{service} is not among the services of this call");
                    let place = format!("{place}.bindings.{service}");
                    plan.problems.push(
                        Problem::new(Code::ServiceMissing, place, message).of_service(service),
                    );
                }
            }
        }
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
        let history = self.world.history(group, service);
        let wanted = |past: &&Past| match to {
            RollbackTo::Version(version) => past.version.as_ref() == Some(version),
            RollbackTo::Digest(digest) => past.definition.digest == *digest,
        };
        let Some(past) = history.iter().find(wanted) else {
            let (field, what) = match to {
                RollbackTo::Version(version) => ("version", version.to_string()),
                RollbackTo::Digest(digest) => ("digest", digest.to_string()),
            };
            let message =
                format!("{what} of {service} never ran in {group}; its history names what did");
            plan.problems
                .push(Problem::new(Code::NotInHistory, field, message));
            return Ok(plan);
        };
        let content = Content {
            version: past.version.clone(),
            definition: past.definition.clone(),
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
        let kind = match (binding, enabled) {
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

    /// Content arrives in a group: with the binding given, or the one the group has.
    fn arrive(
        &self,
        group: &Name,
        service: &Name,
        content: &Content,
        binding: Option<&Arc<Sealed<Binding>>>,
        place: &Place,
    ) -> Destination {
        let Place { item, binding: at } = place;
        let before = self.world.running(group, service);
        let kept = before.as_ref().map(|running| running.binding.clone());
        let kept_at = Spot::Asks(item.clone());
        let at_present = if binding.is_some() { at } else { &kept_at };
        let Some(binding) = binding.cloned().or(kept) else {
            let mut destination = Destination::new(group, service, None, None);
            destination.place.clone_from(item);
            let message = format!(
                "{group} doesn't have {service} yet; say where its upstream is there (nodes or discovery)"
            );
            let problem = Problem::new(Code::BindingRequired, at.whole(), message);
            destination
                .problems
                .push(problem.in_group(group).of_service(service));
            return destination;
        };
        let mut problems = self.binding_problems(group, service, &binding.content, at_present);
        if let Some(before) = &before
            && before.version.is_none()
            && before.definition.digest != content.definition.digest
        {
            let digest = before.definition.digest;
            let message = format!(
                "{service} was edited in {group}; the edit stays in the history as {digest}"
            );
            let problem = Problem::new(Code::UnversionedEditReplaced, item, message);
            problems.push(problem.in_group(group).of_service(service));
        }
        let after = Running {
            version: content.version.clone(),
            definition: content.definition.clone(),
            binding,
            enabled: before.as_ref().is_none_or(|running| running.enabled),
        };
        let mut destination = Destination::new(group, service, before, Some(after));
        destination.place.clone_from(item);
        destination.problems = problems;
        destination
    }

    /// What is wrong with a binding in this group.
    fn binding_problems(
        &self,
        group: &Name,
        service: &Name,
        binding: &Binding,
        at: &Spot,
    ) -> Vec<Problem> {
        let Upstream::Discovery(discovery) = &binding.upstream else {
            return Vec::new();
        };
        let problem = match self.world.registry(group, &discovery.registry) {
            None => {
                let message = format!(
                    "{group} has no registry {:?}; create it, or name another",
                    discovery.registry
                );
                Problem::new(
                    Code::RegistryMissing,
                    at.field("discovery.registry"),
                    message,
                )
            }
            Some(registry) => match registry.content.query(discovery) {
                Ok(_) => return Vec::new(),
                Err(why) => Problem::new(Code::Invalid, at.field("discovery"), why),
            },
        };
        vec![problem.in_group(group).of_service(service)]
    }

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

    /// Notes the conflicts of each group's changes, all services of the group together.
    fn note_conflicts(&self, plan: &mut Plan, request: &Request) {
        let groups: BTreeSet<Name> = plan.destinations.iter().map(|d| d.group.clone()).collect();
        for group in groups {
            let changed: BTreeMap<Name, Option<Claimant>> = plan
                .destinations
                .iter()
                .filter(|d| d.group == group && d.claims_anew())
                .map(|d| (d.service.clone(), d.after.as_ref().and_then(claimant)))
                .collect();
            let conflicts = self
                .world
                .with_routes(&group, |routes| routes.conflicts(&changed));
            for conflict in conflicts {
                let of = |d: &&mut Destination| d.group == group && d.service == conflict.service;
                if let Some(destination) = plan.destinations.iter_mut().find(of) {
                    let place = conflict_place(request, destination, &conflict);
                    let problem = conflict_problem(destination, &conflict, &place);
                    destination.problems.push(problem);
                }
            }
        }
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
        }
    }
}

impl Place {
    /// A destination in a list, and the field of it that holds its binding.
    fn of(item: String, field: &str) -> Self {
        let binding = Spot::Holds(below(&item, field));
        Self { item, binding }
    }
}

impl Spot {
    fn whole(&self) -> &str {
        let (Self::Holds(place) | Self::Asks(place)) = self;
        place
    }

    /// A field of the binding, as far as the body has it.
    fn field(&self, name: &str) -> String {
        match self {
            Self::Holds(place) => below(place, name),
            Self::Asks(place) => place.clone(),
        }
    }
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

    /// Whether it would claim other hosts or routes than it does: no other change can conflict.
    fn claims_anew(&self) -> bool {
        let claims = |running: &Running| {
            let hosts = running
                .binding
                .content
                .effective_hosts(&running.definition.content)
                .to_vec();
            (running.enabled, running.definition.digest, hosts)
        };
        self.before.as_ref().map(claims) != self.after.as_ref().map(claims)
    }
}

fn claimant(running: &Running) -> Option<Claimant> {
    running.enabled.then(|| Claimant {
        definition: running.definition.clone(),
        hosts: running
            .binding
            .content
            .effective_hosts(&running.definition.content)
            .to_vec(),
    })
}

/// The place in the body sent that brings a conflict about.
fn conflict_place(
    request: &Request,
    destination: &Destination,
    conflict: &RouteConflict,
) -> String {
    let RouteConflict { route, path, .. } = conflict;
    match request {
        Request::Edit { .. } => format!("routes[{route}].paths[{path}]"),
        Request::Set {
            binding: Some(_), ..
        } if destination.before.as_ref().is_some_and(|r| r.enabled) => "binding".to_owned(),
        Request::Set { .. } => "enabled".to_owned(),
        _ => destination.place.clone(),
    }
}

fn conflict_problem(destination: &Destination, conflict: &RouteConflict, place: &str) -> Problem {
    let RouteConflict {
        service,
        route,
        path,
        host,
        other_service,
        other_route,
    } = conflict;
    let definition = destination
        .after
        .as_ref()
        .map(|running| &running.definition.content);
    let names = definition
        .and_then(|d| d.routes.get(*route))
        .map(|r| (&r.name, r.paths.get(*path)));
    let (name, pattern) = names.map_or((String::new(), String::new()), |(name, pattern)| {
        (
            name.to_string(),
            pattern.map(ToString::to_string).unwrap_or_default(),
        )
    });
    let host = host
        .as_ref()
        .map_or_else(|| "any host".to_owned(), |host| format!("the host {host}"));
    let message = format!(
        "route {name} of {service} ({pattern}, {host}) would answer the same requests as route {other_route} of {other_service}, \
         and no rule says which goes first; change a path, host, method, predicate or priority, or disable one of the services"
    );
    Problem::new(Code::RouteConflict, place, message)
        .in_group(&destination.group)
        .of_service(service)
}

fn below(place: &str, field: &str) -> String {
    if place.is_empty() {
        field.to_owned()
    } else {
        format!("{place}.{field}")
    }
}

/// The hosts of instances for a message, cut where there are many.
fn shown_hosts(instances: &[InstanceFacts]) -> String {
    const SHOWN_MAX: usize = 5;
    let names = instances.iter().take(SHOWN_MAX);
    let names: Vec<_> = names.map(|i| i.hostname.as_ref()).collect();
    match instances.len().saturating_sub(SHOWN_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn shown_version(version: Option<&VersionNumber>) -> String {
    version.map_or_else(|| "No Version".to_owned(), ToString::to_string)
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
