//! The rules of following a target, without I/O.
//!
//! A target comes down to *spots* (a host, a port, a weight, a priority) and to questions about
//! their hosts. Nodes have fixed spots. A service has the spots its SRV records name, so there is
//! one question more, and the questions about hosts come and go with its answers. Every question
//! has a [`Slot`] of its own: one name that fails, or changes, disturbs no other.
//!
//! From the slots follows a set of endpoints. What is published may lag behind it on purpose:
//! - while hosts that have just appeared are not resolved yet, so that a service whose hosts are
//!   all exchanged does not shrink to the first one resolved;
//! - while the set is empty and emptiness is doubted.

mod keeping;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ferryway_balance::Endpoint;
use ferryway_model::{HostName, NodeHost};
use ferryway_runtime::{Backoff, Random};
use tokio::time::Instant;

use crate::answer::{Addresses, Answer, Service};
use crate::endpoints::{Place, expand};
use crate::kept::Kept;
use crate::slot::Slot;
use crate::spots::{Spot, spots_of_services, spots_of_target};
use crate::target::Target;

/// A target being followed.
#[derive(Debug)]
pub(crate) struct Follow {
    rules: Rules,
    spots: Vec<Spot>,
    services: Option<(HostName, Slot<Vec<Service>>)>,
    hosts: BTreeMap<HostName, Slot<Vec<IpAddr>>>,
    published: Vec<Endpoint>,
    /// Something has changed since the last time that published and known were the same.
    changed: bool,
    /// Until when unresolved hosts may hold back what is known.
    settle_at: Option<Instant>,
    /// Since when the registry has said that there is none, and nothing else.
    empty_since: Option<Instant>,
    saved: BTreeMap<String, Kept>,
    random: Random,
}

/// What differs between named nodes and registries.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// No answer is asked again sooner.
    pub(crate) min_ttl: Duration,
    /// An answer is asked again at the latest.
    pub(crate) max_ttl: Duration,
    /// For how long "none" must have been said to be believed; `None`: it never is.
    pub(crate) empty_after: Option<Duration>,
    /// The waits after failures.
    pub(crate) retry: Backoff,
    /// What the keys of kept answers start with: whom the questions are put to.
    pub(crate) asked: String,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// Time has passed.
    Tick,
    /// An answer about a host.
    Addresses(HostName, Answer<Addresses>),
    /// An answer about the service.
    Services(Answer<Vec<Service>>),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask, and hand the answer back as an event.
    Ask(Question),
    /// These are the endpoints now; so many more were left out.
    Publish {
        endpoints: Vec<Endpoint>,
        left_out: usize,
    },
    /// Keep this for the next life.
    Save { key: String, kept: Kept },
}

/// A question to DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// A and AAAA.
    Addresses(HostName),
    /// SRV.
    Services(HostName),
}

impl Follow {
    /// Starts to follow, with what `load` says was kept for a key.
    pub(crate) fn new(
        target: &Target,
        rules: Rules,
        random: Random,
        now: Instant,
        load: impl Fn(&str) -> Option<Kept>,
    ) -> Self {
        let (spots, service) = spots_of_target(target);
        let mut follow = Self {
            rules,
            spots,
            services: None,
            hosts: BTreeMap::new(),
            published: Vec::new(),
            changed: true,
            settle_at: None,
            empty_since: None,
            saved: BTreeMap::new(),
            random,
        };
        follow.services = service.map(|name| {
            let slot = Slot::new(now, &follow.rules.retry);
            (name, slot)
        });
        follow.keep_hosts(now);
        follow.restore(now, load);
        follow
    }

    /// Takes an event in, and says what is to be done.
    pub(crate) fn on(&mut self, now: Instant, event: Event) -> Vec<Action> {
        let answered = !matches!(event, Event::Tick);
        match event {
            Event::Tick => {}
            Event::Addresses(name, answer) => self.addresses(now, &name, answer),
            Event::Services(answer) => self.service(now, answer),
        }
        let mut actions = self.publish(now, answered);
        actions.extend(self.ask(now));
        actions
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let service = self.services.iter().filter_map(|(_, slot)| slot.due_at());
        let hosts = self.hosts.values().filter_map(Slot::due_at);
        service.chain(hosts).chain(self.settle_at).min()
    }

