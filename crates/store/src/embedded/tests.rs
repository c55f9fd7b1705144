//! What only this engine promises: it outlives crashes, full disks and damaged files.

mod fake_disk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ferryway_runtime::Random;
use tempfile::TempDir;

use super::*;
use crate::{Expect, Store};
use fake_disk::{FakeDisk, Refuse};

const IDENTITY: Uuid = Uuid::from_u128(7);

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn put(text: &str, value: impl Into<bytes::Bytes>) -> Txn {
    Txn::new().put(key(text), value)
}

/// An engine on a disk that can be told to fail.
struct Bench {
    embedded: Embedded,
    disk: FakeDisk,
    _dir: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = FakeDisk::default();
        let opener = disk.clone();
        let opener: Opener = Box::new(move |path| opener.open(path));
        let embedded = Embedded::open_by(dir.path(), IDENTITY, opener)
            .await
            .unwrap();
        Self {
            embedded,
            disk,
            _dir: dir,
        }
    }

    async fn value(&self, text: &str) -> Option<bytes::Bytes> {
        self.embedded
            .get(key(text))
            .await
            .unwrap()
            .map(|entry| entry.value)
    }
}

/// A store's folder with this file in it.
fn folder_with(file: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    std::fs::write(&path, file).unwrap();
    (dir, path)
}

async fn content(store: &Store) -> Result<BTreeMap<String, bytes::Bytes>, StoreError> {
    let mut content = BTreeMap::new();
    let mut from = None;
    loop {
        let page = store.list("", from.as_ref(), 1_000).await?;
        content.extend(
            page.entries
                .into_iter()
                .map(|e| (e.key.as_str().to_owned(), e.value)),
        );
        let Some(next) = page.next else {
            return Ok(content);
        };
        from = Some(next);
    }
}

#[tokio::test]
async fn a_refused_write_fails_and_the_store_goes_on_when_the_disk_does() {
    for refuse in [Refuse::Growth, Refuse::Writes, Refuse::Syncs] {
        let bench = Bench::new().await;
        let mut watch = bench.embedded.watch("", Revision::ZERO).unwrap();
        bench.embedded.commit(put("a", "before")).await.unwrap();

        bench.disk.refuse(Some(refuse));
        // More than the file has room for.
        let large = (0..4).map(|n| put(&format!("large-{n}"), vec![7; 1_000_000]));
        let mut failed = 0;
        for txn in large {
            match bench.embedded.commit(txn).await {
                Ok(_) => {}
                Err(StoreError::Io { .. }) => failed += 1,
                Err(error) => panic!("{refuse:?}: {error}"),
            }
        }
        assert!(failed > 0, "{refuse:?}");

        bench.disk.refuse(None);
        let head = bench
            .embedded
            .commit(put("a", "after"))
            .await
            .unwrap()
            .revision;
        assert_eq!(bench.value("a").await.unwrap(), "after", "{refuse:?}");

        // The watch tells everything that happened, or says that it cannot.
        let mut last = Revision::ZERO;
        while last < head {
            match watch.next().await.unwrap() {
                Ok(event) => {
                    assert_eq!(event.revision, last.next(), "{refuse:?}");
                    last = event.revision;
                }
                Err(StoreError::Compacted { oldest }) => {
                    assert!(oldest <= head, "{refuse:?}");
                    break;
                }
                Err(error) => panic!("{refuse:?}: {error}"),
            }
        }
        bench.embedded.close().await;
    }
}

#[tokio::test]
async fn a_full_disk_can_still_be_read() {
    let bench = Bench::new().await;
    bench.embedded.commit(put("a", "kept")).await.unwrap();
    bench.disk.refuse(Some(Refuse::Growth));
    let error = bench
        .embedded
        .commit(put("b", vec![7; 1_000_000]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Io { doing: "write", .. }),
        "{error}"
    );
    assert!(error.is_full(), "{error}");
    assert_eq!(bench.value("a").await.unwrap(), "kept");
    assert_eq!(bench.value("b").await, None);
}

