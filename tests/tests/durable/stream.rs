//! A group that changes all the time, two services in each transaction, so that a gateway has
//! something to write and half of it would show.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ferryway_testkit::eventually;
use serde_json::{Value, json};

use super::instance::Instance;
use super::machine::Machine;
use crate::caller::{Caller, Request};
use crate::calls::nodes;
use crate::site::GROUP;
use crate::upstream::Upstream;

/// A control plane, an upstream, and what was published so far.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) machine: Machine,
    upstream: Upstream,
    mark: u32,
    /// The root and the mark of each revision of the group.
    known: BTreeMap<u64, (String, u32)>,
}

/// Where the services are published before they are synced together.
const SOURCE: &str = "source";
const SERVICES: [&str; 2] = ["left", "right"];
/// How long a gateway may take to come to rest on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(15);

impl Stream {
    /// A control plane with the first change made.
    #[track_caller]
    pub(super) fn start() -> Self {
        let mut machine = Machine::new();
        machine.start();
        let mut stream = Self {
            machine,
            upstream: Upstream::start(),
            mark: 0,
            known: BTreeMap::new(),
        };
        for group in [SOURCE, GROUP] {
            stream.call(
                "PUT",
                format!("/gateway-groups/{group}"),
                json!({"name": group}),
            );
        }
        stream.step();
        stream
    }

    /// One change: both services get a version of their own, and reach the group in one transaction.
    #[track_caller]
    pub(super) fn step(&mut self) {
        self.mark += 1;
        let mark = self.mark;
        let binding = nodes(&[self.upstream.address()]);
        for service in SERVICES {
            let route = json!({"name": "only", "paths": [format!("/{service}/{mark}")]});
            let definition = json!({"name": service, "routes": [route]});
            self.call("PUT", format!("/services/{service}"), definition);
            let to = json!({"group": SOURCE, "binding": binding});
            let publish = json!({"version": format!("v{mark}"), "groups": [to]});
            self.call("POST", format!("/services/{service}/publish"), publish);
        }
        let services = SERVICES.map(|service| json!({"service": service}));
        let bindings: Value = SERVICES
            .map(|service| (service.to_owned(), binding.clone()))
            .into_iter()
            .collect();
        let sync = json!({"services": services, "to": [{"group": GROUP, "bindings": bindings}]});
        self.call("POST", format!("/gateway-groups/{SOURCE}/sync"), sync);
        let group = Caller::connect(self.machine.api())
            .and_then(|mut caller| caller.get(&format!("/gateway-groups/{GROUP}")))
            .expect("nobody kills the control plane")
            .json_of(200);
        let (revision, root) = position(&group);
        self.known.insert(revision, (root, mark));
    }

    /// The newest revision.
    pub(super) fn revision(&self) -> u64 {
        *self.known.last_key_value().expect("there is a first").0
    }

    /// What the gateway serves is what was published with one revision, whole. Answers which.
    ///
    /// It may be catching up meanwhile, and says so a moment after it serves it; so it is asked
    /// again while what it says and what it serves differ. Half of a revision would go on differing.
    #[track_caller]
    pub(super) fn check(&self, instance: &Instance) -> u64 {
        eventually(SETTLED_WITHIN, "one revision being served, whole", || {
            let (revision, root) = position(&instance.status()["effective"]);
            let (known, mark) = self
                .known
                .get(&revision)
                .unwrap_or_else(|| panic!("revision {revision} was never published"));
            assert_eq!(root, *known, "the root of revision {revision}");
            let is_whole = SERVICES.iter().all(|service| {
                let at = |mark: u32| instance.serves(&format!("/{service}/{mark}"));
                (at(mark - 1), at(*mark), at(mark + 1)) == (404, 200, 404)
            });
            let still = position(&instance.status()["effective"]).0;
            (is_whole && still == revision).then_some(revision)
        })
    }

    #[track_caller]
    fn call(&self, method: &'static str, path: String, body: Value) {
        let request = Request {
            method,
            path,
            key: None,
            tag: None,
            body,
        };
        let answer = Caller::connect(self.machine.api())
            .and_then(|mut caller| caller.call(&request))
            .expect("nobody kills the control plane");
        let is_well = [200, 201, 202].contains(&answer.status);
        assert!(is_well, "{request:?}: {} {}", answer.status, answer.text());
    }
}

/// An address at which nobody listens.
pub(super) fn nobody() -> String {
    let [port] = ferryway_testkit::ports::free();
    format!("http://{}", SocketAddr::from(([127, 0, 0, 1], port)))
}

/// The revision and root in a group or an instance's status.
#[track_caller]
pub(super) fn position(of: &Value) -> (u64, String) {
    let revision = of["revision"].as_u64();
    let root = of["root"].as_str();
    match (revision, root) {
        (Some(revision), Some(root)) => (revision, root.to_owned()),
        _ => panic!("{of} has no position"),
    }
}
