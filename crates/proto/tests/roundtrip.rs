//! What one end encodes, the other decodes to the same; and what no honest end sends is refused
//! with the name of the field.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ferryway_model::{Digest, Entry, Key, Name, RegistryEntry, Revision, ServiceEntry};
use ferryway_proto::limits::CONTROLS_MAX;
use ferryway_proto::wire;
use ferryway_proto::{
    Ack, AckStage, AgentMessage, Blob, Cause, Chunk, ControlMessage, Encoding, Epoch, Fault,
    FetchRequest, GoAway, Heartbeat, HeldEntry, Hello, Limits, Nack, Part, Position, Reason,
    Reconcile, Resume, Retry, Source, Stage, Status, Transaction, Warnings, Welcome,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use uuid::Uuid;

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?".prop_map(|text| text.parse().expect("is a name"))
}

fn key() -> impl Strategy<Value = Key> {
    (any::<bool>(), name()).prop_map(|(is_service, name)| {
        if is_service {
            Key::service(&name)
        } else {
            Key::registry(&name)
        }
    })
}

fn entry() -> impl Strategy<Value = (Key, Entry)> {
    let service = (
        name(),
        option::of("[A-Za-z0-9][A-Za-z0-9._+-]{0,9}"),
        digest(),
        digest(),
    );
    prop_oneof![
        (service, any::<bool>()).prop_map(|((name, version, definition, binding), enabled)| {
            let entry = ServiceEntry {
                version: version.map(|text| text.parse().expect("is a version")),
                definition,
                binding,
                enabled,
                candidate: None,
                rollout: None,
            };
            (Key::service(&name), Entry::Service(entry))
        }),
        (name(), digest()).prop_map(|(name, content)| {
            (
                Key::registry(&name),
                Entry::Registry(RegistryEntry { content }),
            )
        }),
    ]
}

fn entries() -> impl Strategy<Value = BTreeMap<Key, Entry>> {
    vec(entry(), 0..5).prop_map(|entries| entries.into_iter().collect())
}

fn position() -> impl Strategy<Value = Position> {
    (uuid(), any::<u64>(), any::<u64>(), digest()).prop_map(|(store, restores, revision, root)| {
        Position {
            epoch: Epoch { store, restores },
            revision: Revision(revision),
            root,
        }
    })
}

fn positions() -> impl Strategy<Value = (Option<Position>, Option<Position>)> {
    (option::of(position()), option::of(position()))
}

fn millis() -> impl Strategy<Value = Duration> {
    (0_u64..3_600_000).prop_map(Duration::from_millis)
}