#[tokio::test]
async fn a_panic_below_is_an_error_and_the_store_goes_on() {
    let bench = Bench::new().await;
    bench.embedded.commit(put("a", "kept")).await.unwrap();
    bench.disk.refuse(Some(Refuse::Panics));
    let error = bench.embedded.commit(put("a", "lost")).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    // The file could not be opened again either.
    let error = bench.embedded.get(key("a")).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    bench.disk.refuse(None);
    bench.embedded.commit(put("b", "after")).await.unwrap();
    assert_eq!(bench.value("a").await.unwrap(), "kept");
    assert_eq!(bench.value("b").await.unwrap(), "after");
}

/// What is told stays true while the process lives, durable or not: a durable transaction may name
/// content that was written ahead of it.
#[tokio::test]
async fn what_was_told_outlives_a_failed_write() {
    for refuse in [Refuse::Growth, Refuse::Writes, Refuse::Syncs] {
        let bench = Bench::new().await;
        bench.embedded.commit(put("a", "durable")).await.unwrap();
        let mut watch = bench.embedded.watch("", Revision::new(1)).unwrap();
        for n in 0..3 {
            let txn = put("b", n.to_string()).put(key(&format!("b-{n}")), "not durable");
            bench.embedded.commit(txn.durable(false)).await.unwrap();
        }
        let before = bench.embedded.get(key("b")).await.unwrap();

        bench.disk.refuse(Some(refuse));
        let large = put("c", vec![7; 1_000_000]);
        bench.embedded.commit(large.clone()).await.unwrap_err();
        bench.embedded.commit(large).await.unwrap_err();
        bench.disk.refuse(None);
        // Also by what a transaction requires of it.
        let modified = before.as_ref().expect("it was told").modified;
        let txn = put("d", "later").require(key("b"), Expect::Revision(modified));
        let next = bench.embedded.commit(txn).await.unwrap();
        assert_eq!(bench.embedded.get(key("b")).await.unwrap(), before);
        assert_eq!(bench.value("b-0").await.unwrap(), "not durable");

        let mut revision = Revision::new(1);
        while revision < next.revision {
            let event = watch.next().await.unwrap().unwrap();
            assert_eq!(event.revision, revision.next(), "{refuse:?}");
            revision = event.revision;
        }
        // And from the durable one on, also a crash.
        let (dir, _) = folder_with(&bench.disk.after_a_crash(&mut Random::seeded(3)));
        let store = Store::open(dir.path(), Uuid::nil()).await.unwrap();
        assert_eq!(store.get(&key("b")).await.unwrap(), before, "{refuse:?}");
        store.close().await;
    }
}

/// A write may be in the file though the disk said that it failed: then it is told, and told once.
#[tokio::test]
async fn a_write_that_failed_and_is_there_is_told() {
    let bench = Bench::new().await;
    let mut watch = bench.embedded.watch("", Revision::ZERO).unwrap();
    bench.embedded.commit(put("a", "1")).await.unwrap();
    bench.disk.refuse(Some(Refuse::Syncs));
    bench.embedded.commit(put("a", "2")).await.unwrap_err();
    bench.disk.refuse(None);
    bench.embedded.commit(put("b", "3")).await.unwrap();

    let value = bench.value("a").await.unwrap();
    let mut told = Vec::new();
    while told.last() != Some(&bytes::Bytes::from("3")) {
        let event = watch.next().await.unwrap().unwrap();
        told.extend(event.changes.into_iter().filter_map(|change| change.value));
    }
    let expect = if value == "2" {
        &["1", "2", "3"][..]
    } else {
        &["1", "3"]
    };
    assert_eq!(told, expect);
}

