//! How memory follows the store: everything is listed once, then every transaction is applied as
//! the watch tells it. One task does it, in the store's order, for this control plane's own writes
//! as for anybody's.
//!
//! Others write while this control plane lists, and collect what it has not read yet. So what is
//! listed may be ahead of the watch, which tells it again, and a record is only ever replaced by a
//! later one; and a view whose parts are gone is passed over, if its group has a later one.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use ferryway_model::plan::OperationKind;
use ferryway_model::{Changes, Digest, Key, Kind, Name, Revision, VersionNumber, View};
use ferryway_store::{
    Event, Key as StoreKey, LIST_ENTRIES_MAX, Revision as StoreRevision, Store, StoreError, Watch,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::blobs::{Blobs, Unread};
use super::contents::{Content, Recent};
use super::idempotency::Used;
use super::keys;
use super::memory::{Group, Hub, JoinToken, Memory, Ran, Stored, Titled};
use super::planes::PlaneRecord;
use super::presence::Instance;
use super::records::{
    self, AuthorityRecord, CommitRecord, GroupRecord, HeadRecord, HubRecord, IdempotencyRecord,
    IdentityRecord, InstanceRecord, JoinTokenRecord, RegistryRecord, ShrinkRecord, SweepRecord,
    TokenRecord, VersionRecord,
};
use super::sweep::Sweep;
use super::tracker::Tracker;
use super::wishes::WishRecord;
use crate::settings::whole;

/// What an event means for the instances' side.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The views that moved, in order.
    pub(super) moved: Vec<Moved>,
    /// Whether a group came or went.
    pub(super) groups: bool,
    /// Shrunken views that were confirmed.
    pub(super) confirmed: Vec<(Name, ShrinkRecord)>,
}

/// A group's view that moved, to be delivered.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) group: Name,
    pub(super) to: Revision,
    /// What the operation was; none for a change of registries.
    pub(super) kind: Option<OperationKind>,
    /// What differs from the view before.
    pub(super) changes: Changes,
    pub(super) view: View,
    /// Content that the replaced entries didn't name.
    pub(super) content: Vec<Bytes>,
}

/// One record that came or went, read and checked.
enum Change {
    Group(Name, Option<GroupRecord>),
    Head(Name, HeadRecord, View),
    Registry(Name, Name, Option<RegistryRecord>),
    Hub(Name, Option<HubRecord>),
    Version(Name, VersionNumber, VersionRecord),
    Commit(Uuid, Option<Box<CommitRecord>>),
    Once(StoreKey, Option<IdempotencyRecord>),
    Sweep(SweepRecord),
    Token(Uuid, Option<TokenRecord>),
    JoinToken(Name, Uuid, Option<JoinTokenRecord>),
    Identity(Uuid, Option<IdentityRecord>),
    Authority(Option<AuthorityRecord>),
    Shrink(Name, Option<ShrinkRecord>),
    Instance(Name, String, Option<InstanceRecord>),
    Plane(Uuid, Option<PlaneRecord>),
    Wish(Uuid, StoreKey, Option<WishRecord>),
    Content(Content),
    ContentGone(Digest),
}

/// How long the watch may be silent before what was listed is taken for all there is: the store's
/// last transactions may have been none of ours.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(1);

/// Everything but buckets, trees, fences and wishes. Content first, then what names it; heads after
/// groups.
pub(super) const PREFIXES: [&str; 16] = [
    keys::CONTENT,
    keys::GROUPS,
    keys::HEADS,
    keys::REGISTRIES,
    keys::HUB,
    keys::VERSIONS,
    keys::COMMITS,
    keys::ONCE,
    keys::SWEEP,
    keys::TOKENS,
    keys::JOIN_TOKENS,
    keys::IDENTITIES,
    keys::AUTHORITIES,
    keys::SHRINKS,
    keys::INSTANCES,
    keys::PLANES,
];

