//! Settling what became of a candidate: what runs, what is held, what the control plane is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use ferryway_model::{Digest, Key};
use ferryway_proto::limits::FAULTS_MAX;
use ferryway_proto::{Ack, AckStage, AgentMessage, Fault, Nack, Position, Stage};
use tokio::time::Instant;

use super::accept::digest_in;
use super::event::{Action, Atoms, Desired, Effective, Record};
use super::offer::to_changes;
use super::step::{Intent, Plan, Step, Work};
use super::{Session, clamp};
use crate::candidate::{Applied, Occasion, Outcome};
use crate::hold::Hold;

/// How often a reconcile is offered again without the entries that were rejected. An installer
/// reports all faults at once, so the second is usually the last.
const ROUNDS_MAX: u32 = 16;
/// Most messages that tell of the faults of one step.
const NACKS_MAX: usize = 32;

impl Session {
    pub(super) fn installed(&mut self, now: Instant, outcome: Outcome) {
        let work = std::mem::replace(&mut self.work, Work::Idle);
        let Work::Installing { plan, candidate } = work else {
            self.work = work;
            return;
        };
        match outcome {
            Outcome::Applied(applied) => {
                self.retry.reset();
                self.check_applied(candidate);
                self.complete(plan, applied);
            }
            Outcome::Rejected { faults } => {
                self.retry.reset();
                self.rejected(plan, faults);
            }
            Outcome::Failed { reason } => {
                let wait = self.retry.next(&mut self.random);
                tracing::error!(reason, ?wait, "could not install; what is effective stays");
                let until = now + wait;
                self.work = Work::Waiting {
                    plan,
                    candidate,
                    until,
                };
            }
        }
    }

