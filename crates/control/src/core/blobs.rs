//! Content by digest: written ahead of the transaction that names it, read when a head moves.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use ferryway_model::{Bucket, Digest, View};
use ferryway_store::{
    Key, Revision as StoreRevision, Store, StoreError, TXN_BYTES_MAX, TXN_OPERATIONS_MAX, Txn,
};

use super::keys;
use crate::settings::whole;

/// Content by digest, over the store. What was just written, here or by another control plane, is
/// kept for the reader that is about to follow the same change.
#[derive(Debug)]
pub(crate) struct Blobs {
    store: Store,
    recent: Mutex<VecDeque<(Key, Bytes)>>,
}

/// Why something can't be read from the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// The store refuses, which may pass: its disk is full, say.
    #[error("{0} can't be read: {why}", why = whole(.1))]
    Refused(Key, StoreError),
    /// The store refuses to list what is under a prefix, which may pass as well.
    #[error("what is under {0} can't be listed: {why}", why = whole(.1))]
    Unlisted(String, StoreError),
    /// It isn't there, or isn't what it should be. This will not pass.
    #[error("{0}")]
    Wrong(String),
}

/// How many blobs written last are kept at hand.
const RECENT_MAX: usize = 512;
/// How full a transaction of blobs gets, in bytes, before the next one begins.
const BATCH_BYTES: usize = TXN_BYTES_MAX / 2;
const BATCH_OPERATIONS: usize = TXN_OPERATIONS_MAX / 2;

impl Blobs {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            recent: Mutex::new(VecDeque::new()),
        }
    }

    /// Writes blobs, in as many transactions as the bounds ask for. They are not durable until the
    /// transaction that names them is, which is all that is needed: nobody else names them.
    pub(super) async fn put(&self, blobs: Vec<(Key, Bytes)>) -> Result<(), StoreError> {
        let mut txn = Txn::new().durable(false);
        let mut operations = 0;
        for (key, bytes) in &blobs {
            let full = operations == BATCH_OPERATIONS || txn.bytes() + bytes.len() > BATCH_BYTES;
            if operations > 0 && full {
                self.store.commit(txn).await?;
                txn = Txn::new().durable(false);
                operations = 0;
            }
            txn = txn.put(key.clone(), bytes.clone());
            operations += 1;
        }
        if operations > 0 {
            self.store.commit(txn).await?;
        }
        for (key, bytes) in blobs {
            self.keep(key, bytes);
        }
        Ok(())
    }

    /// Keeps a blob at hand that somebody has just written: its reader follows. Without it, a
    /// control plane would ask a store for all that it has just been told by it, and one that is far
    /// from its store would fall behind.
    pub(super) fn keep(&self, key: Key, bytes: Bytes) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.iter().rev().any(|(other, _)| *other == key) {
            return;
        }
        recent.push_back((key, bytes));
        let surplus = recent.len().saturating_sub(RECENT_MAX);
        recent.drain(..surplus);
    }

    /// The blob under a key.
    ///
    /// # Errors
    /// It isn't there, or the store can't be read.
    pub(super) async fn get(&self, key: &Key) -> Result<Bytes, Unread> {
        let kept = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent
                .iter()
                .rev()
                .find(|(other, _)| other == key)
                .map(|(_, bytes)| bytes.clone())
        };
        if let Some(bytes) = kept {
            return Ok(bytes);
        }
        match self.store.get(key).await {
            Ok(Some(entry)) => Ok(entry.value),
            Ok(None) => Err(Unread::Wrong(format!(
                "the store lacks {key}, which something in it names"
            ))),
            Err(error) => Err(Unread::Refused(key.clone(), error)),
        }
    }

    /// Whether a key has been given another value than the transaction of this revision gave it.
    ///
    /// # Errors
    /// The store can't be read.
    pub(super) async fn is_newer(&self, key: &str, than: StoreRevision) -> Result<bool, Unread> {
        let key = Key::new(key).map_err(|error| whole(&error))?;
        match self.store.get(&key).await {
            Ok(entry) => Ok(entry.is_some_and(|entry| entry.modified > than)),
            Err(error) => Err(Unread::Refused(key, error)),
        }
    }

    /// The view of a root, sharing the buckets that are like those of `near`.
    ///
    /// # Errors
    /// A part of it is missing or isn't what its digest says, or the store can't be read.
    pub(super) async fn view(&self, root: Digest, near: &View) -> Result<View, Unread> {
        if root == near.root() {
            return Ok(near.clone());
        }
        if root == View::empty().root() {
            return Ok(View::empty());
        }
        let tree = self.get(&keys::tree(root)).await?;
        let mut buckets = near.buckets().clone();
        let digests = tree.chunks(DIGEST_BYTES).map(Digest::try_from);
        if tree.len() != buckets.len() * DIGEST_BYTES {
            let bytes = tree.len();
            return Err(format!("the tree of {root} has {bytes} bytes").into());
        }
        let empty = View::empty();
        for (number, digest) in digests.enumerate() {
            let digest = digest.map_err(|error| format!("the tree of {root}: {error}"))?;
            if digest == buckets[number].digest() {
                continue;
            }
            let vacant = &empty.buckets()[number];
            buckets[number] = if digest == vacant.digest() {
                vacant.clone()
            } else {
                let bytes = self.get(&keys::bucket(digest)).await?;
                std::sync::Arc::new(Bucket::from_bytes(&bytes)?)
            };
        }
        let view = View::from_buckets(buckets);
        if view.root() == root {
            Ok(view)
        } else {
            Err(format!("the view of {root} has the root {}", view.root()).into())
        }
    }
}

impl From<String> for Unread {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

const DIGEST_BYTES: usize = 32;

/// What `view` consists of beyond `near`: its tree, and the buckets that are other.
pub(super) fn tree_blobs(view: &View, near: &View) -> Vec<(Key, Bytes)> {
    let mut blobs = Vec::new();
    let mut tree = Vec::with_capacity(view.buckets().len() * DIGEST_BYTES);
    for (bucket, old) in view.buckets().iter().zip(near.buckets()) {
        tree.extend_from_slice(bucket.digest().as_bytes());
        if bucket.digest() != old.digest() {
            blobs.push((keys::bucket(bucket.digest()), bucket.to_bytes().into()));
        }
    }
    blobs.push((keys::tree(view.root()), tree.into()));
    blobs
}
