//! Clients that mean ill: what they say ends their own stream, and what they do not read is not kept
//! for them.

use ferryway_model::{Changes, Key, RegistryEntry};
use ferryway_proto::limits::{FAULTS_MAX, MESSAGE_BYTES_MAX};
use ferryway_proto::{AckStage, Cause};

use super::*;
use crate::feed::Publication;
use crate::limits::LOG_BYTES_MAX;

/// Streams that are not read.
const STUCK: u128 = 1_000;
/// Streams of one connection.
const STREAMS: usize = 8;
/// Transactions that are made meanwhile: more than the log holds.
const TRANSACTIONS: u64 = 1_200;
/// The size of each, in bytes.
const CONTENT_BYTES: usize = 64 * 1024;
/// What this process, which is both ends, may take for each stream that is not read, in bytes: mostly
/// what h2 takes of a stream before it waits for the other end, which is 400 KiB and a message. Were
/// all that is sent kept for each, it would be 75 MiB.
const STUCK_BYTES_MAX: usize = 1024 * 1024;

/// Memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("is there");
    let pages = statm.split_whitespace().nth(1);
    let pages = pages.and_then(|it| it.parse::<usize>().ok());
    pages.expect("is a number") * 4_096
}

/// Publishes a registry with content that cannot be compressed.
fn publish(feed: &Feed, random: &mut Random) {
    let words = (0..CONTENT_BYTES / 8).flat_map(|_| random.next_u64().to_le_bytes());
    let content: Bytes = words.collect();
    let head = feed.head();
    let entry = RegistryEntry {
        content: Digest::of(&content),
    };
    let entry = ferryway_model::Entry::Registry(entry);
    let changes = Changes {
        upserts: [(Key::registry(&name("r")), entry)].into(),
        ..Changes::default()
    };
    let publication = Publication {
        revision: head.revision.next(),
        view: head.view.with(&changes),
        cause: Cause::Resource,
        content: vec![content],
    };
    feed.publish(publication).expect("follows the head");
}

fn instance(n: u128) -> Hello {
    Hello {
        instance: Uuid::from_u128(n),
        ..hello("test")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_costs_little_and_keeps_nobody_from_reading() {
    let feed = feed();
    let (url, tasks) = serve(Arc::clone(&feed)).await;
    let start = feed.head().position();
    let mut stuck = Vec::new();
    let mut rpc = DeliveryClient::connect(url.clone())
        .await
        .expect("connects");
    for n in 0..STUCK {
        if stuck.len() % STREAMS == 0 {
            rpc = DeliveryClient::connect(url.clone())
                .await
                .expect("connects");
        }
        let client = client_of(rpc.clone(), tasks.clone()).await;
        client.say_hello(instance(100 + n)).await;
        stuck.push(client);
    }
    let rpc = DeliveryClient::connect(url).await.expect("connects");
    let mut healthy = client_of(rpc, tasks).await;
    healthy
        .say_hello(Hello {
            desired: Some(start),
            ..instance(1)
        })
        .await;
    assert!(matches!(healthy.hear().await, ControlMessage::Welcome(_)));

    let before = resident();
    let mut random = Random::seeded(5);
    for revision in 1..=TRANSACTIONS {
        publish(&feed, &mut random);
        loop {
            match healthy.hear().await {
                ControlMessage::Transaction(transaction) => {
                    assert_eq!(transaction.to.revision, Revision(revision));
                    break;
                }
                ControlMessage::Heartbeat(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let position = feed.head().position();
        let ack = Ack {
            transaction: position.revision,
            stage: AckStage::Received,
            desired: Some(position),
            effective: None,
        };
        healthy.say(AgentMessage::Ack(ack)).await;
    }
    let grown = resident().saturating_sub(before);
    let allowed = LOG_BYTES_MAX + stuck.len() * STUCK_BYTES_MAX;
    assert!(grown < allowed, "{grown} of {allowed} bytes");
}

/// This, said after a hello, ends the stream like this; another stream of the same server goes on.
async fn check_ends(what: &str, message: wire::AgentMessage, code: Code, part: &str) {
    let mut hostile = client().await;
    let mut other = client_of(hostile.rpc.clone(), hostile.tasks.clone()).await;
    other.say_hello(instance(2)).await;
    other.hear().await;
    hostile.say_hello(instance(1)).await;
    hostile.hear().await;
    hostile.outgoing.send(message).await.expect("is open");
    let end = hostile.end().await;
    assert!(end.0 == code && end.1.contains(part), "{what}: {end:?}");
    let reconcile = Reconcile {
        reason: Reason::Gap,
        buckets: None,
    };
    other.say(AgentMessage::Reconcile(reconcile)).await;
    while !matches!(other.hear().await, ControlMessage::Transaction(_)) {}
}

#[tokio::test]
async fn what_is_not_of_the_protocol_ends_one_stream() {
    use wire::agent_message::Message;
    let cases = [
        (
            "too many faults",
            Message::Nack(wire::Nack {
                faults: vec![wire::Fault::default(); FAULTS_MAX + 1],
                ..wire::Nack::default()
            }),
            Code::InvalidArgument,
            "nack.faults has 257 items",
        ),
        (
            "half a list of buckets",
            Message::Reconcile(wire::Reconcile {
                reason: 1,
                buckets: vec![0; 32 * 255].into(),
            }),
            Code::InvalidArgument,
            "reconcile.buckets has 255 digests",
        ),
        (
            "a stage that does not exist",
            Message::Ack(wire::Ack {
                stage: 77,
                ..wire::Ack::default()
            }),
            Code::InvalidArgument,
            "ack.stage is 77",
        ),
        (
            "a position without an epoch",
            Message::Status(wire::Status {
                desired: Some(wire::Position::default()),
                ..wire::Status::default()
            }),
            Code::InvalidArgument,
            "status.desired.epoch is missing",
        ),
        (
            "more than a message may be",
            Message::Answer(wire::Answer {
                id: 1,
                answer: Some(wire::answer::Answer::Unsupported(
                    "x".repeat(MESSAGE_BYTES_MAX + 1),
                )),
            }),
            Code::OutOfRange,
            "too large",
        ),
    ];
    for (what, message, code, part) in cases {
        let message = wire::AgentMessage {
            message: Some(message),
        };
        check_ends(what, message, code, part).await;
    }
}
