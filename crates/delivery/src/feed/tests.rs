use ferryway_model::{Key, RegistryEntry};
use ferryway_proto::limits::{MESSAGE_BYTES_MAX, PART_BYTES};
use ferryway_proto::{ControlMessage, Transaction, wire};
use prost::Message;

use super::*;
use crate::blob::unpack;
use crate::testing::{Variant, change, epoch, name, view_of};

fn feed() -> Feed {
    let head = Head {
        epoch: epoch(1),
        revision: Revision(0),
        view: View::empty(),
    };
    Feed::new(name("test"), head)
}

fn publish(feed: &Feed, services: &[(&str, Option<Variant>)]) {
    let head = feed.head();
    let (view, content) = change(&head.view, services);
    let revision = head.revision.next();
    let cause = Cause::Operation;
    let publication = Publication {
        revision,
        view,
        cause,
        content,
    };
    feed.publish(publication).unwrap();
}

fn decode(frame: &Bytes) -> ControlMessage {
    let message = wire::ControlMessage::decode(frame.clone()).unwrap();
    ControlMessage::decode(message).unwrap()
}

fn transactions(frames: &[Bytes]) -> Vec<Transaction> {
    let decoded = frames.iter().map(|frame| match decode(frame) {
        ControlMessage::Transaction(transaction) => transaction,
        other => panic!("no transaction: {other:?}"),
    });
    decoded.collect()
}

#[test]
fn streams_share_the_bytes_of_a_transaction() {
    let feed = feed();
    let (_, mut one) = feed.resume(Some(feed.head().position()));
    let (_, mut two) = feed.resume(Some(feed.head().position()));
    publish(&feed, &[("a", Some(Variant::Good(0)))]);
    let (Read::Frames(one), Read::Frames(two)) = (feed.read(&mut one), feed.read(&mut two)) else {
        panic!("both have something to read");
    };
    assert!(Arc::ptr_eq(&one, &two));
}

#[test]
fn only_new_content_rides_along() {
    let feed = feed();
    publish(
        &feed,
        &[("a", Some(Variant::Good(0))), ("b", Some(Variant::Good(0)))],
    );
    let (_, mut cursor) = feed.resume(Some(feed.head().position()));
    // Another definition with the same binding.
    publish(&feed, &[("a", Some(Variant::Good(1)))]);
    publish(&feed, &[("a", None)]);
    let Read::Frames(frames) = feed.read(&mut cursor) else {
        panic!("there is a transaction");
    };
    let transaction = &transactions(&frames)[0];
    assert_eq!((transaction.upserts.len(), transaction.blobs.len()), (1, 1));
    let Read::Frames(frames) = feed.read(&mut cursor) else {
        panic!("there is another transaction");
    };
    let transaction = &transactions(&frames)[0];
    assert_eq!(
        (transaction.removals.len(), transaction.blobs.len()),
        (1, 0)
    );
    assert!(matches!(feed.read(&mut cursor), Read::AtHead { .. }));
}

/// "Bytes on the wire for one changed route: at most its body and 250 B, at 100 and at 100,000
/// routes."
#[test]
fn a_change_costs_its_content_and_little_more() {
    for services in [10, 10_000] {
        let mut changes = ferryway_model::Changes::default();
        for n in 0..services {
            let entry = RegistryEntry {
                content: Digest::of(b"x"),
            };
            let key = Key::registry(&name(&format!("r{n}")));
            changes
                .upserts
                .insert(key, ferryway_model::Entry::Registry(entry));
        }
        let view = View::empty().with(&changes);
        let feed = Feed::new(
            name("test"),
            Head {
                epoch: epoch(u128::MAX),
                revision: Revision(1_000_000),
                view,
            },
        );
        publish(&feed, &[("httpbin", Some(Variant::Good(0)))]);
        let (_, mut cursor) = feed.resume(Some(feed.head().position()));
        publish(&feed, &[("httpbin", Some(Variant::Good(1)))]);
        let Read::Frames(frames) = feed.read(&mut cursor) else {
            panic!("there is a transaction");
        };
        let body: usize = transactions(&frames)[0]
            .blobs
            .iter()
            .map(|blob| blob.content.len())
            .sum();
        let wire: usize = frames.iter().map(Bytes::len).sum();
        // And 14 bytes of gRPC and HTTP/2 framing.
        assert!(wire + 14 <= body + 250, "{wire} for {body} at {services}");
    }
}

