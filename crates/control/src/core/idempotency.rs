//! Idempotency keys: a repeated call gets the answer of the first.
//!
//! A key and the change that it stands for are one transaction, which requires that nobody else has
//! used the key: of two calls with one key at two control planes, one changes something, and the
//! other finds out and answers what the first does.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ferryway_model::Digest;
use ferryway_store::{Expect, Key as StoreKey, Revision as StoreRevision, Txn};
use jiff::{SignedDuration, Timestamp};

use super::error::CoreError;
use super::memory::Memory;
use super::records::{self, Answered, IdempotencyRecord, IdempotentResult};
use super::{Core, keys};

/// A call's idempotency key, and what it was used with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Idempotency {
    /// The key, as the caller chose it, with who the caller is before it: two may choose the same.
    pub(crate) key: String,
    /// The digest of method, path and body.
    pub(crate) fingerprint: Digest,
}

/// Whether a call made something, or found it made by an earlier one of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// It, or the first call with its key, made something that was not there, and this is what to
    /// answer.
    New(Answered),
    /// It changed what was there, or found it as it should be.
    Changed,
    /// The first call with its key did; what it is about is shown as it is.
    Before,
}

/// For so long a key stands for its first call.
const KEY_LIVES: SignedDuration = SignedDuration::from_hours(24);

/// A key that was used, and the transaction that says so.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) record: IdempotencyRecord,
    pub(super) modified: StoreRevision,
}

/// The keys whose calls are under way in this process.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<HashSet<String>>);

/// Holds a key for the time of one call.
#[derive(Debug)]
pub(super) struct Turn {
    busy: Arc<Busy>,
    key: String,
}

/// The part of a transaction that uses up a key.
#[derive(Debug)]
pub(super) struct Use {
    key: StoreKey,
    expect: Expect,
    value: Bytes,
}

impl Use {
    pub(super) fn in_txn(self, txn: Txn) -> Txn {
        let Self { key, expect, value } = self;
        txn.require(key.clone(), expect).put(key, value)
    }
}

impl Core {
    /// Takes a key for the time of a call, or finds what the first call with it made.
    ///
    /// # Errors
    /// The key was used with another request, or a call with it is under way.
    pub(super) fn turn(
        &self,
        idempotency: Option<&Idempotency>,
    ) -> Result<Result<Option<Turn>, IdempotentResult>, CoreError> {
        let Some(Idempotency { key, .. }) = idempotency else {
            return Ok(Ok(None));
        };
        if !self
            .0
            .busy
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone())
        {
            return Err(CoreError::KeyBusy);
        }
        let turn = Turn {
            busy: Arc::clone(&self.0.busy),
            key: key.clone(),
        };
        Ok(match self.made_before(idempotency)? {
            None => Ok(Some(turn)),
            Some(result) => Err(result),
        })
    }

    /// What the first call with this key made, here or at another control plane.
    ///
    /// # Errors
    /// The key was used with another request.
    pub(super) fn made_before(
        &self,
        idempotency: Option<&Idempotency>,
    ) -> Result<Option<IdempotentResult>, CoreError> {
        let Some(Idempotency { key, fingerprint }) = idempotency else {
            return Ok(None);
        };
        let now = self.0.clock.now();
        let used = self.read(|memory| memory.idempotency.get(&keys::once(key)).cloned());
        match used.filter(|used| is_alive(&used.record, now)) {
            None => Ok(None),
            Some(used) if used.record.fingerprint == *fingerprint => Ok(Some(used.record.result)),
            Some(_) => Err(CoreError::KeyReused),
        }
    }

    /// What the first call with a key was told, read from the store; or that it did what it was
    /// about.
    ///
    /// # Errors
    /// It was a call of another sort, or the store can't be read.
    pub(super) async fn answered_before(
        &self,
        idempotency: Option<&Idempotency>,
        made: &IdempotentResult,
    ) -> Result<Made, CoreError> {
        match (idempotency, made) {
            (Some(Idempotency { key, .. }), IdempotentResult::Made(_)) => {
                let key = keys::once(key);
                let gone = || CoreError::Unavailable(format!("{key} has no answer any more"));
                let entry = self.0.store.get(&key).await?.ok_or_else(gone)?;
                let record: IdempotencyRecord =
                    records::read(key.as_str(), &entry.value).map_err(CoreError::Unavailable)?;
                match record.result {
                    IdempotentResult::Made(Some(answered)) => Ok(Made::New(*answered)),
                    _ => Err(gone()),
                }
            }
            (_, IdempotentResult::Done) => Ok(Made::Before),
            // The fingerprint covers method and path, so another sort of call can't have made it.
            _ => Err(CoreError::KeyReused),
        }
    }
}

impl Used {
    /// What memory keeps of a record: without its answer, which may be large.
    pub(super) fn of(mut record: IdempotencyRecord, modified: StoreRevision) -> Self {
        if let IdempotentResult::Made(answered) = &mut record.result {
            *answered = None;
        }
        Self { record, modified }
    }
}

impl Memory {
    /// What uses up a key: it fails if somebody else has used it, or does meanwhile.
    pub(super) fn uses(
        &self,
        idempotency: Option<&Idempotency>,
        at: Timestamp,
        result: IdempotentResult,
    ) -> Option<Use> {
        let Idempotency { key, fingerprint } = idempotency?;
        let record = IdempotencyRecord {
            key: key.clone(),
            fingerprint: *fingerprint,
            at,
            result,
        };
        let key = keys::once(key);
        let used = self.idempotency.get(&key);
        let old = used.filter(|used| !is_alive(&used.record, at));
        Some(Use {
            expect: old.map_or(Expect::Absent, |used| Expect::Revision(used.modified)),
            key,
            value: records::write(&record).into(),
        })
    }
}

/// Whether a key still stands for its first call.
pub(super) fn is_alive(record: &IdempotencyRecord, now: Timestamp) -> bool {
    now.duration_since(record.at) < KEY_LIVES
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.busy
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}
