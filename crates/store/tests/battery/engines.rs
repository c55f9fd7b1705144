use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferryway_store::{EtcdSettings, Revision, Store, StoreError};
use ferryway_testkit::Etcd;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{Place, contract, list_all, model, put};

/// Runs the whole battery on each engine, each test at a place of its own.
macro_rules! battery {
    ([$($test:ident),* $(,)?]) => {
        mod embedded {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    contract::$test(&Folder::new()).await;
                }
            )*

            #[test]
            fn it_does_what_the_model_does() {
                model::check(60, Folder::new);
            }
        }

        mod etcd {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    contract::$test(&Prefix::of(&Arc::new(Etcd::start()), 0)).await;
                }
            )*

            #[test]
            fn it_does_what_the_model_does() {
                let etcd = Arc::new(Etcd::start());
                let number = AtomicUsize::new(0);
                model::check(20, || Prefix::of(&etcd, number.fetch_add(1, Ordering::Relaxed)));
            }
        }
    };
}

battery!([
    a_new_store_is_empty,
    a_key_remembers_who_made_it_and_who_changed_it,
    requirements_hold_or_nothing_happens,
    the_first_failing_requirement_is_named,
    a_transaction_without_effect_is_no_change,
    every_answered_revision_is_reached_by_a_watch,
    lists_come_in_order_and_in_pages,
    a_page_is_bounded_in_bytes,
    prefixes_end_where_they_should,
    a_watch_tells_whole_transactions_under_its_prefix,
    a_watch_starts_after_any_revision_still_kept,
    a_watch_waits_for_what_comes,
    of_two_creates_one_wins,
    concurrent_writers_lose_nothing_and_repeat_nothing,
    bounds_are_errors_and_change_nothing,
    a_store_is_found_again_as_it_was_left,
    a_durable_transaction_carries_those_before_it,
    a_watch_from_before_the_opening_is_told_to_list,
    closing_ends_watches_and_answers,
]);

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

/// A prefix of an etcd that others use as well.
struct Prefix {
    etcd: Arc<Etcd>,
    prefix: String,
}

impl Prefix {
    fn of(etcd: &Arc<Etcd>, number: usize) -> Self {
        Self {
            etcd: Arc::clone(etcd),
            prefix: format!("/battery/{number}/"),
        }
    }
}

impl Place for Prefix {
    async fn open(&self) -> Result<Store, StoreError> {
        let settings = EtcdSettings::new(&self.etcd.url())?.with_prefix(&self.prefix)?;
        Store::open_etcd(&settings, Uuid::from_u128(1)).await
    }
}

impl Place for Folder {
    async fn open(&self) -> Result<Store, StoreError> {
        Store::open(&self.0.path().join("made/by/the/store"), Uuid::from_u128(1)).await
    }
}

#[tokio::test]
async fn a_folder_has_one_holder() {
    let folder = Folder::new();
    let store = folder.open().await.unwrap();
    let error = folder.open().await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    store.commit(put("a", "1")).await.unwrap();
    store.close().await;
    let store = folder.open().await.unwrap();
    assert_eq!(list_all(&store, "", 10).await.0.len(), 1);
}

#[tokio::test]
async fn two_who_make_one_store_do_not_both_get_it() {
    let folder = Folder::new();
    let (one, two) = tokio::join!(folder.open(), folder.open());
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    assert!(matches!(lost, Err(StoreError::Busy { .. })), "{lost:?}");
    won.unwrap().commit(put("a", "1")).await.unwrap();
}

#[tokio::test]
async fn only_the_owner_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let _store = Store::open(&folder, Uuid::nil()).await.unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.clone()), 0o700);
    assert_eq!(mode(folder.join("store.redb")), 0o600);
}

#[tokio::test]
async fn identity_is_kept_and_restores_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let open = async |fresh| {
        Store::open(dir.path(), Uuid::from_u128(fresh))
            .await
            .unwrap()
    };
    let store = open(1).await;
    assert_eq!(
        (store.identity().uuid, store.identity().restores),
        (Uuid::from_u128(1), 0)
    );
    store.close().await;

    std::fs::write(dir.path().join("restored"), "").unwrap();
    for fresh in [2, 3] {
        let store = open(fresh).await;
        assert_eq!(
            (store.identity().uuid, store.identity().restores),
            (Uuid::from_u128(1), 1)
        );
        store.close().await;
    }
}

#[tokio::test]
async fn the_same_backup_put_back_twice_begins_two_histories() {
    let dir = tempfile::tempdir().unwrap();
    let open = async |second: u64| {
        let fresh = uuid::Builder::from_unix_timestamp_millis(second * 1_000, &[0; 10]);
        Store::open(dir.path(), fresh.into_uuid()).await.unwrap()
    };
    open(1_000).await.close().await;
    let file = dir.path().join("store.redb");
    let backup = std::fs::read(&file).unwrap();
    let mut counts = Vec::new();
    for second in [2_000, 3_000] {
        std::fs::write(&file, &backup).unwrap();
        std::fs::write(dir.path().join("restored"), "").unwrap();
        let store = open(second).await;
        counts.push(store.identity().restores);
        store.close().await;
    }
    assert!(0 < counts[0] && counts[0] < counts[1], "{counts:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("below"), Uuid::nil())
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Io { doing: "open", .. }),
        "{error}"
    );
}

#[tokio::test]
async fn dropping_the_last_handle_keeps_what_was_not_yet_durable() {
    let folder = Folder::new();
    let store = folder.open().await.unwrap();
    let mut watch = store.watch("", Revision::ZERO).await.unwrap();
    store.commit(put("a", "1").durable(false)).await.unwrap();
    drop(store);
    // The watch ends when the file is closed; the lock goes right after it.
    while watch.next().await.is_some() {}
    let store = loop {
        match folder.open().await {
            Err(StoreError::Busy { .. }) => tokio::task::yield_now().await,
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(list_all(&store, "", 10).await.0.len(), 1);
}
