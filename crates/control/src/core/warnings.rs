//! Checks that only warn: they run when a change serves already, on the way back. An operation waits
//! a while for what they find, so that whoever asked for it is told; and it succeeds all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use ferryway_api::{DeliveryState, Destination, InstanceDelivery, Problem, Severity};
use ferryway_delivery::Peer;
use ferryway_model::{Kind, Name, Revision};
use ferryway_proto::Fault;
use jiff::Timestamp;
use tokio::time::Instant;

use super::memory::Memory;
use super::presence::{Instance, evidence, placed};

/// What an instance has said of checks that only warn, by the revision they belong to.
#[derive(Clone, Debug, Default)]
pub(super) struct Warnings(BTreeMap<Revision, Told>);

#[derive(Clone, Debug)]
enum Told {
    /// They run.
    Running {
        /// Since when, by our clock.
        since: Instant,
    },
    /// They are over; what fails.
    Over {
        /// Since when, by our clock.
        since: Instant,
        found: Vec<Fault>,
    },
}

/// How long an instance is believed that checks run: all of a transaction get ten seconds there.
const RUNNING_MAX: Duration = Duration::from_secs(15);
/// How long what was found is kept after it was shown: other control planes are told of it.
const SHOWN_FOR: Duration = Duration::from_secs(30);
/// Revisions of which an instance's warnings are kept, until what it says next has been set against
/// them.
const REVISIONS_MAX: usize = 8;
/// Warnings of checks that a destination lists; all instances usually say the same.
const PROBLEMS_MAX: usize = 32;

impl Warnings {
    fn take(&mut self, warnings: &ferryway_proto::Warnings, now: Instant) {
        let ferryway_proto::Warnings { transaction, found } = warnings;
        let told = match found {
            None => Told::Running { since: now },
            Some(faults) => Told::Over {
                since: now,
                found: faults.clone(),
            },
        };
        self.0.insert(*transaction, told);
        if self.0.len() > REVISIONS_MAX {
            self.0.pop_first();
        }
    }

    /// All of it, to be told to another control plane.
    pub(super) fn all(&self) -> Vec<ferryway_proto::Warnings> {
        let all = self
            .0
            .iter()
            .map(|(revision, told)| ferryway_proto::Warnings {
                transaction: *revision,
                found: match told {
                    Told::Running { .. } => None,
                    Told::Over { found, .. } => Some(found.clone()),
                },
            });
        all.collect()
    }

    /// Takes all of it as another control plane tells it; whether anything is other than it was.
    pub(super) fn replace(&mut self, all: &[ferryway_proto::Warnings], now: Instant) -> bool {
        let before = std::mem::take(self);
        for warnings in all {
            self.take(warnings, now);
        }
        before.all() != self.all()
    }

    /// Gives up on checks that have run for too long; whether there were any.
    fn give_up(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        self.0.retain(|_, told| match told {
            Told::Running { since } => now.duration_since(*since) < RUNNING_MAX,
            Told::Over { .. } => true,
        });
        self.0.len() < before
    }

    /// Forgets what was found, and has been shown, up to a revision.
    fn forget(&mut self, up_to: Revision, now: Instant) {
        self.0.retain(|revision, told| match told {
            Told::Running { .. } => true,
            Told::Over { since, .. } => *revision > up_to || now.duration_since(*since) < SHOWN_FOR,
        });
    }

    /// Forgets all: the stream that they were said on is gone. Answers whether there was anything.
    pub(super) fn clear(&mut self) -> bool {
        !std::mem::take(&mut self.0).is_empty()
    }

    fn are_running(&self, revision: Revision) -> bool {
        matches!(self.0.get(&revision), Some(Told::Running { .. }))
    }

    fn about<'a>(
        &'a self,
        revision: Revision,
        service: &'a str,
    ) -> impl Iterator<Item = &'a Fault> {
        let faults = match self.0.get(&revision) {
            Some(Told::Over { found, .. }) => found.as_slice(),
            Some(Told::Running { .. }) | None => &[],
        };
        faults
            .iter()
            .filter(move |it| it.key.kind == Kind::Service && it.key.name.as_str() == service)
    }
}

type Instances = BTreeMap<Name, BTreeMap<String, Instance>>;

impl Memory {
    /// An instance runs checks that only warn, or has run them.
    pub(super) fn warned(
        &mut self,
        peer: &Peer,
        warnings: &ferryway_proto::Warnings,
        at: Timestamp,
    ) {
        let Some(instance) = self.instance_of(peer) else {
            return;
        };
        instance.warnings.take(warnings, Instant::now());
        self.tell(&peer.group, &peer.instance.to_string());
        self.look_again(&peer.group, &peer.instance.to_string(), at);
        self.tidy_warnings(peer, at);
    }

