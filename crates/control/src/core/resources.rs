//! Changes of plain resources: groups, their registries, and the services of the hub.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ferryway_model::{
    Changes, Code, Definition, Entry, Group as GroupModel, Key, Meta, Name, Problem, Registry,
    RegistryEntry, Sealed, View,
};
use ferryway_store::{Expect, Key as StoreKey, StoreError, Txn};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::blobs::tree_blobs;
use super::error::CoreError;
use super::idempotency::{Idempotency, Made};
use super::memory::Memory;
use super::records::{
    self, AuditRecord, CommitRecord, GroupRecord, HeadRecord, HubRecord, IdempotentResult,
    RegistryRecord,
};
use super::{Actor, Core, Hold, Tries, keys};

/// What a write requires of the resource's present state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Nothing.
    #[default]
    Anything,
    /// That it isn't there: a creating POST.
    Absent,
    /// That it is there.
    Present,
    /// That it has one of these entity tags.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Whether a resource with this tag (none: it isn't there) is as required.
    pub(super) fn check(&self, tag: Option<&str>) -> Result<(), CoreError> {
        match (self, tag) {
            (Self::Tags(tags), Some(tag)) if !tags.iter().any(|wanted| wanted == tag) => {
                Err(CoreError::Stale)
            }
            (Self::Tags(_), None) => Err(CoreError::Stale),
            _ => Ok(()),
        }
    }
}

/// A write, worked out on one state of memory.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) requires: Vec<(StoreKey, Expect)>,
    pub(super) puts: Vec<(StoreKey, Bytes)>,
    pub(super) deletes: Vec<StoreKey>,
    pub(super) blobs: Vec<(StoreKey, Bytes)>,
    /// Action, target, before, after; none: nothing changes.
    pub(super) audit: Option<(&'static str, String, Value, Value)>,
    /// What a repeated call with the same idempotency key is told.
    pub(super) made: IdempotentResult,
}

