//! How a sync becomes a plan: exactly what the source runs now, for each service and destination.

use std::collections::BTreeSet;

use super::super::{
    Destination, InstanceFacts, NewVersion, OperationKind, Plan, Running, SyncForm, SyncService,
    Target, World,
};
use super::arrive::Place;
use super::{Content, Planner, below, no_group, not_published};
use crate::name::{Name, VersionNumber};
use crate::problem::{Code, Problem};

impl<W: World> Planner<'_, W> {
    pub(super) fn sync(
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
