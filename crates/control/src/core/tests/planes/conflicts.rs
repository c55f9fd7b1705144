//! Two control planes that are asked for conflicting changes, all the time: what they answered must
//! be what one could have answered, one call after the other.

use std::sync::atomic::{AtomicU64, Ordering};

use ferryway_runtime::Random;
use ferryway_testkit::linear::Called;
use ferryway_testkit::linear::published::{Call, Runs, Said, judge};

use super::*;

/// Calls made, over all control planes: enough that some collide at every step. `several_planes` of
/// the end-to-end tests makes more of them.
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
    judge(&history, VERSIONS_MAX);
    catches_up(&one, &two).await;
    catches_up(&two, &one).await;
    assert_eq!(one.runs(), two.runs());
}
