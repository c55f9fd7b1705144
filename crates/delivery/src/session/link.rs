//! The stream: hello, welcome, heartbeats, silence, and when to dial again.

use std::time::Duration;

use ferryway_model::BUCKETS;
use ferryway_proto::{
    AgentMessage, ControlMessage, DecodeError, GoAway, Heartbeat, PROTOCOL, Position, Reason,
    Reconcile, Resume, Retry, Welcome,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::Session;
use super::accept::Outdated;
use super::assembly::Assembly;
use super::event::Action;
use crate::limits::SILENT_HEARTBEATS;

/// How the stream is.
#[derive(Debug)]
pub(super) enum Link {
    /// There is none.
    Offline,
    /// Hello was said.
    Greeting {
        /// Until when it must be answered.
        until: Instant,
    },
    /// Hello was answered.
    Live(Box<Live>),
}

/// A stream whose hello was answered.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) session: Uuid,
    /// The head when the hello was answered. Later transactions were made now; earlier ones are
    /// being caught up with, and their checks were done.
    pub(super) caught_up: Position,
    pub(super) assembly: Assembly,
    /// What differs was asked for; until when the answer must have come.
    pub(super) reconciling: Option<Instant>,
    heard: Instant,
    silence: Duration,
    spread: Duration,
}

/// How long a hello may stay unanswered.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// How long a reconcile may stay unanswered.
const RECONCILE_MAX: Duration = Duration::from_secs(30);
/// The least time over which lost streams are dialled again.
const SPREAD_MIN: Duration = Duration::from_millis(100);
/// The least interval of heartbeats that is believed.
const HEARTBEAT_MIN: Duration = Duration::from_secs(1);

impl Link {
    /// Whether there is a stream.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self, Self::Offline)
    }

    /// Whether the hello was answered.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }

    pub(super) fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            Self::Offline | Self::Greeting { .. } => None,
        }
    }

    pub(super) fn live_mut(&mut self) -> Option<&mut Live> {
        match self {
            Self::Live(live) => Some(live),
            Self::Offline | Self::Greeting { .. } => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Offline => None,
            Self::Greeting { until } => Some(*until),
            Self::Live(live) => {
                let silent = live.heard + live.silence;
                Some(live.reconciling.map_or(silent, |until| until.min(silent)))
            }
        }
    }
}

impl Session {
    pub(super) fn connected(&mut self, now: Instant) {
        self.link = Link::Greeting {
            until: now + GREETING_MAX,
        };
        self.attempt = self.attempt.saturating_add(1);
        let hello = Box::new(self.hello());
        self.send(AgentMessage::Hello(hello));
    }

    pub(super) fn lost(&mut self, now: Instant) {
        // Everybody loses the stream at one moment; the control plane says over what time to return.
        let wait = match &self.link {
            Link::Live(live) => live.spread.mul_f64(self.random.unit()),
            Link::Offline | Link::Greeting { .. } => self.redial.next(&mut self.random),
        };
        self.redial_at(now + wait);
    }

    pub(super) fn message(&mut self, now: Instant, message: ControlMessage) {
        if let Some(live) = self.link.live_mut() {
            live.heard = now;
        }
        match (message, self.link.is_live()) {
            (ControlMessage::Welcome(welcome), false) => self.welcome(now, welcome),
            (ControlMessage::GoAway(GoAway { delay, to }), _) => {
                let wait = delay.max(SPREAD_MIN).mul_f64(self.random.unit());
                self.redial_to(now + wait, to);
            }
            (ControlMessage::Transaction(part), true) => self.part(now, part),
            (ControlMessage::Heartbeat(heartbeat), true) => self.heartbeat(now, heartbeat),
            (ControlMessage::Ask { id }, true) => {
                let reason = "this build answers no questions".to_owned();
                self.send(AgentMessage::Unsupported { id, reason });
            }
            (ControlMessage::Welcome(_), true)
            | (
                ControlMessage::Transaction(_)
                | ControlMessage::Heartbeat(_)
                | ControlMessage::Ask { .. },
                false,
            ) => self.hang_up(now, "the control plane sent a message out of order"),
        }
    }

    pub(super) fn undecodable(&mut self, now: Instant, error: &DecodeError) {
        self.hang_up(
            now,
            &format!("the control plane sent what this build cannot read: {error}"),
        );
    }

    /// Ends a stream that cannot go on, and tries again later and later.
    pub(super) fn hang_up(&mut self, now: Instant, why: &str) {
        tracing::warn!(why, "ended the delivery stream; what is effective stays");
        let wait = self.redial.next(&mut self.random);
        self.redial_at(now + wait);
    }

    pub(super) fn tick_link(&mut self, now: Instant) {
        if self.link.deadline().is_some_and(|deadline| deadline <= now) {
            self.hang_up(now, "the control plane was silent for too long");
        }
    }

