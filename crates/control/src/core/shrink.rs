//! An operator's word that a view which shrank is meant.
//!
//! An instance that learns by comparison, not from a transaction, that much of its view is gone
//! keeps what it had and holds it (`shrink_unconfirmed`). The word is stored with the head that it
//! was given for, so that it holds after a restart too; and it goes with the group.

use ferryway_delivery::SHRINK_UNCONFIRMED;
use ferryway_model::{Code, Name, Problem};
use ferryway_store::Expect;
use serde_json::json;

use super::error::CoreError;
use super::idempotency::Idempotency;
use super::memory::Memory;
use super::records::{self, ShrinkRecord};
use super::resources::Draft;
use super::{Actor, Core, keys};

impl Core {
    /// Confirms the view that a group has now. Said again of the same view, it changes nothing.
    ///
    /// # Errors
    /// There is no such group, no instance of it waits for this word, or it could not be stored.
    pub(crate) async fn confirm_shrink(
        &self,
        actor: &Actor,
        name: &Name,
        idempotency: Option<&Idempotency>,
    ) -> Result<(), CoreError> {
        let epoch = self.0.sessions.epoch();
        self.draft(actor, [keys::group(name)], idempotency, |memory, _| {
            let Some(group) = memory.groups.get(name) else {
                return Err(CoreError::not_found(format!(
                    "there is no gateway group {name:?}"
                )));
            };
            if !waits(memory, name) {
                let message = format!(
                    "no instance of {name} waits for it: one that does has held services with the \
                     code {SHRINK_UNCONFIRMED} in GET /gateway-groups/{name}/instances"
                );
                let problem = Problem::new(Code::NothingToConfirm, "", message).in_group(name);
                return Err(CoreError::refused(problem));
            }
            let record = ShrinkRecord {
                epoch,
                head: group.head,
            };
            let before = memory.shrinks.get(name);
            if before == Some(&record) {
                return Ok(Draft::default());
            }
            let audit = (
                "confirm shrink",
                format!("gateway-groups/{name}"),
                json!(before.map(|record| record.head)),
                json!(record.head),
            );
            Ok(Draft {
                // The word is about this view, not about one that came meanwhile.
                requires: vec![
                    (keys::group(name), Expect::Revision(group.modified)),
                    (keys::head(name), Expect::Revision(group.head_modified)),
                ],
                puts: vec![(keys::shrink(name), records::write(&record).into())],
                audit: Some(audit),
                ..Draft::default()
            })
        })
        .await
        .map(|_| ())
    }
}

/// Whether an instance, online or not, has last said that it waits for this word.
fn waits(memory: &Memory, group: &Name) -> bool {
    let instances = memory.instances.get(group).into_iter().flatten();
    instances
        .flat_map(|(_, instance)| instance.held.values())
        .any(|held| held.code == SHRINK_UNCONFIRMED)
}
