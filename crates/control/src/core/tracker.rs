//! How operations come to their end: what instances report, set against what is still open.
//!
//! Nothing is written for a report. Only an operation that has ended is stored again, whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ferryway_api::{DeliveryState, Destination, InstanceDelivery, Operation, OperationState};
use ferryway_model::{Name, Revision};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::memory::Memory;
use super::presence::Instance;

/// The open operations, and what is said of them to those who listen.
#[derive(Debug)]
pub(super) struct Tracker {
    open: BTreeMap<Uuid, Instant>,
    /// Ended, but not yet stored as such.
    unsaved: BTreeSet<Uuid>,
    logs: BTreeMap<Uuid, VecDeque<(u64, Arc<OperationEvent>)>>,
    /// Counts everything said, so that waiters can look again.
    said: watch::Sender<u64>,
}

/// Something that happened to an operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OperationEvent {
    /// One instance answered, or went away.
    Instance {
        /// The destination's group.
        group: String,
        /// The destination's service.
        service: String,
        /// How that instance stands now.
        instance: InstanceDelivery,
    },
    /// One destination came to its state.
    State {
        /// The destination's group.
        group: String,
        /// The destination's service.
        service: String,
        /// Its state.
        state: OperationState,
    },
    /// The operation has ended.
    End(Box<Operation>),
}

/// Operations whose events are kept for those who come back with a Last-Event-ID.
const LOGS_MAX: usize = 1_000;
/// Events kept of one operation; older ones are in the operation itself.
const LOG_EVENTS_MAX: usize = 10_000;

impl Default for Tracker {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            logs: BTreeMap::new(),
            said: watch::Sender::new(0),
        }
    }
}

impl Tracker {
    /// Tells whenever something was said of any operation.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.said.subscribe()
    }

    /// What was said of an operation after the event of this number.
    pub(super) fn events_after(&self, id: Uuid, after: u64) -> Vec<(u64, Arc<OperationEvent>)> {
        let log = self.logs.get(&id).into_iter().flatten();
        log.filter(|(number, _)| *number > after).cloned().collect()
    }

    fn say(&mut self, id: Uuid, event: OperationEvent) {
        let log = self.logs.entry(id).or_default();
        let number = log.back().map_or(0, |(number, _)| *number) + 1;
        log.push_back((number, Arc::new(event)));
        if log.len() > LOG_EVENTS_MAX {
            log.pop_front();
        }
        if self.logs.len() > LOGS_MAX {
            self.logs.pop_first();
        }
        self.said.send_modify(|said| *said += 1);
    }
}

impl Memory {
    /// Takes in an operation as the store has it.
    pub(super) fn track(&mut self, id: Uuid, operation: Operation) {
        let ended_here = self
            .operations
            .get(&id)
            .is_some_and(|known| known.state.is_final());
        if ended_here {
            return; // the store is told again what this memory knew first
        }
        let open = !operation.state.is_final();
        let changes: Vec<_> = operation
            .destinations
            .iter()
            .filter(|d| d.revision.is_some())
            .cloned()
            .collect();
        self.operations.insert(id, Arc::new(operation));
        if open {
            self.tracker.open.insert(id, Instant::now());
        }
        self.supersede(id, &changes);
    }

    /// Takes in what an instance reports: it has come to terms with everything up to its desired
    /// revision, except what it holds.
    pub(super) fn report(&mut self, group: &Name, instance: &str, at: Timestamp) {
        let Some(seen) = self
            .instances
            .get(group)
            .and_then(|instances| instances.get(instance))
            .cloned()
        else {
            return;
        };
        let took = |open: &Instant| Some(format!("{}ms", open.elapsed().as_millis()));
        let open: Vec<_> = self
            .tracker
            .open
            .iter()
            .map(|(id, since)| (*id, took(since)))
            .collect();
        for (id, took) in open {
            self.update(id, at, |destination| {
                let reached = destination.group == group.as_str()
                    && destination
                        .revision
                        .is_some_and(|revision| revision <= seen.settled().0);
                let waiting = |delivery: &&mut InstanceDelivery| {
                    delivery.id == instance && delivery.state == DeliveryState::Pending
                };
                let delivery = destination
                    .instances
                    .iter_mut()
                    .find(waiting)
                    .filter(|_| reached)?;
                settle(delivery, &seen, &destination.service);
                delivery.took.clone_from(&took);
                Some(delivery.clone())
            });
        }
    }

    /// Takes in that an instance is away: nobody waits for it any more.
    pub(super) fn away(&mut self, group: &Name, instance: &str, at: Timestamp) {
        let open: Vec<_> = self.tracker.open.keys().copied().collect();
        for id in open {
            self.update(id, at, |destination| {
                let waiting = |delivery: &&mut InstanceDelivery| {
                    delivery.id == instance && delivery.state == DeliveryState::Pending
                };
                let here = destination.group == group.as_str();
                let delivery = destination
                    .instances
                    .iter_mut()
                    .find(waiting)
                    .filter(|_| here)?;
                delivery.state = DeliveryState::Offline;
                Some(delivery.clone())
            });
        }
    }

    /// The services that open operations changed with a group's revision.
    pub(super) fn services_of(&self, group: &Name, revision: Revision) -> Vec<Name> {
        let open = self
            .tracker
            .open
            .keys()
            .filter_map(|id| self.operations.get(id));
        let destinations = open.flat_map(|operation| &operation.destinations);
        destinations
            .filter(|d| d.group == group.as_str() && d.revision == Some(revision.0))
            .filter_map(|d| d.service.parse().ok())
            .collect()
    }

