//! Which control planes there are: each keeps a record of itself in the store, as long as it lives.
//!
//! No clock of two machines is compared. A record is written again and again with a number that
//! rises; whoever has not seen it move for a while, by its own clock, takes its control plane for
//! gone and deletes it. One that was only stopped for a while writes it anew.

use std::collections::BTreeMap;
use std::time::Duration;

use ferryway_proto::PROTOCOL;
use ferryway_runtime::Stop;
use ferryway_store::{Expect, Revision as StoreRevision, StoreError, Txn};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::memory::Memory;
use super::{Core, keys, records};

/// A control plane that may have others beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plane {
    /// Made anew with each start, so that no two ever share it.
    pub(crate) id: Uuid,
    /// Where the others reach its delivery port.
    pub(crate) url: String,
    /// Its build.
    pub(crate) build: String,
}

/// `plane/ID`: a control plane that lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlaneRecord {
    pub(crate) url: String,
    pub(crate) build: String,
    /// Lowest and highest number of the protocol that it speaks.
    pub(crate) protocol: (u32, u32),
    /// Rises each time that it is written.
    pub(crate) beat: u64,
}

/// The other control planes, by id.
pub(crate) type Planes = BTreeMap<Uuid, Other>;

/// Another control plane.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    /// What it says of itself.
    pub(crate) record: PlaneRecord,
    modified: StoreRevision,
    /// When its record was last seen to change.
    moved: Instant,
    /// Whether what its instances say comes here, and all that was said before has come.
    pub(crate) is_followed: bool,
}

/// How often a control plane writes its record again.
const BEAT: Duration = Duration::from_secs(5);
/// A record that has not moved for so long is of a control plane that is gone.
const GONE_AFTER: Duration = Duration::from_secs(15);
/// Most wishes that one leaves behind; more stay, and nobody heeds them.
const WISHES_MAX: usize = 64;

impl Memory {
    /// Takes in what the store says of a control plane.
    pub(super) fn take_plane(
        &mut self,
        id: Uuid,
        record: Option<PlaneRecord>,
        modified: StoreRevision,
    ) {
        if self.tracker.plane() == Some(id) {
            return;
        }
        let Some(record) = record else {
            if self.planes.remove(&id).is_some() {
                self.planes_changed.send_replace(());
                self.orphan(id);
            }
            return;
        };
        self.adopted(id);
        let is_followed = self.planes.get(&id).is_some_and(|other| other.is_followed);
        let other = Other {
            record,
            modified,
            moved: Instant::now(),
            is_followed,
        };
        if self.planes.insert(id, other).is_none() {
            self.planes_changed.send_replace(());
        }
    }
}

impl Core {
    /// Keeps the record of this control plane in the store until `stop`, and deletes those of others
    /// that are gone.
    pub(super) async fn stay_known(&self, plane: Plane, stop: Stop) {
        let mut is_said = false;
        for beat in 0.. {
            let written = self.announce(&plane, beat).await;
            match &written {
                Err(error) if !std::mem::replace(&mut is_said, true) => {
                    tracing::warn!(%error, "other control planes can't be told of this one");
                }
                Err(_) => {}
                Ok(()) => is_said = false,
            }
            if let Err(error) = self.clear_gone().await {
                tracing::warn!(%error, "a control plane that is gone can't be cleared away");
            }
            if timeout(BEAT, stop.requested()).await.is_ok() {
                break;
            }
        }
        let gone = Txn::new()
            .delete(keys::plane(plane.id))
            .delete(keys::fence(plane.id))
            .durable(false);
        if let Err(error) = self.0.store.commit(gone).await {
            tracing::warn!(%error, "other control planes can't be told that this one ends");
        }
    }

    async fn announce(&self, plane: &Plane, beat: u64) -> Result<(), StoreError> {
        let Plane { id, url, build } = plane;
        let record = PlaneRecord {
            url: url.clone(),
            build: build.clone(),
            protocol: (PROTOCOL, PROTOCOL),
            beat,
        };
        let txn = Txn::new()
            .put(keys::plane(*id), records::write(&record))
            .durable(false);
        self.0.store.commit(txn).await.map(drop)
    }

    async fn clear_gone(&self) -> Result<(), StoreError> {
        let now = Instant::now();
        let gone: Vec<_> = self.read(|memory| {
            let others = memory.planes.iter();
            let gone = others.filter(|(_, other)| now.duration_since(other.moved) >= GONE_AFTER);
            gone.map(|(id, _)| *id).collect()
        });
        for id in gone {
            tracing::warn!(plane = %id, "a control plane has not been heard of for {GONE_AFTER:?}");
            self.plane_is_gone(id).await?;
        }
        Ok(())
    }

    /// Tells, now and later, when another control plane came or went.
    pub(crate) fn planes_changed(&self) -> watch::Receiver<()> {
        self.read(|memory| memory.planes_changed.subscribe())
    }

    /// Deletes the record of a control plane that is gone, unless it has just written it.
    pub(crate) async fn plane_is_gone(&self, id: Uuid) -> Result<(), StoreError> {
        let modified = self.read(|memory| memory.planes.get(&id).map(|other| other.modified));
        let Some(modified) = modified else {
            return Ok(());
        };
        let key = keys::plane(id);
        let txn = Txn::new()
            .require(key.clone(), Expect::Revision(modified))
            .delete(key)
            .delete(keys::fence(id))
            .durable(false);
        let prefix = keys::wishes(id);
        let wishes = self.0.store.list(&prefix, None, WISHES_MAX).await?;
        let txn = wishes
            .entries
            .into_iter()
            .fold(txn, |txn, wish| txn.delete(wish.key));
        match self.0.store.commit(txn).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