#[test]
fn a_cursor_that_is_too_old_falls_out_and_is_told_the_head() {
    let feed = feed();
    let start = feed.head().position();
    let (_, mut slow) = feed.resume(Some(start));
    for n in 0..=LOG_TRANSACTIONS_MAX {
        publish(&feed, &[("a", Some(Variant::Good((n % 200) as u8)))]);
    }
    assert_eq!(feed.lock().log.len(), LOG_TRANSACTIONS_MAX);
    let Read::Fallen { heartbeat } = feed.read(&mut slow) else {
        panic!("the first transaction is gone");
    };
    let ControlMessage::Heartbeat(Heartbeat { head, .. }) = decode(&heartbeat) else {
        panic!("a heartbeat");
    };
    assert_eq!(head, feed.head().position());
    assert!(matches!(feed.read(&mut slow), Read::AtHead { .. }));
    assert!(matches!(
        feed.resume(Some(start)),
        (Resume::Reconcile(_), _)
    ));
}

#[test]
fn the_log_is_bounded_in_bytes() {
    let feed = feed();
    let mut random = ferryway_runtime::Random::seeded(1);
    let definition: Bytes = (0..64 * 1024)
        .flat_map(|_| random.next_u64().to_le_bytes())
        .collect();
    for n in 0..200_u8 {
        let mut content = definition.to_vec();
        content[0] = n;
        let mut changes = ferryway_model::Changes::default();
        let entry = RegistryEntry {
            content: Digest::of(&content),
        };
        changes.upserts.insert(
            Key::registry(&name("r")),
            ferryway_model::Entry::Registry(entry),
        );
        let head = feed.head();
        let publication = Publication {
            revision: head.revision.next(),
            view: head.view.with(&changes),
            cause: Cause::Resource,
            content: vec![content.into()],
        };
        feed.publish(publication).unwrap();
    }
    let state = feed.lock();
    assert!(state.bytes <= LOG_BYTES_MAX);
    assert!((100..200).contains(&state.log.len()), "{}", state.log.len());
    assert_eq!(
        state.bytes,
        state.log.iter().map(|logged| logged.bytes).sum::<usize>()
    );
}

#[test]
fn how_an_agent_gets_level() {
    let feed = feed();
    publish(&feed, &[("a", Some(Variant::Good(0)))]);
    let old = feed.head().position();
    publish(&feed, &[("a", Some(Variant::Good(1)))]);
    let head = feed.head().position();

    let resume = |desired| feed.resume(desired).0;
    assert_eq!(resume(Some(head)), Resume::InSync(head));
    assert_eq!(resume(Some(old)), Resume::Delta(head));
    assert_eq!(resume(None), Resume::Reconcile(head));
    let other_root = Position {
        root: Digest::of(b"x"),
        ..old
    };
    assert_eq!(resume(Some(other_root)), Resume::Reconcile(head));
    let other_root = Position {
        root: Digest::of(b"x"),
        ..head
    };
    assert_eq!(resume(Some(other_root)), Resume::Reconcile(head));
    let other_epoch = Position {
        epoch: epoch(2),
        ..head
    };
    assert_eq!(resume(Some(other_epoch)), Resume::Reconcile(head));
    let ahead = Position {
        revision: Revision(3),
        ..head
    };
    assert!(matches!(resume(Some(ahead)), Resume::Retry(_)));

    feed.replace_head(feed.head());
    assert_eq!(resume(Some(head)), Resume::InSync(head));
    assert_eq!(resume(Some(old)), Resume::Reconcile(head));
}

#[test]
fn a_transaction_must_follow_the_head() {
    let feed = feed();
    let publication = |revision| Publication {
        revision: Revision(revision),
        view: View::empty(),
        cause: Cause::Operation,
        content: Vec::new(),
    };
    for wrong in [0, 2] {
        let error = feed.publish(publication(wrong)).unwrap_err();
        let expect = NotNext {
            revision: Revision(wrong),
            head: Revision(0),
        };
        assert_eq!(error, expect);
    }
    assert_eq!(feed.publish(publication(1)), Ok(()));
}

