//! What only warns, found when a candidate serves already, and nothing waits for it: checks on the
//! way back, and upstreams for which a registry has nobody.
//!
//! The control plane is told before the ack that they run, so that it can let an operation end with
//! what they find. On a stream that is lost meanwhile nothing more is said of them: the instance
//! comes back as one that has applied the change, and that is what counts.

use std::sync::Arc;

use ferryway_model::{Key, Name};
use ferryway_proto::limits::FAULTS_MAX;
use ferryway_proto::{AgentMessage, Fault, Position, Stage, Warnings};

use super::Session;
use super::event::Action;
use crate::candidate::{Candidate, Changed, Checks, Occasion, Service};

/// Candidates whose checks run at one time: each may take a while, and ways back come one after the
/// other when something is badly wrong.
const CHECKING_MAX: usize = 4;
/// The code of a warning that checks were not run.
const CHECKS_SKIPPED: &str = "checks_skipped";

impl Session {
    /// Lets what is applied now be looked at, if there is something in it that may be warned of.
    pub(super) fn check_applied(&mut self, candidate: Arc<Candidate>) {
        let has_checks =
            candidate.checks == Checks::Warn && checked_services(&candidate).next().is_some();
        let is_sent = matches!(candidate.occasion, Occasion::Sent(_));
        let is_found = is_sent && candidate.services.iter().any(is_found_by_registry);
        if !has_checks && !is_found {
            return;
        }
        let position = candidate.position;
        if self.checking.len() >= CHECKING_MAX {
            if has_checks {
                tracing::warn!(%position, "its checks are not run: those of others still are");
                self.warn(position, Some(skipped(&candidate)));
            }
            return;
        }
        self.warn(position, None);
        self.checking.push(position);
        self.out.push(Action::Check(candidate));
    }

    pub(super) fn checked(&mut self, position: Position, faults: Vec<Fault>) {
        self.checking.retain(|checking| *checking != position);
        self.warn(position, Some(faults));
    }

    fn warn(&mut self, position: Position, mut found: Option<Vec<Fault>>) {
        // The revision means something else to a control plane with another history.
        let is_ours = self.desired_at.is_some_and(|at| at.epoch == position.epoch);
        if !is_ours {
            return;
        }
        if let Some(faults) = &mut found {
            faults.truncate(FAULTS_MAX);
        }
        self.send(AgentMessage::Warnings(Warnings {
            transaction: position.revision,
            found,
        }));
    }
}

/// The services of a candidate that have checks to run.
fn checked_services(candidate: &Candidate) -> impl Iterator<Item = &Name> {
    let services = candidate.services.iter().filter(|changed| {
        let content = changed.content.as_ref();
        content.is_some_and(|it| it.enabled && !it.definition.content.checks.is_empty())
    });
    services.map(|changed| &changed.name)
}

/// Whether a registry says where a service's upstream is: it may say that it is nowhere.
fn is_found_by_registry(changed: &Changed<Service>) -> bool {
    let content = changed.content.as_ref();
    content.is_some_and(|it| it.enabled && it.binding.content.registry().is_some())
}

fn skipped(candidate: &Candidate) -> Vec<Fault> {
    let fault = |key: Key| Fault {
        digest: candidate
            .target
            .get_digested(&key)
            .map(|(_, digest)| digest),
        key,
        stage: Stage::Check,
        code: CHECKS_SKIPPED.to_owned(),
        path: "checks".to_owned(),
        detail: format!("were not run: those of {CHECKING_MAX} changes before it still are"),
        evidence: None,
    };
    let services = checked_services(candidate);
    services.map(|name| fault(Key::service(name))).collect()
}
