//! Checks that only warn: they run when their candidate serves, and nothing waits for them.
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
use crate::candidate::{Candidate, Checks};

/// Candidates whose checks run at one time: each may take a while, and ways back come one after the
/// other when something is badly wrong.
const CHECKING_MAX: usize = 4;
/// The code of a warning that checks were not run.
const CHECKS_SKIPPED: &str = "checks_skipped";

impl Session {
    /// Lets the checks of what is applied now run, if they only warn.
    pub(super) fn check_applied(&mut self, candidate: Arc<Candidate>) {
        let has_checks = checked_services(&candidate).next().is_some();
        if candidate.checks != Checks::Warn || !has_checks {
            return;
        }
        let position = candidate.position;
        if self.checking.len() >= CHECKING_MAX {
            tracing::warn!(%position, "its checks are not run: those of others still are");
            return self.warn(position, Some(skipped(&candidate)));
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
