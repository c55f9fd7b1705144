//! What memory learns from instances and stores behind their backs: operations that ended, and
//! instances that came or went. Not durable on purpose: after a crash those operations are open
//! again, and end by what the instances then report.

use std::sync::PoisonError;

use ferryway_api::Operation;
use ferryway_store::{Expect, StoreError, Txn};
use uuid::Uuid;

use super::records::{self, CommitRecord};
use super::{Core, keys, tracker};
use crate::settings::whole;

/// How often the end of an operation is written again when its record was changed meanwhile.
const TRIES_MAX: usize = 4;

impl Core {
    /// Stores the operations that ended, and the instances that came or went.
    pub(super) async fn keep_ended(&self) {
        let _keeping = self.0.keeping_instances.lock().await;
        let (ended, instances) = {
            let mut memory = self
                .0
                .memory
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let instances = std::mem::take(&mut memory.unsaved_instances).into_iter();
            let instances: Vec<_> = instances
                .filter_map(|(group, id)| {
                    let record = memory.instances.get(&group)?.get(&id)?.record.clone();
                    Some((keys::instance(&group, &id), record))
                })
                .collect();
            (memory.unsaved(), instances)
        };
        for (id, operation) in ended {
            if let Err(error) = self.keep(id, &operation).await {
                tracing::warn!(%id, %error, "an ended operation could not be stored; it is shown from memory");
            }
        }
        for (key, record) in instances {
            let txn = Txn::new()
                .put(key.clone(), records::write(&record))
                .durable(false);
            if let Err(error) = self.0.store.commit(txn).await {
                tracing::warn!(%key, %error, "an instance could not be stored as seen");
            }
        }
    }

    /// Stores the end of an operation, unless another control plane has: the first word stands.
    async fn keep(&self, id: Uuid, operation: &Operation) -> Result<(), String> {
        let key = keys::commit(id);
        for _ in 0..TRIES_MAX {
            let entry = self.0.store.get(&key).await;
            let Some(entry) = entry.map_err(|error| whole(&error))? else {
                return Ok(());
            };
            let mut record: CommitRecord = records::read(key.as_str(), &entry.value)?;
            let stored = record.operation.as_ref();
            if stored.is_none_or(|stored| stored.state.is_final()) {
                return Ok(());
            }
            let rejected = tracker::rejected_in(operation);
            for entry in &mut record.history {
                let place = (entry.group.clone(), entry.service.clone());
                entry.rejected |= rejected.contains(&place);
            }
            record.operation = Some(operation.clone());
            let txn = Txn::new()
                .require(key.clone(), Expect::Revision(entry.modified))
                .put(key.clone(), records::write(&record))
                .durable(false);
            match self.0.store.commit(txn).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(whole(&error)),
            }
        }
        Err("its record is changed again and again".to_owned())
    }
}
