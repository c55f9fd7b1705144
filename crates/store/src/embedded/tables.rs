//! What is in the file: one table of entries, one of facts about the store. And the one place that
//! turns redb's errors and panics into ours.

use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    TableDefinition, WriteTransaction,
};
use uuid::Uuid;

use crate::error::{Cause, cause};
use crate::identity::Identity;
use crate::store::{Entry, LIST_BYTES_MAX, Page};
use crate::{Change, Event, Key, Revision, StoreError, Txn};

/// Key → (created, modified, value).
const ENTRIES: TableDefinition<'_, &str, Row<'_>> = TableDefinition::new("entries");

/// Name → number.
const FACTS: TableDefinition<'_, &str, u128> = TableDefinition::new("facts");

const LAYOUT: &str = "layout";
const IDENTITY: &str = "identity";
const RESTORES: &str = "restores";
const REVISION: &str = "revision";

/// The layout this build writes and reads.
const LAYOUT_KNOWN: u128 = 1;

type Row<'v> = (u64, u64, &'v [u8]);

/// What the file says about the store itself.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) identity: Identity,
    pub(super) revision: Revision,
}

/// Why the file did not serve.
#[derive(Debug)]
pub(super) enum Fault {
    Busy,
    Corrupt(Cause),
    Layout(u128),
    Io(Cause),
}

/// Runs `work` on the file and catches redb's panics, which a damaged file can bring about.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // A panic drops redb's transaction, which undoes it; nothing of ours is changed half.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_else(|| String::from("no message"));
        Err(Fault::Corrupt(cause(format!(
            "reading it failed badly: {text}"
        ))))
    })
}

/// Makes the tables of a new file.
pub(super) fn create(db: &Database, identity: Identity) -> Result<(), Fault> {
    let txn = db.begin_write()?;
    txn.open_table(ENTRIES)?;
    let mut facts = txn.open_table(FACTS)?;
    facts.insert(LAYOUT, LAYOUT_KNOWN)?;
    facts.insert(IDENTITY, identity.uuid.as_u128())?;
    facts.insert(RESTORES, u128::from(identity.restores))?;
    facts.insert(REVISION, 0)?;
    drop(facts);
    Ok(txn.commit()?)
}

pub(super) fn facts(db: &Database) -> Result<Facts, Fault> {
    let table = db.begin_read()?.open_table(FACTS)?;
    let layout = fact(&table, LAYOUT)?;
    if layout != LAYOUT_KNOWN {
        return Err(Fault::Layout(layout));
    }
    Ok(Facts {
        identity: Identity {
            uuid: Uuid::from_u128(fact(&table, IDENTITY)?),
            restores: number(&table, RESTORES)?,
        },
        revision: Revision::new(number(&table, REVISION)?),
    })
}

pub(super) fn count_restore(db: &Database, restores: u64) -> Result<(), Fault> {
    let txn = db.begin_write()?;
    txn.open_table(FACTS)?
        .insert(RESTORES, u128::from(restores))?;
    Ok(txn.commit()?)
}

fn fact(table: &ReadOnlyTable<&str, u128>, name: &str) -> Result<u128, Fault> {
    let found = ReadableTable::get(table, name)?.map(|fact| fact.value());
    found.ok_or_else(|| Fault::Corrupt(cause(format!("it does not say its {name}"))))
}

fn number(table: &ReadOnlyTable<&str, u128>, name: &str) -> Result<u64, Fault> {
    let fact = fact(table, name)?;
    u64::try_from(fact).map_err(|_| Fault::Corrupt(cause(format!("its {name} is {fact}"))))
}

/// The file as it is at one moment.
pub(super) struct Snapshot {
    txn: ReadTransaction,
}

impl Snapshot {
    pub(super) fn of(db: &Database) -> Result<Self, Fault> {
        Ok(Self {
            txn: db.begin_read()?,
        })
    }

    pub(super) fn get(&self, key: Key) -> Result<Option<Entry>, Fault> {
        let table = self.txn.open_table(ENTRIES)?;
        let row = ReadableTable::get(&table, key.as_str())?;
        Ok(row.map(|row| entry(key, row.value())))
    }

    pub(super) fn list(
        &self,
        prefix: &str,
        from: Option<&Key>,
        limit: usize,
    ) -> Result<Page, Fault> {
        let revision = Revision::new(number(&self.txn.open_table(FACTS)?, REVISION)?);
        let table = self.txn.open_table(ENTRIES)?;
        let start = from.map_or(prefix, |from| from.as_str().max(prefix));
        let mut entries = Vec::new();
        let mut bytes = 0;
        let range = (Bound::Included(start), Bound::Unbounded);
        for row in ReadableTable::range::<&str>(&table, range)? {
            let (text, row) = row?;
            if !text.value().starts_with(prefix) {
                break;
            }
            let key = Key::new(text.value()).map_err(|error| Fault::Corrupt(Arc::new(error)))?;
            if entries.len() == limit || bytes >= LIST_BYTES_MAX {
                return Ok(Page {
                    entries,
                    revision,
                    next: Some(key),
                });
            }
            let entry = entry(key, row.value());
            bytes += entry.value.len();
            entries.push(entry);
        }
        Ok(Page {
            entries,
            revision,
            next: None,
        })
    }
}

