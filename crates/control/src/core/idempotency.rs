//! Idempotency keys: a repeated call gets the answer of the first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use ferryway_model::Digest;
use jiff::{SignedDuration, Timestamp};

use super::Core;
use super::error::CoreError;
use super::records::{IdempotencyRecord, IdempotentResult};

/// A call's idempotency key, and what it was used with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Idempotency {
    /// The key, as the caller chose it.
    pub(crate) key: String,
    /// The digest of method, path and body.
    pub(crate) fingerprint: Digest,
}

/// Whether a call made something, or found it made by an earlier one of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// It did.
    Now,
    /// The first call with its key did, and this is what.
    Before(IdempotentResult),
}

/// For so long a key stands for its first call.
const KEY_LIVES: SignedDuration = SignedDuration::from_hours(24);

/// The keys whose calls are under way.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<HashSet<String>>);

/// Holds a key for the time of one call.
#[derive(Debug)]
pub(super) struct Turn {
    busy: Arc<Busy>,
    key: String,
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
        let Some(Idempotency { key, fingerprint }) = idempotency else {
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
        let now = self.0.clock.now();
        let record = self.read(|memory| memory.idempotency.get(key).cloned());
        match record.filter(|record| is_alive(record, now)) {
            None => Ok(Ok(Some(turn))),
            Some(record) if record.fingerprint == *fingerprint => Ok(Err(record.result)),
            Some(_) => Err(CoreError::KeyReused),
        }
    }
}

/// The record of a call that made something.
pub(super) fn record(
    idempotency: Option<&Idempotency>,
    at: Timestamp,
    result: IdempotentResult,
) -> Option<IdempotencyRecord> {
    let Idempotency { key, fingerprint } = idempotency?;
    Some(IdempotencyRecord {
        key: key.clone(),
        fingerprint: *fingerprint,
        at,
        result,
    })
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