impl Core {
    /// Creates or replaces a group.
    ///
    /// # Errors
    /// It is not as `if_match` requires, or could not be stored.
    pub(crate) async fn put_group(
        &self,
        actor: &Actor,
        group: &GroupModel,
        if_match: &IfMatch,
        idempotency: Option<&Idempotency>,
    ) -> Result<Made, CoreError> {
        self.draft(actor, idempotency, |memory, _| {
            let name = &group.name;
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
                    json!(standing.record)
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
                    Value::Null
                }
            };
            draft
                .puts
                .push((keys::group(name), records::write(&record).into()));
            draft.audit = Some((
                "put group",
                format!("gateway-groups/{name}"),
                before,
                json!(record),
            ));
            Ok(draft)
        })
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
        self.draft(actor, None, |memory, _| {
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
            let before = json!(group.record);
            draft.audit = Some((
                "delete group",
                format!("gateway-groups/{name}"),
                before,
                Value::Null,
            ));
            Ok(draft)
        })
        .await
        .map(|_| ())
    }

    /// Creates or replaces a registry of a group. It is delivered like everything else.
    ///
    /// # Errors
    /// The group isn't there; it is not as `if_match` requires; or the store failed.
    pub(crate) async fn put_registry(
        &self,
        actor: &Actor,
        group: &Name,
        registry: &Sealed<Registry>,
        title: &str,
        if_match: &IfMatch,
        idempotency: Option<&Idempotency>,
    ) -> Result<Made, CoreError> {
        let name = &registry.content.name;
        self.draft(actor, idempotency, |memory, _| {
            if !memory.groups.contains_key(group) {
                return Err(CoreError::not_found(format!(
                    "there is no gateway group {group:?}"
                )));
            }
            let tag = memory.registry_etag(group, name);
            require(if_match, tag.as_deref(), || {
                format!("{group} has a registry {name:?} already")
            })?;
            let standing = memory.registry(group, name);
            if standing
                .is_some_and(|(content, old)| content.digest == registry.digest && old == title)
            {
                return Ok(Draft::default());
            }
            let before = standing.map_or(Value::Null, |(content, title)| {
                registry_value(&content.content, title)
            });
            let after = registry_value(&registry.content, title);
            let mut changes = Changes::default();
            let entry = Entry::Registry(RegistryEntry {
                content: registry.digest,
            });
            changes.upserts.insert(Key::registry(name), entry);
            let mut draft = move_head(memory, group, &changes);
            draft.blobs.push((
                keys::content(registry.digest),
                Bytes::copy_from_slice(&registry.bytes),
            ));
            let record = RegistryRecord {
                title: title.to_owned(),
            };
            draft
                .puts
                .push((keys::registry(group, name), records::write(&record).into()));
            let target = format!("gateway-groups/{group}/registries/{name}");
            draft.audit = Some(("put registry", target, before, after));
            Ok(draft)
        })
        .await
    }

    /// Deletes a registry that no binding names.
    ///
    /// # Errors
    /// The services that name it; or it isn't there, isn't as `if_match` requires, or the store
    /// failed.
    pub(crate) async fn delete_registry(
        &self,
        actor: &Actor,
        group: &Name,
        name: &Name,
        if_match: &IfMatch,
    ) -> Result<(), CoreError> {
        self.draft(actor, None, |memory, _| {
            let Some((content, title)) = memory.registry(group, name) else {
                return Err(CoreError::not_found(format!(
                    "{group} has no registry {name:?}"
                )));
            };
            if_match.check(memory.registry_etag(group, name).as_deref())?;
            let users = memory.users_of_registry(group, name);
            if !users.is_empty() {
                let users = shown(users.iter().map(ToString::to_string).collect());
                let message = format!(
                    "the registry {name} is named by the bindings of {users}; change those first"
                );
                return Err(CoreError::refused(
                    Problem::new(Code::InUse, "", message).in_group(group),
                ));
            }
            let mut changes = Changes::default();
            changes.removals.insert(Key::registry(name));
            let mut draft = move_head(memory, group, &changes);
            draft.deletes.push(keys::registry(group, name));
            let target = format!("gateway-groups/{group}/registries/{name}");
            let before = registry_value(&content.content, title);
            draft.audit = Some(("delete registry", target, before, Value::Null));
            Ok(draft)
        })
        .await
        .map(|_| ())
    }

    /// Creates or replaces a service in the hub. It serves nothing by itself.
    ///
    /// # Errors
    /// It is not as `if_match` requires, or could not be stored.
    pub(crate) async fn put_hub(
        &self,
        actor: &Actor,
        definition: &Sealed<Definition>,
        meta: &Meta,
        if_match: &IfMatch,
        idempotency: Option<&Idempotency>,
    ) -> Result<Made, CoreError> {
        let name = &definition.content.name;
        self.draft(actor, idempotency, |memory, now| {
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
                    json!(hub.record),
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
            draft.audit = Some((
                "put service",
                format!("services/{name}"),
                before,
                json!(record),
            ));
            Ok(draft)
        })
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
        self.draft(actor, None, |memory, _| {
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
            let audit = (
                "delete service",
                format!("services/{name}"),
                json!(hub.record),
                Value::Null,
            );
            Ok(Draft {
                requires,
                deletes: vec![keys::hub(name)],
                audit: Some(audit),
                ..Draft::default()
            })
        })
        .await
        .map(|_| ())
    }

    /// Deletes what is known of an instance that is offline.
    ///
    /// # Errors
    /// It is online, or isn't there, or the store failed.
    pub(crate) async fn delete_instance(
        &self,
        actor: &Actor,
        group: &Name,
        id: &str,
    ) -> Result<(), CoreError> {
        // The keeper may be about to store it as gone offline: it comes before, or not at all.
        let _keeping = self.0.keeping_instances.lock().await;
        let deleted = self
            .draft(actor, None, |memory, _| {
                let instance = memory
                    .instances
                    .get(group)
                    .and_then(|instances| instances.get(id));
                let Some(instance) = instance else {
                    return Err(CoreError::not_found(format!(
                        "{group} has no instance {id}"
                    )));
                };
                if instance.is_online() {
                    let message = format!(
                        "the instance on {} is online; stop it first",
                        instance.record.hostname
                    );
                    return Err(CoreError::refused(
                        Problem::new(Code::InUse, "", message).in_group(group),
                    ));
                }
                let target = format!("gateway-groups/{group}/instances/{id}");
                let audit = (
                    "delete instance",
                    target,
                    json!(instance.record),
                    Value::Null,
                );
                Ok(Draft {
                    deletes: vec![keys::instance(group, id)],
                    audit: Some(audit),
                    ..Draft::default()
                })
            })
            .await;
        deleted?;
        self.write(|memory| memory.forget(group, id));
        Ok(())
    }

    /// Works a write out on memory and commits it, anew while others come in between.
    pub(super) async fn draft(
        &self,
        actor: &Actor,
        idempotency: Option<&Idempotency>,
        draft: impl Fn(&Memory, Timestamp) -> Result<Draft, CoreError>,
    ) -> Result<Made, CoreError> {
        self.writable()?;
        let key = match self.turn(idempotency)? {
            Ok(key) => key,
            Err(result) => return Ok(Made::Before(result)),
        };
        let hold = Arc::new(Hold {
            _key: key,
            _writing: Arc::clone(&self.0.writing).read_owned().await,
            _groups: Vec::new(),
        });
        let mut tries = Tries::new();
        loop {
            let now = self.0.clock.now();
            let drafted = self.read(|memory| {
                let drafted = draft(memory, now)?;
                let used = memory.uses(idempotency, now, drafted.made);
                Ok((drafted, memory.sweep_as_planned(), used))
            });
            let (drafted, sweep, used) = match drafted {
                Ok(drafted) => drafted,
                Err(refusal) => {
                    self.refused(&mut tries, refusal).await?;
                    if let Some(made) = self.made_before(idempotency)? {
                        return Ok(Made::Before(made));
                    }
                    continue;
                }
            };
            let Draft {
                requires,
                puts,
                deletes,
                blobs,
                audit,
                made: _,
            } = drafted;
            let Some((action, target, before, after)) = audit else {
                return Ok(Made::Now);
            };
            let audit = AuditRecord {
                at: now,
                by: actor.name.clone(),
                from: actor.from.clone(),
                action: action.to_owned(),
                target,
                before: before.into(),
                after: after.into(),
                operation: None,
            };
            let record = CommitRecord {
                audit: Some(audit),
                ..CommitRecord::default()
            };
            let mut txn = Txn::new().put(keys::commit(Uuid::now_v7()), records::write(&record));
            txn = txn.require(sweep.0, sweep.1);
            if let Some(used) = used {
                txn = used.in_txn(txn);
            }
            txn = requires
                .into_iter()
                .fold(txn, |txn, (key, expect)| txn.require(key, expect));
            txn = deletes.into_iter().fold(txn, Txn::delete);
            txn = puts
                .into_iter()
                .fold(txn, |txn, (key, bytes)| txn.put(key, bytes));
            match self.write_out(&hold, blobs, txn).await {
                Ok(()) => return Ok(Made::Now),
                Err(StoreError::Conflict { key }) => self.again(&mut tries, &key).await?,
                Err(error) => return Err(error.into()),
            }
            if let Some(made) = self.made_before(idempotency)? {
                return Ok(Made::Before(made));
            }
        }
    }
}

