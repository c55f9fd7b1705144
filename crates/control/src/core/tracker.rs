//! How operations come to their end: what instances report, set against what is still open.
//!
//! Nothing is written for a report. Only an operation that has ended is stored again, whole: by the
//! control plane that made it. Others see the same reports and wait for its word, so that an
//! operation ends once and in one way; where that control plane is gone, or does not speak, any of
//! them ends it, and the first that stores it has the last word.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ferryway_api::{
    DeliveryState, Destination, InstanceDelivery, InstanceEvent, Operation, OperationEvent,
    OperationState, StateEvent,
};
use ferryway_model::{Name, Revision};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::memory::Memory;
use super::presence::Instance;
use super::warnings;

/// The open operations, and what is said of them to those who listen.
#[derive(Debug)]
pub(super) struct Tracker {
    /// This control plane, where there may be others.
    plane: Option<Uuid>,
    open: BTreeMap<Uuid, Open>,
    /// Ended, but not yet stored as such.
    unsaved: BTreeSet<Uuid>,
    logs: BTreeMap<Uuid, VecDeque<(u64, Arc<OperationEvent>)>>,
    /// Events in all logs together.
    kept: usize,
    /// Counts everything said, so that waiters can look again.
    said: watch::Sender<u64>,
}

/// An operation that goes on.
#[derive(Debug)]
struct Open {
    since: Instant,
    /// The control plane that made it, and that ends it.
    plane: Option<Uuid>,
    /// Since when nothing is waited for but that control plane's word.
    concluded: Option<Instant>,
}

/// How long another control plane may take to end an operation of which all has been said.
const WORD_WITHIN: Duration = Duration::from_secs(5);
/// Operations whose events are kept for those who come back with a Last-Event-ID.
const LOGS_MAX: usize = 1_000;
/// Events kept of one operation; older ones are in the operation itself.
const LOG_EVENTS_MAX: usize = 10_000;
/// Events kept of all operations together; those of the oldest operations go first.
const EVENTS_MAX: usize = 100_000;

impl Default for Tracker {
    fn default() -> Self {
        Self {
            plane: None,
            open: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            logs: BTreeMap::new(),
            kept: 0,
            said: watch::Sender::new(0),
        }
    }
}

impl Tracker {
    /// The tracker of a control plane that may not be the only one.
    pub(super) fn of(plane: Option<Uuid>) -> Self {
        Self {
            plane,
            ..Self::default()
        }
    }

    /// This control plane, where there may be others.
    pub(super) fn plane(&self) -> Option<Uuid> {
        self.plane
    }

    /// Tells whenever something was said of any operation.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.said.subscribe()
    }

    /// What was said of an operation after the event of this number. One that was not said yet is
    /// of an earlier start of this process, or was dropped: then all that is known.
    pub(super) fn events_after(&self, id: Uuid, after: u64) -> Vec<(u64, Arc<OperationEvent>)> {
        let Some(log) = self.logs.get(&id) else {
            return Vec::new();
        };
        let is_said = log.back().is_some_and(|(last, _)| *last >= after);
        let after = if is_said { after } else { 0 };
        let events = log.iter().filter(|(number, _)| *number > after);
        events.cloned().collect()
    }

    fn say(&mut self, id: Uuid, event: OperationEvent) {
        let log = self.logs.entry(id).or_default();
        let number = log.back().map_or(0, |(number, _)| *number) + 1;
        log.push_back((number, Arc::new(event)));
        self.kept += 1;
        if log.len() > LOG_EVENTS_MAX {
            log.pop_front();
            self.kept -= 1;
        }
        while self.logs.len() > LOGS_MAX || self.kept > EVENTS_MAX {
            let oldest = self.logs.pop_first();
            self.kept -= oldest.map_or(self.kept, |(_, log)| log.len());
        }
        self.said.send_modify(|said| *said += 1);
    }
}

impl Memory {
    /// Takes in an operation as the store has it.
    pub(super) fn track(&mut self, id: Uuid, operation: Operation, plane: Option<Uuid>) {
        let open = !operation.state.is_final();
        if let Some(known) = self.operations.get(&id) {
            // The store is told again what this memory knew first, or knows better. Of two ends the
            // stored one is everybody's.
            if !open && **known != operation {
                self.told_end(id, operation);
            }
            return;
        }
        let changes: Vec<_> = operation
            .destinations
            .iter()
            .filter(|d| d.revision.is_some())
            .cloned()
            .collect();
        let at = operation.created_at;
        self.operations.insert(id, Arc::new(operation));
        if open {
            let open = Open {
                since: Instant::now(),
                plane,
                concluded: None,
            };
            self.tracker.open.insert(id, open);
        }
        self.supersede(id, &changes, at);
    }

