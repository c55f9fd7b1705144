//! Writing: what differs from what is on the disk, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use ferryway_model::{Changes, Digest, Entry, View};
use ferryway_proto::Position;
use redb::{Database, ReadableTable, WriteTransaction};
use serde::Serialize;

use super::Update;
use super::error::{DiskError, guarded};
use super::owner::Owner;
use super::tables::{
    BOOT, Boot, CONTENT, ENTRIES, HOLDS, KEPT, Loaded, META, OWNER, Pointer, Target,
};
use crate::hold::Holds;
use crate::load::Content;
use crate::session::{Atoms, Desired, Effective};

/// What is on the disk.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) boot: Boot,
    owner: Option<Owner>,
    pointers: BTreeMap<Pointer, (Target, View)>,
    holds: Holds,
    /// How many entries name each content. What none names is collected.
    names: BTreeMap<Digest, u32>,
}

/// What changes in what is on the disk.
#[derive(Debug, Default)]
struct Difference {
    pointers: BTreeMap<Pointer, (Target, View, Changes)>,
    /// More or fewer entries that name a content.
    names: BTreeMap<Digest, i64>,
}

/// Something kept, or forgotten.
pub(super) type KeptChanges = BTreeMap<String, Option<Vec<u8>>>;

impl Written {
    pub(super) fn of(loaded: &Loaded) -> Self {
        let mut names = BTreeMap::new();
        for (_, view) in loaded.pointers.values() {
            for digest in view.entries().flat_map(|(_, entry)| entry.content()) {
                *names.entry(digest).or_insert(0) += 1;
            }
        }
        Self {
            boot: loaded.boot,
            owner: loaded.owner.clone(),
            pointers: loaded.pointers.clone(),
            holds: loaded.holds.clone(),
            names,
        }
    }

    /// The view that the export should hold.
    pub(super) fn best(&self) -> Option<(Position, View)> {
        let last_good = self.pointers.get(&Pointer::LastGood);
        let best = last_good.or_else(|| self.pointers.get(&Pointer::Effective));
        best.map(|(target, view)| (target.position, view.clone()))
    }

    pub(super) fn has_last_good(&self) -> bool {
        self.pointers.contains_key(&Pointer::LastGood)
    }

    fn view(&self, pointer: Pointer) -> View {
        self.pointers
            .get(&pointer)
            .map_or_else(View::empty, |(_, view)| view.clone())
    }

    fn difference(&self, update: &Update) -> Difference {
        let mut difference = Difference::default();
        if let Some(Desired {
            position,
            view,
            atoms,
        }) = &update.desired
        {
            self.point(&mut difference, Pointer::Desired, *position, view, *atoms);
        }
        if let Some(Effective {
            position,
            view,
            holds: _,
        }) = &update.effective
        {
            self.point(
                &mut difference,
                Pointer::Effective,
                *position,
                view,
                Atoms::Each,
            );
        }
        if let Some((position, view)) = &update.last_good {
            self.point(
                &mut difference,
                Pointer::LastGood,
                *position,
                view,
                Atoms::Each,
            );
        }
        difference
    }

    fn point(
        &self,
        difference: &mut Difference,
        pointer: Pointer,
        position: Position,
        view: &View,
        atoms: Atoms,
    ) {
        let target = Target { position, atoms };
        let before = self.view(pointer);
        let changes = before.changes_to(view);
        let is_same = self
            .pointers
            .get(&pointer)
            .is_some_and(|(was, _)| *was == target);
        if is_same && changes.is_empty() {
            return;
        }
        for (key, entry) in &changes.upserts {
            difference.count(entry, 1);
            difference.discount(before.get(key));
        }
        for key in &changes.removals {
            difference.discount(before.get(key));
        }
        difference
            .pointers
            .insert(pointer, (target, view.clone(), changes));
    }

    fn apply(&mut self, difference: Difference, update: &Update) {
        for (pointer, (target, view, _)) in difference.pointers {
            self.pointers.insert(pointer, (target, view));
        }
        for (digest, change) in difference.names {
            let count = i64::from(self.names.get(&digest).copied().unwrap_or(0)) + change;
            match u32::try_from(count) {
                Ok(count @ 1..) => {
                    self.names.insert(digest, count);
                }
                Ok(0) | Err(_) => {
                    self.names.remove(&digest);
                }
            }
        }
        if let Some(effective) = &update.effective {
            self.holds = effective.holds.clone();
        }
        if update.survived {
            self.boot.crashes = 0;
        }
    }

    fn names_after(&self, digest: &Digest, change: i64) -> i64 {
        i64::from(self.names.get(digest).copied().unwrap_or(0)) + change
    }
}

impl Difference {
    fn count(&mut self, entry: &Entry, change: i64) {
        for digest in entry.content() {
            *self.names.entry(digest).or_insert(0) += change;
        }
    }