fn blob() -> impl Strategy<Value = Blob> {
    (vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(content, plain)| Blob {
        encoding: if plain {
            Encoding::Plain
        } else {
            Encoding::Zstd
        },
        length: if plain { content.len() as u32 } else { 77 },
        content: content.into(),
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    proptest::sample::select(vec![
        Stage::Decode,
        Stage::Limit,
        Stage::Schema,
        Stage::Reference,
        Stage::Build,
        Stage::Check,
        Stage::Runtime,
    ])
}

fn fault() -> impl Strategy<Value = Fault> {
    let place = (key(), option::of(digest()), stage());
    let texts = ("[a-z_]{0,64}", ".{0,9}", ".{0,9}", option::of(".{0,9}"));
    (place, texts).prop_map(
        |((key, digest, stage), (code, path, detail, evidence))| Fault {
            key,
            digest,
            stage,
            code,
            path,
            detail,
            evidence,
        },
    )
}

fn held() -> impl Strategy<Value = HeldEntry> {
    (fault(), any::<u64>()).prop_map(|(fault, revision)| HeldEntry {
        key: fault.key,
        digest: fault.digest,
        revision: Revision(revision),
        code: fault.code,
        path: fault.path,
        detail: fault.detail,
    })
}

fn hello() -> impl Strategy<Value = Hello> {
    let who = (
        uuid(),
        any::<(u64, u64)>(),
        name(),
        ".{0,9}",
        ".{0,9}",
        vec(".{0,9}", 0..3),
    );
    let can = (
        vec(any::<u32>(), 0..3),
        vec(".{0,9}", 0..3),
        any::<[u32; 3]>(),
        any::<(u32, u32)>(),
    );
    let source = proptest::sample::select(vec![Source::Empty, Source::Disk, Source::LastGood]);
    let has = (positions(), vec(held(), 0..3), any::<u32>(), source);
    (who, can, has).prop_map(|(who, can, has)| {
        let (instance, (boot, attempt), group, build, hostname, addresses) = who;
        let (schemas, plugins, [entries, blob_bytes, transaction_bytes], protocol) = can;
        let ((desired, effective), holds, held, source) = has;
        Hello {
            attempt,
            protocol,
            instance,
            boot,
            group,
            build,
            hostname,
            addresses,
            schemas,
            plugins,
            limits: Limits {
                entries,
                blob_bytes,
                transaction_bytes,
            },
            desired,
            effective,
            holds,
            held,
            source,
        }
    })
}

fn ack() -> impl Strategy<Value = Ack> {
    let applied =
        any::<(u32, u32, u64)>().prop_map(|(build, swap, table_bytes)| AckStage::Applied {
            build: Duration::from_micros(build.into()),
            swap: Duration::from_micros(swap.into()),
            table_bytes,
        });
    let stage = prop_oneof![Just(AckStage::Received), Just(AckStage::Durable), applied];
    (any::<u64>(), stage, positions()).prop_map(|(revision, stage, (desired, effective))| Ack {
        transaction: Revision(revision),
        stage,
        desired,
        effective,
    })
}

fn reconcile() -> impl Strategy<Value = Reconcile> {
    let reasons = vec![Reason::Gap, Reason::Root, Reason::Corrupt, Reason::Epoch];
    let buckets = option::of(vec(digest(), 256));
    (proptest::sample::select(reasons), buckets).prop_map(|(reason, buckets)| Reconcile {
        reason,
        buckets: buckets.map(|digests| digests.into_boxed_slice().try_into().expect("are 256")),
    })
}

fn agent_message() -> impl Strategy<Value = AgentMessage> {
    let nack = (any::<u64>(), positions(), vec(fault(), 0..4), any::<u32>());
    let status = (positions(), vec(held(), 0..4), any::<u32>());
    prop_oneof![
        hello().prop_map(|hello| AgentMessage::Hello(Box::new(hello))),
        ack().prop_map(AgentMessage::Ack),
        nack.prop_map(
            |(revision, (desired, effective), faults, cut)| AgentMessage::Nack(Nack {
                transaction: Revision(revision),
                desired,
                effective,
                faults,
                cut,
            })
        ),
        status.prop_map(
            |((desired, effective), holds, held)| AgentMessage::Status(Status {
                desired,
                effective,
                holds,
                held,
            })
        ),
        reconcile().prop_map(AgentMessage::Reconcile),
        (any::<u64>(), option::of(vec(fault(), 0..4))).prop_map(|(revision, found)| {
            AgentMessage::Warnings(Warnings {
                transaction: Revision(revision),
                found,
            })
        }),
        (any::<u64>(), ".{0,9}").prop_map(|(id, reason)| AgentMessage::Unsupported { id, reason }),
    ]
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let retry = (millis(), ".{0,9}");
    let resume = prop_oneof![
        position().prop_map(Resume::InSync),
        position().prop_map(Resume::Delta),
        position().prop_map(Resume::Reconcile),
        retry.prop_map(|(after, reason)| Resume::Retry(Retry { after, reason })),
    ];
    (any::<u32>(), uuid(), resume, millis(), millis()).prop_map(
        |(protocol, session, resume, heartbeat, spread)| Welcome {
            protocol,
            session,
            resume,
            heartbeat,
            spread,
        },
    )
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let causes = vec![
        Cause::Operation,
        Cause::Rollback,
        Cause::Abort,
        Cause::Resource,
    ];
    let what = (
        proptest::sample::select(causes),
        any::<u64>(),
        btree_set(key(), 0..4),
    );
    let buckets = (
        btree_map(any::<u8>(), Just(()), 0..9),
        any::<bool>(),
        any::<bool>(),
    );
    (
        what,
        buckets,
        position(),
        entries(),
        vec(blob(), 0..3),
        1_u32..256,
    )
        .prop_map(
            |(
                (cause, from, removals),
                (buckets, confirmed, reconcile),
                to,
                upserts,
                blobs,
                count,
            )| {
                let part = Part {
                    number: count - 1,
                    count,
                };
                if reconcile {
                    return Transaction {
                        from: None,
                        to,
                        cause: Cause::Reconcile,
                        part,
                        upserts,
                        unreadable: BTreeMap::new(),
                        removals: BTreeSet::new(),
                        blobs,
                        buckets: buckets.into_keys().collect(),
                        confirmed,
                    };
                }
                Transaction {
                    from: Some(Revision(from)),
                    to,
                    cause,
                    part,
                    removals: removals
                        .into_iter()
                        .filter(|k| !upserts.contains_key(k))
                        .collect(),
                    upserts,
                    unreadable: BTreeMap::new(),
                    blobs,
                    buckets: BTreeSet::new(),
                    confirmed: false,
                }
            },
        )
}

fn control_message() -> impl Strategy<Value = ControlMessage> {
    prop_oneof![
        welcome().prop_map(ControlMessage::Welcome),
        transaction().prop_map(ControlMessage::Transaction),
        (position(), option::of(any::<u64>())).prop_map(|(head, confirmed)| {
            let shrink_confirmed = confirmed.map(Revision);
            ControlMessage::Heartbeat(Heartbeat {
                head,
                shrink_confirmed,
            })
        }),
        (millis(), vec("http://[a-z]{1,9}:[1-9]{2}", 0..CONTROLS_MAX))
            .prop_map(|(delay, to)| ControlMessage::GoAway(GoAway { delay, to })),
        any::<u64>().prop_map(|id| ControlMessage::Ask { id }),
    ]
}

proptest! {
    #[test]
    fn agent_messages_survive_the_wire(message in agent_message()) {
        let bytes = message.clone().encode().encode_to_vec();
        let read = wire::AgentMessage::decode(Bytes::from(bytes)).unwrap();
        prop_assert_eq!(AgentMessage::decode(read), Ok(message));
    }

    #[test]
    fn control_messages_survive_the_wire(message in control_message()) {
        let bytes = message.clone().encode().encode_to_vec();
        let read = wire::ControlMessage::decode(Bytes::from(bytes)).unwrap();
        prop_assert_eq!(ControlMessage::decode(read), Ok(message));
    }

    #[test]
    fn content_survives_the_wire(
        session in uuid(),
        digests in vec(digest(), 0..5),
        blobs in vec(blob(), 0..5),
    ) {
        let request = FetchRequest { session, digests: digests.clone() };
        prop_assert_eq!(FetchRequest::try_from(wire::FetchRequest::from(request.clone())), Ok(request));
        let chunk = Chunk { blobs, missing: digests };
        prop_assert_eq!(Chunk::try_from(wire::Chunk::from(chunk.clone())), Ok(chunk));
    }

    /// Whatever bytes come, decoding answers; it never panics.
    #[test]
    fn any_bytes_are_answered(
        message in control_message(),
        flips in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = message.encode().encode_to_vec();
        for (index, value) in flips {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
        }
        let bytes = Bytes::from(bytes);
        if let Ok(read) = wire::ControlMessage::decode(bytes.clone()) {
            let _ = ControlMessage::decode(read);
        }
        if let Ok(read) = wire::AgentMessage::decode(bytes) {
            let _ = AgentMessage::decode(read);
        }
    }
}

/// A transaction that is right in every field.
fn good() -> wire::Transaction {
    let to = Position {
        epoch: Epoch {
            store: Uuid::nil(),
            restores: 0,
        },
        revision: Revision(2),
        root: Digest::of(b"root"),
    };
    let entry = wire::Entry {
        name: "httpbin".to_owned(),
        schema: 1,
        content: Some(wire::entry::Content::Service(wire::ServiceEntry {
            version: Some("1.0.0".to_owned()),
            definition: vec![1; 32].into(),
            binding: vec![2; 32].into(),
            enabled: true,
            candidate: None,
            rollout: None,
        })),
        kind: wire::Kind::Service.into(),
        digest: Bytes::copy_from_slice(good_entry().digest().as_bytes()),
    };
    wire::Transaction {
        from: Some(1),
        to: Some(to.into()),
        cause: wire::Cause::Operation.into(),
        part: 0,
        parts: 1,
        upserts: vec![entry],
        ..wire::Transaction::default()
    }
}

fn good_entry() -> Entry {
    Entry::Service(ServiceEntry {
        version: Some("1.0.0".parse().expect("is a version")),
        definition: Digest::from_bytes([1; 32]),
        binding: Digest::from_bytes([2; 32]),
        enabled: true,
        candidate: None,
        rollout: None,
    })
}

/// An entry that cannot be read is known by its name and its digest, and comes back as it was.
#[track_caller]
fn unreadable(spoil: impl FnOnce(&mut wire::Transaction), stage: Stage, expect: &str) {
    let mut transaction = good();
    spoil(&mut transaction);
    let message = wire::ControlMessage {
        message: Some(wire::control_message::Message::Transaction(
            transaction.clone(),
        )),
    };
    let Ok(ControlMessage::Transaction(read)) = ControlMessage::decode(message) else {
        unreachable!("the transaction can be read");
    };
    let key = Key::service(&"httpbin".parse().expect("is a name"));
    assert_eq!(read.upserts.len(), 0);
    let fault = &read.unreadable[&key].fault;
    assert_eq!((&fault.key, fault.stage), (&key, stage));
    assert_eq!(
        fault
            .digest
            .map(|digest| *digest.as_bytes())
            .as_ref()
            .map(|bytes| &bytes[..]),
        Some(&transaction.upserts[0].digest[..])
    );
    assert_eq!(format!("{} {}", fault.path, fault.detail).trim(), expect);
    let back: wire::Transaction = read.into();
    assert_eq!(back, transaction);
}

#[test]
fn what_this_build_cannot_read_is_known_by_its_name() {
    unreadable(
        |t| t.upserts[0].schema = 2,
        Stage::Schema,
        "schema is 2; this build knows 1",
    );
    // As what comes from a build that has more kinds of content.
    unreadable(
        |t| t.upserts[0].content = None,
        Stage::Schema,
        "has no content that this build knows",
    );
    unreadable(
        |t| service(t).rollout = Some(wire::Rollout::default()),
        Stage::Schema,
        "service.rollout is set, but this build cannot take part in a rollout",
    );
    // As what comes from a build that has more fields.
    unreadable(
        |t| t.upserts[0].digest = vec![3; 32].into(),
        Stage::Schema,
        "says something that this build does not know",
    );
    unreadable(
        |t| service(t).binding = Bytes::new(),
        Stage::Decode,
        "service.binding is 0 bytes long; must be 32",
    );
    unreadable(
        |t| {
            let registry = wire::RegistryEntry::default();
            t.upserts[0].content = Some(wire::entry::Content::Registry(registry));
        },
        Stage::Decode,
        "kind is service, but the content is not",
    );
}

#[track_caller]
fn refused(spoil: impl FnOnce(&mut wire::Transaction), expect: &str) {
    let mut transaction = good();
    spoil(&mut transaction);
    let message = wire::ControlMessage {
        message: Some(wire::control_message::Message::Transaction(transaction)),
    };
    let error = ControlMessage::decode(message).expect_err("is refused");
    assert_eq!(error.to_string(), format!("transaction.{expect}"));
}

fn service(transaction: &mut wire::Transaction) -> &mut wire::ServiceEntry {
    match &mut transaction.upserts[0].content {
        Some(wire::entry::Content::Service(service)) => service,
        _ => unreachable!("good() has a service"),
    }
}

#[test]
fn refusals_name_the_field() {
    refused(|t| t.to = None, "to is missing");
    refused(
        |t| t.to.as_mut().unwrap().epoch = None,
        "to.epoch is missing",
    );
    refused(
        |t| t.to.as_mut().unwrap().root = Bytes::from_static(b"x"),
        "to.root is 1 bytes long; must be 32",
    );
    refused(
        |t| t.cause = 0,
        "cause is 0, which this build does not know",
    );
    refused(
        |t| t.cause = 99,
        "cause is 99, which this build does not know",
    );
    refused(|t| t.parts = 0, "part is 0 of 0; at most 256 are allowed");
    refused(|t| t.part = 1, "part is 1 of 1; at most 256 are allowed");
    refused(
        |t| t.from = None,
        "from must be there unless the cause is a reconcile",
    );
    refused(
        |t| t.confirmed = true,
        "buckets and confirmed belong to a reconcile",
    );
    refused(
        |t| t.upserts[0].digest = Bytes::new(),
        "upserts[0].digest is 0 bytes long; must be 32",
    );
    refused(
        |t| t.upserts[0].kind = 99,
        "upserts[0].kind is 99, which this build does not know",
    );
    refused(
        |t| t.upserts[0].name = "No".to_owned(),
        "upserts[0].name must be 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit",
    );
    refused(
        |t| t.upserts.push(t.upserts[0].clone()),
        "upserts name a key twice",
    );
    refused(
        |t| {
            t.removals.push(wire::Key {
                kind: 1,
                name: "httpbin".to_owned(),
            })
        },
        "removals name a key that upserts names too",
    );
    refused(
        |t| {
            t.blobs.push(wire::Blob {
                encoding: 2,
                length: u32::MAX,
                content: Bytes::new(),
            })
        },
        "blobs[0].length is 4294967295; at most 1048576 bytes are allowed",
    );
}