    /// Gives up on instances that are not online, for operations that were open before `before`:
    /// after a start, the instances of before get that long to come back.
    pub(super) fn give_up(&mut self, before: Instant, at: Timestamp) {
        let open: Vec<_> = self
            .tracker
            .open
            .iter()
            .filter(|(_, since)| **since < before)
            .map(|(id, _)| *id)
            .collect();
        for id in open {
            let Some(operation) = self.operations.get(&id).cloned() else {
                continue;
            };
            for destination in &operation.destinations {
                let Ok(group) = destination.group.parse::<Name>() else {
                    continue;
                };
                for delivery in destination
                    .instances
                    .iter()
                    .filter(|d| d.state == DeliveryState::Pending)
                {
                    let seen = self
                        .instances
                        .get(&group)
                        .and_then(|instances| instances.get(&delivery.id));
                    if !seen.is_some_and(Instance::is_online) {
                        self.away(&group, &delivery.id, at);
                    }
                }
            }
        }
    }

    /// The operations that ended and are not stored as ended yet.
    pub(super) fn unsaved(&mut self) -> Vec<(Uuid, Arc<Operation>)> {
        let ids = std::mem::take(&mut self.tracker.unsaved);
        ids.into_iter()
            .filter_map(|id| Some((id, self.operations.get(&id)?.clone())))
            .collect()
    }

    /// Ends the open destinations that a later operation changes again.
    fn supersede(&mut self, by: Uuid, changes: &[Destination]) {
        let open: Vec<_> = self
            .tracker
            .open
            .keys()
            .copied()
            .filter(|id| *id != by)
            .collect();
        let same = |a: &Destination, b: &Destination| a.group == b.group && a.service == b.service;
        for id in open {
            let Some(operation) = self.operations.get_mut(&id) else {
                continue;
            };
            let mut ended = Vec::new();
            for destination in &mut Arc::make_mut(operation).destinations {
                if destination.state == OperationState::Progressing
                    && changes.iter().any(|c| same(c, destination))
                {
                    destination.state = OperationState::Superseded;
                    ended.push((destination.group.clone(), destination.service.clone()));
                }
            }
            let at = operation.created_at;
            for (group, service) in ended {
                self.tracker.say(
                    id,
                    OperationEvent::State {
                        group,
                        service,
                        state: OperationState::Superseded,
                    },
                );
            }
            self.finish(id, at);
        }
    }

    /// Changes one instance's standing in an open operation, and draws the conclusions.
    fn update(
        &mut self,
        id: Uuid,
        at: Timestamp,
        mut change: impl FnMut(&mut Destination) -> Option<InstanceDelivery>,
    ) {
        let Some(operation) = self.operations.get_mut(&id) else {
            return;
        };
        let mut said = Vec::new();
        // The operation is copied only if something changes: first on a copy of each destination.
        for number in 0..operation.destinations.len() {
            if operation.destinations[number].state != OperationState::Progressing {
                continue;
            }
            let mut destination = operation.destinations[number].clone();
            let Some(instance) = change(&mut destination) else {
                continue;
            };
            let (group, service) = (destination.group.clone(), destination.service.clone());
            said.push(OperationEvent::Instance {
                group: group.clone(),
                service: service.clone(),
                instance,
            });
            if let Some(state) = concluded(&destination) {
                destination.state = state;
                said.push(OperationEvent::State {
                    group,
                    service,
                    state,
                });
            }
            Arc::make_mut(operation).destinations[number] = destination;
        }
        let changed = !said.is_empty();
        said.into_iter()
            .for_each(|event| self.tracker.say(id, event));
        if changed {
            self.finish(id, at);
        }
    }

    /// Ends an operation whose destinations have all ended.
    fn finish(&mut self, id: Uuid, at: Timestamp) {
        let Some(operation) = self.operations.get_mut(&id) else {
            return;
        };
        let Some(state) = overall(&operation.destinations) else {
            return;
        };
        let operation = Arc::make_mut(operation);
        operation.state = state;
        operation.ended_at = Some(at.max(operation.created_at));
        let end = OperationEvent::End(Box::new(operation.clone()));
        self.tracker.open.remove(&id);
        self.tracker.unsaved.insert(id);
        self.tracker.say(id, end);
    }
}

/// How an instance that has come to terms with a change stands to it.
fn settle(delivery: &mut InstanceDelivery, seen: &Instance, service: &str) {
    match seen.held.get(service) {
        None => delivery.state = DeliveryState::Applied,
        Some(held) => {
            delivery.state = DeliveryState::Rejected;
            delivery.code = Some(held.code.clone());
            delivery.detail = Some(held.message.clone());
            delivery.evidence.clone_from(&held.evidence);
        }
    }
}

/// A destination's state, once no instance is waited for.
pub(super) fn concluded(destination: &Destination) -> Option<OperationState> {
    let states = || destination.instances.iter().map(|delivery| delivery.state);
    if states().any(|state| state == DeliveryState::Pending) {
        None
    } else if states().any(|state| state == DeliveryState::Rejected) {
        Some(OperationState::Failed)
    } else {
        Some(OperationState::Succeeded)
    }
}

/// An operation's state, once every destination has one.
pub(super) fn overall(destinations: &[Destination]) -> Option<OperationState> {
    let any = |state| {
        destinations
            .iter()
            .any(|destination| destination.state == state)
    };
    if destinations
        .iter()
        .any(|destination| !destination.state.is_final())
    {
        None
    } else if any(OperationState::Failed) {
        Some(OperationState::Failed)
    } else if any(OperationState::Superseded) {
        Some(OperationState::Superseded)
    } else if destinations
        .iter()
        .all(|destination| destination.state == OperationState::Unchanged)
    {
        Some(OperationState::Unchanged)
    } else {
        Some(OperationState::Succeeded)
    }
}
