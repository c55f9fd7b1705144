//! A target that is followed: its endpoints, its status, and the task that keeps both true.

use std::convert::Infallible;
use std::sync::Arc;

use ferryway_balance::{EndpointSet, LiveEndpoints};
use ferryway_runtime::{Clock, Stop};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::follow::{Action, Event, Follow, Question};
use crate::kept::Keep;
use crate::resolver::{Answered, For, Resolver};

/// A target that is followed for as long as this is held.
#[derive(Debug)]
pub struct Followed {
    endpoints: Arc<LiveEndpoints>,
    status: watch::Receiver<Status>,
    /// Its end tells the task that nobody is left.
    _held: oneshot::Sender<Infallible>,
}

/// How well a target is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// How many endpoints there are.
    pub endpoints: usize,
    /// How often they have changed since the start.
    pub changes: u64,
    /// Where they come from.
    pub source: Source,
    /// Whether there is something to serve, or a first answer, good or bad, to every question.
    pub ready: bool,
    /// Since when the endpoints may be out of date; `None`: they are not.
    pub stale_since: Option<Timestamp>,
    /// What is wrong at present, in words.
    pub last_error: Option<String>,
}

/// Where endpoints come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From answers to this process.
    Fresh,
    /// Some of them from disk, not confirmed since the start.
    Kept,
    /// There are none.
    None,
}

impl Followed {
    /// The endpoints as they are now; the same cell for as long as the target is followed.
    pub fn endpoints(&self) -> &Arc<LiveEndpoints> {
        &self.endpoints
    }

    /// Waits for endpoints or, where there are none, for the first answer, good or bad, to every
    /// question. That comes within seconds for each DNS server there is.
    pub async fn ready(&self) {
        // An error means that the task has been stopped, with the gateway: there is nothing to
        // wait for.
        let _ = self.status.clone().wait_for(|status| status.ready).await;
    }

    /// How well the target is known now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// A receiver that sees every status from now on.
    pub fn changed(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}

/// The task behind a [`Followed`].
pub(crate) struct Follower {
    pub(crate) follow: Follow,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) asker: For,
    pub(crate) keep: Arc<dyn Keep>,
    pub(crate) clock: Clock,
    pub(crate) endpoints: Arc<LiveEndpoints>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) changes: u64,
    /// What the log calls the target.
    pub(crate) name: String,
}

type Lookups = FuturesUnordered<BoxFuture<'static, Answered>>;

impl Status {
    pub(crate) fn unknown() -> Self {
        Self {
            endpoints: 0,
            changes: 0,
            source: Source::None,
            ready: false,
            stale_since: None,
            last_error: None,
        }
    }
}

impl Follower {
    /// Does what needs no answer, so that addresses and kept endpoints are there at once. Answers
    /// the handle, and what to ask first.
    pub(crate) fn begin(&mut self) -> (Followed, oneshot::Receiver<Infallible>, Vec<Question>) {
        let (held, gone) = oneshot::channel();
        let questions = self.step(Event::Tick);
        let followed = Followed {
            endpoints: Arc::clone(&self.endpoints),
            status: self.status.subscribe(),
            _held: held,
        };
        (followed, gone, questions)
    }

    /// Follows until stopped or until the handle is gone.
    pub(crate) async fn run(
        mut self,
        mut gone: oneshot::Receiver<Infallible>,
        questions: Vec<Question>,
        stop: Stop,
    ) {
        let mut lookups = Lookups::new();
        self.ask(&lookups, questions);
        loop {
            let wake_at = self.follow.wake_at();
            let event = tokio::select! {
                () = stop.requested() => return,
                _ = &mut gone => return,
                Some(answered) = lookups.next() => match answered {
                    Answered::Addresses(name, answer) => Event::Addresses(name, answer),
                    Answered::Services(answer) => Event::Services(answer),
                },
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {
                    Event::Tick
                }
            };
            let questions = self.step(event);
            self.ask(&lookups, questions);
        }
    }

    /// Carries out what follows from an event; answers what is to be asked.
    fn step(&mut self, event: Event) -> Vec<Question> {
        let mut questions = Vec::new();
        for action in self.follow.on(Instant::now(), event) {
            match action {
                Action::Ask(question) => questions.push(question),
                Action::Save { key, kept } => self.keep.save(&key, &kept.encode()),
                Action::Publish {
                    endpoints,
                    left_out,
                } => {
                    if left_out > 0 {
                        tracing::warn!(target = self.name, left_out, "too many endpoints");
                    }
                    self.endpoints.store(EndpointSet::new(endpoints));
                    self.changes += 1;
                }
            }
        }
        self.report();
        questions
    }

    fn ask(&self, lookups: &Lookups, questions: Vec<Question>) {
        for question in questions {
            let (resolver, asker) = (Arc::clone(&self.resolver), self.asker);
            lookups.push(async move { resolver.ask(question, asker).await }.boxed());
        }
    }

    /// Makes the status what it is now, and logs when it turns.
    fn report(&self) {
        let endpoints = self.endpoints.read(EndpointSet::len);
        let restored = self.follow.is_restored();
        let source = match (endpoints, restored) {
            (0, _) => Source::None,
            (_, true) => Source::Kept,
            (_, false) => Source::Fresh,
        };
        let last_error = self.follow.error();
        let stale = restored || last_error.is_some();
        self.status.send_if_modified(|status| {
            let since = || status.stale_since.unwrap_or_else(|| self.clock.now());
            let stale_since = stale.then(since);
            match (&status.last_error, &last_error) {
                (None, Some(error)) => {
                    tracing::warn!(
                        target = self.name,
                        error,
                        endpoints,
                        "endpoints may be stale"
                    );
                }
                (Some(_), None) => {
                    tracing::info!(target = self.name, endpoints, "endpoints are fresh again");
                }
                _ => {}
            }
            let ready = status.ready || self.follow.is_ready();
            let changes = self.changes;
            let next = Status {
                changes,
                endpoints,
                source,
                ready,
                stale_since,
                last_error,
            };
            let changed = *status != next;
            *status = next;
            changed
        });
    }
}
