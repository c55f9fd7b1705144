//! The agent's side of the protocol, without I/O: [`Session::on`] is told what happened and
//! answers what to do.
//!
//! A session knows two views. *Desired* is what the control plane has said; it moves only over
//! contiguous transactions whose root is right. *Effective* is what runs; it moves when a candidate
//! is applied. Between the two lies a queue of steps, taken one after the other, each whole; what
//! cannot be applied is *held*: it stays at its last good content while the steps after it go on.
//!
//! - `link`: the stream: hello, welcome, heartbeats, silence, when to dial again.
//! - `accept`: what makes a transaction acceptable, and what becomes of one that is not.
//! - `step`, `content`, `offer`, `settle`: the head of the queue, from what it changes to what became
//!   of it.
//! - `unsaid`: what became of it is said, where it is a hold once that is on the disk.
//! - `warnings`: checks that run when their candidate serves, and only warn.

mod accept;
mod assembly;
mod content;
mod event;
mod link;
mod offer;
mod recent;
mod settle;
mod step;
#[cfg(test)]
mod tests;
mod unsaid;
mod warnings;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ferryway_model::{Key, Name, SCHEMA, View};
use ferryway_proto::limits::BLOB_BYTES_MAX;
use ferryway_proto::{AgentMessage, Fault, Hello, Limits, PROTOCOL, Position, Source, Status};
use ferryway_runtime::{Backoff, Random};
use tokio::time::Instant;
use uuid::Uuid;

pub use event::{Action, Atoms, Desired, Effective, Event, Record};

use crate::hold::{Holds, told};
use crate::limits::{ENTRIES_MAX, TRANSACTION_BYTES_MAX};
use crate::load::Content;
use link::Link;
use recent::Recent;
use step::{Step, Work};
use unsaid::{Claim, Unsaid};

/// The agent's side of the protocol.
#[derive(Debug)]
pub struct Session {
    who: Who,
    random: Random,
    /// How often it has dialled, this time included.
    attempt: u64,
    redial: Backoff,
    retry: Backoff,
    link: Link,
    /// What the control plane has said, at the end of the queue.
    desired: View,
    desired_at: Option<Position>,
    /// Entries of it that cannot be read.
    unreadable: BTreeMap<Key, Fault>,
    /// What runs.
    effective: View,
    effective_at: Option<Position>,
    holds: Holds,
    queue: VecDeque<Step>,
    work: Work,
    /// Where the candidates led whose checks run while they serve.
    checking: Vec<Position>,
    recent: Recent,
    /// How many records were to be saved.
    records: u64,
    unsaid: Unsaid,
    /// Transactions were left out because the queue was full.
    overrun: bool,
    /// The last reason not to be served, so that it is logged once.
    refusal: Option<String>,
    /// Whether the control plane has confirmed, in this run, what is effective.
    confirmed: bool,
    out: Vec<Action>,
}

/// Who an instance is and what it can do, as it says hello.
#[derive(Clone, Debug)]
pub struct Who {
    /// Its identity, kept in its data folder.
    pub instance: Uuid,
    /// Rises with each start.
    pub boot: u64,
    /// Its group.
    pub group: Name,
    /// The build it runs; at most 255 bytes.
    pub build: String,
    /// The name of its host; at most 255 bytes.
    pub hostname: String,
    /// Where it listens; at most 16.
    pub addresses: Vec<String>,
    /// What it started from.
    pub source: Source,
}

/// What a session starts from: what the disk holds.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// What the instance should run.
    pub desired: Option<Desired>,
    /// What it ran; its holds are with it.
    pub effective: Option<Effective>,
}

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether a stream is open, and its hello answered.
    pub connected: bool,
    /// What the control plane has said.
    pub desired: Option<Position>,
    /// What runs.
    pub effective: Option<Position>,
    /// Whether what runs is what the control plane has said, with nothing held.
    pub converged: bool,
    /// What is held, and why.
    pub holds: Holds,
    /// Whether what runs has been confirmed by a control plane since the start; if not, it comes
    /// from the disk.
    pub confirmed: bool,
}

