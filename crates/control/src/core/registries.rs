//! Changes of a group's registries. Their content is part of the group's view, and is delivered like
//! everything else.

use bytes::Bytes;
use ferryway_model::{Changes, Code, Entry, Key, Name, Problem, Registry, RegistryEntry, Sealed};
use ferryway_store::Expect;
use serde_json::{Value, json};

use super::blobs::tree_blobs;
use super::error::CoreError;
use super::etag::registry_tag;
use super::idempotency::{Idempotency, Made};
use super::memory::Memory;
use super::records::{self, Answered, HeadRecord, RegistryRecord};
use super::resources::{Draft, IfMatch, require, shown};
use super::{Actor, Core, keys};

impl Core {
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
        self.draft(actor, [keys::group(group)], idempotency, |memory, _| {
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
            let expected = memory.registry_expected(group, name);
            draft.requires.push((keys::registry(group, name), expected));
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
            if standing.is_none() {
                draft.new = Some(Answered {
                    path: path(group, name),
                    etag: Some(registry_tag(registry.digest, title)),
                    body: after.clone(),
                });
            }
            draft.audit = Some(("put registry", path(group, name), before, after));
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
        self.draft(actor, [keys::group(group)], None, |memory, _| {
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
            let expected = memory.registry_expected(group, name);
            draft.requires.push((keys::registry(group, name), expected));
            draft.deletes.push(keys::registry(group, name));
            let before = registry_value(&content.content, title);
            draft.audit = Some(("delete registry", path(group, name), before, Value::Null));
            Ok(draft)
        })
        .await
        .map(|_| ())
    }
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

/// The registry as it is answered. Kind `dns` has no secrets; one that has shows none.
fn registry_value(registry: &Registry, title: &str) -> Value {
    let mut value = registry.to_value();
    value["title"] = json!(title);
    value
}

fn path(group: &Name, name: &Name) -> String {
    format!("gateway-groups/{group}/registries/{name}")
}
