//! What the session offers for installation, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use ferryway_model::{Binding, Definition, Name, Registry, Sealed, VersionNumber, View};
use ferryway_proto::{Cause, Fault, Position};

/// A step from what an instance runs to what it should run: installed whole, or not at all.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which transaction of the group this belongs to. Its root is that of the whole view; where
    /// something is held, `target` has another one.
    pub position: Position,
    /// Why it comes.
    pub occasion: Occasion,
    /// What to do with the checks of the changed services.
    pub checks: Checks,
    /// Registries that change. They come before services: a binding may name a new one.
    pub registries: Vec<Changed<Sealed<Registry>>>,
    /// Services that change.
    pub services: Vec<Changed<Service>>,
    /// Everything that is to run afterwards, by digest. What is not among the changes is as it was.
    pub target: View,
}

/// A named thing that changes.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// Its name.
    pub name: Name,
    /// What it becomes; none: it is gone.
    pub content: Option<Arc<T>>,
}

/// A published service with its content, parsed and checked.
#[derive(Clone, Debug)]
pub struct Service {
    /// The version it runs; none: No Version.
    pub version: Option<VersionNumber>,
    /// Whether it serves; a disabled one answers as if it were not there.
    pub enabled: bool,
    /// The portable half.
    pub definition: Arc<Sealed<Definition>>,
    /// The group's half.
    pub binding: Arc<Sealed<Binding>>,
}

/// Why a candidate comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// The instance starts; the content comes from its disk.
    Start,
    /// The control plane sent it.
    Sent(Cause),
}

/// What to do with the checks of changed services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checks {
    /// Do not run them: at boot, resume and reconnect, the change was not made now.
    Skip,
    /// Run them, and only tell of those that fail: on the way back, waiting helps nobody.
    Warn,
    /// A failing check rejects the candidate.
    Gate,
}

/// What became of a candidate.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It serves.
    Applied(Applied),
    /// It cannot be loaded; what served before still does. All faults at once.
    Rejected {
        /// Why, at least one.
        faults: Vec<Fault>,
    },
    /// Something outside the candidate went wrong (memory, descriptors, the disk). It says nothing
    /// about the candidate, which is offered again later.
    Failed {
        /// What went wrong.
        reason: String,
    },
}

/// How a candidate was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Time to build the table.
    pub build: Duration,
    /// Time to swap it in.
    pub swap: Duration,
    /// Memory of the table, in bytes, as far as it is known.
    pub table_bytes: u64,
}

/// Whoever turns candidates into what serves. The gateway implements it.
pub trait Installer: Send + Sync + 'static {
    /// Builds, warms, checks and swaps. Called for one candidate at a time; the next one builds on
    /// this one if it was applied, and on what was before if not.
    fn install(&self, candidate: Arc<Candidate>) -> impl Future<Output = Outcome> + Send;

    /// Runs the checks of a candidate that was applied with [`Checks::Warn`], against what serves
    /// now; answers those that fail. Installing goes on meanwhile, and several may be checked at
    /// once. An installer without checks finds nothing.
    fn check(&self, candidate: Arc<Candidate>) -> impl Future<Output = Vec<Fault>> + Send {
        let _ = candidate;
        std::future::ready(Vec::new())
    }
}

impl Candidate {
    /// Whether nothing changes: the first view of an instance may be empty, and is installed all
    /// the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.registries.is_empty() && self.services.is_empty()
    }
}
