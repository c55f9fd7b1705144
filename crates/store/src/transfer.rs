//! From one store to another, whatever engine each has.

use std::path::PathBuf;

use bytes::Bytes;
use uuid::Uuid;

use crate::embedded::Embedded;
use crate::etcd::{Etcd, EtcdSettings};
use crate::identity::Identity;
use crate::store::Engine;
use crate::txn::OPERATION_BYTES;
use crate::{
    Key, LIST_ENTRIES_MAX, Revision, Store, StoreError, TXN_BYTES_MAX, TXN_OPERATIONS_MAX, Txn,
};

/// What is in a store: equal sums, equal entries. Revisions are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// How many entries there are.
    pub entries: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// The BLAKE3 digest of all of them, in order.
    pub digest: [u8; 32],
}

/// Sums up entries as they come.
#[derive(Default)]
pub(crate) struct Summing {
    entries: u64,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl Summing {
    pub(crate) fn add(&mut self, key: &Key, value: &[u8]) {
        let key = key.as_str().as_bytes();
        let count = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.entries += 1;
        self.bytes += count(key) + count(value);
        for part in [key, value] {
            self.hasher.update(&count(part).to_le_bytes());
            self.hasher.update(part);
        }
    }

    pub(crate) fn sum(&self) -> Sum {
        Sum {
            entries: self.entries,
            bytes: self.bytes,
            digest: *self.hasher.finalize().as_bytes(),
        }
    }
}

/// All entries of a store as they were at one moment, page by page.
pub(crate) struct Export<'s> {
    store: &'s Store,
    at: Revision,
    /// `None`: all has been read.
    from: Option<Option<Key>>,
}

impl<'s> Export<'s> {
    pub(crate) fn of(store: &'s Store) -> Self {
        Self {
            store,
            at: Revision::ZERO,
            from: Some(None),
        }
    }

    /// The next entries; none once all have been read.
    pub(crate) async fn page(&mut self) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let Some(from) = self.from.take() else {
            return Ok(Vec::new());
        };
        let store = self.store;
        let page = store.list_at("", from.as_ref(), LIST_ENTRIES_MAX, self.at);
        let page = page.await?;
        self.at = page.revision;
        self.from = page.next.map(Some);
        let entries = page.entries.into_iter();
        Ok(entries.map(|entry| (entry.key, entry.value)).collect())
    }
}

impl Store {
    /// Sums up what is in it now.
    ///
    /// # Errors
    ///
    /// As [`Store::list`].
    pub async fn sum(&self) -> Result<Sum, StoreError> {
        let mut summing = Summing::default();
        let mut export = Export::of(self);
        loop {
            let page = export.page().await?;
            if page.is_empty() {
                return Ok(summing.sum());
            }
            page.iter().for_each(|(key, value)| summing.add(key, value));
        }
    }
}

/// A store that is being filled. Nobody can open it before it is complete.
#[derive(Debug)]
pub struct Filling {
    store: Store,
    /// Where the embedded engine's file goes.
    dir: Option<PathBuf>,
    txn: Txn,
    operations: usize,
    bytes: usize,
}

impl Filling {
    /// Begins one in a folder.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] where there is a store; else as [`Store::open`].
    pub async fn in_folder(dir: PathBuf, identity: Identity) -> Result<Self, StoreError> {
        let engine = Engine::Embedded(Embedded::make(&dir, identity).await?);
        Ok(Self::new(Store { engine }, Some(dir)))
    }

    /// Begins one in etcd.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] where there is a store; else as [`Store::open_etcd`].
    pub async fn in_etcd(settings: &EtcdSettings, identity: Identity) -> Result<Self, StoreError> {
        let engine = Engine::Etcd(Etcd::make(settings, identity).await?);
        Ok(Self::new(Store { engine }, None))
    }

    fn new(store: Store, dir: Option<PathBuf>) -> Self {
        Self {
            store,
            dir,
            txn: Txn::new(),
            operations: 0,
            bytes: 0,
        }
    }

    pub(crate) async fn put(&mut self, key: Key, value: Bytes) -> Result<(), StoreError> {
        let bytes = key.as_str().len() + value.len() + OPERATION_BYTES;
        if self.operations == TXN_OPERATIONS_MAX || self.bytes + bytes > TXN_BYTES_MAX {
            self.flush().await?;
        }
        self.operations += 1;
        self.bytes += bytes;
        self.txn = std::mem::take(&mut self.txn).put(key, value);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        (self.operations, self.bytes) = (0, 0);
        self.store.commit(std::mem::take(&mut self.txn)).await?;
        Ok(())
    }

    /// Checks that it holds what it should, and puts it in its place.
    pub(crate) async fn complete(mut self, expect: Sum) -> Result<Sum, StoreError> {
        self.flush().await?;
        if self.store.sum().await? != expect {
            return Err(StoreError::Differs);
        }
        match (self.store.engine, self.dir) {
            (Engine::Embedded(embedded), Some(dir)) => embedded.complete(&dir).await?,
            (Engine::Embedded(embedded), None) => embedded.close().await,
            (Engine::Etcd(etcd), _) => {
                etcd.complete().await?;
                etcd.close().await;
            }
        }
        Ok(expect)
    }
}

/// The identity of what is filled from `store`. It begins a history of its own, as a restore does:
/// the source may go on to be used as well. `fresh` is a UUID made now (of version 7).
fn successor(store: &Store, fresh: Uuid) -> Identity {
    store.identity().restored(fresh)
}

/// Copies a store, checks the copy against the source, and answers what was copied. Nobody should
/// write to the source meanwhile: the copy is of one moment of it, and what came later is missing.
///
/// `begin` is given the identity and begins the store to be filled.
///
/// # Errors
///
/// Those of either store; [`StoreError::Differs`].
pub async fn copy(
    from: &Store,
    fresh: Uuid,
    begin: impl AsyncFnOnce(Identity) -> Result<Filling, StoreError>,
) -> Result<Sum, StoreError> {
    let mut filling = begin(successor(from, fresh)).await?;
    let mut summing = Summing::default();
    let mut export = Export::of(from);
    loop {
        let page = export.page().await?;
        if page.is_empty() {
            break;
        }
        for (key, value) in page {
            summing.add(&key, &value);
            filling.put(key, value).await?;
        }
    }
    let sum = summing.sum();
    // The source again, as it is now: what changed meanwhile would be lost in silence.
    if from.sum().await? != sum {
        return Err(StoreError::Differs);
    }
    filling.complete(sum).await
}
