//! Which instances there are, and what each of them last said of itself: to this control plane, or
//! to another one, which tells it (`relay`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use ferryway_delivery::Peer;
use ferryway_model::{Digest, Kind, Name, Revision};
use ferryway_proto::{Ack, Fault, HeldEntry, Hello, Nack, Status};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::memory::Memory;
use super::records::InstanceRecord;
use super::warnings::Warnings;

/// An instance that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// Its id, which its data-dir keeps.
    pub(crate) id: String,
    /// Where it runs, which build, when it was last heard of.
    pub(crate) record: InstanceRecord,
    /// Its last stream, as far as any is known.
    pub(super) session: Option<Session>,
    /// Whether that stream is open.
    pub(super) online: bool,
    /// When others were last told of it.
    pub(super) told: Option<Instant>,
    /// Since when it is online, or offline.
    pub(crate) since: Timestamp,
    /// The view it was told to serve.
    pub(crate) desired: Option<Position>,
    /// The view it serves. Its revision is the one up to which everything is applied or held.
    pub(crate) effective: Option<Position>,
    /// Services it holds at earlier content, by name.
    pub(crate) held: BTreeMap<Name, Held>,
    /// What it said of checks that only warn.
    pub(super) warnings: Warnings,
    /// Forms of definitions that it can load; none: it has not said so since this start.
    pub(crate) schemas: Vec<u32>,
    /// When an earlier start of it was turned away last, and where that runs.
    contested: Option<(Timestamp, String)>,
}

/// The stream of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: Uuid,
    /// The control plane that has it; none: this one.
    pub(super) plane: Option<Uuid>,
    /// How often the instance had started, and dialled since. Of two streams, the one with the
    /// higher order is the later one, whatever anybody's clock says.
    pub(super) order: (u64, u64),
    /// Through which of this control plane's links it was last told of.
    pub(super) link: u64,
}

/// A place in a group's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The revision.
    pub(crate) revision: Revision,
    /// The digest of the whole content.
    pub(crate) root: Digest,
}

/// Why an instance holds a service at earlier content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    /// Of what it refused; none: of a removal.
    pub(crate) digest: Option<Digest>,
    /// For scripts.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
    /// What was seen.
    pub(crate) evidence: Option<Value>,
}

/// How often others are told that an instance is still there, although it is as it was.
const TELL_AGAIN: Duration = Duration::from_secs(10);

impl Instance {
    /// An instance that is known from the store only.
    pub(super) fn away(id: String, record: InstanceRecord) -> Self {
        Self {
            id,
            since: record.last_seen,
            record,
            session: None,
            online: false,
            told: None,
            desired: None,
            effective: None,
            held: BTreeMap::new(),
            warnings: Warnings::default(),
            schemas: Vec::new(),
            contested: None,
        }
    }

    /// Where another process runs with this instance's identity, if one wanted in lately.
    pub(crate) fn conflict(&self, now: Timestamp) -> Option<&str> {
        let (at, from) = self.contested.as_ref()?;
        (now.duration_since(*at) <= CONTESTED_FOR).then_some(from)
    }

    /// Whether it has a stream to this control plane, or to another one as far as that is known.
    pub(crate) fn is_online(&self) -> bool {
        self.online
    }

    /// Whether it serves the view of this root, and holds nothing.
    pub(crate) fn is_converged(&self, root: Option<Digest>) -> bool {
        self.held.is_empty()
            && root.is_some()
            && self.effective.map(|position| position.root) == root
    }

    /// The revision up to which it has applied or rejected everything.
    pub(super) fn settled(&self) -> Revision {
        self.effective
            .map_or(Revision(0), |position| position.revision)
    }

    fn moved(
        &mut self,
        desired: Option<ferryway_proto::Position>,
        effective: Option<ferryway_proto::Position>,
    ) {
        self.desired = desired.map(Into::into).or(self.desired);
        self.effective = effective.map(Into::into).or(self.effective);
    }