    /// Asks for what differs from the head, and forgets half a transaction.
    pub(super) fn ask_for_difference(&mut self, now: Instant, reason: Reason) {
        let Some(live) = self.link.live_mut() else {
            return;
        };
        if live.reconciling.is_some() {
            return;
        }
        live.reconciling = Some(now + RECONCILE_MAX);
        live.assembly = Assembly::default();
        tracing::info!(?reason, "asks the control plane for what differs");
        let view = &self.desired;
        let buckets = (!view.is_empty()).then(|| {
            let digests: Box<[_; BUCKETS]> =
                Box::new(std::array::from_fn(|n| view.buckets()[n].digest()));
            digests
        });
        self.send(AgentMessage::Reconcile(Reconcile { reason, buckets }));
    }

    /// The control plane agrees with us: the next trouble may be tried again soon.
    pub(super) fn settled(&mut self) {
        self.redial.reset();
    }

    fn redial_at(&mut self, at: Instant) {
        self.redial_to(at, Vec::new());
    }

    fn redial_to(&mut self, at: Instant, to: Vec<String>) {
        self.link = Link::Offline;
        self.unsaid.forget_messages();
        self.out.push(Action::Redial { at, to });
    }

    fn welcome(&mut self, now: Instant, welcome: Welcome) {
        let Welcome {
            protocol,
            session,
            resume,
            heartbeat,
            spread,
        } = welcome;
        if protocol != PROTOCOL {
            let why =
                format!("the control plane speaks protocol {protocol}; this build {PROTOCOL}");
            return self.hang_up(now, &why);
        }
        let head = match &resume {
            Resume::InSync(head) | Resume::Delta(head) | Resume::Reconcile(head) => *head,
            Resume::Retry(Retry { after, reason }) => {
                self.refused(reason);
                // At least half of it: a group that is not there does not appear by being asked for.
                let wait = after.mul_f64(0.5 + self.random.unit() / 2.0);
                return self.redial_at(now + wait.max(SPREAD_MIN));
            }
        };
        if self.is_backwards(head) {
            return self.hang_up(now, "the control plane is behind this instance");
        }
        self.refusal = None;
        self.link = Link::Live(Box::new(Live {
            session,
            caught_up: head,
            assembly: Assembly::default(),
            reconciling: None,
            heard: now,
            silence: heartbeat.max(HEARTBEAT_MIN) * SILENT_HEARTBEATS,
            spread: spread.max(SPREAD_MIN),
        }));
        self.resume(now, &resume, head);
        self.refetch(now);
    }

    /// Says why we are not served, once: we ask every second or so.
    fn refused(&mut self, reason: &str) {
        if self.refusal.as_deref() != Some(reason) {
            let group = &self.who.group;
            tracing::warn!(%group, reason, "the control plane does not serve this instance yet; it keeps asking");
            self.refusal = Some(reason.to_owned());
        }
    }

    fn resume(&mut self, now: Instant, resume: &Resume, head: Position) {
        let ours = self.desired_at;
        match resume {
            Resume::InSync(_) if ours == Some(head) => {
                self.confirmed = true;
                self.settled();
            }
            Resume::Delta(_) if ours.is_some_and(|ours| ours.epoch == head.epoch) => {}
            // A promise that cannot be kept from here is taken as a reconcile.
            Resume::InSync(_) | Resume::Delta(_) | Resume::Reconcile(_) | Resume::Retry(_) => {
                let reason = match ours {
                    Some(ours) if ours.epoch != head.epoch => Reason::Epoch,
                    None if !self.desired.is_empty() => Reason::Corrupt,
                    Some(_) | None => Reason::Gap,
                };
                self.ask_for_difference(now, reason);
            }
        }
    }

    fn heartbeat(&mut self, now: Instant, heartbeat: Heartbeat) {
        let Heartbeat {
            head,
            shrink_confirmed,
        } = heartbeat;
        match self.compare(head) {
            Ok(()) => {
                self.confirmed = true;
                self.settled();
            }
            Err(Outdated::Behind) if self.overrun && !self.queue.is_empty() => {}
            Err(Outdated::Behind) => {
                self.overrun = false;
                self.ask_for_difference(now, Reason::Gap);
            }
            Err(Outdated::OtherRoot) => self.ask_for_difference(now, Reason::Root),
            Err(Outdated::OtherEpoch) => self.ask_for_difference(now, Reason::Epoch),
            Err(Outdated::Backwards) => {
                return self.hang_up(now, "the control plane is behind this instance");
            }
        }
        if let Some(revision) = shrink_confirmed {
            self.release_shrink(head.epoch, revision);
        }
        let status = self.status();
        self.send(AgentMessage::Status(status));
    }
}
