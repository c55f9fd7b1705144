//! Two control planes that are asked for conflicting changes, all the time: what they answered must
//! be what one could have answered, one call after the other.

use std::sync::atomic::{AtomicU64, Ordering};

use ferryway_runtime::Random;
use ferryway_testkit::linear::{Called, Model, linearize};

use super::*;

/// A service in two groups, and its version numbers.
struct Service;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    test: Runs,
    production: Runs,
    /// Version numbers that were used, a bit each.
    used: Vec<u64>,
}

/// What a group runs of the service, at which revision. Version 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Runs {
    version: usize,
    disabled: bool,
    revision: u64,
}

#[derive(Clone, Debug)]
enum Call {
    Publish {
        version: usize,
    },
    Sync,
    /// Sets whether it is enabled in `test`, if it is as it was seen there.
    Set {
        seen: Runs,
        disabled: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// From which version, to which, at which revision; none: nothing changed.
    Made(usize, usize, Option<u64>),
    VersionExists,
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
            used: vec![0; VERSIONS_MAX / 64 + 1],
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

/// Calls made, over all control planes: enough that some collide at every step. The same ran with
/// 10,000; `bench` says what that takes.
const CALLS: usize = 600;
/// Version numbers that are asked for; each about three times.
const VERSIONS_MAX: usize = CALLS / 3;
/// Callers at each control plane.
const CALLERS: usize = 6;

/// What is seen of the service in `test`.
fn seen(house: &House) -> (Runs, IfMatch) {
    house.core.read(|memory| {
        let (group, service) = (named("test"), named("a"));
        let entry = memory.groups[&group].view.service(&service);
        let runs = entry.map_or_else(Runs::default, |entry| Runs {
            version: number(entry.version.as_ref().map(VersionNumber::as_str)),
            disabled: !entry.enabled,
            revision: 0,
        });
        let tags = memory.published_etag(&group, &service).into_iter();
        (runs, IfMatch::Tags(tags.collect()))
    })
}

fn number(version: Option<&str>) -> usize {
    version.map_or(0, |version| version.parse().expect("is one of ours"))
}

async fn make(house: &House, call: &Call, if_match: &IfMatch) -> Said {
    let request = match call {
        Call::Publish { version } => publish("a", &version.to_string(), &["test"]),
        Call::Sync => sync("production"),
        Call::Set { disabled, .. } => Request::Set {
            group: named("test"),
            service: named("a"),
            binding: None,
            enabled: Some(!disabled),
        },
    };
    let options = CallOptions::default();
    let core = &house.core;
    let made = core
        .change(&actor(), &request, &options, if_match, None)
        .await;
    match made {
        Ok(operation) => {
            let at = &operation.destinations[0];
            Said::Made(
                number(at.from_version.as_deref()),
                number(at.version.as_deref()),
                at.revision,
            )
        }
        Err(CoreError::Stale) => Said::Stale,
        Err(refused) => match codes(refused)[..] {
            [Code::VersionExists] => Said::VersionExists,
            [Code::NotFound] => Said::NotThere,
            ref other => panic!("{other:?}"),
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_answered_one_could_have() {
    let (one, two) = two(Engine::Embedded).await;
    let (one, two) = (Arc::new(one), Arc::new(two));
    let moments = Arc::new(AtomicU64::new(0));
    let moment = |moments: &AtomicU64| moments.fetch_add(1, Ordering::SeqCst);
    let callers = (0..2 * CALLERS).map(|n| {
        let (one, two) = (Arc::clone(&one), Arc::clone(&two));
        let moments = Arc::clone(&moments);
        let mut random = Random::seeded(n as u64);
        let calls = async move {
            let mut history = Vec::new();
            for _ in 0..CALLS / (2 * CALLERS) {
                // What is seen at one is asked of the other.
                let (here, there) = if n % 2 == 0 {
                    (&one, &two)
                } else {
                    (&two, &one)
                };
                let (seen, tags) = seen(there);
                let call = match random.below(4) {
                    0 | 1 => Call::Publish {
                        version: 1 + random.below(VERSIONS_MAX as u64 - 1) as usize,
                    },
                    2 => Call::Sync,
                    _ if seen.version == 0 => Call::Sync,
                    _ => Call::Set {
                        seen,
                        disabled: random.below(2) == 0,
                    },
                };
                let if_match = match call {
                    Call::Set { .. } => tags,
                    Call::Publish { .. } | Call::Sync => IfMatch::Anything,
                };
                let began = moment(&moments);
                let said = make(here, &call, &if_match).await;
                let ended = Some((moment(&moments), said));
                history.push(Called { call, began, ended });
            }
            history
        };
        #[expect(clippy::disallowed_methods, reason = "the callers are to run at once")]
        tokio::spawn(calls)
    });
    let callers: Vec<_> = callers.collect();
    let mut history = Vec::new();
    for caller in callers {
        history.extend(caller.await.expect("no call panics"));
    }
    let said = |is: fn(&Said) -> bool| {
        let all = history
            .iter()
            .filter_map(|called: &Called<Call, Said>| called.ended.as_ref());
        all.filter(|(_, said)| is(said)).count()
    };
    let made = said(|said| matches!(said, Said::Made(_, _, Some(_))));
    let exists = said(|said| *said == Said::VersionExists);
    let stale = said(|said| *said == Said::Stale);
    assert!(
        made > 100 && exists > 20 && stale > 2,
        "{made} {exists} {stale}"
    );
    let order = linearize(&Service, &history);
    let order = order.map_err(|violation| {
        let around = violation.longest.iter().rev().take(5);
        let around: Vec<_> = around.map(|n| &history[*n]).collect();
        format!(
            "{:?} fits nowhere after {around:?}",
            history[violation.misfit]
        )
    });
    assert_eq!(order.map(|order| order.len()), Ok(history.len()));
    catches_up(&one, &two).await;
    catches_up(&two, &one).await;
    assert_eq!(one.runs(), two.runs());
}
