//! Once everything works again: each instance runs the head, or says what it holds and why.

use std::time::Duration;

use ferryway_delivery::Why;
use tokio::time::Instant;

use crate::net::Host;
use crate::world::{End, World};

/// How long it may take until all is as it should be: a few of the longest waits between two
/// tries, and of the longest silences.
const HEALED_WITHIN: Duration = Duration::from_secs(180);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);

impl World {
    pub(crate) async fn heal(&mut self) {
        self.trace.note("heals", "", "");
        self.undo_all();
        self.catch_up();
        self.settle("the head").await;
        self.rest(true);
        // A view that shrank waits for a person, for as long as it takes.
        self.confirm_shrink();
        self.settle_confirmed().await;
        self.rest(false);
        for group in self.shared.store.groups() {
            self.publish_good(&group);
        }
        self.settle("what came after").await;
        self.rest(false);
        self.end_all().await;
    }

    /// Waits until all instances are at the head.
    async fn settle(&mut self, what: &str) {
        let end = Instant::now() + HEALED_WITHIN;
        while !self.is_settled() && !self.trace.is_broken() {
            if Instant::now() > end {
                let standing = self.standing();
                return self
                    .trace
                    .broken(format!("{what} did not arrive: {standing}"));
            }
            self.pass(LOOK).await;
        }
    }

    async fn settle_confirmed(&mut self) {
        let end = Instant::now() + HEALED_WITHIN;
        while (self.waits_for_word() || !self.is_settled()) && !self.trace.is_broken() {
            if Instant::now() > end {
                let standing = self.standing();
                return self
                    .trace
                    .broken(format!("what was confirmed is held: {standing}"));
            }
            self.pass(LOOK).await;
        }
    }

    fn is_settled(&self) -> bool {
        self.instances.iter().enumerate().all(|(number, machine)| {
            machine.running.as_ref().is_some_and(|instance| {
                let (host, status) = (Host::Instance(number), instance.status());
                self.shared
                    .invariants
                    .is_healed(host, &machine.group, &status)
            })
        })
    }

    fn waits_for_word(&self) -> bool {
        let running = self.instances.iter().filter_map(|it| it.running.as_ref());
        let mut holds = running.map(|instance| instance.status().held);
        holds.any(|held| held.values().any(|hold| hold.why == Why::Shrink))
    }

    fn rest(&self, is_shrink_allowed: bool) {
        for (number, machine) in self.instances.iter().enumerate() {
            if let Some(instance) = &machine.running {
                let (host, status) = (Host::Instance(number), instance.status());
                self.shared
                    .invariants
                    .rests(host, &status, is_shrink_allowed);
                if status.held.is_empty() {
                    self.trace.note("converged", host, "");
                } else {
                    self.trace.note("holding", host, status.held.len());
                }
            }
        }
    }

    fn standing(&self) -> String {
        let standing = self.instances.iter().enumerate().map(|(number, machine)| {
            let head = self.shared.store.head(&machine.group).position();
            let status = machine
                .running
                .as_ref()
                .map(crate::instance::Instance::status);
            format!("\n  {}: head {head}, {status:?}", Host::Instance(number))
        });
        standing.collect()
    }

    /// All end as they should, and what they ran is on their disks.
    async fn end_all(&mut self) {
        for number in 0..self.instances.len() {
            self.end_instance(number, End::Stopped).await;
        }
        for number in 0..self.controls.len() {
            self.end_control(number, End::Stopped).await;
        }
        // With no control plane there, they serve what they served.
        for number in 0..self.instances.len() {
            self.start_instance(number);
        }
        self.pass(Duration::from_secs(2)).await;
        for (number, machine) in self.instances.iter().enumerate() {
            let serves = machine
                .running
                .as_ref()
                .is_some_and(|it| it.status().effective.is_some());
            self.trace.holds(serves, || {
                format!("{} serves nothing", Host::Instance(number))
            });
        }
    }
}
