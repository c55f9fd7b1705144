//! What makes a transaction safe to send twice.
//!
//! An answer can get lost on its way, and a member that was stopped can carry out much later what
//! it was asked long ago. So each transaction goes through a *slot*: a key of this process's own,
//! that one transaction at a time has. It requires the slot as the one before it left it, and
//! writes its own id there. Of two sendings the first to arrive changes the slot and the second one
//! finds it changed, by the same id; a late one finds it changed by a later transaction. Who does not know
//! how one ended takes the slot anew, after which it can't happen any more.
//!
//! Slots hang on a lease and go with the process. A slot is never born in a transaction that does
//! something else, so the one it requires is never simply "absent".

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::facts::Facts;
use super::fault::Fault;
use super::members::Members;
use super::names::Names;
use super::wire::{self, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, TxnRequest};
use crate::Trouble;

/// Transactions under way at once; who comes later waits.
const SLOTS_MAX: usize = 32;

/// How long slots outlive a process that does not say that it is alive.
const LEASE_SECONDS: i64 = 60;

/// How often it is said.
pub(super) const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// How long one call about leases and slots may take.
const CALL_WITHIN: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(super) struct Slots {
    process: Uuid,
    free: Mutex<Vec<Slot>>,
    permits: Semaphore,
    lease: AtomicI64,
    granting: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    number: usize,
    /// Who used it last: its revision, and the lease that it hangs on. `None`: not known.
    pub(super) known: Option<(i64, i64)>,
}

/// A slot that is taken, and goes back in whatever way the transaction ends.
#[derive(Debug)]
pub(super) struct Taken<'s> {
    slots: &'s Slots,
    /// As it goes back: unknown for as long as something may be under way.
    pub(super) slot: Slot,
    _permit: SemaphorePermit<'s>,
}

impl Slots {
    pub(super) fn new() -> Self {
        let slot = |number| Slot {
            number,
            known: None,
        };
        Self {
            process: Uuid::new_v4(),
            free: Mutex::new((0..SLOTS_MAX).rev().map(slot).collect()),
            permits: Semaphore::new(SLOTS_MAX),
            lease: AtomicI64::new(0),
            granting: tokio::sync::Mutex::default(),
        }
    }

    /// A slot for one transaction, once there is one.
    pub(super) async fn take(&self) -> Option<Taken<'_>> {
        let permit = self.permits.acquire().await.ok()?;
        let slot = self.free().pop()?;
        Some(Taken {
            slots: self,
            slot,
            _permit: permit,
        })
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Slot>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease that slots hang on.
    pub(super) async fn lease(&self, members: &Members) -> Result<i64, Fault> {
        let lease = self.lease.load(Ordering::Relaxed);
        if lease != 0 {
            return Ok(lease);
        }
        let _one = self.granting.lock().await;
        let lease = self.lease.load(Ordering::Relaxed);
        if lease != 0 {
            return Ok(lease);
        }
        let request = LeaseGrantRequest {
            ttl: LEASE_SECONDS,
            id: 0,
        };
        let lease = members.call(request, CALL_WITHIN).await?.answer.id;
        self.lease.store(lease, Ordering::Relaxed);
        Ok(lease)
    }

    /// A lease has been found to be gone.
    pub(super) fn forget(&self, lease: i64) {
        let _ = self
            .lease
            .compare_exchange(lease, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Says that this process is alive.
    pub(super) async fn keep_alive(&self, members: &Members) -> Result<(), Fault> {
        let lease = self.lease.load(Ordering::Relaxed);
        if lease == 0 {
            return Ok(());
        }
        let request = LeaseKeepAliveRequest { id: lease };
        if members.call(request, CALL_WITHIN).await?.answer.id == 0 {
            self.forget(lease);
        }
        Ok(())
    }

    /// Takes the slots out of etcd.
    pub(super) async fn end(&self, members: &Members, within: Duration) {
        let lease = self.lease.swap(0, Ordering::Relaxed);
        if lease != 0 {
            // Where that fails they go by themselves.
            let _ = members.call(LeaseRevokeRequest { id: lease }, within).await;
        }
    }

    pub(super) fn key(&self, slot: &Slot, names: &Names) -> Bytes {
        names.meta(&format!("slot/{}/{}", self.process, slot.number))
    }

    /// Makes a slot known again: nothing that was sent through it before can still happen. It is made
    /// only where the store is still the one that was opened: so no transaction, which needs a slot,
    /// gets into another one, or into the empty etcd that came in its place.
    pub(super) async fn know(
        &self,
        slot: &mut Slot,
        members: &Members,
        names: &Names,
        facts: &Facts,
    ) -> Result<(i64, i64), Fault> {
        let lease = self.lease(members).await?;
        if let Some(known) = slot.known
            && known.1 == lease
        {
            return Ok(known);
        }
        slot.known = None;
        let mark = Bytes::copy_from_slice(Uuid::new_v4().as_bytes());
        let request = TxnRequest {
            compare: facts.unchanged(names).into(),
            success: vec![wire::put(self.key(slot, names), mark, lease)],
            failure: Vec::new(),
        };
        let answer = match members.call(request, CALL_WITHIN).await {
            Ok(answered) => answered.answer,
            Err(Fault::LeaseGone) => {
                self.forget(lease);
                return Err(Fault::LeaseGone);
            }
            Err(fault) => return Err(fault),
        };
        if !answer.succeeded {
            return Err(Trouble::Replaced.into());
        }
        // Sent twice it was written twice; what the last answer says is then not the last word, and
        // the requirement that fails for it is found out by the id.
        let header = answer.header.ok_or_else(|| Trouble::Damaged {
            detail: "an answer without a revision".into(),
        })?;
        Ok((header.revision, lease))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.slots.free().push(self.slot.clone());
    }
}
