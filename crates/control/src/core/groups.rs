//! Changes of groups: what people set of them, and that they come and go.

use std::collections::BTreeMap;

use ferryway_api::InstanceCounts;
use ferryway_model::{Code, Group as GroupModel, Name, Problem, View};
use ferryway_store::Expect;
use serde_json::{Value, json};

use super::error::CoreError;
use super::idempotency::{Idempotency, Made};
use super::memory::Memory;
use super::records::{self, Answered, GroupRecord, HeadRecord};
use super::resources::{Draft, IfMatch, require, shown};
use super::{Actor, Core, keys};

impl Core {
    /// Creates or replaces a group. `wanted` says what it shall be and what is required of what is
    /// there; it is asked when it is this write's turn.
    ///
    /// # Errors
    /// What `wanted` says; it is not as is required, or could not be stored.
    pub(crate) async fn put_group(
        &self,
        actor: &Actor,
        name: &Name,
        wanted: impl Fn() -> Result<(GroupModel, IfMatch), CoreError>,
        idempotency: Option<&Idempotency>,
    ) -> Result<Made, CoreError> {
        let draft = |(group, if_match): &(GroupModel, IfMatch), memory: &Memory, _| {
            let tag = memory.group_etag(name);
            require(if_match, tag.as_deref(), || {
                format!("there is a gateway group {name:?} already")
            })?;
            let record = GroupRecord {
                meta: group.meta.clone(),
                enforce_publishing: group.enforce_publishing,
            };
            let mut draft = Draft::default();
            let before = match memory.groups.get(name) {
                Some(standing) if standing.record == record => return Ok(draft),
                Some(standing) => {
                    draft
                        .requires
                        .push((keys::group(name), Expect::Revision(standing.modified)));
                    as_set(name, &standing.record)
                }
                None => {
                    draft.requires.push((keys::group(name), Expect::Absent));
                    let retired = memory.retired.get(name);
                    let expect =
                        retired.map_or(Expect::Absent, |(_, modified)| Expect::Revision(*modified));
                    draft.requires.push((keys::head(name), expect));
                    let revision = retired.map_or_else(Default::default, |(head, _)| head.revision);
                    let head = HeadRecord {
                        revision,
                        root: View::empty().root(),
                    };
                    draft
                        .puts
                        .push((keys::head(name), records::write(&head).into()));
                    draft.new = Some(Answered {
                        path: path(name),
                        etag: Some(record.etag()),
                        body: json!(record.shown(name, &head, InstanceCounts::default())),
                    });
                    Value::Null
                }
            };
            draft
                .puts
                .push((keys::group(name), records::write(&record).into()));
            let after = as_set(name, &record);
            draft.audit = Some(("put group", path(name), before, after));
            Ok(draft)
        };
        let places = [keys::group(name)];
        self.draft_wanted(actor, places, idempotency, wanted, draft)
            .await
    }

    /// Deletes a group that nothing holds.
    ///
    /// # Errors
    /// What holds it; or it isn't there, isn't as `if_match` requires, or the store failed.
    pub(crate) async fn delete_group(
        &self,
        actor: &Actor,
        name: &Name,
        if_match: &IfMatch,
    ) -> Result<(), CoreError> {
        self.draft(actor, [keys::group(name)], None, |memory, _| {
            let Some(group) = memory.groups.get(name) else {
                return Err(CoreError::not_found(format!(
                    "there is no gateway group {name:?}"
                )));
            };
            if_match.check(memory.group_etag(name).as_deref())?;
            let services: Vec<_> = group
                .view
                .services()
                .map(|(name, _)| name.to_string())
                .collect();
            let instances = memory
                .instances
                .get(name)
                .into_iter()
                .flat_map(BTreeMap::values);
            let online: Vec<_> = instances
                .filter(|i| i.is_online())
                .map(|i| i.record.hostname.clone())
                .collect();
            let mut problems = Vec::new();
            let mut held = |what: &str, by: Vec<String>| {
                if !by.is_empty() {
                    let message = format!("{name} has {what}: {}", shown(by));
                    problems.push(Problem::new(Code::InUse, "", message).in_group(name));
                }
            };
            held("published services; unpublish them first", services);
            held("instances online; stop them first", online);
            if !problems.is_empty() {
                return Err(CoreError::Refused(problems));
            }
            let head = HeadRecord {
                revision: group.head.revision.next(),
                root: View::empty().root(),
            };
            let mut draft = Draft {
                requires: vec![
                    (keys::group(name), Expect::Revision(group.modified)),
                    (keys::head(name), Expect::Revision(group.head_modified)),
                ],
                puts: vec![(keys::head(name), records::write(&head).into())],
                deletes: vec![keys::group(name), keys::shrink(name)],
                ..Draft::default()
            };
            draft.deletes.extend(
                group
                    .registries
                    .keys()
                    .map(|registry| keys::registry(name, registry)),
            );
            let tokens = memory.join_tokens.iter();
            let tokens = tokens.filter(|(_, token)| token.group == *name);
            draft
                .deletes
                .extend(tokens.map(|(id, _)| keys::join_token(name, *id)));
            let before = as_set(name, &group.record);
            draft.audit = Some(("delete group", path(name), before, Value::Null));
            Ok(draft)
        })
        .await
        .map(|_| ())
    }
}

impl GroupRecord {
    /// The group as it is answered.
    pub(crate) fn shown(
        &self,
        name: &Name,
        head: &HeadRecord,
        instances: InstanceCounts,
    ) -> ferryway_api::Group {
        let Self {
            meta,
            enforce_publishing,
        } = self;
        ferryway_api::Group {
            name: name.to_string(),
            title: meta.title.clone(),
            description: meta.description.clone(),
            labels: meta.labels.clone(),
            enforce_publishing: *enforce_publishing,
            revision: head.revision.0,
            root: head.root.to_string(),
            instances,
        }
    }
}

/// The group as callers set it.
fn as_set(name: &Name, record: &GroupRecord) -> Value {
    let GroupRecord {
        meta,
        enforce_publishing,
    } = record.clone();
    let group = GroupModel {
        name: name.clone(),
        meta,
        enforce_publishing,
    };
    group.to_value()
}

fn path(name: &Name) -> String {
    format!("gateway-groups/{name}")
}