    /// Whether there is nothing to ask, ever.
    pub(crate) fn is_settled_for_good(&self) -> bool {
        self.services.is_none() && self.hosts.is_empty()
    }

    /// Whether there is something to serve, or an answer, good or bad, to every question.
    pub(crate) fn is_ready(&self) -> bool {
        !self.published.is_empty() || !self.is_pending()
    }

    /// Whether some of what is known comes from an earlier life, unconfirmed.
    pub(crate) fn is_restored(&self) -> bool {
        let service = self.services.iter().any(|(_, slot)| slot.is_restored());
        service || self.hosts.values().any(Slot::is_restored)
    }

    /// Why what is published may be out of date, if it may.
    pub(crate) fn error(&self) -> Option<String> {
        let service = self
            .services
            .iter()
            .map(|(name, slot)| (name, slot.error()));
        let hosts = self.hosts.iter().map(|(name, slot)| (name, slot.error()));
        let failed = |(name, error): (&HostName, Option<&str>)| Some(format!("{name}: {}", error?));
        let doubt = || {
            self.empty_since
                .map(|_| "the registry says none; not yet believed".into())
        };
        service.chain(hosts).find_map(failed).or_else(doubt)
    }

    /// An answer about a host, which may have left since it was asked for.
    fn addresses(&mut self, now: Instant, name: &HostName, answer: Answer<Addresses>) {
        let wait = self.wait(&answer);
        let Some(slot) = self.hosts.get_mut(name) else {
            return;
        };
        let pending = slot.is_pending();
        self.changed |= match answer {
            Answer::Found { records, ttl: _ } => {
                let before = slot.records().map(Vec::as_slice).unwrap_or_default();
                let records = records.or(before);
                slot.found(records, now, wait)
            }
            Answer::Nothing { .. } if self.rules.empty_after.is_none() => {
                slot.nothing_but_kept(now, wait, "has no address any more; the last ones are kept")
            }
            Answer::Nothing { .. } => slot.nothing(now, wait),
            Answer::Failed(why) => {
                slot.failed(now, why, &mut self.random);
                pending
            }
        };
    }

    /// An answer about the service: with its spots, its hosts come and go.
    fn service(&mut self, now: Instant, answer: Answer<Vec<Service>>) {
        let wait = self.wait(&answer);
        let Some((_, slot)) = &mut self.services else {
            return;
        };
        let news = match answer {
            Answer::Found { records, ttl: _ } => slot.found(records, now, wait),
            Answer::Nothing { .. } => slot.nothing(now, wait),
            Answer::Failed(why) => {
                slot.failed(now, why, &mut self.random);
                false
            }
        };
        if news {
            self.spots = spots_of_services(slot.records().map(Vec::as_slice).unwrap_or_default());
            self.keep_hosts(now);
            self.changed = true;
        }
    }

    /// How long an answer holds. (A failure's wait is the slot's backoff.)
    fn wait<T>(&self, answer: &Answer<T>) -> Duration {
        let Rules {
            min_ttl,
            max_ttl,
            empty_after,
            ..
        } = &self.rules;
        match (answer, empty_after) {
            (Answer::Found { ttl, .. }, _) => (*ttl).min(*max_ttl).max(*min_ttl),
            (Answer::Nothing { .. }, Some(empty_after)) if !self.published.is_empty() => {
                (*empty_after / DOUBTS_PER_EMPTY_AFTER)
                    .min(DOUBT_WAIT_MAX)
                    .max(*min_ttl)
            }
            (Answer::Nothing { ttl, .. }, _) => {
                let ttl = ttl.unwrap_or(NOTHING_WAIT_MAX);
                ttl.min(NOTHING_WAIT_MAX).min(*max_ttl).max(*min_ttl)
            }
            (Answer::Failed(_), _) => Duration::ZERO,
        }
    }