    /// Gives up on an instance's checks that take too long, and forgets what was shown.
    pub(super) fn tidy_warnings(&mut self, peer: &Peer, at: Timestamp) {
        let Some(instance) = self.instance_of(peer) else {
            return;
        };
        let settled = instance.settled();
        instance.warnings.forget(settled, Instant::now());
        if instance.warnings.give_up(Instant::now()) {
            self.tell(&peer.group, &peer.instance.to_string());
            self.look_again(&peer.group, &peer.instance.to_string(), at);
        }
    }
}

/// Whether checks that only warn still run on an instance that has applied the destination's change.
pub(super) fn are_awaited(instances: &Instances, destination: &Destination) -> bool {
    let applied = destination.instances.iter();
    let mut applied = applied.filter(|it| it.state == DeliveryState::Applied);
    applied.any(|delivery| {
        destination.revision.is_some_and(|revision| {
            said(instances, destination, delivery)
                .is_some_and(|it| it.are_running(Revision(revision)))
        })
    })
}

/// Puts what checks have found on an instance into a destination whose change it has applied.
pub(super) fn show(instances: &Instances, destination: &mut Destination, place: usize) {
    let Some(revision) = destination.revision else {
        return;
    };
    let delivery = &destination.instances[place];
    let warnings =
        said(instances, destination, delivery).filter(|_| delivery.state == DeliveryState::Applied);
    let faults = warnings
        .into_iter()
        .flat_map(|it| it.about(Revision(revision), &destination.service));
    let faults: Vec<&Fault> = faults.collect();
    let Some(first) = faults.first() else {
        return;
    };
    let details = faults.iter().map(|it| placed(&it.path, &it.detail));
    let seen = faults.iter().find_map(|it| it.evidence.as_deref());
    let delivery = &mut destination.instances[place];
    delivery.code = Some(first.code.clone());
    delivery.detail = Some(details.collect::<Vec<_>>().join("; "));
    delivery.evidence = seen.map(evidence);
    for fault in faults {
        add(&mut destination.problems, fault);
    }
}

/// Adds what one instance has found to the problems, unless another has said the same.
fn add(problems: &mut Vec<Problem>, fault: &Fault) {
    let problem = Problem {
        severity: Severity::Warning,
        code: fault.code.clone(),
        path: fault.path.clone(),
        message: format!(
            "{}; it serves all the same: look whether it should",
            fault.detail
        ),
        group: None,
        service: None,
    };
    let warnings = problems.iter().filter(|it| it.code == problem.code).count();
    if warnings < PROBLEMS_MAX && !problems.contains(&problem) {
        problems.push(problem);
    }
}

fn said<'a>(
    instances: &'a Instances,
    destination: &Destination,
    delivery: &InstanceDelivery,
) -> Option<&'a Warnings> {
    let instances = instances.get(destination.group.as_str())?;
    Some(&instances.get(&delivery.id)?.warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_waited_for_and_not_for_ever() {
        let now = Instant::now();
        let mut warnings = Warnings::default();
        let said = |transaction, found| ferryway_proto::Warnings {
            transaction: Revision(transaction),
            found,
        };
        warnings.take(&said(1, None), now);
        warnings.take(&said(2, None), now + Duration::from_secs(1));
        assert!(warnings.are_running(Revision(1)));
        assert!(!warnings.give_up(now));
        assert!(warnings.give_up(now + RUNNING_MAX));
        assert!(!warnings.are_running(Revision(1)));
        assert!(warnings.are_running(Revision(2)));
        warnings.take(&said(2, Some(vec![])), now);
        assert!(!warnings.are_running(Revision(2)));
        let shown = now + SHOWN_FOR;
        warnings.forget(Revision(1), shown);
        assert_eq!(warnings.0.len(), 1);
        warnings.forget(Revision(2), now);
        assert_eq!(warnings.0.len(), 1, "others may not have been told yet");
        warnings.forget(Revision(2), shown);
        assert_eq!(warnings.0.len(), 0);
        for revision in 10..100 {
            warnings.take(&said(revision, None), now);
        }
        warnings.forget(Revision(100), shown);
        assert_eq!(warnings.0.len(), REVISIONS_MAX);
        assert!(warnings.are_running(Revision(99)));
        assert!(warnings.clear());
        assert!(!warnings.clear());
    }
}
