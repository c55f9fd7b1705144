//! What goes on all the time: requests to every instance, writes to every control plane, and looks
//! at what must never fall.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ferryway_testkit::{Deadline, eventually};
use serde_json::{Value, json};

use super::fleet::{COUNT, Fleet, GROUP, PATH};
use crate::caller::{Caller, Request};
use crate::calls::{define, nodes, refused, service};
use crate::site::http_address;
use crate::upstream::Client;

/// All that goes on, until its end is asked for.
pub(super) struct Pressure {
    shared: Arc<Shared>,
    requests: Vec<JoinHandle<u64>>,
    writers: Vec<JoinHandle<Vec<String>>>,
    looks: Vec<JoinHandle<u64>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    /// Held by each writer while it makes a call.
    turns: RwLock<()>,
    /// Answered calls of each writer.
    written: [AtomicU64; COUNT],
}

/// A client sends a request this often: some hundred each second, and the machine has other work.
const REQUEST_EVERY: Duration = Duration::from_millis(5);
/// A writer publishes this often.
const WRITE_EVERY: Duration = Duration::from_millis(50);
/// What must not fall is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a writer waits for an answer before it asks another control plane.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How long a write may take in all, whatever is lost.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// Writes that each writer makes while something is lost.
const WRITES: u64 = 3;

/// The service that a writer publishes.
pub(super) fn written_by(writer: usize) -> String {
    format!("written-{writer}")
}

impl Pressure {
    /// Begins.
    #[track_caller]
    pub(super) fn on(fleet: &Fleet) -> Self {
        let shared = Arc::<Shared>::default();
        let apis = fleet.apis();
        let binding = nodes(&[fleet.upstream.address()]);
        let writers = (0..COUNT).map(|number| {
            let (name, path) = (written_by(number), format!("/{number}"));
            define(&fleet.controls[0].api(), &service(&name, &[("all", &path)]));
            let writer = Writer {
                number,
                at: number,
                caller: None,
                apis: apis.clone(),
                binding: binding.clone(),
            };
            let shared = Arc::clone(&shared);
            thread::spawn(move || writer.write(&shared))
        });
        let writers = writers.collect();
        let requests = fleet.gateways.iter().map(|gateway| {
            let (address, shared) = (http_address(gateway), Arc::clone(&shared));
            thread::spawn(move || send(address, &shared))
        });
        let of_planes = apis.iter().map(|api| {
            let path = format!("/api/v1/gateway-groups/{GROUP}");
            (*api, path, "/revision")
        });
        let of_instances = fleet.gateways.iter().map(|gateway| {
            let status = gateway.status_url("");
            let status = status.trim_start_matches("http://").parse();
            let status = status.expect("it is an address");
            (status, "/status".to_owned(), "/effective/revision")
        });
        let looks = of_planes.chain(of_instances).map(|(address, path, field)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || look(address, &path, field, &shared))
        });
        Self {
            requests: requests.collect(),
            looks: looks.collect(),
            writers,
            shared,
        }
    }

    /// Waits until every writer was answered a few times more.
    #[track_caller]
    pub(super) fn goes_on(&self) {
        let written = || {
            self.shared
                .written
                .each_ref()
                .map(|it| it.load(Ordering::SeqCst))
        };
        let before = written();
        eventually(WRITE_MAX, "all writers go on", || {
            let mut both = before.iter().zip(written());
            both.all(|(before, now)| now >= before + WRITES)
                .then_some(())
        });
    }

    /// Waits until no write is under way; none is begun as long as the guard is held.
    pub(super) fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.shared.turns.write().expect("no writer panicked")
    }

    /// Ends it all. Nothing must have failed; what was written, by each writer, in order.
    #[track_caller]
    #[expect(clippy::print_stdout, reason = "figures for who runs it alone")]
    pub(super) fn end(self) -> Vec<Vec<String>> {
        self.shared.over.store(true, Ordering::SeqCst);
        let joined = |of: Vec<JoinHandle<u64>>| -> Vec<u64> {
            let all = of.into_iter().map(|it| it.join().expect("nothing failed"));
            all.collect()
        };
        let (requests, looks) = (joined(self.requests), joined(self.looks));
        println!("requests {requests:?}, looks {looks:?}");
        assert!(requests.iter().chain(&looks).all(|count| *count > 100));
        let writers = self.writers.into_iter();
        let written = writers.map(|it| it.join().expect("no write failed"));
        written.collect()
    }
}