/// A transaction takes 128 requirements; beyond so many groups a publish that races with the
/// deletion of its own service from the hub is possible, and harmless: what is published runs on.
const HEADS_REQUIRED_MAX: usize = 120;

/// Whether the resource is as a write requires.
fn require(
    if_match: &IfMatch,
    tag: Option<&str>,
    exists: impl FnOnce() -> String,
) -> Result<(), CoreError> {
    if *if_match == IfMatch::Absent && tag.is_some() {
        return Err(CoreError::refused(Problem::new(
            Code::Exists,
            "name",
            exists(),
        )));
    }
    if *if_match == IfMatch::Present && tag.is_none() {
        return Err(CoreError::not_found("there is no such resource".to_owned()));
    }
    if_match.check(tag)
}

/// The part of a write that moves a group's head.
fn move_head(memory: &Memory, group: &Name, changes: &Changes) -> Draft {
    let mut draft = Draft::default();
    let Some(standing) = memory.groups.get(group) else {
        return draft;
    };
    let target = standing.view.with(changes);
    draft
        .requires
        .push((keys::head(group), Expect::Revision(standing.head_modified)));
    if target.root() != standing.view.root() {
        draft.blobs = tree_blobs(&target, &standing.view);
        let head = HeadRecord {
            revision: standing.head.revision.next(),
            root: target.root(),
        };
        draft
            .puts
            .push((keys::head(group), records::write(&head).into()));
    }
    draft
}

fn registry_value(registry: &Registry, title: &str) -> Value {
    let mut value = registry.to_value();
    value["title"] = json!(title);
    value
}

/// Names for a message, cut where there are many.
fn shown(mut names: Vec<String>) -> String {
    const SHOWN_MAX: usize = 10;
    names.sort_unstable();
    let more = names.len().saturating_sub(SHOWN_MAX);
    names.truncate(SHOWN_MAX);
    let names = names.join(", ");
    if more == 0 {
        names
    } else {
        format!("{names} and {more} more")
    }
}
