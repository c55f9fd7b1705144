//! An instance in the hands of a test.

use ferryway_delivery::{Peer, Presence};
use ferryway_model::{Key, Revision};
use ferryway_proto::{Ack, AckStage, Fault, Hello, Limits, Nack, Source, Stage, Status, Warnings};

use super::*;

/// An instance that says what it is told to say.
pub(super) struct Puppet {
    pub(super) peer: Peer,
    pub(super) core: Core,
}

impl Puppet {
    pub(super) fn joins(house: &House, group: &str) -> Self {
        let peer = Peer {
            instance: Uuid::now_v7(),
            boot: 1,
            attempt: 1,
            session: Uuid::now_v7(),
            group: named(group),
            address: None,
        };
        let puppet = Self {
            peer,
            core: house.core.clone(),
        };
        puppet.says_hello();
        puppet
    }

    /// The same instance dials another control plane.
    pub(super) fn again_at(&self, house: &House, attempt: u64) -> Self {
        let peer = Peer {
            session: Uuid::now_v7(),
            attempt,
            ..self.peer.clone()
        };
        let puppet = Self {
            peer,
            core: house.core.clone(),
        };
        puppet.says_hello();
        puppet
    }

    pub(super) fn says_hello(&self) {
        let hello = Hello {
            protocol: (1, 1),
            instance: self.peer.instance,
            boot: self.peer.boot,
            attempt: self.peer.attempt,
            group: self.peer.group.clone(),
            build: "test".into(),
            hostname: "host".into(),
            addresses: vec![],
            schemas: vec![1],
            plugins: vec![],
            limits: Limits {
                entries: 1,
                blob_bytes: 1,
                transaction_bytes: 1,
            },
            desired: None,
            effective: None,
            holds: vec![],
            held: 0,
            source: Source::Empty,
        };
        self.core.connected(&self.peer, &hello);
    }

    pub(super) fn position(&self) -> ferryway_proto::Position {
        self.core
            .0
            .sessions
            .feed(&self.peer.group)
            .expect("the group has a feed")
            .head()
            .position()
    }

    pub(super) fn applies(&self) {
        let position = self.position();
        let stage = AckStage::Applied {
            build: Duration::ZERO,
            swap: Duration::ZERO,
            table_bytes: 0,
        };
        let at = Some(position);
        self.core.acked(
            &self.peer,
            &Ack {
                transaction: position.revision,
                stage,
                desired: at,
                effective: at,
            },
        );
    }

    /// Says what checks have found that only warn, or that they run.
    pub(super) fn warns(&self, found: Option<Vec<Fault>>) {
        let transaction = self.position().revision;
        let warnings = Warnings { transaction, found };
        self.core.warned(&self.peer, &warnings);
    }

    pub(super) fn rejects(&self, service: &str) {
        self.rejects_more(service, 0);
    }

    /// Rejects this, and more than it can tell.
    pub(super) fn rejects_more(&self, service: &str, cut: u32) {
        let position = self.position();
        let fault = check_failed(service);
        let effective = ferryway_proto::Position {
            root: Digest::of(b"what it had"),
            ..position
        };
        let nack = Nack {
            transaction: position.revision,
            desired: Some(position),
            effective: Some(effective),
            faults: vec![fault],
            cut,
        };
        self.core.rejected(&self.peer, &nack);
    }

    /// Answers a heartbeat as an instance does that has come to `revision` and holds nothing.
    pub(super) fn stands_at(&self, revision: u64) {
        let at = Some(ferryway_proto::Position {
            revision: Revision(revision),
            ..self.position()
        });
        self.core.reported(
            &self.peer,
            &Status {
                desired: at,
                effective: at,
                holds: vec![],
                held: 0,
            },
        );
    }

    pub(super) fn leaves(&self) {
        self.core.disconnected(&self.peer);
    }
}

pub(super) fn check_failed(service: &str) -> Fault {
    Fault {
        key: Key::service(&named(service)),
        digest: None,
        stage: Stage::Check,
        code: "check_failed".into(),
        path: "checks[0]".into(),
        detail: "expected 200, got 500".into(),
        evidence: Some(r#"{"request":{},"response":{"status":500}}"#.into()),
    }
}
