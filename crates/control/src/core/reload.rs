//! How memory catches up when the store no longer tells the changes one by one: its history was
//! compacted before it arrived here, or memory fell too far behind.
//!
//! Everything is listed, and what differs from memory is taken in as events, in the way of any
//! others. So reading goes on meanwhile, instances get the difference, and nothing is emptied.

use std::collections::{BTreeMap, BTreeSet};

use ferryway_store::{
    Change, Event, Key as StoreKey, LIST_ENTRIES_MAX, Revision as StoreRevision, StoreError, Watch,
};

use super::blobs::Unread;
use super::follow::{self, PREFIXES};
use super::memory::Memory;
use super::{Core, READ_AGAIN_AFTER, keys};

/// How often a listing may be found to lack what it names: others may have moved on and cleared
/// that away while it was read.
const TRIES_MAX: usize = 5;

impl Core {
    /// Brings memory to what the store holds, and watches from there on; `None` where the store is
    /// closed.
    ///
    /// # Errors
    /// A sentence: something in the store is not what this build knows.
    pub(super) async fn reload(&self) -> Result<Option<Watch>, String> {
        let mut wrong = 0;
        loop {
            let why = match self.catch_up_by_listing().await {
                Ok(watch) => return Ok(Some(watch)),
                Err(Unread::Unlisted(_, StoreError::Closed)) => return Ok(None),
                Err(why) => why,
            };
            if let Unread::Wrong(why) = &why {
                wrong += 1;
                if wrong == TRIES_MAX {
                    return Err(why.clone());
                }
            }
            tracing::warn!(%why, "memory could not catch up with the store yet");
            tokio::time::sleep(READ_AGAIN_AFTER).await;
        }
    }

    async fn catch_up_by_listing(&self) -> Result<Watch, Unread> {
        let events = self.difference().await?;
        let mut revision = self.read(|memory| memory.revision);
        let count = events.len();
        for event in events {
            let prepared = follow::prepare(&event, &self.0.memory, &self.0.blobs).await?;
            let taken = self.write(|memory| memory.take(prepared));
            self.0.sessions.take(taken, self);
            revision = event.revision;
        }
        let watch = self.0.store.watch("", revision).await;
        let watch = watch.map_err(|error| Unread::Unlisted("everything".to_owned(), error))?;
        tracing::info!(%revision, events = count, "memory has caught up with the store");
        // Only now: what was deleted went last.
        self.0.held.send_replace(revision);
        Ok(watch)
    }

    /// What the store holds that memory doesn't, and what memory holds that is gone: content, then
    /// the last change of each key by the transaction that made it, then what was deleted.
    async fn difference(&self) -> Result<Vec<Event>, Unread> {
        let (held, mut gone) = self.read(|memory| (memory.revision, memory.stored()));
        let mut first = None;
        let mut content = Vec::new();
        let mut changed: BTreeMap<StoreRevision, Vec<Change>> = BTreeMap::new();
        for prefix in PREFIXES {
            let mut from = None;
            loop {
                let page = self.0.store.list(prefix, from.as_ref(), LIST_ENTRIES_MAX);
                let page = page
                    .await
                    .map_err(|error| Unread::Unlisted(prefix.to_owned(), error))?;
                // What later pages hold beyond the first one's revision, the watch tells.
                let to = *first.get_or_insert(page.revision);
                for entry in page.entries {
                    let is_known = gone.remove(&entry.key);
                    if is_known && entry.modified <= held || entry.modified > to {
                        continue;
                    }
                    let change = Change {
                        key: entry.key,
                        value: Some(entry.value),
                    };
                    if prefix == keys::CONTENT {
                        content.push(change);
                    } else {
                        changed.entry(entry.modified).or_default().push(change);
                    }
                }
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        let to = first.unwrap_or(held);
        let deleted = gone.into_iter().map(|key| Change { key, value: None });
        let deleted = Event {
            revision: to,
            changes: deleted.collect(),
        };
        let content = Event {
            revision: held,
            changes: content,
        };
        let changed = changed
            .into_iter()
            .map(|(revision, changes)| Event { revision, changes });
        let mut events = vec![content];
        events.extend(changed);
        events.push(deleted);
        Ok(events)
    }
}

impl Memory {
    /// The keys of what may be deleted from the store and was there when memory last looked. What is
    /// never deleted needs no mention.
    fn stored(&self) -> BTreeSet<StoreKey> {
        let Self {
            revision: _,
            groups,
            retired: _,
            hub,
            versions: _,
            history: _,
            operations,
            audit,
            idempotency,
            sweep: _,
            tokens,
            join_tokens,
            identities,
            authority,
            shrinks,
            instances,
            unsaved_instances,
            contents,
            tracker: _,
            planes,
            planes_changed: _,
            orphaned: _,
            told: _,
            wishes: _,
        } = self;
        let mut stored = BTreeSet::new();
        stored.extend(groups.keys().map(keys::group));
        stored.extend(groups.iter().flat_map(|(group, standing)| {
            let registries = standing.registries.keys();
            registries.map(move |registry| keys::registry(group, registry))
        }));
        stored.extend(hub.keys().map(keys::hub));
        stored.extend(
            operations
                .keys()
                .chain(audit.keys())
                .copied()
                .map(keys::commit),
        );
        stored.extend(tokens.keys().copied().map(keys::token));
        stored.extend(
            join_tokens
                .iter()
                .map(|(id, token)| keys::join_token(&token.group, *id)),
        );
        stored.extend(identities.keys().copied().map(keys::identity));
        stored.extend(authority.iter().map(|_| keys::authority()));
        stored.extend(shrinks.keys().map(keys::shrink));
        let known = instances
            .iter()
            .flat_map(|(group, all)| all.keys().map(move |id| (group.clone(), id.clone())));
        let saved = known.filter(|place| !unsaved_instances.contains(place));
        stored.extend(saved.map(|(group, id)| keys::instance(&group, &id)));
        stored.extend(idempotency.keys().cloned());
        stored.extend(planes.keys().copied().map(keys::plane));
        stored.extend(contents.digests().map(keys::content));
        stored
    }
}
