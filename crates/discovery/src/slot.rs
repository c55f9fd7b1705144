//! One question: what is known of it, and when it is asked again.

use std::time::Duration;

use ferryway_runtime::{Backoff, Random};
use tokio::time::Instant;

/// What is known of one question.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    known: Known<T>,
    /// Why the last answer changed nothing.
    error: Option<String>,
    /// From disk, not yet confirmed.
    restored: bool,
    asking: bool,
    next_at: Instant,
    backoff: Backoff,
}

#[derive(Debug)]
enum Known<T> {
    /// Nothing was ever said.
    Unknown,
    /// The last word is that there is none.
    Nothing,
    /// The last good answer.
    Some(T),
}

impl<T: PartialEq> Slot<T> {
    /// A question never answered, due at once.
    pub(crate) fn new(now: Instant, backoff: &Backoff) -> Self {
        Self {
            known: Known::Unknown,
            error: None,
            restored: false,
            asking: false,
            next_at: now,
            backoff: backoff.clone(),
        }
    }

    /// A question with an answer from an earlier life, due at once.
    pub(crate) fn restored(records: T, now: Instant, backoff: &Backoff) -> Self {
        let slot = Self::new(now, backoff);
        Self {
            known: Known::Some(records),
            restored: true,
            ..slot
        }
    }

    /// The last good answer.
    pub(crate) fn records(&self) -> Option<&T> {
        match &self.known {
            Known::Some(records) => Some(records),
            Known::Unknown | Known::Nothing => None,
        }
    }

    /// Whether not even a bad answer has come yet.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.known, Known::Unknown) && self.error.is_none()
    }

    /// Whether the last answer was that there is none.
    pub(crate) fn says_nothing(&self) -> bool {
        matches!(self.known, Known::Nothing) && self.error.is_none()
    }

    /// Whether what is known comes from an earlier life, unconfirmed.
    pub(crate) fn is_restored(&self) -> bool {
        self.restored
    }

    /// Why the last answer changed nothing.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// When to ask, unless an answer is awaited.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        (!self.asking).then_some(self.next_at)
    }

    /// Takes the turn to ask, if it is due.
    pub(crate) fn take_turn(&mut self, now: Instant) -> bool {
        let due = self.due_at().is_some_and(|at| at <= now);
        self.asking |= due;
        due
    }

    /// Some were found, to be asked again after `wait`. Answers whether that is news.
    pub(crate) fn found(&mut self, records: T, now: Instant, wait: Duration) -> bool {
        let news = self.records() != Some(&records);
        self.answered(now, wait);
        self.known = Known::Some(records);
        news
    }

    /// None were found. Answers whether that is news.
    pub(crate) fn nothing(&mut self, now: Instant, wait: Duration) -> bool {
        let news = !matches!(self.known, Known::Nothing);
        self.answered(now, wait);
        self.known = Known::Nothing;
        news
    }

    /// None were found, but what is known is kept, where anything is. Answers whether that is news.
    pub(crate) fn nothing_but_kept(&mut self, now: Instant, wait: Duration, why: &str) -> bool {
        if self.records().is_none() {
            return self.nothing(now, wait);
        }
        let restored = self.restored;
        self.answered(now, wait);
        self.restored = restored;
        self.error = Some(why.to_owned());
        false
    }

    /// No answer: what is known stays, and the question is asked again after a backoff.
    pub(crate) fn failed(&mut self, now: Instant, why: String, random: &mut Random) {
        self.asking = false;
        self.error = Some(why);
        self.next_at = now + self.backoff.next(random);
    }

    fn answered(&mut self, now: Instant, wait: Duration) {
        self.asking = false;
        self.error = None;
        self.restored = false;
        self.next_at = now + wait;
        self.backoff.reset();
    }
}
