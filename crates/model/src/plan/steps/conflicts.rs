//! Which routes of a plan's services would conflict with others of their group.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Destination, Plan, Request, Running, World};
use super::Planner;
use crate::conflict::{Claimant, RouteConflict};
use crate::name::Name;
use crate::problem::{Code, Problem};

impl<W: World> Planner<'_, W> {
    /// Notes the conflicts of each group's changes, all services of the group together. `place` says
    /// what in the body sent brings a conflict about.
    pub(super) fn note_conflicts(
        &self,
        plan: &mut Plan,
        place: impl Fn(&Destination, &RouteConflict) -> String,
    ) {
        let groups: BTreeSet<Name> = plan.destinations.iter().map(|d| d.group.clone()).collect();
        for group in groups {
            let changed: BTreeMap<Name, Option<Claimant>> = plan
                .destinations
                .iter()
                .filter(|d| d.group == group && d.claims_anew())
                .map(|d| (d.service.clone(), d.after.as_ref().and_then(claimant)))
                .collect();
            let standing = |service: &Name| {
                let running = self.world.running(&group, service);
                running.as_ref().and_then(claimant)
            };
            let conflicts = self
                .world
                .with_routes(&group, |routes| routes.conflicts(&changed, standing));
            for conflict in conflicts {
                let of = |d: &&mut Destination| d.group == group && d.service == conflict.service;
                if let Some(destination) = plan.destinations.iter_mut().find(of) {
                    let place = place(destination, &conflict);
                    let problem = conflict_problem(destination, &conflict, &place);
                    destination.problems.push(problem);
                }
            }
        }
    }
}

impl Destination {
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
    let claim = || Claimant::of(&running.definition, &running.binding.content);
    running.enabled.then(claim)
}

/// The place in the body of a request that brings a conflict about.
pub(super) fn conflict_place(
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
