use std::path::Path;

use bytes::Bytes;
use uuid::Uuid;

use crate::embedded::Embedded;
use crate::etcd::{Etcd, EtcdSettings};
use crate::identity::Identity;
use crate::{Committed, Key, Revision, StoreError, Txn, Watch};

/// The most entries of a [`Page`].
pub const LIST_ENTRIES_MAX: usize = 1_000;

/// A [`Page`] ends with the entry that takes its values to this many bytes.
pub const LIST_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// The store. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) engine: Engine,
}

/// The engines are few and known, so this is no trait: each call says what each engine does.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    Embedded(Embedded),
    Etcd(Etcd),
}

/// A key and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its value.
    pub value: Bytes,
    /// The transaction that made the key (since it was last absent).
    pub created: Revision,
    /// The transaction that last gave it a value.
    pub modified: Revision,
}

/// A part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Ordered by key.
    pub entries: Vec<Entry>,
    /// The store's revision when this page was read.
    pub revision: Revision,
    /// The key to go on from; `None` on the last page.
    pub next: Option<Key>,
}

impl Store {
    /// Opens the store in the folder `dir`, and makes both where they aren't there. A new store
    /// takes the identity `fresh`, a UUID made now (of version 7); one that exists keeps its own.
    ///
    /// The whole file is read and checked, which takes about three seconds for each gigabyte. A file named
    /// `restored` in the folder says that a backup was put in place: it is counted in
    /// [`Identity::restores`] and removed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where another process has it open, [`StoreError::Corrupt`] or
    /// [`StoreError::Layout`] where the file cannot be used, [`StoreError::Io`] where the system
    /// refuses.
    pub async fn open(dir: &Path, fresh: Uuid) -> Result<Self, StoreError> {
        let engine = Engine::Embedded(Embedded::open(dir, fresh).await?);
        Ok(Self { engine })
    }

    /// Opens the store that lies in etcd, and makes it where it isn't there, with the identity
    /// `fresh` (as for [`Store::open`]). Any number of processes may have it open.
    ///
    /// A store whose etcd is another cluster than the one it was made in was brought there, by a
    /// snapshot put back, say: that is counted in [`Identity::restores`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Etcd`], after 10 s at most; [`StoreError::Settings`] where a certificate
    /// can't be read.
    pub async fn open_etcd(settings: &EtcdSettings, fresh: Uuid) -> Result<Self, StoreError> {
        let engine = Engine::Etcd(Etcd::open(settings, fresh).await?);
        Ok(Self { engine })
    }

    /// Opens the store that lies in etcd and counts a restore: its etcd was put back from a
    /// snapshot under its old cluster's id, so that nothing else tells.
    ///
    /// # Errors
    ///
    /// As [`Store::open_etcd`]; and there must be one.
    pub async fn open_etcd_restored(
        settings: &EtcdSettings,
        fresh: Uuid,
    ) -> Result<Self, StoreError> {
        let engine = Engine::Etcd(Etcd::count_restore(settings, fresh).await?);
        Ok(Self { engine })
    }

    /// The entry of `key`, as the last answered transaction left it.
    ///
    /// # Errors
    ///
    /// As the disk has them, or [`StoreError::Closed`].
    pub async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        match &self.engine {
            Engine::Embedded(embedded) => embedded.get(key.clone()).await,
            Engine::Etcd(etcd) => etcd.get(key).await,
        }
    }

    /// The entries whose keys start with `prefix`, from the key `from` on (itself included), at
    /// most `limit` and at most [`LIST_ENTRIES_MAX`]; at least one where there is one.
    ///
    /// Each page is of one revision, but pages are read one after the other. To know the whole
    /// listing, watch after the *first* page's revision: a change that a later page held already
    /// is told again, with the same value.
    ///
    /// # Errors
    ///
    /// As the disk has them, or [`StoreError::Closed`].
    pub async fn list(
        &self,
        prefix: &str,
        from: Option<&Key>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.list_at(prefix, from, limit, Revision::ZERO).await
    }

    /// As `list`, at an earlier revision (0: now), so that all pages are of one. The embedded engine
    /// doesn't keep earlier ones: there, nobody may write meanwhile.
    pub(crate) async fn list_at(
        &self,
        prefix: &str,
        from: Option<&Key>,
        limit: usize,
        at: Revision,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, LIST_ENTRIES_MAX);
        match &self.engine {
            Engine::Embedded(embedded) => embedded.list(prefix, from, limit).await,
            Engine::Etcd(etcd) => etcd.list(prefix, from, limit, at).await,
        }
    }

    /// Does what `txn` says, whole or not at all.
    ///
    /// A durable transaction is answered when it is on the disk (in etcd: of more than half of the
    /// members, as every transaction there); from the answer on, every read sees it. When the future is dropped before the answer, the transaction may still happen.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where a requirement doesn't hold, [`StoreError::TooLarge`] over a
    /// bound, [`StoreError::Closed`]; nothing changed then. [`StoreError::Io`],
    /// [`StoreError::Corrupt`] and [`StoreError::Etcd`] leave it open whether the transaction happened.
    pub async fn commit(&self, txn: Txn) -> Result<Committed, StoreError> {
        txn.check_bounds()?;
        match &self.engine {
            Engine::Embedded(embedded) => embedded.commit(txn).await,
            Engine::Etcd(etcd) => etcd.commit(&txn).await,
        }
    }

    /// The transactions after the revision `after` that change keys starting with `prefix`.
    ///
    /// The embedded engine keeps the last 4,096 transactions or 64 MiB of them, and none from
    /// before it was opened; so does etcd's, and loses them where etcd is compacted before they
    /// arrived here.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`] when `after` is too old, [`StoreError::Ahead`] when the store has
    /// not got there, [`StoreError::Closed`].
    pub async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        match &self.engine {
            Engine::Embedded(embedded) => embedded.watch(prefix, after),
            Engine::Etcd(etcd) => etcd.watch(prefix, after).await,
        }
    }

    /// Who this store is, and which of its histories.
    pub fn identity(&self) -> Identity {
        match &self.engine {
            Engine::Embedded(embedded) => embedded.identity(),
            Engine::Etcd(etcd) => etcd.identity(),
        }
    }

    /// What is wrong with the store just now, as far as it is known without asking it: whoever
    /// writes, or wants to know what others wrote, has to wait. `None` where all is well.
    pub fn trouble(&self) -> Option<StoreError> {
        match &self.engine {
            Engine::Embedded(embedded) => embedded.trouble(),
            Engine::Etcd(etcd) => etcd.trouble(),
        }
    }

    /// Closes the store for all its handles: answers what was asked before, and puts everything on
    /// the disk. Once it is done the folder can be opened again.
    ///
    /// Dropping the last handle does the same, without a way to wait for it.
    pub async fn close(self) {
        match self.engine {
            Engine::Embedded(embedded) => embedded.close().await,
            Engine::Etcd(etcd) => etcd.close().await,
        }
    }
}
