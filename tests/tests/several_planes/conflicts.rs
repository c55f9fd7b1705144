//! Two control planes that are asked for conflicting publishes, syncs and edits, all the time: what
//! they answered must be what one could have answered, one call after the other; and neither of them
//! gets all the turns, also where it is busier than the other one, or nearer to etcd.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ferryway_runtime::Random;
use ferryway_testkit::linear::Called;
use ferryway_testkit::linear::published::{Call, Runs, Said, judge};
use ferryway_testkit::{Answer, Control, Deadline, Etcd};
use serde_json::{Value, json};

use super::fleet::address;
use super::slow::Slow;
use crate::caller::{Caller, Request};
use crate::calls::{define, service};
use crate::site::make_group;

/// Longer than all calls take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Two control planes, and who calls them.
struct Case {
    /// Calls made, over both; `FERRYWAY_CALLS` says otherwise.
    calls: u64,
    /// Callers at each.
    callers: [u64; 2],
    /// How much later everything is that the first one and etcd tell each other.
    delay: Duration,
    /// The least share of the calls that the first one comes to, of 100. Among equals it is half.
    share_min: u64,
}

#[test]
fn what_two_answered_one_could_have() {
    check(&Case {
        calls: 500,
        callers: [6, 6],
        delay: Duration::ZERO,
        share_min: 30,
    });
}

#[test]
fn one_caller_is_not_starved_by_many_elsewhere() {
    check(&Case {
        calls: 300,
        callers: [1, 11],
        delay: Duration::ZERO,
        share_min: 15,
    });
}

#[test]
fn one_that_is_far_from_etcd_is_not_starved() {
    check(&Case {
        calls: 300,
        callers: [6, 6],
        delay: Duration::from_millis(4),
        share_min: 15,
    });
}

/// What the callers have in common.
struct Shared {
    planes: [SocketAddr; 2],
    calls: u64,
    /// Calls that were begun.
    begun: AtomicU64,
    moments: AtomicU64,
}

/// Who calls one control plane, of what it sees at the other one.
struct Conflicting {
    plane: usize,
    here: Caller,
    there: Caller,
    random: Random,
    shared: Arc<Shared>,
    /// The longest that an answer took.
    longest: Duration,
    history: Vec<Called<Call, Said>>,
}

#[track_caller]
#[expect(clippy::print_stdout, reason = "figures for who runs it alone")]
fn check(case: &Case) {
    let calls = std::env::var("FERRYWAY_CALLS").ok();
    let calls = calls.map_or(case.calls, |it| it.parse().expect("it is a number"));
    let etcd = Etcd::start();
    let far = Slow::start(&etcd.member(0), case.delay);
    let stores = [format!("etcd://{}", far.address), etcd.url()];
    let controls = stores.map(|store| Control::start_with(&["--store", &store]));
    let api = controls[0].api();
    make_group(&api, "test");
    make_group(&api, "production");
    define(&api, &service("a", &[("all", "/a")]));
    let shared = Arc::new(Shared {
        planes: controls.each_ref().map(address),
        calls,
        begun: AtomicU64::new(0),
        moments: AtomicU64::new(0),
    });
    let began = Deadline::after(PATIENCE);
    let planes = (0..2).flat_map(|plane| (0..case.callers[plane]).map(move |_| plane));
    let callers = planes.zip(0..).map(|(plane, seed)| {
        let caller = Conflicting::new(plane, seed, &shared);
        thread::spawn(move || caller.call_all())
    });
    let callers: Vec<_> = callers.collect();
    let (mut history, mut counts) = (Vec::new(), [0_u64; 2]);
    let mut longest = [Duration::ZERO; 2];
    for caller in callers {
        let caller = caller.join().expect("no call fails");
        counts[caller.plane] += caller.history.len() as u64;
        longest[caller.plane] = longest[caller.plane].max(caller.longest);
        history.extend(caller.history);
    }
    let took = PATIENCE - began.left();
    println!("{calls} calls in {took:?}: {counts:?} at each, longest {longest:?}");
    assert!(counts[0] * 100 >= calls * case.share_min, "{counts:?}");
    judge(&history, versions_max(calls) as usize);
}