    fn discount(&mut self, entry: Option<&Entry>) {
        if let Some(entry) = entry {
            self.count(entry, -1);
        }
    }
}

/// Writes what differs. If nothing does, the disk is left alone.
pub(super) fn write(
    db: &Database,
    written: &mut Written,
    owner: &Owner,
    update: &Update,
    kept: &KeptChanges,
) -> Result<(), DiskError> {
    let difference = written.difference(update);
    let effective = update.effective.as_ref();
    let same_holds = effective.is_none_or(|effective| effective.holds == written.holds);
    let survived = update.survived && written.boot.crashes > 0;
    // What a held view names may come long after it: with an operator's word.
    let mut content = update.content.keys();
    let is_named = content.any(|digest| written.names.contains_key(digest));
    let same_views = difference.pointers.is_empty() && !is_named;
    if same_views && same_holds && !survived && kept.is_empty() {
        return Ok(());
    }
    guarded(|| {
        let transaction = db.begin_write()?;
        write_pointers(&transaction, &difference)?;
        write_content(&transaction, written, &difference, &update.content)?;
        if let Some(effective) = effective.filter(|_| !same_holds) {
            write_holds(&transaction, &written.holds, &effective.holds)?;
        }
        if survived {
            write_boot(
                &transaction,
                Boot {
                    crashes: 0,
                    ..written.boot
                },
            )?;
        }
        // A database that was made anew does not say whose it is.
        if written.owner.as_ref() != Some(owner) {
            write_owner(&transaction, owner)?;
        }
        let mut table = transaction.open_table(KEPT)?;
        for (key, value) in kept {
            match value {
                Some(value) => table.insert(key.as_str(), value.as_slice())?,
                None => table.remove(key.as_str())?,
            };
        }
        drop(table);
        transaction.commit()?;
        Ok(())
    })?;
    written.apply(difference, update);
    written.owner = Some(owner.clone());
    Ok(())
}

/// Writes whose database it is.
pub(super) fn write_owner(transaction: &WriteTransaction, owner: &Owner) -> Result<(), DiskError> {
    let mut table = transaction.open_table(META)?;
    table.insert(OWNER, to_json(owner)?.as_slice())?;
    Ok(())
}

/// Writes how often the instance started.
pub(super) fn write_boot(transaction: &WriteTransaction, boot: Boot) -> Result<(), DiskError> {
    let mut table = transaction.open_table(META)?;
    table.insert(BOOT, to_json(&boot)?.as_slice())?;
    Ok(())
}

fn write_pointers(
    transaction: &WriteTransaction,
    difference: &Difference,
) -> Result<(), DiskError> {
    let mut meta = transaction.open_table(META)?;
    let mut entries = transaction.open_table(ENTRIES)?;
    for (pointer, (target, _, changes)) in &difference.pointers {
        let number = pointer.number();
        for (key, entry) in &changes.upserts {
            let key = key.to_string();
            entries.insert((number, key.as_str()), entry.to_bytes().as_slice())?;
        }
        for key in &changes.removals {
            let key = key.to_string();
            entries.remove((number, key.as_str()))?;
        }
        meta.insert(pointer.name(), to_json(target)?.as_slice())?;
    }
    Ok(())
}

fn write_content(
    transaction: &WriteTransaction,
    written: &Written,
    difference: &Difference,
    content: &Content,
) -> Result<(), DiskError> {
    let mut table = transaction.open_table(CONTENT)?;
    for (digest, change) in &difference.names {
        let name = digest.as_bytes().as_slice();
        if written.names_after(digest, *change) <= 0 {
            table.remove(name)?;
        } else if let Some(bytes) = content.get(digest)
            && table.get(name)?.is_none()
        {
            table.insert(name, &**bytes)?;
        }
    }
    // Content that was lost and has been got again is named as often as before.
    for (digest, bytes) in content {
        let name = digest.as_bytes().as_slice();
        let unchanged = !difference.names.contains_key(digest);
        if unchanged && written.names.contains_key(digest) && table.get(name)?.is_none() {
            table.insert(name, &**bytes)?;
        }
    }
    Ok(())
}

fn write_holds(
    transaction: &WriteTransaction,
    before: &Holds,
    after: &Holds,
) -> Result<(), DiskError> {
    let mut table = transaction.open_table(HOLDS)?;
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let text = key.to_string();
        match after.get(key) {
            Some(hold) if before.get(key) != Some(hold) => {
                table.insert(text.as_str(), to_json(hold)?.as_slice())?;
            }
            Some(_) => {}
            None => {
                table.remove(text.as_str())?;
            }
        }
    }
    Ok(())
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, DiskError> {
    // Our own types have no keys that JSON lacks; this does not fail.
    serde_json::to_vec(value).map_err(|error| DiskError::damaged(error.to_string()))
}