/// Reads the whole store into a memory, and watches it from there on.
///
/// # Errors
/// A sentence: the store can't be read, or something in it is not what this build knows.
pub(super) async fn load(
    store: &Store,
    blobs: &Blobs,
    plane: Option<Uuid>,
) -> Result<(Memory, Watch), String> {
    let mut memory = Memory {
        tracker: Tracker::of(plane),
        ..Memory::default()
    };
    let (mut first, mut last) = (None, StoreRevision::ZERO);
    for prefix in PREFIXES {
        let mut from = None;
        loop {
            let page = store
                .list(prefix, from.as_ref(), LIST_ENTRIES_MAX)
                .await
                .map_err(|e| said(&e))?;
            first.get_or_insert(page.revision);
            last = page.revision;
            for entry in page.entries {
                let change = read(
                    entry.key.as_str(),
                    Some(&entry.value),
                    entry.modified,
                    &memory,
                    blobs,
                )
                .await
                .map_err(|why| why.to_string())?;
                if let Some(change) = change {
                    apply(&mut memory, change, entry.modified);
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    // Later pages may hold more than the first page's revision; the watch tells it again.
    memory.revision = first.unwrap_or(StoreRevision::ZERO);
    let (mut memory, watch) = catch_up(store, blobs, memory, last).await?;
    // Once all content is there: a head may have been listed before what it names was told.
    let all = memory.groups.iter().flat_map(|(name, group)| {
        let services = group.published.iter();
        services.map(|service| (service.clone(), name.clone()))
    });
    memory.reindex(all.collect());
    Ok((memory, watch))
}

/// Takes in what was written while the store was listed: memory is of one moment then.
async fn catch_up(
    store: &Store,
    blobs: &Blobs,
    memory: Memory,
    to: StoreRevision,
) -> Result<(Memory, Watch), String> {
    let watch = store.watch("", memory.revision).await;
    let mut watch = watch.map_err(|error| said(&error))?;
    let memory = RwLock::new(memory);
    while locked(&memory).revision < to {
        let Ok(event) = timeout(CATCH_UP_WITHIN, watch.next()).await else {
            break;
        };
        let event = event.unwrap_or(Err(StoreError::Closed));
        let event = event.map_err(|error| said(&error))?;
        let prepared = prepare(&event, &memory, blobs).await;
        let prepared = prepared.map_err(|why| why.to_string())?;
        let mut memory = memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.take(prepared);
    }
    let memory = memory.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((memory, watch))
}

/// An event, read and checked before memory is locked for it.
pub(super) struct Prepared {
    revision: StoreRevision,
    changes: Vec<Change>,
}

/// Reads what an event says. `memory` is consulted for what is there already.
///
/// # Errors
/// The store can't be read, or something in it is not what this build knows.
pub(super) async fn prepare(
    event: &Event,
    memory: &RwLock<Memory>,
    blobs: &Blobs,
) -> Result<Prepared, Unread> {
    let mut changes = Vec::with_capacity(event.changes.len());
    let recent = { locked(memory).recent_definitions().clone() };
    for change in &event.changes {
        let key = change.key.as_str();
        let (near, known) = {
            let memory = locked(memory);
            let group = key
                .strip_prefix(keys::HEADS)
                .and_then(|name| name.parse::<Name>().ok());
            let near =
                group.and_then(|name| memory.groups.get(&name).map(|group| group.view.clone()));
            let named = |digest| memory.has_content(digest);
            let known = key
                .strip_prefix(keys::CONTENT)
                .is_some_and(|hex| format!("blake3:{hex}").parse().is_ok_and(named));
            (near.unwrap_or_else(View::empty), known)
        };
        if known && change.value.is_some() {
            continue;
        }
        let value = change.value.as_ref();
        if let Some(bytes) = value.filter(|_| is_part_of_a_view(key)) {
            blobs.keep(change.key.clone(), bytes.clone());
            continue;
        }
        let change = read_near(key, value, event.revision, &near, blobs, &recent).await?;
        changes.extend(change);
    }
    Ok(Prepared {
        revision: event.revision,
        changes,
    })
}

fn locked(memory: &RwLock<Memory>) -> RwLockReadGuard<'_, Memory> {
    memory.read().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// Takes in an event.
    pub(super) fn take(&mut self, prepared: Prepared) -> Taken {
        let Prepared { revision, changes } = prepared;
        let groups = changes
            .iter()
            .any(|change| matches!(change, Change::Group(..)));
        let kind = changes.iter().find_map(|change| match change {
            Change::Commit(_, Some(commit)) => commit.history.first().map(|entry| entry.kind),
            _ => None,
        });
        let confirmed = changes.iter().filter_map(|change| match change {
            Change::Shrink(group, Some(record)) => Some((group.clone(), *record)),
            _ => None,
        });
        let confirmed: Vec<_> = confirmed.collect();
        let operations: Vec<Uuid> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Commit(id, Some(commit)) if commit.operation.is_some() => Some(*id),
                _ => None,
            })
            .collect();
        // Content first: what names it is applied after.
        let (content, rest): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .partition(|change| matches!(change, Change::Content(_)));
        content
            .into_iter()
            .for_each(|change| drop(apply(self, change, revision)));
        let mut moved: Vec<Moved> = rest
            .into_iter()
            .filter_map(|change| apply(self, change, revision))
            .collect();
        for moved in &mut moved {
            moved.kind = kind;
        }
        let changed = moved.iter().flat_map(|moved| {
            let services = moved.changes.keys().filter(|key| key.kind == Kind::Service);
            services.map(|key| (key.name.clone(), moved.group.clone()))
        });
        self.reindex(changed.collect());
        operations.into_iter().for_each(|id| self.miss(id));
        self.revision = revision;
        Taken {
            moved,
            groups,
            confirmed,
        }
    }
}

fn apply(memory: &mut Memory, change: Change, revision: StoreRevision) -> Option<Moved> {
    match change {
        Change::Group(name, change)
            if memory
                .groups
                .get(&name)
                .is_some_and(|group| group.modified > revision) =>
        {
            drop(change); // the listing had a later one
        }
        Change::Hub(name, change)
            if memory
                .hub
                .get(&name)
                .is_some_and(|hub| hub.modified > revision) =>
        {
            drop(change);
        }
        Change::Group(name, None) => {
            if let Some(group) = memory.groups.remove(&name) {
                memory
                    .retired
                    .insert(name.clone(), (group.head, group.head_modified));
            }
            memory.instances.remove(&name);
        }
        Change::Group(name, Some(record)) => {
            let standing = memory.groups.get_mut(&name);
            match standing {
                Some(group) => (group.record, group.modified) = (record, revision),
                None => {
                    memory
                        .groups
                        .insert(name.clone(), Group::new(record, revision));
                }
            }
            if let Some((head, modified)) = memory.retired.remove(&name)
                && let Some(group) = memory.groups.get_mut(&name)
            {
                (group.head, group.head_modified) = (head, modified);
            }
        }
        Change::Head(name, head, view) => return apply_head(memory, name, head, view, revision),
        Change::Registry(group, name, record) => {
            let registries = &mut memory.groups.get_mut(&group)?.registries;
            match record {
                Some(record) => {
                    let modified = revision;
                    registries.insert(name, Titled { record, modified });
                }
                None => drop(registries.remove(&name)),
            }
        }
        Change::Hub(name, Some(record)) => {
            memory.hub.insert(
                name,
                Hub {
                    record,
                    modified: revision,
                },
            );
        }
        Change::Hub(name, None) => drop(memory.hub.remove(&name)),
        Change::Version(service, version, record) => {
            memory
                .versions
                .entry(service)
                .or_default()
                .insert(version, record);
        }
        Change::Commit(id, record) => apply_commit(memory, id, record),
        Change::Once(key, Some(record)) => {
            let modified = revision;
            memory.idempotency.insert(key, Used::of(record, modified));
        }
        Change::Once(key, None) => drop(memory.idempotency.remove(&key)),
        Change::Sweep(record) => memory.sweep = Sweep::told(record, revision),
        Change::Token(id, Some(record)) => drop(memory.tokens.insert(id, record)),
        Change::Token(id, None) => drop(memory.tokens.remove(&id)),
        Change::JoinToken(group, id, Some(record)) => {
            let token = JoinToken {
                group,
                record,
                modified: revision,
            };
            memory.join_tokens.insert(id, token);
        }
        Change::JoinToken(_, id, None) => drop(memory.join_tokens.remove(&id)),
        Change::Identity(id, Some(record)) => {
            let modified = revision;
            memory.identities.insert(id, Stored { record, modified });
        }
        Change::Identity(id, None) => drop(memory.identities.remove(&id)),
        Change::Authority(record) => {
            let modified = revision;
            memory.authority = record.map(|record| Stored { record, modified });
        }
        Change::Shrink(group, Some(record)) => drop(memory.shrinks.insert(group, record)),
        Change::Shrink(group, None) => drop(memory.shrinks.remove(&group)),
        Change::Instance(group, id, record) => {
            let instances = memory.instances.entry(group).or_default();
            match record {
                // One that came back meanwhile is known by its stream, and stored again when it
                // leaves.
                None if instances.get(&id).is_some_and(Instance::is_online) => {}
                None => drop(instances.remove(&id)),
                Some(record) => match instances.get_mut(&id) {
                    // What it says itself is newer than what somebody has stored of it.
                    Some(instance) if instance.is_online() => {}
                    Some(instance) => instance.record = record,
                    None => drop(instances.insert(id.clone(), Instance::away(id, record))),
                },
            }
        }
        Change::Plane(id, record) => memory.take_plane(id, record, revision),
        Change::Wish(plane, key, wish) => {
            if memory.tracker.plane() != Some(plane) {
                memory.wishes.take(key, wish, revision);
            }
        }
        Change::Content(content) => memory.put_content(content),
        Change::ContentGone(digest) => memory.drop_content(digest),
    }
    None
}

fn apply_head(
    memory: &mut Memory,
    name: Name,
    head: HeadRecord,
    view: View,
    revision: StoreRevision,
) -> Option<Moved> {
    let Some(group) = memory.groups.get_mut(&name) else {
        memory.retired.insert(name, (head, revision));
        return None;
    };
    if group.head_modified > revision {
        return None; // the listing had a later one
    }
    let changes = group.view.changes_to(&view);
    let mut fresh: BTreeSet<Digest> = BTreeSet::new();
    for (key, entry) in &changes.upserts {
        let named: Vec<_> = group
            .view
            .get(key)
            .into_iter()
            .flat_map(|old| old.content())
            .collect();
        fresh.extend(entry.content().filter(|digest| !named.contains(digest)));
    }
    (group.head, group.head_modified, group.view) = (head, revision, view.clone());
    group.rename(&changes);
    let content = fresh
        .into_iter()
        .filter_map(|digest| memory.content_bytes(digest))
        .collect();
    Some(Moved {
        group: name,
        to: head.revision,
        kind: None,
        changes,
        view,
        content,
    })
}

fn apply_commit(memory: &mut Memory, id: Uuid, record: Option<Box<CommitRecord>>) {
    let Some(record) = record else {
        memory.operations.remove(&id);
        memory.audit.remove(&id);
        return;
    };
    let CommitRecord {
        operation,
        audit,
        history,
        plane,
    } = *record;
    match operation {
        Some(operation) => memory.track(id, operation, plane),
        None => drop(memory.operations.remove(&id)),
    }
    match audit {
        Some(audit) => drop(memory.audit.insert(id, Arc::new(audit))),
        None => drop(memory.audit.remove(&id)),
    }
    for record in history {
        let place = (record.group.clone(), record.service.clone());
        // Most services have run one thing in a group: a list grows to four at once.
        let ran = memory.history.entry(place);
        let ran = ran.or_insert_with(|| Vec::with_capacity(1));
        // A commit is written again when its operation ends; its history is the same then, but that
        // it is known whether it ran.
        match ran.iter_mut().rfind(|ran| ran.operation == id) {
            Some(ran) => ran.record.rejected |= record.rejected,
            None => ran.push(Ran {
                record,
                operation: id,
            }),
        }
    }
}

impl Group {
    fn new(record: GroupRecord, modified: StoreRevision) -> Self {
        let view = View::empty();
        Self {
            record,
            modified,
            head: HeadRecord {
                revision: Revision(0),
                root: view.root(),
            },
            head_modified: StoreRevision::ZERO,
            view,
            published: BTreeSet::new(),
            registries: std::collections::BTreeMap::new(),
            routes: ferryway_model::RouteIndex::default(),
        }
    }

    /// Brings the names of its services to what its view has become by these changes.
    fn rename(&mut self, changes: &Changes) {
        let is_service = |key: &&Key| key.kind == Kind::Service;
        for key in changes.removals.iter().filter(is_service) {
            self.published.remove(&key.name);
        }
        let new = changes.upserts.keys().filter(is_service);
        self.published.extend(new.map(|key| key.name.clone()));
    }
}

async fn read(
    key: &str,
    value: Option<&Bytes>,
    revision: StoreRevision,
    memory: &Memory,
    blobs: &Blobs,
) -> Result<Option<Change>, Unread> {
    let group = key
        .strip_prefix(keys::HEADS)
        .and_then(|name| memory.groups.get(name));
    let near = group.map_or_else(View::empty, |group| group.view.clone());
    let recent = memory.recent_definitions();
    read_near(key, value, revision, &near, blobs, recent).await
}

/// Reads one change of the store, made by the transaction of this revision. `near` is the view that
/// a head moves from.
async fn read_near(
    key: &str,
    value: Option<&Bytes>,
    revision: StoreRevision,
    near: &View,
    blobs: &Blobs,
    recent: &Recent,
) -> Result<Option<Change>, Unread> {
    let (prefix, rest) = key
        .split_once('/')
        .ok_or_else(|| format!("the store's key {key} is none of ours"))?;
    let name = |text: &str| {
        text.parse::<Name>()
            .map_err(|error| format!("the store's key {key}: {error}"))
    };
    let pair = || {
        rest.split_once('/')
            .ok_or_else(|| format!("the store's key {key} is none of ours"))
    };
    let change = match prefix {
        "group" => Change::Group(name(rest)?, optional(key, value)?),
        "head" => {
            let Some(head) = optional::<HeadRecord>(key, value)? else {
                return Ok(None);
            };
            match blobs.view(head.root, near).await {
                Ok(view) => Change::Head(name(rest)?, head, view),
                Err(Unread::Wrong(_)) if blobs.is_newer(key, revision).await? => return Ok(None),
                Err(why) => return Err(why),
            }
        }
        "registry" => {
            let (group, registry) = pair()?;
            Change::Registry(name(group)?, name(registry)?, optional(key, value)?)
        }
        "hub" => Change::Hub(name(rest)?, optional(key, value)?),
        "version" => {
            let (service, version) = pair()?;
            let version = version
                .parse()
                .map_err(|error| format!("the store's key {key}: {error}"))?;
            let Some(record) = optional(key, value)? else {
                return Ok(None);
            };
            Change::Version(name(service)?, version, record)
        }
        "commit" => {
            let id = rest
                .parse()
                .map_err(|error| format!("the store's key {key}: {error}"))?;
            Change::Commit(id, optional(key, value)?.map(Box::new))
        }
        "once" => Change::Once(own_key(key)?, optional(key, value)?),
        "sweep" => match optional(key, value)? {
            Some(record) => Change::Sweep(record),
            None => return Ok(None),
        },
        "token" => {
            let id = rest
                .parse()
                .map_err(|error| format!("the store's key {key}: {error}"))?;
            Change::Token(id, optional(key, value)?)
        }
        "join-token" => {
            let (group, id) = pair()?;
            let id = id
                .parse()
                .map_err(|error| format!("the store's key {key}: {error}"))?;
            Change::JoinToken(name(group)?, id, optional(key, value)?)
        }
        "identity" => {
            let id = rest
                .parse()
                .map_err(|error| format!("the store's key {key}: {error}"))?;
            Change::Identity(id, optional(key, value)?)
        }
        "authority" => Change::Authority(optional(key, value)?),
        "shrink" => Change::Shrink(name(rest)?, optional(key, value)?),
        "instance" => {
            let (group, id) = pair()?;
            Change::Instance(name(group)?, id.to_owned(), optional(key, value)?)
        }
        "plane" => {
            let id = rest
                .parse()
                .map_err(|error| format!("the store's key {key}: {error}"))?;
            Change::Plane(id, optional(key, value)?)
        }
        "wish" => {
            let (plane, _) = pair()?;
            let plane = plane
                .parse()
                .map_err(|error| format!("the store's key {key}: {error}"))?;
            Change::Wish(plane, own_key(key)?, optional(key, value)?)
        }
        "content" => {
            let digest = format!("blake3:{rest}").parse();
            let digest: Digest =
                digest.map_err(|error| format!("the store's key {key}: {error}"))?;
            match value {
                None => Change::ContentGone(digest),
                Some(bytes) => Change::Content(match recent.get(digest) {
                    Some(definition) => Content::Definition(definition),
                    None => {
                        Content::read(bytes).map_err(|why| format!("the store's {key}: {why}"))?
                    }
                }),
            }
        }
        // Buckets and trees are read when a head names them; that a fence came is all it says.
        "bucket" | "tree" | "fence" => return Ok(None),
        _ => {
            return Err(format!("the store's key {key} is none that this build knows").into());
        }
    };
    Ok(Some(change))
}

fn is_part_of_a_view(key: &str) -> bool {
    key.starts_with(keys::BUCKETS) || key.starts_with(keys::TREES)
}

fn own_key(key: &str) -> Result<StoreKey, String> {
    StoreKey::new(key).map_err(|error| said(&error))
}

fn optional<T: serde::de::DeserializeOwned>(
    key: &str,
    value: Option<&Bytes>,
) -> Result<Option<T>, String> {
    value.map(|bytes| records::read(key, bytes)).transpose()
}

fn said(error: &StoreError) -> String {
    whole(error)
}