    /// Takes the holds as a message lists them; evidence that is known already stays.
    fn holds(&mut self, holds: &[HeldEntry]) {
        let mut known = std::mem::take(&mut self.held);
        let services = holds.iter().filter(|held| held.key.kind == Kind::Service);
        self.held = services
            .map(|held| {
                let same = known
                    .remove(&held.key.name)
                    .filter(|known| known.digest == held.digest);
                (held.key.name.clone(), same.unwrap_or_else(|| held.into()))
            })
            .collect();
    }
}

/// For how long it is said that an instance's data folder is in use twice, after it was seen: the
/// other process asks again every few seconds.
const CONTESTED_FOR: SignedDuration = SignedDuration::from_secs(60);

impl Memory {
    /// An earlier start of an instance that is connected was turned away.
    pub(super) fn contested(&mut self, peer: &Peer, at: Timestamp) {
        let instances = self.instances.get_mut(&peer.group);
        let id = peer.instance.to_string();
        if let Some(instance) = instances.and_then(|instances| instances.get_mut(&id)) {
            let from = peer.address.map(|address| address.ip().to_string());
            instance.contested = Some((at, from.unwrap_or_else(|| "unknown".to_owned())));
        }
    }

    /// An instance's stream began.
    pub(super) fn arrives(&mut self, peer: &Peer, hello: &Hello, at: Timestamp) {
        let id = peer.instance.to_string();
        let mut addresses = hello.addresses.clone();
        addresses.extend(peer.address.map(|address| address.ip().to_string()));
        let record = InstanceRecord {
            hostname: hello.hostname.clone(),
            build: hello.build.clone(),
            addresses,
            last_seen: at,
        };
        let instances = self.instances.entry(peer.group.clone()).or_default();
        let instance = instances
            .entry(id.clone())
            .or_insert_with(|| Instance::away(id.clone(), record.clone()));
        instance.record = record;
        instance.session = Some(Session {
            id: peer.session,
            plane: None,
            order: (peer.boot, peer.attempt),
            link: 0,
        });
        instance.online = true;
        instance.schemas.clone_from(&hello.schemas);
        instance.since = at;
        (instance.desired, instance.effective) = (None, None);
        instance.moved(hello.desired, hello.effective);
        instance.holds(&hello.holds);
        let warned = instance.warnings.clear();
        self.unsaved_instances
            .insert((peer.group.clone(), id.clone()));
        self.tell(&peer.group, &id);
        self.report(&peer.group, &id, at);
        if warned {
            self.look_again(&peer.group, &id, at);
        }
    }

    /// An instance has applied a transaction.
    pub(super) fn applied(&mut self, peer: &Peer, ack: &Ack, at: Timestamp) {
        let changed = self.services_of(&peer.group, ack.transaction);
        let Some(instance) = self.instance_of(peer) else {
            return;
        };
        instance.moved(ack.desired, ack.effective);
        // What a transaction changed and was applied is held no more; and equal roots hold nothing.
        instance.held.retain(|name, _| !changed.contains(name));
        if instance.desired.map(|p| p.root) == instance.effective.map(|p| p.root) {
            instance.held.clear();
        }
        self.tell(&peer.group, &peer.instance.to_string());
        self.report(&peer.group, &peer.instance.to_string(), at);
        self.tidy_warnings(peer, at);
    }

    /// An instance has rejected a transaction.
    pub(super) fn refused(&mut self, peer: &Peer, nack: &Nack, at: Timestamp) {
        let unnamed = match nack.cut {
            0 => Vec::new(),
            _ => self.services_of(&peer.group, nack.transaction),
        };
        let Some(instance) = self.instance_of(peer) else {
            return;
        };
        instance.moved(nack.desired, nack.effective);
        let services = nack
            .faults
            .iter()
            .filter(|fault| fault.key.kind == Kind::Service);
        let mut held: BTreeMap<Name, Held> = BTreeMap::new();
        for fault in services {
            match held.entry(fault.key.name.clone()) {
                Entry::Vacant(vacant) => drop(vacant.insert(fault.into())),
                Entry::Occupied(mut first) => first.get_mut().add(fault),
            }
        }
        instance.held.extend(held);
        // What no message names may be among what was left out.
        for name in unnamed {
            let held = instance.held.entry(name);
            held.or_insert_with(|| Held::left_out(nack.cut));
        }
        self.tell(&peer.group, &peer.instance.to_string());
        self.report(&peer.group, &peer.instance.to_string(), at);
    }