/// Sends requests on one connection. Each is answered with 200.
fn send(address: SocketAddr, shared: &Shared) -> u64 {
    let mut client = Client::connect(address).expect("the gateway listens");
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n");
    for count in 0.. {
        if shared.over.load(Ordering::SeqCst) {
            return count;
        }
        let answer = client.send(&request).and_then(|()| client.answer());
        let answer = answer.unwrap_or_else(|error| panic!("request {count}: {error}"));
        assert_eq!(answer.status, 200, "request {count}: {}", answer.text());
        thread::sleep(REQUEST_EVERY);
    }
    unreachable!("a test is not that long")
}

/// Looks at a number that never falls, wherever it can be asked.
fn look(address: SocketAddr, path: &str, field: &str, shared: &Shared) -> u64 {
    let (mut last, mut count) = (0, 0);
    let mut caller = None;
    while !shared.over.load(Ordering::SeqCst) {
        thread::sleep(LOOK_EVERY);
        let asked = ask(&mut caller, address, |caller| caller.probe(path));
        let Some(answer) = asked.filter(|answer| answer.status == 200) else {
            continue;
        };
        let number = answer.json().pointer(field).and_then(Value::as_u64);
        let number = number.unwrap_or_else(|| panic!("no {field} in {}", answer.text()));
        assert!(number >= last, "{path} of {address}: {number} after {last}");
        (last, count) = (number, count + 1);
    }
    count
}

/// Asks on a connection that is kept as long as it can be; none: there was no answer in time.
fn ask(
    caller: &mut Option<Caller>,
    address: SocketAddr,
    question: impl FnOnce(&mut Caller) -> std::io::Result<ferryway_testkit::Answer>,
) -> Option<ferryway_testkit::Answer> {
    let mut asked = caller.take().or_else(|| {
        let fresh = Caller::connect(address).ok()?;
        fresh.waits(ANSWER_MAX).ok()?;
        Some(fresh)
    })?;
    let answer = question(&mut asked).ok()?;
    *caller = Some(asked);
    Some(answer)
}

/// Who publishes one version after the other, each until it is answered.
struct Writer {
    number: usize,
    /// The control plane that it asks.
    at: usize,
    caller: Option<Caller>,
    apis: Vec<SocketAddr>,
    binding: Value,
}

impl Writer {
    fn write(mut self, shared: &Shared) -> Vec<String> {
        let mut written = Vec::new();
        for number in 1.. {
            let turn = shared.turns.read().expect("nobody panicked");
            if shared.over.load(Ordering::SeqCst) {
                break;
            }
            let version = format!("1.{number}");
            self.publish(&version);
            written.push(version);
            shared.written[self.number].fetch_add(1, Ordering::SeqCst);
            drop(turn);
            thread::sleep(WRITE_EVERY);
        }
        written
    }

    /// Publishes, at one control plane after the other until one answers; once all the same.
    fn publish(&mut self, version: &str) {
        let name = written_by(self.number);
        let request = Request {
            method: "POST",
            path: format!("/services/{name}/publish"),
            key: Some(format!("{name}-{version}")),
            tag: None,
            body: json!({
                "version": version,
                "groups": [{"group": GROUP, "binding": self.binding}],
            }),
        };
        let deadline = Deadline::after(WRITE_MAX);
        while !deadline.is_over() {
            let (caller, api) = (&mut self.caller, self.apis[self.at]);
            match ask(caller, api, |caller| caller.call(&request)) {
                Some(answer) if [200, 202].contains(&answer.status) => return,
                // The store can't be written from there now.
                Some(answer) if answer.status == 503 => {}
                // It was asked before, and is still at it.
                Some(answer) if refused(&answer, 409) == ["idempotency_key_in_progress"] => {}
                Some(answer) => panic!("{request:?}: {}: {}", answer.status, answer.text()),
                None => {}
            }
            self.caller = None;
            self.at = (self.at + 1) % self.apis.len();
            thread::sleep(REQUEST_EVERY);
        }
        panic!("{request:?} was not answered within {WRITE_MAX:?}");
    }
}