    pub(super) fn tick_work(&mut self, now: Instant) {
        if self.work.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Fetching {
                plan,
                needed,
                tries,
                ..
            } => self.fetch(plan, needed, tries),
            Work::Waiting {
                plan, candidate, ..
            } => {
                self.out.push(Action::Install(Arc::clone(&candidate)));
                self.work = Work::Installing { plan, candidate };
            }
            other @ (Work::Idle | Work::Installing { .. }) => self.work = other,
        }
    }

    pub(super) fn rejected(&mut self, mut plan: Plan, faults: Vec<Fault>) {
        let Some(step) = self.queue.front() else {
            return;
        };
        plan.rounds += 1;
        let named = faults
            .iter()
            .any(|fault| plan.changes.contains_key(&fault.key));
        if step.atoms == Atoms::Each && named && plan.rounds < ROUNDS_MAX {
            self.set_aside(&mut plan, faults);
            return self.offer(plan);
        }
        self.hold_all(&mut plan, faults);
        self.complete(plan, Applied::default());
    }

    /// Holds the entries that these faults name, and goes on without them.
    pub(super) fn set_aside(&mut self, plan: &mut Plan, faults: Vec<Fault>) {
        let Some(step) = self.queue.front() else {
            return;
        };
        for mut fault in faults {
            if plan.changes.remove(&fault.key).is_some() {
                let digest = step.wanted(&fault.key);
                fault.digest = digest;
                let hold = Hold::rejected(step.position.revision, digest, fault.clone().clipped());
                let holds = Arc::make_mut(&mut self.holds);
                if step.intent == Intent::Start {
                    // Perhaps something newer is held already: that is what is desired.
                    holds.entry(fault.key.clone()).or_insert(hold);
                } else {
                    holds.insert(fault.key.clone(), hold);
                }
            }
            plan.faults.push(fault.clipped());
        }
    }

    /// Holds all that a transaction changes.
    fn hold_all(&mut self, plan: &mut Plan, faults: Vec<Fault>) {
        let changes = plan.changes.clone();
        // A fault that names nothing of the transaction is everybody's.
        let unnamed = faults
            .iter()
            .find(|fault| !changes.contains_key(&fault.key))
            .cloned();
        self.set_aside(plan, faults);
        let Some(step) = self.queue.front() else {
            return;
        };
        let revision = step.position.revision;
        let culprits: BTreeSet<Key> = changes
            .keys()
            .filter(|key| !plan.changes.contains_key(*key))
            .cloned()
            .collect();
        let holds = Arc::make_mut(&mut self.holds);
        for key in std::mem::take(&mut plan.changes).into_keys() {
            let digest = digest_in(&step.after, &key);
            let hold = match &unnamed {
                Some(fault) if culprits.is_empty() => {
                    Hold::rejected(revision, digest, fault.clone().clipped())
                }
                Some(_) | None if culprits.is_empty() => {
                    Hold::rejected(revision, digest, unexplained(&key, digest))
                }
                Some(_) | None => Hold::together(revision, digest, &culprits),
            };
            // The control plane is told of each: for it, what is not named has been applied.
            plan.faults.push(hold.fault(&key));
            holds.insert(key, hold);
        }
    }

    /// Holds all that a view which shrank changes.
    pub(super) fn hold_shrink(&mut self, plan: Plan, gone: usize) {
        let Some(step) = self.queue.pop_front() else {
            return;
        };
        let position = Position {
            root: self.effective.root(),
            ..step.position
        };
        let mut faults = Vec::new();
        for key in plan.changes.into_keys() {
            let digest = step.wanted(&key);
            let hold = Hold::shrink(position.revision, digest, gone);
            faults.push(hold.fault(&key));
            Arc::make_mut(&mut self.holds).insert(key, hold);
        }
        self.end_holds(&step);
        self.arrive(position);
        let record = self.record(&step, position);
        let nacks = self.nacks(position, faults);
        self.tell(nacks, Some(record));
    }

    /// The head is done: what is left of the plan runs now.
    pub(super) fn complete(&mut self, plan: Plan, applied: Applied) {
        let Some(step) = self.queue.pop_front() else {
            return;
        };
        let Plan {
            changes,
            faults,
            rounds: _,
        } = plan;
        self.effective = self.effective.with(&to_changes(&changes));
        self.end_holds(&step);
        let position = Position {
            root: self.effective.root(),
            ..step.position
        };
        self.arrive(position);
        let record = (step.intent != Intent::Start).then(|| {
            self.recent.remember(&step.content);
            self.record(&step, position)
        });
        let rejected = !faults.is_empty();
        let mut messages = self.nacks(position, faults);
        // Of what comes from the disk, hello and status tell.
        let is_sent = step.occasion != Occasion::Start;
        if is_sent && (step.atoms == Atoms::Each || !rejected) {
            let Applied {
                build,
                swap,
                table_bytes,
            } = applied;
            messages.push(AgentMessage::Ack(Ack {
                transaction: position.revision,
                stage: AckStage::Applied {
                    build,
                    swap,
                    table_bytes,
                },
                desired: self.desired_at,
                effective: self.effective_at,
            }));
        }
        self.tell(messages, record.filter(|_| rejected));
    }

    /// The words for these faults, in as many messages as they need, up to a bound. Only the last
    /// says up to where all is settled: for the control plane, what is not named by then has been
    /// applied.
    pub(super) fn nacks(&self, position: Position, faults: Vec<Fault>) -> Vec<AgentMessage> {
        let before = self.claimed().effective;
        // Of what there is no room for, at least the entry is to be known.
        let mut named = BTreeSet::new();
        let (mut faults, more): (Vec<_>, Vec<_>) = faults
            .into_iter()
            .partition(|fault| named.insert(fault.key.clone()));
        faults.extend(more);
        let cut = faults.len().saturating_sub(NACKS_MAX * FAULTS_MAX);
        faults.truncate(NACKS_MAX * FAULTS_MAX);
        if cut > 0 {
            tracing::error!(cut, %position, "there are more faults than can be told");
        }
        let count = faults.len().div_ceil(FAULTS_MAX);
        let mut nacks = Vec::with_capacity(count);
        for number in 1..=count {
            let rest = faults.split_off(faults.len().min(FAULTS_MAX));
            let is_last = number == count;
            nacks.push(AgentMessage::Nack(Nack {
                transaction: position.revision,
                desired: self.desired_at,
                effective: if is_last { self.effective_at } else { before },
                faults: std::mem::replace(&mut faults, rest),
                cut: if is_last { clamp(cut) } else { 0 },
            }));
        }
        nacks
    }

    /// Ends the holds of what runs as desired now. At the start that is not yet asked: what runs
    /// then is the good content that a hold keeps.
    fn end_holds(&mut self, step: &Step) {
        if self.holds.is_empty() || step.intent == Intent::Start {
            return;
        }
        let effective = &self.effective;
        Arc::make_mut(&mut self.holds)
            .retain(|key, _| digest_in(effective, key) != step.wanted(key));
    }

    /// What runs belongs to this position now.
    fn arrive(&mut self, position: Position) {
        let before = self.effective_at.replace(position);
        if before.is_some_and(|before| before.epoch != position.epoch) {
            // Revisions of another history say nothing here. The hold was found again in this one,
            // at this revision, and a confirmation of this one's view covers it.
            for hold in Arc::make_mut(&mut self.holds).values_mut() {
                hold.revision = position.revision;
            }
        }
    }

    /// Puts what became of a step on the disk; the number of the record.
    fn record(&mut self, step: &Step, position: Position) -> u64 {
        // A step that changed nothing that runs was not recorded before.
        let desired = Desired {
            position: step.position,
            view: step.after.clone(),
            atoms: step.atoms,
        };
        let effective = Effective {
            position,
            view: self.effective.clone(),
            holds: Arc::clone(&self.holds),
        };
        self.records += 1;
        let record = Record::Settled {
            number: self.records,
            desired,
            effective,
        };
        self.out.push(Action::Save(record));
        self.records
    }
}

/// A rejection that says nothing.
fn unexplained(key: &Key, digest: Option<Digest>) -> Fault {
    Fault {
        key: key.clone(),
        digest,
        stage: Stage::Build,
        code: "rejected".to_owned(),
        path: String::new(),
        detail: "the instance rejected it without saying why".to_owned(),
        evidence: None,
    }
}