    /// An instance answered a heartbeat.
    pub(super) fn stands(&mut self, peer: &Peer, status: &Status, at: Timestamp) {
        let Some(instance) = self.instance_of(peer) else {
            return;
        };
        instance.record.last_seen = at;
        let before = (instance.desired, instance.effective, instance.held.clone());
        instance.moved(status.desired, status.effective);
        instance.holds(&status.holds);
        let is_as_before = before.0 == instance.desired
            && before.1 == instance.effective
            && before.2 == instance.held;
        let is_fresh = instance
            .told
            .is_some_and(|told| told.elapsed() < TELL_AGAIN);
        if !(is_as_before && is_fresh) {
            self.tell(&peer.group, &peer.instance.to_string());
        }
        self.report(&peer.group, &peer.instance.to_string(), at);
        self.tidy_warnings(peer, at);
    }

    /// An instance's stream ended.
    pub(super) fn leaves(&mut self, peer: &Peer, at: Timestamp) {
        let Some(instance) = self.instance_of(peer) else {
            return;
        };
        instance.online = false;
        let warned = instance.warnings.clear();
        instance.since = at;
        instance.record.last_seen = at;
        let id = instance.id.clone();
        self.unsaved_instances
            .insert((peer.group.clone(), id.clone()));
        self.tell(&peer.group, &id);
        self.away(&peer.group, &id, at);
        if warned {
            self.look_again(&peer.group, &id, at);
        }
    }

    /// Forgets an instance that is offline, whether the store knew it or not.
    pub(super) fn forget(&mut self, group: &Name, id: &str) {
        self.unsaved_instances
            .remove(&(group.clone(), id.to_owned()));
        if let Some(instances) = self.instances.get_mut(group)
            && instances
                .get(id)
                .is_some_and(|instance| !instance.is_online())
        {
            instances.remove(id);
        }
    }

    /// The instance at the other end of a stream, unless a newer stream has taken its place.
    pub(super) fn instance_of(&mut self, peer: &Peer) -> Option<&mut Instance> {
        let instance = self
            .instances
            .get_mut(&peer.group)?
            .get_mut(&peer.instance.to_string())?;
        let session = instance.session.filter(|_| instance.online)?;
        (session.id == peer.session && session.plane.is_none()).then_some(instance)
    }
}

impl From<ferryway_proto::Position> for Position {
    fn from(position: ferryway_proto::Position) -> Self {
        let ferryway_proto::Position {
            epoch: _,
            revision,
            root,
        } = position;
        Self { revision, root }
    }
}

impl Held {
    /// The same service has another fault. The first gives the code: an installer says first what
    /// it found first.
    fn add(&mut self, fault: &Fault) {
        self.message.push_str("; ");
        self.message.push_str(&placed(&fault.path, &fault.detail));
        if self.evidence.is_none() {
            self.evidence = fault.evidence.as_deref().map(evidence);
        }
    }

    /// More was rejected than could be told.
    fn left_out(cut: u32) -> Self {
        Self {
            digest: None,
            code: "rejected".to_owned(),
            message: format!(
                "changed together with so much that was rejected that {cut} faults were not told; \
                 the instance's own status names them"
            ),
            evidence: None,
        }
    }
}

impl From<&Fault> for Held {
    fn from(fault: &Fault) -> Self {
        Self {
            digest: fault.digest,
            code: fault.code.clone(),
            message: placed(&fault.path, &fault.detail),
            evidence: fault.evidence.as_deref().map(evidence),
        }
    }
}

impl From<&HeldEntry> for Held {
    fn from(held: &HeldEntry) -> Self {
        let message = placed(&held.path, &held.detail);
        Self {
            digest: held.digest,
            code: held.code.clone(),
            message,
            evidence: None,
        }
    }
}

pub(super) fn placed(path: &str, detail: &str) -> String {
    if path.is_empty() {
        detail.to_owned()
    } else {
        format!("{path}: {detail}")
    }
}

/// Evidence travels as JSON text; what an instance sends instead is shown as it is.
pub(crate) fn evidence(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
