//! What the database holds, and reading it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ferryway_model::{BUCKETS, Bucket, Digest, Entry, Key, View};
use ferryway_proto::Position;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::error::{DiskError, guarded};
use super::owner::Owner;
use crate::hold::{Hold, Holds};
use crate::load::Content;
use crate::session::Atoms;

/// Small things by name, as JSON.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Entries of views: pointer and key → canonical JSON.
pub(super) const ENTRIES: TableDefinition<'_, (u8, &str), &[u8]> = TableDefinition::new("entries");
/// Content: digest → bytes.
pub(super) const CONTENT: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("content");
/// Holds: key → JSON.
pub(super) const HOLDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("holds");
/// What discovery keeps: key → order and value.
pub(super) const KEPT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("kept");

/// Names in `META`.
pub(super) const BOOT: &str = "boot";
pub(super) const OWNER: &str = "owner";

/// Which view an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pointer {
    Desired = 0,
    Effective = 1,
    LastGood = 2,
}

/// Where a pointer points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) position: Position,
    pub(super) atoms: Atoms,
}

/// How often the instance started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Boot {
    /// Of the last start.
    pub(super) number: u64,
    /// How many starts in a row came to no good end.
    pub(super) crashes: u32,
}

/// All that is on a disk, but for content.
#[derive(Clone, Debug, Default)]
pub(super) struct Loaded {
    pub(super) boot: Boot,
    /// Whose database it is; none: it was never written to.
    pub(super) owner: Option<Owner>,
    pub(super) pointers: BTreeMap<Pointer, (Target, View)>,
    pub(super) holds: Holds,
    pub(super) kept: BTreeMap<String, Vec<u8>>,
}

impl Pointer {
    pub(super) const ALL: [Self; 3] = [Self::Desired, Self::Effective, Self::LastGood];

    /// Its name in `META`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Desired => "desired",
            Self::Effective => "effective",
            Self::LastGood => "last_good",
        }
    }

    pub(super) fn number(self) -> u8 {
        self as u8
    }
}

/// Makes the tables of a new database.
pub(super) fn create(db: &Database) -> Result<(), DiskError> {
    guarded(|| {
        if db.begin_read()?.open_table(META).is_ok() {
            return Ok(());
        }
        let transaction = db.begin_write()?;
        transaction.open_table(META)?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(CONTENT)?;
        transaction.open_table(HOLDS)?;
        transaction.open_table(KEPT)?;
        transaction.commit()?;
        Ok(())
    })
}

/// Reads everything but content. A pointer whose view is not what its root says is left out, but
/// for *desired*, which is worth a comparison.
pub(super) fn load(db: &Database) -> Result<Loaded, DiskError> {
    guarded(|| {
        let transaction = db.begin_read()?;
        let meta = transaction.open_table(META)?;
        let mut loaded = Loaded::default();
        if let Some(boot) = meta.get(BOOT)? {
            loaded.boot = read_json("the boot counter", boot.value())?;
        }
        if let Some(owner) = meta.get(OWNER)? {
            loaded.owner = Some(read_json("the owner", owner.value())?);
        }
        let mut views = load_views(&transaction.open_table(ENTRIES)?)?;
        for pointer in Pointer::ALL {
            let Some(target) = meta.get(pointer.name())? else {
                continue;
            };
            let target: Target = read_json(pointer.name(), target.value())?;
            let view = views.remove(&pointer).unwrap_or_else(View::empty);
            let is_whole = view.root() == target.position.root;
            if is_whole || pointer == Pointer::Desired {
                loaded.pointers.insert(pointer, (target, view));
            } else {
                tracing::error!(pointer = pointer.name(), "the disk lost part of a view");
            }
        }
        let mut holds = BTreeMap::new();
        for row in transaction.open_table(HOLDS)?.iter()? {
            let (key, hold) = row?;
            holds.insert(
                read_key(key.value())?,
                read_json::<Hold>("a hold", hold.value())?,
            );
        }
        loaded.holds = Arc::new(holds);
        for row in transaction.open_table(KEPT)?.iter()? {
            let (key, value) = row?;
            loaded
                .kept
                .insert(key.value().to_owned(), value.value().to_vec());
        }
        Ok(loaded)
    })
}

/// All content, in one sequential scan. What does not digest to its name is lost.
pub(super) fn load_content(db: &Database) -> Result<Content, DiskError> {
    guarded(|| {
        let mut content = Content::new();
        for row in db.begin_read()?.open_table(CONTENT)?.iter()? {
            let (name, bytes) = row?;
            let bytes = Bytes::copy_from_slice(bytes.value());
            let digest = Digest::of(&bytes);
            if digest.as_bytes() == name.value() {
                content.insert(digest, bytes);
            } else {
                tracing::error!("the disk has content that is not what its digest says");
            }
        }
        Ok(content)
    })
}

/// Some content.
pub(super) fn read_content(db: &Database, digests: &[Digest]) -> Result<Vec<Bytes>, DiskError> {
    guarded(|| {
        let table = db.begin_read()?.open_table(CONTENT)?;
        let mut found = Vec::new();
        for digest in digests {
            if let Some(bytes) = table.get(digest.as_bytes().as_slice())? {
                found.push(Bytes::copy_from_slice(bytes.value()));
            }
        }
        Ok(found)
    })
}

type Row = (Key, Entry, Digest);

/// Three views differ in few entries: what is equal is parsed once.
fn load_views(
    table: &impl ReadableTable<(u8, &'static str), &'static [u8]>,
) -> Result<BTreeMap<Pointer, View>, DiskError> {
    let mut parsed: BTreeMap<Box<str>, (Box<[u8]>, Row)> = BTreeMap::new();
    let mut views = BTreeMap::new();
    for pointer in Pointer::ALL {
        let mut buckets: [BTreeMap<Key, (Entry, Digest)>; BUCKETS] =
            std::array::from_fn(|_| BTreeMap::new());
        let number = pointer.number();
        for row in table.range((number, "")..(number + 1, ""))? {
            let (key, bytes) = row?;
            let ((_, key), bytes) = (key.value(), bytes.value());
            let known = parsed.get(key).filter(|(known, _)| **known == *bytes);
            let (key, entry, digest) = match known {
                Some((_, row)) => row.clone(),
                None => {
                    let row = read_row(key, bytes)?;
                    parsed.insert(key.into(), (bytes.into(), row.clone()));
                    row
                }
            };
            buckets[key.bucket()].insert(key, (entry, digest));
        }
        let buckets = buckets.map(|entries| Arc::new(Bucket::new(entries)));
        views.insert(pointer, View::from_buckets(buckets));
    }
    Ok(views)
}

pub(super) fn read_row(key: &str, bytes: &[u8]) -> Result<Row, DiskError> {
    let key = read_key(key)?;
    let entry = Entry::from_bytes(key.kind, bytes).map_err(DiskError::damaged)?;
    // The bytes are canonical, as written. If they are not any more, the root will tell.
    Ok((key, entry, Digest::of(bytes)))
}

fn read_key(text: &str) -> Result<Key, DiskError> {
    text.parse()
        .map_err(|error: String| DiskError::damaged(error))
}

fn read_json<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, DiskError> {
    let read = serde_json::from_slice(bytes);
    read.map_err(|error| DiskError::damaged(format!("{what} cannot be read: {error}")))
}
