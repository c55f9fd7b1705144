//! Writers: each changes what is its own and, with the others, a group that all of them share; and
//! notes down what it asked and what it was told.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use ferryway_runtime::Random;
use ferryway_testkit::Answer;
use serde_json::{Value, json};

use crate::caller::{Caller, Request};
use crate::calls::refused;

use super::history::{Brings, Call, Effect, Outcome, Place, version};
use super::machine::Machine;

/// The group in which all writers' services run.
const SHARED: &str = "all";
/// The mark of what was made before anybody wrote; marks of calls are above it.
const FIRST_MARK: u32 = 1;

/// Makes the group that they share.
#[track_caller]
pub(super) fn make_shared(machine: &Machine) -> Call {
    let target = format!("gateway-groups/{SHARED}");
    let request = Request {
        method: "PUT",
        path: format!("/{target}"),
        key: None,
        tag: None,
        body: json!({"name": SHARED, "title": FIRST_MARK.to_string()}),
    };
    let made = Caller::connect(machine.api()).and_then(|mut caller| caller.call(&request));
    made.expect("it is ready").json_of(201);
    Call {
        mark: FIRST_MARK,
        effect: Effect::Plain {
            action: "put group",
            target,
            moves: None,
        },
        outcome: Outcome::Answered(None),
    }
}

/// A writer, with all that it has done so far.
#[derive(Debug)]
pub(super) struct Writer {
    number: u32,
    writers: u32,
    calls: Vec<Call>,
    random: Random,
    /// Calls with a key that were answered, and how.
    keyed: Vec<(Request, Outcome)>,
    /// A call that was cut off and has a key: it is made again.
    pending: Option<Request>,
    /// How many calls were refused because the store could not be written.
    refused: u32,
}

/// Every so many answered calls, one of the keyed ones is made once more.
const AGAIN_ONE_IN: u64 = 8;

impl Writer {
    /// One of so many.
    pub(super) fn new(number: u32, writers: u32, seed: u64) -> Self {
        Self {
            number,
            writers,
            calls: Vec::new(),
            random: Random::seeded(seed.wrapping_mul(1_000).wrapping_add(u64::from(number))),
            keyed: Vec::new(),
            pending: None,
            refused: 0,
        }
    }

    /// How many calls were refused because the store could not be written. Whether a change was made
    /// all the same is not known then.
    pub(super) fn refused(&self) -> u32 {
        self.refused
    }

    pub(super) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Makes what the other calls change.
    #[track_caller]
    pub(super) fn prepare(&mut self, api: SocketAddr) {
        let mut caller = Caller::connect(api).expect("it is ready");
        for kind in [
            Kind::PutGroup(true),
            Kind::PutGroup(false),
            Kind::PutService,
            Kind::Publish,
            Kind::Sync,
        ] {
            self.ask(kind, &mut caller)
                .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        }
    }

    /// Writes until the control plane is gone or nobody counts the answers any more. Each answer is
    /// counted.
    #[track_caller]
    pub(super) fn write(&mut self, api: SocketAddr, answered: &Sender<()>) {
        let Ok(mut caller) = Caller::connect(api) else {
            return;
        };
        if self.look_again(&mut caller).is_err() {
            return;
        }
        loop {
            let kind = Kind::any(&mut self.random);
            if self.ask(kind, &mut caller).is_err() || answered.send(()).is_err() {
                return;
            }
            if self.random.below(AGAIN_ONE_IN) == 0 && self.repeat(&mut caller).is_err() {
                return;
            }
        }
    }

    /// First of all: what was answered last is there, and what was cut off is asked again.
    #[track_caller]
    pub(super) fn look_again(&mut self, caller: &mut Caller) -> std::io::Result<()> {
        let answered = self
            .calls
            .iter()
            .rev()
            .find_map(|call| match &call.outcome {
                Outcome::Answered(operation) => operation.clone(),
                Outcome::Cut => None,
            });
        if let Some(id) = answered {
            let answer = caller.get(&format!("/operations/{id}"))?;
            assert_eq!(answer.status, 200, "lost: {id}: {}", answer.text());
        }
        if let Some(request) = self.pending.clone() {
            let answer = caller.call(&request)?;
            self.note(request, &answer);
            assert!(self.pending.is_none(), "{}", answer.text());
        }
        Ok(())
    }

    /// Makes a call again that was answered: the answer is the same.
    #[track_caller]
    fn repeat(&mut self, caller: &mut Caller) -> std::io::Result<()> {
        let count = self.keyed.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let (request, told) = &self.keyed[self.random.below(count) as usize];
        let answer = caller.call(request)?;
        // What was answered is read from the store, which may be away.
        if answer.status == 503 {
            check_refusal(&answer);
            self.refused += 1;
            return Ok(());
        }
        assert_eq!(outcome(request, &answer), *told, "{request:?}");
        Ok(())
    }