    /// Takes in the end of an operation as somebody stored it.
    fn told_end(&mut self, id: Uuid, operation: Operation) {
        let was_open = self.tracker.open.remove(&id).is_some();
        self.tracker.unsaved.remove(&id);
        let end = was_open.then(|| OperationEvent::End(Box::new(operation.clone())));
        self.operations.insert(id, Arc::new(operation));
        if let Some(end) = end {
            self.tracker.say(id, end);
        }
    }

    /// Whether it is on this control plane to say that an operation has ended.
    fn is_ours(&self, id: Uuid) -> bool {
        let Some((open, plane)) = self.tracker.open.get(&id).zip(self.tracker.plane) else {
            return true;
        };
        open.plane
            .is_none_or(|by| by == plane || !self.planes.contains_key(&by))
    }

    /// Ends operations of which all has been said and whose control plane says nothing.
    pub(super) fn take_over(&mut self, now: Instant, at: Timestamp) {
        let silent = |open: &Open| {
            open.concluded
                .is_some_and(|since| now.duration_since(since) >= WORD_WITHIN)
        };
        let open = self.tracker.open.iter();
        let open: Vec<_> = open.map(|(id, open)| (*id, silent(open))).collect();
        for (id, silent) in open {
            if silent {
                self.end(id, at);
            } else if self.is_ours(id) {
                self.finish(id, at);
            }
        }
    }

    /// Gives up on instances that went away between an operation's plan and now: nobody will say
    /// again that they did.
    pub(super) fn miss(&mut self, id: Uuid) {
        let Some(operation) = self.operations.get(&id).cloned() else {
            return;
        };
        if self.is_ours(id) {
            self.give_up_on(id, &operation, operation.created_at);
        }
    }

    /// Takes in what an instance reports: it has come to terms with everything up to its desired
    /// revision, except what it holds.
    pub(super) fn report(&mut self, group: &Name, instance: &str, at: Timestamp) {
        let seen = self
            .instances
            .get(group)
            .and_then(|instances| instances.get(instance));
        let Some(seen) = seen.filter(|_| !self.tracker.open.is_empty()).cloned() else {
            return;
        };
        let reached = seen.settled().0;
        let open = self.tracker.open.iter();
        let open: Vec<_> = open.map(|(id, open)| (*id, open.since)).collect();
        for (id, since) in open {
            let concerned = |destination: &Destination| {
                destination.group == group.as_str()
                    && destination
                        .revision
                        .is_some_and(|revision| revision <= reached)
            };
            self.update(
                id,
                at,
                instance,
                (DeliveryState::Pending, concerned),
                |delivery, service| {
                    settle(delivery, &seen, service);
                    delivery.took = Some(format!("{}ms", since.elapsed().as_millis()));
                },
            );
        }
    }

    /// Takes in that an instance is away: nobody waits for it any more.
    pub(super) fn away(&mut self, group: &Name, instance: &str, at: Timestamp) {
        let open: Vec<_> = self.tracker.open.keys().copied().collect();
        for id in open {
            self.gone(id, group.as_str(), instance, at);
        }
    }

    fn gone(&mut self, id: Uuid, group: &str, instance: &str, at: Timestamp) {
        let here = |destination: &Destination| destination.group == group;
        self.update(
            id,
            at,
            instance,
            (DeliveryState::Pending, here),
            |delivery, _| {
                delivery.state = DeliveryState::Offline;
            },
        );
    }