#[test]
fn a_reconcile_names_the_buckets_that_differ_and_is_made_once() {
    let feed = feed();
    let (view, _) = view_of(&[("a", Variant::Good(0)), ("b", Variant::Good(0))]);
    publish(
        &feed,
        &[("a", Some(Variant::Good(0))), ("b", Some(Variant::Good(1)))],
    );
    let digests = std::array::from_fn(|n| view.buckets()[n].digest());
    let (frames, _) = feed.reconcile(Some(&digests));
    let transaction = &transactions(&frames)[0];
    let bucket = Key::service(&name("b")).bucket() as u8;
    assert_eq!(
        transaction.buckets.iter().copied().collect::<Vec<_>>(),
        [bucket]
    );
    assert_eq!(transaction.upserts.len(), 1);
    assert!(transaction.blobs.is_empty());
    assert!(Arc::ptr_eq(&frames, &feed.reconcile(Some(&digests)).0));

    let (all, _) = feed.reconcile(None);
    assert_eq!(transactions(&all)[0].upserts.len(), 2);
    publish(&feed, &[("c", Some(Variant::Good(0)))]);
    assert!(!Arc::ptr_eq(&all, &feed.reconcile(None).0));
}

#[test]
fn large_answers_come_in_parts() {
    let mut changes = ferryway_model::Changes::default();
    for n in 0..10_000 {
        let entry = RegistryEntry {
            content: Digest::of(b"x"),
        };
        let key = Key::registry(&name(&format!("r{n}")));
        changes
            .upserts
            .insert(key, ferryway_model::Entry::Registry(entry));
    }
    let head = Head {
        epoch: epoch(1),
        revision: Revision(1),
        view: View::empty().with(&changes),
    };
    let feed = Feed::new(name("test"), head);
    let (frames, _) = feed.reconcile(None);
    assert!(frames.len() > 1);
    assert!(frames.iter().all(|frame| frame.len() <= PART_BYTES));
    let parts = transactions(&frames);
    let total: usize = parts.iter().map(|part| part.upserts.len()).sum();
    assert_eq!(total, 10_000);
    for (n, part) in parts.iter().enumerate() {
        assert_eq!(
            (part.part.number as usize, part.part.count as usize),
            (n, parts.len())
        );
    }
}

#[test]
fn content_that_is_too_much_to_ride_along_is_left_to_be_fetched() {
    let feed = feed();
    let mut random = ferryway_runtime::Random::seeded(1);
    let mut changes = ferryway_model::Changes::default();
    let mut content = Vec::new();
    for n in 0..12 {
        let bytes: Bytes = (0..64 * 1024)
            .flat_map(|_| random.next_u64().to_le_bytes())
            .collect();
        let entry = RegistryEntry {
            content: Digest::of(&bytes),
        };
        let key = Key::registry(&name(&format!("r{n}")));
        changes
            .upserts
            .insert(key, ferryway_model::Entry::Registry(entry));
        content.push(bytes);
    }
    let (_, mut cursor) = feed.resume(Some(feed.head().position()));
    let view = View::empty().with(&changes);
    let cause = Cause::Resource;
    feed.publish(Publication {
        revision: Revision(1),
        view,
        cause,
        content,
    })
    .unwrap();
    let Read::Frames(frames) = feed.read(&mut cursor) else {
        panic!("there is a transaction");
    };
    assert!(frames.iter().all(|frame| frame.len() <= MESSAGE_BYTES_MAX));
    let blobs: Vec<_> = transactions(&frames)
        .into_iter()
        .flat_map(|part| part.blobs)
        .collect();
    assert_eq!(blobs.len(), 8, "4 MiB");
    assert!(blobs.iter().all(|blob| unpack(blob).is_ok()));
}

#[test]
fn a_confirmation_lasts_as_long_as_the_log_knows_what_came_after() {
    let feed = feed();
    let confirmed = || transactions(&feed.reconcile(None).0)[0].confirmed;
    assert!(!confirmed());
    publish(&feed, &[("a", Some(Variant::Good(0)))]);
    feed.confirm_shrink();
    assert!(confirmed());
    publish(&feed, &[("a", Some(Variant::Good(1)))]);
    assert!(confirmed());
    feed.lock().log.clear();
    assert!(!confirmed());
    feed.replace_head(feed.head());
    assert!(!confirmed());
}
