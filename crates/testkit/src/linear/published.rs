//! What publishes, syncs and edits of one service mean: it is published to `test`, synced from there
//! to `production`, and enabled and disabled in `test`.

use super::{Called, Model, linearize};

/// A service in two groups, whose version numbers are below a bound.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// The bound.
    pub versions_max: usize,
}

/// How the service is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// In `test`.
    pub test: Runs,
    /// In `production`.
    pub production: Runs,
    /// Version numbers that were used, a bit each.
    used: Vec<u64>,
}

/// What a group runs of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Runs {
    /// The number of the version; 0: none.
    pub version: usize,
    /// Whether it is disabled there.
    pub disabled: bool,
    /// The group's revision.
    pub revision: u64,
}

/// A call.
#[derive(Clone, Debug)]
pub enum Call {
    /// Publishes to `test` under this number.
    Publish {
        /// From 1.
        version: usize,
    },
    /// Syncs from `test` to `production`.
    Sync,
    /// Sets whether it is disabled in `test`, if it is there as it was seen.
    Set {
        /// What was seen; its revision does not count.
        seen: Runs,
        /// What it is to be.
        disabled: bool,
    },
}

/// What a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// From which version, to which, at which revision of the group; none: nothing changed.
    Made(usize, usize, Option<u64>),
    /// The number was used before.
    VersionExists,
    /// It is not as it was seen.
    Stale,
    /// There is nothing to sync.
    NotThere,
}

impl Model for Service {
    type State = State;
    type Call = Call;
    type Answer = Said;

    fn start(&self) -> State {
        State {
            test: Runs::default(),
            production: Runs::default(),
            used: vec![0; self.versions_max / 64 + 1],
        }
    }

    fn step(&self, state: &State, call: &Call, answer: Option<&Said>) -> Option<State> {
        let mut next = state.clone();
        let said = match call {
            Call::Publish { version } => {
                let (word, bit) = (version / 64, 1 << (version % 64));
                if state.used[word] & bit == 0 {
                    next.used[word] |= bit;
                    next.test.moves_to(*version)
                } else {
                    Said::VersionExists
                }
            }
            Call::Sync if state.test.version == 0 => Said::NotThere,
            Call::Sync if state.production.version == state.test.version => {
                Said::Made(state.test.version, state.test.version, None)
            }
            Call::Sync => next.production.moves_to(state.test.version),
            Call::Set { seen, disabled } => {
                let is = |runs: &Runs| (runs.version, runs.disabled);
                if is(seen) != is(&state.test) {
                    Said::Stale
                } else if *disabled == state.test.disabled {
                    Said::Made(state.test.version, state.test.version, None)
                } else {
                    next.test.disabled = *disabled;
                    next.test.moves_to(state.test.version)
                }
            }
        };
        answer.is_none_or(|answer| *answer == said).then_some(next)
    }
}

impl Runs {
    fn moves_to(&mut self, version: usize) -> Said {
        self.revision += 1;
        Said::Made(
            std::mem::replace(&mut self.version, version),
            version,
            Some(self.revision),
        )
    }
}

/// Judges a history in which all calls were answered, and enough of them collided for that to mean
/// something.
///
/// # Panics
///
/// When it is not linearizable: with the call that fits nowhere.
#[track_caller]
pub fn judge(history: &[Called<Call, Said>], versions_max: usize) {
    let count = |is: fn(&Said) -> bool| {
        let all = history.iter().filter_map(|called| called.ended.as_ref());
        all.filter(|(_, said)| is(said)).count()
    };
    let made = count(|said| matches!(said, Said::Made(_, _, Some(_))));
    let exists = count(|said| *said == Said::VersionExists);
    let stale = count(|said| *said == Said::Stale);
    assert!(
        made > history.len() / 6 && exists > history.len() / 30 && stale > 2,
        "{made} {exists} {stale}"
    );
    let order = linearize(&Service { versions_max }, history);
    let order = order.map_err(|violation| {
        let around = violation.longest.iter().rev().take(5);
        let around: Vec<_> = around.map(|n| &history[*n]).collect();
        format!(
            "{:?} fits nowhere after {around:?}",
            history[violation.misfit]
        )
    });
    assert_eq!(order.map(|order| order.len()), Ok(history.len()));
}