    /// A slot for every host named by a spot, and for no other.
    fn keep_hosts(&mut self, now: Instant) {
        let mut before = std::mem::take(&mut self.hosts);
        for spot in &self.spots {
            if let NodeHost::Name(name) = &spot.host
                && !self.hosts.contains_key(name)
            {
                let slot = before
                    .remove(name)
                    .unwrap_or_else(|| Slot::new(now, &self.rules.retry));
                self.hosts.insert(name.clone(), slot);
            }
        }
    }

    fn is_pending(&self) -> bool {
        let service = self.services.iter().any(|(_, slot)| slot.is_pending());
        service || self.hosts.values().any(Slot::is_pending)
    }

    /// Brings what is published to what is known, unless there is a reason to wait.
    fn publish(&mut self, now: Instant, answered: bool) -> Vec<Action> {
        if self.published.is_empty() || !self.is_pending() {
            self.settle_at = None;
        } else {
            let settle_at = *self.settle_at.get_or_insert(now + SETTLE_MAX);
            if now < settle_at {
                return Vec::new();
            }
            self.settle_at = None;
        }
        if !self.changed && self.empty_since.is_none() {
            return Vec::new();
        }
        let (endpoints, left_out) = expand(self.places());
        if endpoints.is_empty() && !self.published.is_empty() {
            if !self.says_nothing() {
                self.empty_since = None;
                return Vec::new();
            }
            let since = *self.empty_since.get_or_insert(now);
            // Only an answer can confirm: silence until then proves nothing.
            let long_enough = self
                .rules
                .empty_after
                .is_some_and(|after| now >= since + after);
            if !(answered && long_enough) {
                return Vec::new();
            }
        }
        self.empty_since = None;
        self.changed = false;
        let mut actions = Vec::new();
        if endpoints != self.published {
            self.published.clone_from(&endpoints);
            actions.push(Action::Publish {
                endpoints,
                left_out,
            });
        }
        actions.extend(self.save());
        actions
    }

    /// Whether the last answer to every question was that there is none.
    fn says_nothing(&self) -> bool {
        match &self.services {
            Some((_, slot)) if slot.says_nothing() => true,
            Some((_, slot)) if slot.records().is_none() || slot.error().is_some() => false,
            _ => self.hosts.values().all(Slot::says_nothing),
        }
    }

    fn places(&self) -> Vec<Place> {
        let place = |spot: &Spot| Place {
            name: Arc::clone(&spot.name),
            port: spot.port,
            weight: spot.weight,
            priority: spot.priority,
            addresses: match &spot.host {
                NodeHost::Name(name) => self
                    .hosts
                    .get(name)
                    .and_then(Slot::records)
                    .cloned()
                    .unwrap_or_default(),
                NodeHost::V4(address) => vec![IpAddr::V4(*address)],
                NodeHost::V6(address) => vec![IpAddr::V6(*address)],
            },
        };
        self.spots.iter().map(place).collect()
    }

    fn ask(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some((name, slot)) = &mut self.services
            && slot.take_turn(now)
        {
            actions.push(Action::Ask(Question::Services(name.clone())));
        }
        for (name, slot) in &mut self.hosts {
            if slot.take_turn(now) {
                actions.push(Action::Ask(Question::Addresses(name.clone())));
            }
        }
        actions
    }
}

/// How long unresolved hosts may hold back a change of what is published.
const SETTLE_MAX: Duration = Duration::from_secs(1);
/// How often "none" is asked again until it is believed, at least.
const DOUBTS_PER_EMPTY_AFTER: u32 = 4;
/// The longest wait between two questions while "none" is doubted, unless `min_ttl` is longer.
const DOUBT_WAIT_MAX: Duration = Duration::from_secs(1);
/// The longest wait after "none" where there is nothing to lose: what appears is found soon.
const NOTHING_WAIT_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
