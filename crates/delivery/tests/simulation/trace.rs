//! What happened in a run, in words: for people, and to tell whether two runs were one.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// The trace of a run. Clones write to the same one.
#[derive(Clone)]
pub(crate) struct Trace(Arc<Mutex<Report>>);

/// A run that is over.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    start: Instant,
    /// When, to whom, and the line.
    noted: Vec<(Duration, String, String)>,
    /// The first invariant that broke.
    pub(crate) broken: Option<String>,
    /// How often things happened.
    pub(crate) counts: BTreeMap<&'static str, usize>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Report {
            start: Instant::now(),
            noted: Vec::new(),
            broken: None,
            counts: BTreeMap::new(),
        })))
    }

    /// Something of this kind happened to somebody.
    pub(crate) fn note(&self, what: &'static str, whom: impl Display, detail: impl Display) {
        let mut report = self.lock();
        *report.counts.entry(what).or_insert(0) += 1;
        let at = report.start.elapsed();
        let whom = whom.to_string();
        let line = format!("{:>9.3} {whom:<2} {what} {detail}", at.as_secs_f64());
        report.noted.push((at, whom, line));
    }

    /// An invariant does not hold.
    pub(crate) fn broken(&self, why: impl Display) {
        let mut report = self.lock();
        let at = report.start.elapsed();
        let why = format!("{:.3} {why}", at.as_secs_f64());
        report.broken.get_or_insert(why);
    }

    /// Breaks, with what `why` says, unless it holds.
    pub(crate) fn holds<D: Display>(&self, holds: bool, why: impl FnOnce() -> D) {
        if !holds {
            self.broken(why());
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.lock().broken.is_some()
    }

    pub(crate) fn report(&self) -> Report {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().expect("nothing panics while it has it")
    }
}

impl Report {
    /// What happened, a line each. What happens to several at one moment happens in no order; here
    /// it gets one.
    pub(crate) fn lines(&self) -> Vec<&str> {
        let mut noted: Vec<_> = self.noted.iter().collect();
        noted.sort_by_key(|(at, whom, _)| (*at, whom));
        noted
            .into_iter()
            .map(|(_, _, line)| line.as_str())
            .collect()
    }

    /// The last lines, which are about what went wrong.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// How much of a trace is shown.
const TAIL_LINES: usize = 120;