/// Version numbers that are asked for; each about three times.
fn versions_max(calls: u64) -> u64 {
    calls / 6
}

impl Conflicting {
    fn new(plane: usize, seed: u64, shared: &Arc<Shared>) -> Self {
        let caller = |plane: usize| Caller::connect(shared.planes[plane]).expect("it listens");
        Self {
            plane,
            here: caller(plane),
            there: caller(1 - plane),
            random: Random::seeded(seed),
            shared: Arc::clone(shared),
            longest: Duration::ZERO,
            history: Vec::new(),
        }
    }

    fn call_all(mut self) -> Self {
        while self.shared.begun.fetch_add(1, Ordering::SeqCst) < self.shared.calls {
            self.call();
        }
        self
    }

    fn call(&mut self) {
        let (seen, tag) = self.seen();
        let call = match self.random.below(4) {
            0 | 1 => Call::Publish {
                version: 1 + self.random.below(versions_max(self.shared.calls) - 1) as usize,
            },
            2 => Call::Sync,
            _ if seen.version == 0 => Call::Sync,
            _ => Call::Set {
                seen,
                disabled: self.random.below(2) == 0,
            },
        };
        let request = request(&call, tag);
        let moment = || self.shared.moments.fetch_add(1, Ordering::SeqCst);
        let began = moment();
        let deadline = Deadline::after(PATIENCE);
        let answer = self.here.call(&request).expect("it answers");
        let ended = moment();
        self.longest = self.longest.max(PATIENCE - deadline.left());
        let ended = Some((ended, said(&request, &answer)));
        self.history.push(Called { call, began, ended });
    }

    /// What the other control plane shows of the service in `test`, and its tag.
    fn seen(&mut self) -> (Runs, Option<String>) {
        let answer = self.there.get("/gateway-groups/test/services/a");
        let answer = answer.expect("it answers");
        if answer.status == 404 {
            return (Runs::default(), None);
        }
        let published = answer.json_of(200);
        let runs = Runs {
            version: number(&published["version"]),
            disabled: published["enabled"] == false,
            revision: 0,
        };
        (runs, answer.header("etag").map(str::to_owned))
    }
}

fn number(version: &Value) -> usize {
    let version = version.as_str();
    version.map_or(0, |version| version.parse().expect("is one of ours"))
}

fn request(call: &Call, tag: Option<String>) -> Request {
    let to = |group: &str| {
        let binding = json!({"nodes": [{"host": "10.0.0.1", "port": 80}]});
        json!([{"group": group, "binding": binding}])
    };
    let (method, path, tag, body) = match call {
        Call::Publish { version } => (
            "POST",
            "/services/a/publish",
            None,
            json!({"version": version.to_string(), "groups": to("test")}),
        ),
        Call::Sync => (
            "POST",
            "/gateway-groups/test/services/a/sync",
            None,
            json!({"to": to("production")}),
        ),
        Call::Set { disabled, .. } => (
            "PATCH",
            "/gateway-groups/test/services/a",
            tag,
            json!({"enabled": !disabled}),
        ),
    };
    Request {
        method,
        path: path.to_owned(),
        key: None,
        tag,
        body,
    }
}

fn said(request: &Request, answer: &Answer) -> Said {
    let body = answer.json();
    if [200, 202].contains(&answer.status) {
        let at = &body["destinations"][0];
        return Said::Made(
            number(&at["from_version"]),
            number(&at["version"]),
            at["revision"].as_u64(),
        );
    }
    match (answer.status, body["problems"][0]["code"].as_str()) {
        (412, _) => Said::Stale,
        (409, Some("version_exists")) => Said::VersionExists,
        (_, Some("not_found")) => Said::NotThere,
        _ => panic!("{request:?}: {}: {body}", answer.status),
    }
}