#[tokio::test]
async fn what_is_not_durable_does_not_pile_up() {
    let bench = Bench::new().await;
    let syncs = bench.disk.syncs();
    for n in 0..40 {
        let txn = put(&format!("key-{}", n % 4), vec![n; 1_000_000]);
        bench.embedded.commit(txn.durable(false)).await.unwrap();
    }
    assert!(bench.disk.syncs() > syncs);
}

/// Whatever part of the unsynced writes reached the disk when the power failed: every durable
/// answer is found again, and what follows is whole transactions in order.
#[tokio::test]
async fn a_crash_at_any_moment_keeps_what_was_answered() {
    for seed in 0..40 {
        let mut random = Random::seeded(seed);
        let bench = Bench::new().await;
        let mut promised = 0;
        for n in 1..=1 + random.below(12) {
            let durable = random.below(3) > 0;
            // Two keys that must always agree, and bulk that makes the tree move.
            let bulk = vec![n as u8; random.below(20_000) as usize];
            let txn = put("left", n.to_string())
                .put(key("right"), n.to_string())
                .put(key(&format!("bulk-{}", n % 5)), bulk)
                .durable(durable);
            let revision = bench.embedded.commit(txn).await.unwrap().revision;
            assert_eq!(revision.number(), n);
            // One that changes nothing promises what was before it.
            let confirmed = random.below(4) == 0;
            if confirmed {
                bench.embedded.commit(Txn::new()).await.unwrap();
            }
            if durable || confirmed {
                promised = n;
            }
        }
        if random.below(2) == 0 {
            // Die in the middle of a write.
            bench.disk.refuse_after(random.below(6));
            let _ = bench
                .embedded
                .commit(put("left", "x").put(key("right"), "x"))
                .await;
        }
        let (dir, _) = folder_with(&bench.disk.after_a_crash(&mut random));
        let store = Store::open(dir.path(), Uuid::nil()).await.unwrap();
        assert_eq!(store.identity().uuid, IDENTITY);
        let content = content(&store).await.unwrap();
        assert_eq!(content.get("left"), content.get("right"), "seed {seed}");
        let revision = store.list("", None, 1).await.unwrap().revision.number();
        assert!(
            revision >= promised,
            "seed {seed}: {revision} is before {promised}"
        );
        store.close().await;
    }
}

/// A closed store's file with some content, and the content.
async fn sample() -> (Vec<u8>, BTreeMap<String, bytes::Bytes>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), IDENTITY).await.unwrap();
    for n in 0..12_u8 {
        let txn = (0..12).fold(Txn::new(), |txn, m| {
            txn.put(key(&format!("{n}/{m}")), vec![n; usize::from(n) * 40])
        });
        store.commit(txn.durable(n % 4 == 3)).await.unwrap();
    }
    let content = content(&store).await.unwrap();
    store.close().await;
    (
        std::fs::read(dir.path().join("store.redb")).unwrap(),
        content,
    )
}