    /// Makes a call. It is noted before it is made.
    #[track_caller]
    fn ask(&mut self, kind: Kind, caller: &mut Caller) -> std::io::Result<()> {
        let count = u32::try_from(self.calls.len()).expect("a test makes few calls");
        let mark = FIRST_MARK + 1 + count * self.writers + self.number;
        let (effect, mut request) = self.call(kind, mark);
        if request.method == "POST" && self.random.below(3) > 0 {
            request.key = Some(format!("key-{mark}"));
        }
        self.calls.push(Call {
            mark,
            effect,
            outcome: Outcome::Cut,
        });
        self.pending = request.key.is_some().then(|| request.clone());
        let answer = caller.call(&request)?;
        self.note(request, &answer);
        Ok(())
    }

    /// The last call was answered.
    #[track_caller]
    fn note(&mut self, request: Request, answer: &Answer) {
        if answer.status == 503 {
            check_refusal(answer);
            self.refused += 1;
            return;
        }
        self.pending = None;
        let outcome = outcome(&request, answer);
        let last = self.calls.last_mut().expect("it was noted");
        last.outcome = outcome.clone();
        if request.key.is_some() {
            self.keyed.push((request, outcome));
        }
    }

    fn call(&self, kind: Kind, mark: u32) -> (Effect, Request) {
        let number = self.number;
        let (own, next) = (format!("own-{number}"), format!("next-{number}"));
        let service = format!("service-{number}");
        let place = |group: &str| -> Place { (group.to_owned(), service.clone()) };
        let operation = |kind, groups: &[&str], brings| Effect::Operation {
            kind,
            places: groups.iter().map(|group| place(group)).collect(),
            brings,
        };
        let plain = |action, target: &str, moves: Option<&str>| Effect::Plain {
            action,
            target: target.to_owned(),
            moves: moves.map(str::to_owned),
        };
        let binding = json!({"nodes": [{"host": "10.0.0.1", "port": mark}]});
        let destination = |group: &str| json!({"group": group, "binding": binding});
        let title = mark.to_string();
        let (effect, method, path, body) = match kind {
            Kind::Publish => (
                operation("publish", &[&own, SHARED], Brings::Own),
                "POST",
                format!("/services/{service}/publish"),
                json!({"version": version(mark), "groups": [destination(&own), destination(SHARED)]}),
            ),
            Kind::Sync => (
                operation("sync", &[&next], Brings::Of(place(&own))),
                "POST",
                format!("/gateway-groups/{own}/services/{service}/sync"),
                json!({"to": [destination(&next)]}),
            ),
            Kind::Bind => (
                operation("binding", &[SHARED], Brings::Kept),
                "PATCH",
                format!("/gateway-groups/{SHARED}/services/{service}"),
                json!({"binding": binding}),
            ),
            Kind::PutService => (
                plain("put service", &format!("services/{service}"), None),
                "PUT",
                format!("/services/{service}"),
                json!({"name": service, "title": title,
                    "routes": [{"name": "only", "paths": [format!("/{number}/{mark}")]}]}),
            ),
            Kind::PutGroup(is_own) => {
                let name = if is_own { &own } else { &next };
                let path = format!("gateway-groups/{name}");
                let body = json!({"name": name, "title": title});
                (
                    plain("put group", &path, None),
                    "PUT",
                    format!("/{path}"),
                    body,
                )
            }
            Kind::PostGroup => {
                let name = format!("new-{mark}");
                let effect = plain("put group", &format!("gateway-groups/{name}"), None);
                let body = json!({"name": name, "title": title});
                (effect, "POST", "/gateway-groups".to_owned(), body)
            }
            Kind::PutRegistry => {
                let path = format!("gateway-groups/{own}/registries/dns");
                let endpoint = format!("10.0.0.1:{mark}");
                (
                    plain("put registry", &path, Some(&own)),
                    "PUT",
                    format!("/{path}"),
                    json!({"name": "dns", "title": title, "kind": "dns", "endpoints": [endpoint]}),
                )
            }
        };
        let request = Request {
            method,
            path,
            key: None,
            tag: None,
            body,
        };
        (effect, request)
    }
}

/// What a call is about.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Publish,
    Sync,
    Bind,
    PutService,
    /// The writer's own group, or the one that it syncs to.
    PutGroup(bool),
    PostGroup,
    PutRegistry,
}

impl Kind {
    fn any(random: &mut Random) -> Self {
        match random.below(14) {
            0..4 => Self::Publish,
            4..7 => Self::Sync,
            7..9 => Self::Bind,
            9..11 => Self::PutService,
            11 => Self::PutGroup(random.below(2) == 0),
            12 => Self::PostGroup,
            _ => Self::PutRegistry,
        }
    }
}

/// What an answer says. Nothing that a writer asks for may be refused.
#[track_caller]
fn outcome(request: &Request, answer: &Answer) -> Outcome {
    let is_well = [200, 201, 202].contains(&answer.status);
    assert!(is_well, "{request:?}: {} {}", answer.status, answer.text());
    let body: Value = answer.json();
    Outcome::Answered(body["operation"].as_str().map(str::to_owned))
}

/// A refusal for want of a store says why, what to do, and when to come again.
#[track_caller]
fn check_refusal(answer: &Answer) {
    assert_eq!(refused(answer, 503), ["store_unavailable"]);
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("store.redb"), "{detail}");
    let after = answer.header("retry-after").and_then(|it| it.parse().ok());
    assert!(after.is_some_and(|seconds: u64| seconds > 0), "{answer:?}");
}