    /// Looks again at what an instance has applied: what its checks found is shown, and an operation
    /// that waited for them ends.
    pub(super) fn look_again(&mut self, group: &Name, instance: &str, at: Timestamp) {
        let open: Vec<_> = self.tracker.open.keys().copied().collect();
        for id in open {
            let here = |destination: &Destination| destination.group == group.as_str();
            self.update(id, at, instance, (DeliveryState::Applied, here), |_, _| {});
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
            .filter(|(id, open)| open.since < before && self.is_ours(**id))
            .map(|(id, _)| *id)
            .collect();
        for id in open {
            let Some(operation) = self.operations.get(&id).cloned() else {
                continue;
            };
            self.give_up_on(id, &operation, at);
        }
    }

    fn give_up_on(&mut self, id: Uuid, operation: &Operation, at: Timestamp) {
        for Destination {
            group, instances, ..
        } in &operation.destinations
        {
            let pending = instances
                .iter()
                .filter(|d| d.state == DeliveryState::Pending);
            for delivery in pending {
                let seen = self
                    .instances
                    .get(group.as_str())
                    .and_then(|instances| instances.get(&delivery.id));
                if !seen.is_some_and(Instance::is_online) {
                    self.gone(id, group, &delivery.id, at);
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
    fn supersede(&mut self, by: Uuid, changes: &[Destination], at: Timestamp) {
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
            let again = |destination: &Destination| {
                destination.state == OperationState::Progressing
                    && changes.iter().any(|change| same(change, destination))
            };
            // Copied only if something changes in it.
            if !operation.destinations.iter().any(again) {
                continue;
            }
            let mut said = Vec::new();
            let destinations = &mut Arc::make_mut(operation).destinations;
            for destination in destinations.iter_mut().filter(|d| again(d)) {
                destination.state = OperationState::Superseded;
                said.push(state_event(destination));
            }
            said.into_iter()
                .for_each(|event| self.tracker.say(id, event));
            self.finish(id, at);
        }
    }

    /// Changes how one instance stands to the concerned destinations of an open operation, where it
    /// stands as `from` says, and draws the conclusions.
    fn update(
        &mut self,
        id: Uuid,
        at: Timestamp,
        instance: &str,
        (from, concerned): (DeliveryState, impl Fn(&Destination) -> bool),
        change: impl Fn(&mut InstanceDelivery, &str),
    ) {
        let Some(operation) = self.operations.get_mut(&id) else {
            return;
        };
        let is_meant =
            |delivery: &InstanceDelivery| delivery.state == from && delivery.id == instance;
        let meant: Vec<_> = operation
            .destinations
            .iter()
            .enumerate()
            .filter(|(_, d)| d.state == OperationState::Progressing && concerned(d))
            .filter_map(|(n, d)| Some((n, d.instances.iter().position(is_meant)?)))
            .collect();
        // Copied only if something changes in it.
        if meant.is_empty() {
            return;
        }
        let mut said = Vec::new();
        let destinations = &mut Arc::make_mut(operation).destinations;
        for (number, place) in meant {
            let destination = &mut destinations[number];
            let before = destination.instances[place].clone();
            change(&mut destination.instances[place], &destination.service);
            warnings::show(&self.instances, destination, place);
            let delivery = &destination.instances[place];
            if *delivery != before {
                said.push(OperationEvent::Instance(InstanceEvent {
                    group: destination.group.clone(),
                    service: destination.service.clone(),
                    instance: delivery.clone(),
                }));
            }
            let state = concluded(destination);
            let state = state.filter(|_| !warnings::are_awaited(&self.instances, destination));
            if let Some(state) = state {
                destination.state = state;
                said.push(state_event(destination));
            }
        }
        said.into_iter()
            .for_each(|event| self.tracker.say(id, event));
        self.finish(id, at);
    }

    /// Ends an operation whose destinations have all ended, if that is ours to say.
    fn finish(&mut self, id: Uuid, at: Timestamp) {
        if self.is_ours(id) {
            return self.end(id, at);
        }
        let operation = self.operations.get(&id);
        let is_over = operation.is_some_and(|it| overall(&it.destinations).is_some());
        if let Some(open) = self.tracker.open.get_mut(&id).filter(|_| is_over) {
            open.concluded.get_or_insert_with(Instant::now);
        }
    }

    fn end(&mut self, id: Uuid, at: Timestamp) {
        let Some(operation) = self.operations.get_mut(&id) else {
            return;
        };
        let Some(state) = overall(&operation.destinations) else {
            return;
        };
        let operation = Arc::make_mut(operation);
        operation.state = state;
        operation.ended_at = Some(at.max(operation.created_at));
        for ran in rejected_in(operation) {
            let ran = self.history.get_mut(&ran);
            if let Some(ran) = ran.and_then(|ran| ran.iter_mut().rfind(|ran| ran.operation == id)) {
                ran.record.rejected = true;
            }
        }
        let end = OperationEvent::End(Box::new(operation.clone()));
        self.tracker.open.remove(&id);
        self.tracker.unsaved.insert(id);
        self.tracker.say(id, end);
    }
}

fn state_event(destination: &Destination) -> OperationEvent {
    OperationEvent::State(StateEvent {
        group: Some(destination.group.clone()),
        service: Some(destination.service.clone()),
        state: destination.state,
    })
}

/// The places where an ended operation brought nothing to run: some instance rejected it, and none
/// applied it. With nobody online it counts as run; whoever joins then gets it.
pub(super) fn rejected_in(operation: &Operation) -> Vec<(Name, Name)> {
    let never_ran = |destination: &&Destination| {
        let applied = |it: &InstanceDelivery| it.state == DeliveryState::Applied;
        destination.state == OperationState::Failed && !destination.instances.iter().any(applied)
    };
    let places = operation.destinations.iter().filter(never_ran);
    let place = |it: &Destination| Some((it.group.parse().ok()?, it.service.parse().ok()?));
    places.filter_map(place).collect()
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
