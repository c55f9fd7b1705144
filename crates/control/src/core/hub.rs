//! Changes of the hub's services. They serve nothing by themselves.

use std::collections::BTreeMap;

use bytes::Bytes;
use ferryway_api::Service;
use ferryway_model::plan::HubService;
use ferryway_model::{Code, Meta, Name, Problem};
use ferryway_store::Expect;
use serde_json::{Map, Value, json};

use super::error::CoreError;
use super::idempotency::{Idempotency, Made};
use super::memory::Memory;
use super::records::{self, Answered, HubRecord};
use super::resources::{Draft, IfMatch, require, shown};
use super::{Actor, Core, keys};

impl Core {
    /// Creates or replaces a service in the hub. It serves nothing by itself. `wanted` says what it
    /// shall be and what is required of what is there; it is asked when it is this write's turn.
    ///
    /// # Errors
    /// What `wanted` says; it is not as is required, or could not be stored.
    pub(crate) async fn put_hub(
        &self,
        actor: &Actor,
        name: &Name,
        wanted: impl Fn() -> Result<(HubService, IfMatch), CoreError>,
        idempotency: Option<&Idempotency>,
    ) -> Result<Made, CoreError> {
        let draft = |(service, if_match): &(HubService, IfMatch), memory: &Memory, now| {
            let HubService { definition, meta } = service;
            let tag = memory.hub_etag(name);
            require(if_match, tag.as_deref(), || {
                format!("there is a service {name:?} already")
            })?;
            let standing = memory.hub.get(name);
            let (expect, created_at, before) = match standing {
                None => (Expect::Absent, now, Value::Null),
                Some(hub) => (
                    Expect::Revision(hub.modified),
                    hub.record.created_at,
                    hub.record
                        .as_set(name, memory.content_bytes(hub.record.digest)),
                ),
            };
            let unchanged = |hub: &super::Hub| {
                hub.record.digest == definition.digest && hub.record.meta == *meta
            };
            if standing.is_some_and(unchanged) {
                return Ok(Draft::default());
            }
            let record = HubRecord {
                meta: meta.clone(),
                digest: definition.digest,
                created_at,
                updated_at: now,
            };
            let mut draft = Draft {
                requires: vec![(keys::hub(name), expect)],
                puts: vec![(keys::hub(name), records::write(&record).into())],
                ..Draft::default()
            };
            if !memory.keeps_content(definition.digest) {
                draft.blobs.push((
                    keys::content(definition.digest),
                    Bytes::copy_from_slice(&definition.bytes),
                ));
            }
            if standing.is_none() {
                draft.new = Some(Answered {
                    path: path(name),
                    etag: Some(record.etag()),
                    body: json!(record.shown(memory, name, fields(&definition.bytes))),
                });
            }
            let after = record.as_set(name, Some(Bytes::copy_from_slice(&definition.bytes)));
            draft.audit = Some(("put service", path(name), before, after));
            Ok(draft)
        };
        let places = [keys::hub(name)];
        self.draft_wanted(actor, places, idempotency, wanted, draft)
            .await
    }

    /// Deletes a service from the hub, if no group has it. Its version numbers stay used.
    ///
    /// # Errors
    /// The groups that have it; or it isn't there, isn't as `if_match` requires, or the store
    /// failed.
    pub(crate) async fn delete_hub(
        &self,
        actor: &Actor,
        name: &Name,
        if_match: &IfMatch,
    ) -> Result<(), CoreError> {
        self.draft(actor, [keys::hub(name)], None, |memory, _| {
            let Some(hub) = memory.hub.get(name) else {
                return Err(CoreError::not_found(format!(
                    "there is no service {name:?} in the hub"
                )));
            };
            if_match.check(memory.hub_etag(name).as_deref())?;
            let groups = memory.groups_of(name);
            if !groups.is_empty() {
                let groups = shown(groups.iter().map(ToString::to_string).collect());
                let message = format!("{name} is published in {groups}; unpublish it there first");
                return Err(CoreError::refused(
                    Problem::new(Code::InUse, "", message).of_service(name),
                ));
            }
            // The heads are required too: nobody may publish it meanwhile.
            let mut requires = vec![(keys::hub(name), Expect::Revision(hub.modified))];
            let heads = memory.groups.iter().take(HEADS_REQUIRED_MAX);
            requires
                .extend(heads.map(|(name, group)| {
                    (keys::head(name), Expect::Revision(group.head_modified))
                }));
            let bytes = memory.content_bytes(hub.record.digest);
            let before = hub.record.as_set(name, bytes);
            Ok(Draft {
                requires,
                deletes: vec![keys::hub(name)],
                audit: Some(("delete service", path(name), before, Value::Null)),
                ..Draft::default()
            })
        })
        .await
        .map(|_| ())
    }
}

/// A transaction takes 128 requirements; beyond so many groups a publish that races with the
/// deletion of its own service from the hub is possible, and harmless: what is published runs on.
const HEADS_REQUIRED_MAX: usize = 120;

/// A larger definition, in bytes of JSON, is named in the audit by its digest alone: entries are kept
/// for 90 days, in memory too.
const AUDITED_BYTES_MAX: usize = 4 * 1024;

impl HubRecord {
    /// The service as it is answered, its definition's fields beside what is known of it.
    pub(crate) fn shown(
        &self,
        memory: &Memory,
        name: &Name,
        definition: Map<String, Value>,
    ) -> Service {
        let Self {
            meta,
            digest,
            created_at,
            updated_at,
        } = self;
        let versions = memory.versions.get(name).map_or(0, BTreeMap::len);
        let running_in = memory.groups_of(name).into_iter();
        Service {
            title: meta.title.clone(),
            description: meta.description.clone(),
            labels: meta.labels.clone(),
            digest: digest.to_string(),
            created_at: *created_at,
            updated_at: *updated_at,
            versions: u64::try_from(versions).unwrap_or(u64::MAX),
            running_in: running_in.map(|group| group.to_string()).collect(),
            definition,
        }
    }

    /// The service as callers set it, for the audit: with its definition, if that is not too large.
    fn as_set(&self, name: &Name, definition: Option<Bytes>) -> Value {
        let small = definition.filter(|bytes| bytes.len() <= AUDITED_BYTES_MAX);
        let mut value = small.map_or_else(Map::new, |bytes| fields(&bytes));
        let Meta {
            title,
            description,
            labels,
        } = &self.meta;
        for (field, said) in [
            ("name", json!(name)),
            ("title", json!(title)),
            ("description", json!(description)),
            ("labels", json!(labels)),
            ("digest", json!(self.digest)),
        ] {
            value.insert(field.to_owned(), said);
        }
        Value::Object(value)
    }
}

/// The fields of a definition, from its canonical bytes.
fn fields(definition: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(definition).unwrap_or_default()
}

fn path(name: &Name) -> String {
    format!("services/{name}")
}
