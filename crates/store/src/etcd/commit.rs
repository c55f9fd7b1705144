//! A transaction: sent until it is answered, and never done twice.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::Shared;
use super::fault::Fault;
use super::slots::Taken;
use super::wire::{self, Compare, TxnRequest};
use crate::txn::Expect;
use crate::{Committed, Key, Revision, StoreError, Trouble, Txn};

/// How long a transaction may take, its way to other members included.
pub(super) const COMMIT_WITHIN: Duration = Duration::from_secs(5);

/// How often a transaction is sent anew that failed though everything it requires holds: others
/// keep changing it in between, or our lease was lost.
const TRIES_MAX: usize = 8;

/// What one sending came to.
enum Sent {
    Done(Revision),
    Conflict(Key),
    Again,
}

pub(super) async fn commit(shared: &Shared, txn: &Txn) -> Result<Committed, StoreError> {
    if let Some(trouble) = shared.health.lost() {
        return Err(shared.health.error("write", trouble));
    }
    let asked = Instant::now();
    let within = COMMIT_WITHIN;
    let answer = tokio::time::timeout(within, write(shared, txn))
        .await
        .unwrap_or_else(|_| Err(Trouble::Slow { within }.into()));
    match answer {
        Ok(Ok(revision)) => {
            shared.health.writes(None);
            let took = asked.elapsed();
            Ok(Committed {
                revision,
                took,
                sync: took,
            })
        }
        Ok(Err(key)) => {
            shared.health.writes(None);
            Err(StoreError::Conflict { key })
        }
        Err(fault) => {
            let trouble = fault.trouble();
            shared.health.writes(Some(trouble.clone()));
            Err(shared.health.error("write", trouble))
        }
    }
}

async fn write(shared: &Shared, txn: &Txn) -> Result<Result<Revision, Key>, Fault> {
    let within = COMMIT_WITHIN;
    let mut taken = shared.slots.take().await.ok_or(Trouble::Slow { within })?;
    let id = Bytes::copy_from_slice(Uuid::new_v4().as_bytes());
    for _ in 0..TRIES_MAX {
        match send(shared, txn, &mut taken, &id).await {
            Ok(Sent::Done(revision)) => return Ok(Ok(revision)),
            Ok(Sent::Conflict(key)) => return Ok(Err(key)),
            // Without its lease a transaction doesn't happen.
            Ok(Sent::Again) | Err(Fault::LeaseGone) => {}
            Err(fault) => return Err(fault),
        }
    }
    match txn.requires.first() {
        Some((key, _)) => Ok(Err(key.clone())),
        None => Err(Fault::LeaseGone),
    }
}

/// Sends the transaction once, to as many members as it takes until one answers.
async fn send(
    shared: &Shared,
    txn: &Txn,
    taken: &mut Taken<'_>,
    id: &Bytes,
) -> Result<Sent, Fault> {
    let (members, names) = (&shared.members, &shared.names);
    let known = shared
        .slots
        .know(&mut taken.slot, members, names, &shared.facts);
    let (before, lease) = known.await?;
    let slot = shared.slots.key(&taken.slot, names);
    let mut compare = vec![wire::modified_at(slot.clone(), before)];
    compare.extend(txn.requires.iter().map(|(key, expect)| {
        let key = names.data(key.as_str());
        requirement(key, *expect)
    }));
    let mut success = vec![wire::put(slot.clone(), id.clone(), lease)];
    success.extend(txn.changes.iter().map(|(key, value)| {
        let key = names.data(key.as_str());
        match value {
            Some(value) => wire::put(key, value.clone(), 0),
            None => wire::delete(key),
        }
    }));
    let request = TxnRequest {
        compare,
        success,
        failure: vec![wire::read(slot, false)],
    };
    // From here on, and until an answer says else, it may happen.
    taken.slot.known = None;
    let answered = match members.call(request, COMMIT_WITHIN).await {
        Ok(answered) => answered,
        Err(Fault::LeaseGone) => {
            shared.slots.forget(lease);
            return Err(Fault::LeaseGone);
        }
        Err(fault) => return Err(fault),
    };
    let (answer, asked) = (answered.answer, answered.asked);
    if answer.succeeded {
        let revision = wire::at(answer.header.as_ref());
        taken.slot.known = Some((wire::number(revision), lease));
        return Ok(Sent::Done(revision));
    }
    match wire::found(answer).into_iter().next().flatten() {
        // It has happened, and its answer was lost.
        Some(found) if found.value == id => {
            taken.slot.known = Some((found.mod_revision, lease));
            Ok(Sent::Done(wire::revision(found.mod_revision)))
        }
        Some(found) if found.mod_revision == before => {
            taken.slot.known = Some((before, lease));
            failing(shared, txn).await
        }
        // Nobody else writes here: the slot went with the lease, or was written by ourselves, late.
        _ if asked == 1 => {
            shared.slots.forget(lease);
            Ok(Sent::Again)
        }
        // And with it the knowledge whether an earlier sending took place.
        _ => Err(Fault::LeaseGone.trouble().into()),
    }
}

/// Which requirement doesn't hold; it may be that all do by now.
async fn failing(shared: &Shared, txn: &Txn) -> Result<Sent, Fault> {
    let reads = txn.requires.iter();
    let request = TxnRequest {
        success: reads
            .map(|(key, _)| wire::read(shared.names.data(key.as_str()), true))
            .collect(),
        ..TxnRequest::default()
    };
    let answer = shared.members.call(request, COMMIT_WITHIN).await?.answer;
    let found = wire::found(answer);
    let modified = found
        .iter()
        .map(|kv| kv.as_ref().map(|kv| wire::revision(kv.mod_revision)));
    let failing = txn
        .requires
        .iter()
        .zip(modified)
        .find(|((_, expect), modified)| !expect.holds(*modified));
    Ok(failing.map_or(Sent::Again, |((key, _), _)| Sent::Conflict(key.clone())))
}

fn requirement(key: Bytes, expect: Expect) -> Compare {
    match expect {
        Expect::Absent => wire::modified_at(key, 0),
        Expect::Present => wire::present(key),
        // Nothing has the revision 0, which in etcd is that of what is absent.
        Expect::Revision(Revision::ZERO) => wire::modified_at(key, i64::MAX),
        Expect::Revision(revision) => wire::modified_at(key, wire::number(revision)),
    }
}
