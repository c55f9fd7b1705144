//! What is not said yet. That something is held is said once the hold is on the disk: a start takes
//! what is desired and not held for a plan, and what the control plane was told is rejected must
//! never be one. What follows waits behind it, for it says up to where everything is settled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ferryway_proto::{Ack, AckStage, AgentMessage, Position};
use tokio::time::Instant;

use super::Session;
use crate::hold::Holds;

/// What a session says it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim {
    pub(super) effective: Option<Position>,
    pub(super) holds: Holds,
}

/// What waits to be said, in order.
#[derive(Debug)]
pub(super) struct Unsaid {
    waiting: VecDeque<Waiting>,
    /// When the oldest of it has waited for long enough; none: that is not known yet.
    until: Option<Instant>,
    /// The claim that is said meanwhile.
    said: Claim,
    /// Whether what is to be on the disk gets there, as far as is known.
    is_kept: bool,
    /// The record of the newest hold.
    held: u64,
}

/// What a step had to say.
#[derive(Debug)]
struct Waiting {
    /// The record that must be durable first.
    record: u64,
    /// What is claimed from then on.
    claim: Claim,
    /// Empty where there was no stream to say it on, or where that is gone.
    messages: Vec<AgentMessage>,
    is_missed: bool,
}

/// How long something waits to be said: a disk that takes longer than this is as good as none, and
/// whoever waits for an operation is told rather late than never.
const UNSAID_MAX: Duration = Duration::from_secs(5);
/// Most steps that wait to be said.
const STEPS_MAX: usize = 256;

impl Default for Unsaid {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            until: None,
            said: Claim::default(),
            is_kept: true,
            held: 0,
        }
    }
}

impl Unsaid {
    /// What may be said of what runs.
    pub(super) fn said(&self) -> &Claim {
        &self.said
    }

    /// What is known of the disk at the start may be said.
    pub(super) fn start(&mut self, holds: &Holds) {
        self.said.holds = Arc::clone(holds);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// What waits does so from now on.
    pub(super) fn wait_from(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            self.until = None;
        } else {
            self.until.get_or_insert(now + UNSAID_MAX);
        }
    }

    /// The stream is gone. On another one the claims will be made, but nothing of this one's
    /// transactions is said: it may have another history.
    pub(super) fn forget_messages(&mut self) {
        for waiting in &mut self.waiting {
            waiting.is_missed |= !waiting.messages.is_empty();
            waiting.messages.clear();
        }
    }
}

impl Session {
    /// Says what became of a step; if that is a hold, once `record` is durable.
    pub(super) fn tell(&mut self, messages: Vec<AgentMessage>, hold: Option<u64>) {
        if self.unsaid.waiting.len() >= STEPS_MAX {
            self.say_up_to(u64::MAX);
        }
        let before = self.unsaid.waiting.back().map(|waiting| waiting.record);
        let hold = hold.inspect(|record| self.unsaid.held = *record);
        let claim = Claim {
            effective: self.effective_at,
            holds: Arc::clone(&self.holds),
        };
        let record = hold.filter(|_| self.unsaid.is_kept).or(before);
        let Some(record) = record else {
            self.unsaid.said = claim;
            messages.into_iter().for_each(|message| self.send(message));
            return;
        };
        let is_missed = !self.link.is_open();
        self.unsaid.waiting.push_back(Waiting {
            record,
            claim,
            messages: if is_missed { Vec::new() } else { messages },
            is_missed,
        });
    }

    /// Everything up to this record is on the disk.
    pub(super) fn durable(&mut self, record: u64, position: Position) {
        let ours = self.effective_at.map(|ours| ours.epoch);
        // That of a hold is told by the hold itself.
        if ours == Some(position.epoch) && record != self.unsaid.held {
            self.acknowledge(position, AckStage::Durable);
        }
        self.unsaid.is_kept = true;
        self.say_up_to(record);
    }

    /// Nothing gets on the disk for now: whoever waits is told at once.
    pub(super) fn unkept(&mut self) {
        self.unsaid.is_kept = false;
        self.say_up_to(u64::MAX);
    }

    pub(super) fn tick_unsaid(&mut self, now: Instant) {
        if self.unsaid.until.is_some_and(|until| until <= now) {
            tracing::warn!("says what is held although the disk has not kept it yet");
            self.say_up_to(u64::MAX);
        }
    }

    pub(super) fn acknowledge(&mut self, position: Position, stage: AckStage) {
        self.send(AgentMessage::Ack(Ack {
            transaction: position.revision,
            stage,
            desired: self.desired_at,
            effective: self.unsaid.said.effective,
        }));
    }

    /// What will have been claimed when everything that waits is said.
    pub(super) fn claimed(&self) -> &Claim {
        let last = self.unsaid.waiting.back();
        last.map_or(&self.unsaid.said, |waiting| &waiting.claim)
    }

    fn say_up_to(&mut self, record: u64) {
        let mut is_missed = false;
        while self
            .unsaid
            .waiting
            .front()
            .is_some_and(|waiting| waiting.record <= record)
            && let Some(waiting) = self.unsaid.waiting.pop_front()
        {
            self.unsaid.said = waiting.claim;
            self.unsaid.until = None;
            is_missed |= waiting.is_missed;
            for message in waiting.messages {
                self.send(message);
            }
        }
        if is_missed && self.link.is_live() {
            let status = self.status();
            self.send(AgentMessage::Status(status));
        }
    }
}
