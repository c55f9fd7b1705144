//! What instances have said of themselves, and what must be true of it.

use ferryway_delivery::{Ack, AgentStatus, CRASH_LOOP, HeldEntry, Nack, Position, Why};
use ferryway_model::{Key, Name};

use super::Invariants;
use crate::instance::CHECK_FAILED;
use crate::net::Host;
use crate::store::digest_in;

impl Invariants {
    /// An instance has said that something would survive.
    pub(crate) fn durable(&self, host: Host, ack: &Ack) {
        let Some(effective) = ack.effective else {
            return self.trace.broken(format!("{host} made nothing durable"));
        };
        let mut known = self.lock();
        let instance = known.instances.entry(host).or_default();
        instance.durable = Some((effective.epoch, ack.transaction));
        instance.is_unkept = false;
    }

    /// An instance's disk is full. What it cannot write it says all the same, and nobody can be
    /// sure of it.
    pub(crate) fn is_full(&self, host: Host) {
        let mut known = self.lock();
        known.instances.entry(host).or_default().is_unkept = true;
    }

    /// An instance has said that it rejected something. While that is what the group publishes,
    /// the instance must not serve it.
    pub(crate) fn nacked(&self, host: Host, group: &Name, nack: &Nack) {
        let head = self.store.head(group);
        let faults = nack
            .faults
            .iter()
            .filter(|fault| fault.code == CHECK_FAILED);
        for fault in faults {
            // Where older files were put back, a revision may be one of a history that is gone.
            let is_ours = nack.effective.is_some_and(|it| {
                let revision = nack.transaction;
                let position = Position { revision, ..it };
                it.epoch == head.epoch && self.store.is_unique(group, &position)
            });
            let is_now = digest_in(&head.view, &fault.key) == fault.digest
                && is_ours
                && self.store.last_change(group, &fault.key) <= nack.transaction;
            if let Some(digest) = fault.digest.filter(|_| is_now) {
                let mut known = self.lock();
                let instance = known.instances.entry(host).or_default();
                if !instance.is_unkept && !instance.is_astray {
                    instance.rejected.insert(fault.key.clone(), digest);
                }
            }
        }
    }

    /// A group publishes something else under these keys.
    pub(crate) fn publishes(&self, keys: &[Key]) {
        let mut known = self.lock();
        for instance in known.instances.values_mut() {
            instance.rejected.retain(|key, _| !keys.contains(key));
        }
    }

    /// Everything is another history from now on. What an instance still has to do of the former
    /// one may end a hold that the present one knows no end of.
    pub(crate) fn goes_back(&self) {
        let mut known = self.lock();
        for instance in known.instances.values_mut() {
            instance.rejected.clear();
            instance.is_astray = true;
        }
    }

    /// An instance has said what it runs.
    pub(crate) fn told(&self, host: Host, effective: Option<Position>, held: &[HeldEntry]) {
        let mut known = self.lock();
        let instance = known.instances.entry(host).or_default();
        instance.told = Some((effective, held.len()));
    }

    /// Whether everything is as it must be once all works again: it runs the head, or says what it
    /// holds, and the control plane knows.
    pub(crate) fn is_healed(&self, host: Host, group: &Name, status: &AgentStatus) -> bool {
        let head = self.store.head(group).position();
        let told = {
            let known = self.lock();
            known.instances.get(&host).and_then(|it| it.told)
        };
        status.connected
            && status.confirmed
            && status.desired == Some(head)
            && status
                .effective
                .is_some_and(|it| it.revision == head.revision)
            && told == Some((status.effective, status.held.len()))
    }

    /// What is held at the end must be held for a reason.
    pub(crate) fn rests(&self, host: Host, status: &AgentStatus, is_shrink_allowed: bool) {
        for (key, hold) in status.held.iter() {
            let is_meant = match &hold.why {
                Why::Rejected => hold.code != CRASH_LOOP,
                Why::Together(culprits) => culprits.iter().any(|it| status.held.contains_key(it)),
                Why::Shrink => is_shrink_allowed,
                Why::CrashLoop => true,
            };
            self.trace.holds(is_meant, || {
                format!("{host} holds {key} for no reason: {hold:?}")
            });
        }
        let is_converged = status.converged == status.held.is_empty();
        self.trace.holds(is_converged, || {
            format!(
                "{host} holds {:?}, and converged is {}",
                status.held, status.converged
            )
        });
    }
}