fn entry(key: Key, (created, modified, value): Row<'_>) -> Entry {
    Entry {
        key,
        value: Bytes::copy_from_slice(value),
        created: Revision::new(created),
        modified: Revision::new(modified),
    }
}

/// One write to the file, of several transactions one after the other.
pub(super) struct Batch {
    txn: WriteTransaction,
    head: Revision,
    revision: Revision,
    events: Vec<Arc<Event>>,
}

impl Batch {
    pub(super) fn begin(db: &Database, head: Revision) -> Result<Self, Fault> {
        Ok(Self {
            txn: db.begin_write()?,
            head,
            revision: head,
            events: Vec::new(),
        })
    }

    /// Does what `txn` says, on top of those before it. `Err` names the key that is not as required.
    pub(super) fn apply(&mut self, txn: &Txn) -> Result<Result<Revision, Key>, Fault> {
        let mut table = self.txn.open_table(ENTRIES)?;
        for (key, expect) in &txn.requires {
            let modified = times(&table, key)?.map(|(_, modified)| Revision::new(modified));
            if !expect.holds(modified) {
                return Ok(Err(key.clone()));
            }
        }
        let revision = self.revision.next();
        let changes = change(&mut table, txn, revision)?;
        if !changes.is_empty() {
            self.revision = revision;
            self.events.push(Arc::new(Event { revision, changes }));
        }
        Ok(Ok(self.revision))
    }

    /// Does once more what was done before and given up with the file: the event that follows those
    /// before it, whatever may be required of the keys by now.
    pub(super) fn repeat(&mut self, event: &Arc<Event>) -> Result<(), Fault> {
        let txn = Txn {
            requires: Vec::new(),
            changes: event
                .changes
                .iter()
                .map(|change| (change.key.clone(), change.value.clone()))
                .collect(),
            durable: false,
        };
        change(&mut self.txn.open_table(ENTRIES)?, &txn, event.revision)?;
        self.revision = event.revision;
        self.events.push(Arc::clone(event));
        Ok(())
    }

    pub(super) fn has_changes(&self) -> bool {
        self.revision != self.head
    }

    /// What the write does.
    pub(super) fn events(&self) -> Vec<Arc<Event>> {
        self.events.clone()
    }

    /// Writes, and waits for the disk where it is to be durable.
    pub(super) fn commit(mut self, durable: bool) -> Result<(), Fault> {
        if self.has_changes() {
            let mut facts = self.txn.open_table(FACTS)?;
            facts.insert(REVISION, u128::from(self.revision.number()))?;
        }
        let durability = if durable {
            Durability::Immediate
        } else {
            Durability::None
        };
        self.txn.set_durability(durability)?;
        Ok(self.txn.commit()?)
    }

    /// Leaves the file as it is.
    pub(super) fn abort(self) -> Result<(), Fault> {
        Ok(self.txn.abort()?)
    }
}

fn times(table: &Table<'_, &str, Row<'_>>, key: &Key) -> Result<Option<(u64, u64)>, Fault> {
    let row = table.get(key.as_str())?;
    Ok(row.map(|row| {
        let (created, modified, _) = row.value();
        (created, modified)
    }))
}

/// Makes the changes and answers those that were any: a delete of what is absent is none.
fn change(
    table: &mut Table<'_, &str, Row<'_>>,
    txn: &Txn,
    revision: Revision,
) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::with_capacity(txn.changes.len());
    for (key, value) in &txn.changes {
        let changed = match value {
            Some(value) => {
                let number = revision.number();
                let created = times(table, key)?.map_or(number, |(created, _)| created);
                table.insert(key.as_str(), (created, number, &value[..]))?;
                true
            }
            None => table.remove(key.as_str())?.is_some(),
        };
        if changed {
            changes.push(Change {
                key: key.clone(),
                value: value.clone(),
            });
        }
    }
    Ok(changes)
}

impl Fault {
    /// The error to answer, when `doing` something to the file at `path` met this fault.
    pub(super) fn on(self, doing: &'static str, path: &Path) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Busy => StoreError::Busy { path },
            Self::Corrupt(source) => StoreError::Corrupt { path, source },
            Self::Layout(layout) => StoreError::Layout { path, layout },
            Self::Io(source) => StoreError::Io {
                doing,
                path,
                source,
            },
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Busy,
            redb::Error::Io(error) if !tells_of_damage(&error) => Self::Io(Arc::new(error)),
            error @ (redb::Error::PreviousIo | redb::Error::Backend(_)) => {
                Self::Io(Arc::new(error))
            }
            // All others say that the file, or what redb made of it, is not what we wrote: tables
            // missing or of another type, checksums, versions we never had.
            error => Self::Corrupt(Arc::new(error)),
        }
    }
}

/// redb says so when the file is no redb file, or ends early.
fn tells_of_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
