//! Where an instance is in its life.

use tokio::sync::watch;

/// Where an instance is in its life. It only moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// No complete view is effective yet, and clients are refused.
    Starting,
    /// Clients are served.
    Serving,
    /// The end was asked for: clients are still served, and should be sent elsewhere.
    Draining,
}

/// Tells where an instance is. Clones tell the same.
#[derive(Clone, Debug)]
pub(crate) struct Phases(watch::Sender<Phase>);

impl Phases {
    /// At the start.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Starting))
    }

    pub(crate) fn now(&self) -> Phase {
        *self.0.borrow()
    }

    /// Moves on to `phase`, unless that is past.
    pub(crate) fn enter(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }
}
