//! What is copied, backed up and put back, from each engine to each.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use ferryway_store::{
    EtcdSettings, Expect, Filling, Identity, Store, StoreError, Txn, backup, copy, restore,
};
use ferryway_testkit::Etcd;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{key, list_all, put};

/// Where a store may be.
#[derive(Clone)]
enum Where {
    Folder(PathBuf),
    Etcd(EtcdSettings),
}

impl Where {
    async fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Folder(dir) => Store::open(dir, Uuid::from_u128(1)).await,
            Self::Etcd(settings) => Store::open_etcd(settings, Uuid::from_u128(1)).await,
        }
    }

    async fn begin(&self, identity: Identity) -> Result<Filling, StoreError> {
        match self {
            Self::Folder(dir) => Filling::in_folder(dir.clone(), identity).await,
            Self::Etcd(settings) => Filling::in_etcd(settings, identity).await,
        }
    }
}

/// Two places of each engine.
struct Places {
    etcd: Arc<Etcd>,
    dir: TempDir,
}

impl Places {
    fn new() -> Self {
        Self {
            etcd: Arc::new(Etcd::start()),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn folder(&self, name: &str) -> Where {
        Where::Folder(self.dir.path().join(name))
    }

    fn prefix(&self, name: &str) -> Where {
        let settings = EtcdSettings::new(&self.etcd.url()).unwrap();
        Where::Etcd(settings.with_prefix(&format!("/{name}/")).unwrap())
    }
}

/// A UUID of version 7 made in this second since 1970.
fn fresh(second: u64) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(second * 1_000, &[0; 10]).into_uuid()
}

/// Small and large, more than a transaction or a page holds.
async fn fill(store: &Store) {
    for n in 0..4 {
        let txn = (0..120).fold(Txn::new(), |txn, m| {
            txn.put(key(&format!("small/{n}/{m}")), format!("{n} {m}"))
        });
        store.commit(txn).await.unwrap();
        let large = Txn::new().put(key(&format!("large/{n}")), vec![n; 1_000_000]);
        store.commit(large).await.unwrap();
    }
    store.commit(put("empty", "")).await.unwrap();
}

async fn values(store: &Store) -> Vec<(String, Vec<u8>)> {
    let (entries, _) = list_all(store, "", 1_000).await;
    let value = |entry: ferryway_store::Entry| (entry.key.to_string(), entry.value.to_vec());
    entries.into_iter().map(value).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_like_its_source_and_begins_a_history_of_its_own() {
    let places = Places::new();
    let ways = [
        (places.folder("a"), places.prefix("a")),
        (places.prefix("a"), places.folder("b")),
        (places.prefix("a"), places.prefix("b")),
        (places.folder("a"), places.folder("c")),
    ];
    let first = ways[0].0.open().await.unwrap();
    fill(&first).await;
    let expect = values(&first).await;
    first.close().await;
    for (n, (from, to)) in ways.into_iter().enumerate() {
        let from = from.open().await.unwrap();
        let sum = copy(&from, fresh(1_000 + n as u64), async |identity| {
            to.begin(identity).await
        })
        .await
        .unwrap();
        assert_eq!(sum.entries, expect.len() as u64, "{n}");
        let copied = to.open().await.unwrap();
        assert_eq!(values(&copied).await, expect, "{n}");
        assert_eq!(copied.sum().await.unwrap(), sum, "{n}");
        assert_eq!(copied.identity().uuid, from.identity().uuid, "{n}");
        assert!(copied.identity().restores > from.identity().restores, "{n}");
        // It is a store as any other.
        let txn = put("empty", "no more").require(key("empty"), Expect::Present);
        copied.commit(txn).await.unwrap();
        copied.commit(put("empty", "")).await.unwrap();
        copied.close().await;
        from.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_put_over_a_store() {
    let places = Places::new();
    let from = places.folder("a").open().await.unwrap();
    fill(&from).await;
    for to in [places.folder("b"), places.prefix("b")] {
        let standing = to.open().await.unwrap();
        standing.commit(put("own", "1")).await.unwrap();
        standing.close().await;
        let copied = copy(&from, fresh(1), async |identity| to.begin(identity).await).await;
        assert!(
            matches!(copied, Err(StoreError::Taken { .. })),
            "{copied:?}"
        );
        let standing = to.open().await.unwrap();
        assert_eq!(values(&standing).await.len(), 1);
    }
}

/// A copy that broke off can't be taken for a store, and can be made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_completed_is_not_used() {
    let places = Places::new();
    let from = places.folder("a").open().await.unwrap();
    fill(&from).await;
    let mut file = Cursor::new(Vec::new());
    backup(&from, &mut file).await.unwrap();
    for to in [places.folder("b"), places.prefix("b")] {
        drop(to.begin(from.identity()).await.unwrap());
        match (&to, to.open().await) {
            // In a folder it lies apart.
            (Where::Folder(_), opened) => {
                let store = opened.unwrap();
                assert_eq!(values(&store).await, vec![]);
                store.close().await;
            }
            (Where::Etcd(_), opened) => {
                let error = opened.unwrap_err().to_string();
                assert!(error.contains("was not completed"), "{error}");
            }
        }
    }
    for to in [places.folder("c"), places.prefix("b")] {
        drop(to.begin(from.identity()).await.unwrap());
        let sum = loop {
            // The writer of what was dropped may hold its folder for a moment longer.
            file.set_position(0);
            match restore(&mut file, fresh(5), async |identity| {
                to.begin(identity).await
            })
            .await
            {
                Err(StoreError::Busy { .. }) => tokio::task::yield_now().await,
                restored => break restored.unwrap(),
            }
        };
        assert_eq!(sum, from.sum().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_put_back_as_it_was() {
    let places = Places::new();
    for (n, from) in [places.folder("a"), places.prefix("a")].iter().enumerate() {
        let store = from.open().await.unwrap();
        fill(&store).await;
        let mut file = Cursor::new(Vec::new());
        let sum = backup(&store, &mut file).await.unwrap();
        store.commit(put("later", "1")).await.unwrap();
        file.set_position(0);
        let mut restores = vec![store.identity().restores];
        let to = [
            places.folder(&format!("to-{n}")),
            places.prefix(&format!("to-{n}")),
        ];
        for (second, to) in to.iter().enumerate() {
            let put_back = restore(&mut file, fresh(1_000 + second as u64), async |identity| {
                to.begin(identity).await
            });
            assert_eq!(put_back.await.unwrap(), sum);
            file.set_position(0);
            let again = to.open().await.unwrap();
            assert_eq!(again.sum().await.unwrap(), sum);
            assert_eq!(again.identity().uuid, store.identity().uuid);
            restores.push(again.identity().restores);
            again.close().await;
        }
        assert!(restores.is_sorted_by(|a, b| a < b), "{restores:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_not_whole_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("a"), fresh(1)).await.unwrap();
    store.commit(put("key", "value")).await.unwrap();
    let mut file = Vec::new();
    backup(&store, &mut file).await.unwrap();
    let to = dir.path().join("b");
    let restored = async |file: Vec<u8>| {
        let begin = async |identity| Filling::in_folder(to.clone(), identity).await;
        restore(Cursor::new(file), fresh(2), begin).await
    };
    for cut in 0..file.len() {
        let error = restored(file[..cut].to_vec()).await.unwrap_err();
        assert!(matches!(error, StoreError::Backup { .. }), "{cut}: {error}");
    }
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        let error = restored(flipped).await.unwrap_err();
        assert!(matches!(error, StoreError::Backup { .. }), "{at}: {error}");
    }
    assert!(!to.exists());
    restored(file).await.unwrap();
}

/// Not even a large length makes a reader take memory for it.
#[tokio::test]
async fn a_backup_cannot_claim_more_than_a_store_holds() {
    let mut file = b"ferryway store backup 1\n".to_vec();
    file.extend([0; 24]);
    file.extend(u32::MAX.to_le_bytes());
    let begin = async |_| panic!("nothing is begun");
    let error = restore(Cursor::new(file), fresh(1), begin)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Backup { .. }), "{error}");
}