/// Opens the file and reads everything: the content as it was, or an error that says damage.
async fn check_damaged(file: &[u8], content_before: &BTreeMap<String, bytes::Bytes>, how: &str) {
    let (dir, path) = folder_with(file);
    let read = async {
        let store = Store::open(dir.path(), Uuid::nil()).await?;
        let found = content(&store).await;
        store.close().await;
        found
    };
    match read.await {
        Ok(found) => assert!(
            found == *content_before,
            "{how}: other content, and no error"
        ),
        Err(StoreError::Corrupt { path: named, .. }) => assert_eq!(named, path, "{how}"),
        Err(StoreError::Layout { .. }) => {}
        Err(error) => panic!("{how}: {error}"),
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found_or_does_no_harm() {
    let (file, content) = sample().await;
    let mut random = Random::seeded(1);
    let header = (0..320).step_by(2).map(|at| (at, 1 << (at / 2 % 8)));
    let anywhere = std::iter::repeat_with(|| {
        (
            random.below(file.len() as u64) as usize,
            1 << random.below(8),
        )
    });
    for (at, bit) in header.chain(anywhere.take(120)) {
        let mut damaged = file.clone();
        damaged[at] ^= bit;
        check_damaged(&damaged, &content, &format!("byte {at}, bit {bit}")).await;
    }
}

#[tokio::test]
async fn a_cut_or_foreign_file_is_damage() {
    let (file, content) = sample().await;
    let cuts = (0..file.len()).step_by(file.len() / 60);
    for length in cuts.chain([1, 511, 512, 4_095, file.len() - 1]) {
        check_damaged(&file[..length], &content, &format!("cut to {length}")).await;
    }
    for foreign in [&b""[..], b"text\n", &[0; 10_000], &[0xff; 10_000]] {
        let (dir, _) = folder_with(foreign);
        let error = Store::open(dir.path(), Uuid::nil()).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_never_taken_for_a_beginning() {
    let to_nowhere = |path: &Path| std::os::unix::fs::symlink("/none/such", path).unwrap();
    let folder = |path: &Path| std::fs::create_dir(path).unwrap();
    for (name, make) in [
        ("store.redb", &to_nowhere as &dyn Fn(&Path)),
        ("store.redb", &folder),
        ("store.redb.new", &folder),
        ("lock", &folder),
        ("restored", &folder),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        make(&path);
        let error = Store::open(dir.path(), Uuid::nil()).await.unwrap_err();
        let StoreError::Io { path: named, .. } = &error else {
            panic!("{name}: {error}");
        };
        assert!(named.starts_with(dir.path()), "{name}: {error}");
        assert!(
            !error.is_full() && path.symlink_metadata().is_ok(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_layout_of_the_future_is_named() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path(), IDENTITY)
        .await
        .unwrap()
        .close()
        .await;
    let db = disk::open_file(&dir.path().join("store.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    let facts = redb::TableDefinition::<&str, u128>::new("facts");
    txn.open_table(facts).unwrap().insert("layout", 2).unwrap();
    txn.commit().unwrap();
    drop(db);
    let error = Store::open(dir.path(), IDENTITY).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Layout { layout: 2, .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_share_a_write() {
    let bench = Bench::new().await;
    // The writer is held in its first sync until all the others wait.
    let gate = bench.disk.hold_next_sync();
    let tasks = ferryway_runtime::Tasks::new("test");
    let commit = |n: usize, expect: Expect| {
        let embedded = bench.embedded.clone();
        let (done, is_done) = oneshot::channel();
        tasks.spawn("commit", move |_| async move {
            let txn = put(&format!("key-{n}"), "v").require(key("shared"), expect);
            let _ = done.send(embedded.commit(txn).await);
        });
        is_done
    };
    let first = {
        let embedded = bench.embedded.clone();
        let (done, is_done) = oneshot::channel();
        tasks.spawn("first", |_| async move {
            let _ = done.send(embedded.commit(put("shared", "v")).await);
        });
        is_done
    };
    gate.reached().await;
    let good: Vec<_> = (0..20).map(|n| commit(n, Expect::Present)).collect();
    let bad: Vec<_> = (20..25).map(|n| commit(n, Expect::Absent)).collect();
    while bench.embedded.commands.capacity() > bench.embedded.commands.max_capacity() - 25 {
        tokio::task::yield_now().await;
    }
    let syncs_before = bench.disk.syncs();
    gate.open();
    first.await.unwrap().unwrap();
    let mut revisions = Vec::new();
    for answer in good {
        revisions.push(answer.await.unwrap().unwrap().revision.number());
    }
    for answer in bad {
        assert!(matches!(
            answer.await.unwrap(),
            Err(StoreError::Conflict { .. })
        ));
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=21).collect::<Vec<_>>());
    // The first one's and the batch's; were they apart there would be at least 20.
    let syncs = bench.disk.syncs() - syncs_before;
    assert!(syncs <= 4, "{syncs}");
    bench.embedded.close().await;
}