/// First and longest wait between two tries to connect; each is drawn from nothing to its ceiling.
const REDIAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(4));
/// First and longest wait before content is asked for, or a candidate offered, again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Session {
    /// A session that has not started.
    #[must_use]
    pub fn new(who: Who, random: Random) -> Self {
        Self {
            who,
            random,
            attempt: 0,
            redial: Backoff::new(REDIAL.0, REDIAL.1),
            retry: Backoff::new(RETRY.0, RETRY.1),
            link: Link::Offline,
            desired: View::empty(),
            desired_at: None,
            unreadable: BTreeMap::new(),
            effective: View::empty(),
            effective_at: None,
            holds: Holds::default(),
            queue: VecDeque::new(),
            work: Work::Idle,
            checking: Vec::new(),
            recent: Recent::default(),
            records: 0,
            unsaid: Unsaid::default(),
            overrun: false,
            refusal: None,
            confirmed: false,
            out: Vec::new(),
        }
    }

    /// Starts from what the disk holds. What was effective is offered first, each entry by itself;
    /// then what was desired and neither effective nor held.
    ///
    /// `content` is that of the effective view; an entry whose content is lost is left out, and got
    /// again from the control plane.
    pub fn start(&mut self, saved: Saved, content: Content) -> Vec<Action> {
        let Saved { desired, effective } = saved;
        if let Some(effective) = effective {
            let Effective {
                position,
                view,
                holds,
            } = effective;
            self.unsaid.start(&holds);
            self.holds = holds;
            self.queue.push_back(Step::start(position, view, content));
        }
        if let Some(desired) = desired {
            let Desired {
                position,
                view,
                atoms,
            } = desired;
            self.desired = view;
            // A view that is not what its root says is worth a comparison, but is no position.
            if self.desired.root() == position.root {
                self.desired_at = Some(position);
                self.queue
                    .push_back(Step::unfinished(position, self.desired.clone(), atoms));
            }
        }
        self.advance();
        std::mem::take(&mut self.out)
    }

    /// Takes an event, and answers what to do, in order.
    pub fn on(&mut self, now: Instant, event: Event) -> Vec<Action> {
        match event {
            Event::Connected => self.connected(now),
            Event::Message(message) => self.message(now, *message),
            Event::Undecodable(error) => self.undecodable(now, &error),
            Event::Lost => self.lost(now),
            Event::Fetched { found, missing } => self.fetched(now, found, &missing),
            Event::Installed(outcome) => self.installed(now, outcome),
            Event::Durable { record, position } => self.durable(record, position),
            Event::Unkept => self.unkept(),
            Event::Checked { position, faults } => self.checked(position, faults),
            Event::Replaced { view, content } => self.replaced(view, content),
            Event::Tick => self.tick(now),
        }
        self.advance();
        self.unsaid.wait_from(now);
        std::mem::take(&mut self.out)
    }

    /// When the session wants a `Tick` at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let all = [
            self.link.deadline(),
            self.work.deadline(),
            self.unsaid.deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            connected: self.link.is_live(),
            desired: self.desired_at,
            effective: self.effective_at,
            converged: self.is_converged(),
            holds: Arc::clone(&self.holds),
            confirmed: self.confirmed,
        }
    }

    /// What runs.
    #[must_use]
    pub fn effective(&self) -> &View {
        &self.effective
    }

    fn is_converged(&self) -> bool {
        self.desired_at.is_some()
            && self.effective_at.is_some()
            && self.queue.is_empty()
            && self.holds.is_empty()
            && self.effective.root() == self.desired.root()
    }

    fn tick(&mut self, now: Instant) {
        self.tick_link(now);
        self.tick_work(now);
        self.tick_unsaid(now);
    }

    fn send(&mut self, message: AgentMessage) {
        if self.link.is_open() {
            self.out.push(Action::Send(message));
        }
    }

    fn hello(&self) -> Hello {
        let Who {
            instance,
            boot,
            group,
            build,
            hostname,
            addresses,
            source,
        } = self.who.clone();
        let Claim {
            effective,
            holds: said,
        } = self.unsaid.said();
        let (holds, held) = told(said);
        Hello {
            protocol: (PROTOCOL, PROTOCOL),
            instance,
            boot,
            group,
            build,
            hostname,
            addresses,
            schemas: u32::try_from(SCHEMA).into_iter().collect(),
            plugins: Vec::new(),
            limits: Limits {
                entries: clamp(ENTRIES_MAX),
                blob_bytes: clamp(BLOB_BYTES_MAX),
                transaction_bytes: clamp(TRANSACTION_BYTES_MAX),
            },
            desired: self.desired_at,
            effective: *effective,
            holds,
            held,
            source,
            attempt: self.attempt,
        }
    }

    fn status(&self) -> Status {
        let Claim {
            effective,
            holds: said,
        } = self.unsaid.said();
        let (holds, held) = told(said);
        Status {
            desired: self.desired_at,
            effective: *effective,
            holds,
            held,
        }
    }
}

fn clamp(bound: usize) -> u32 {
    u32::try_from(bound).unwrap_or(u32::MAX)
}
