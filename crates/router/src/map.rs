//! A persistent map: a changed copy shares all it did not change.
//!
//! A trie over the bits of the keys' hashes (a HAMT). To change an entry copies the branches on the
//! way to it, at most [`FAN_OUT`] pointers each, and only those that another map shares; dropping a
//! map frees only what it had alone. Own, because the kept crates for it are under the MPL, and
//! because this one takes hashes that the caller has already.

use std::iter::once;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

/// A map from text to `V`. Absent keys have the vacant `V`, and vacant values are not kept.
#[derive(Clone, Debug)]
pub(crate) struct Map<V> {
    root: Branch<V>,
    len: usize,
}

/// A value that may be nothing, and is then not kept.
pub(crate) trait Vacant: Clone + Default {
    /// Whether it is nothing.
    fn is_vacant(&self) -> bool;
}

impl<V: Vacant> Map<V> {
    /// How many keys have a value.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The value of a key.
    pub(crate) fn get(&self, hash: u64, key: &str) -> Option<&V> {
        let mut branch = &self.root;
        let mut bits = hash;
        loop {
            match branch.slot(bits)? {
                Slot::Branch(next) => branch = next,
                Slot::Entries(kept, entries) if *kept == hash => {
                    let found = entries.iter().find(|entry| *entry.key == *key);
                    return found.map(|entry| &entry.value);
                }
                Slot::Entries(..) => return None,
            }
            bits >>= BITS;
        }
    }

    /// Changes the value of a key: in place where no other map shares it, else in a copy.
    pub(crate) fn edit(&mut self, hash: u64, key: &str, change: impl FnOnce(&mut V)) {
        let key = Key {
            hash,
            used: 0,
            text: key,
        };
        match self.root.edit(key, change) {
            Effect::None => {}
            Effect::Added => self.len += 1,
            Effect::Removed => self.len -= 1,
        }
    }

    /// All values, in no order that means anything.
    pub(crate) fn for_each<'m>(&'m self, mut see: impl FnMut(&'m V)) {
        self.root.for_each(&mut see);
    }
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self {
            root: Branch::default(),
            len: 0,
        }
    }
}

/// The slots of those of the next [`BITS`] bits that occur.
#[derive(Clone, Debug)]
struct Branch<V> {
    present: u64,
    slots: Arc<[Slot<V>]>,
}

#[derive(Clone, Debug)]
enum Slot<V> {
    Branch(Branch<V>),
    /// The one hash that goes this way, and its entries: more than one only where hashes collide.
    Entries(u64, Arc<SmallVec<[Entry<V>; 1]>>),
}

#[derive(Clone, Debug)]
struct Entry<V> {
    key: Arc<str>,
    value: V,
}

/// A key on its way down.
#[derive(Clone, Copy)]
struct Key<'k> {
    hash: u64,
    /// How many bits of the hash are used up.
    used: u32,
    text: &'k str,
}

/// What an edit did to the number of entries.
#[derive(Clone, Copy)]
enum Effect {
    None,
    Added,
    Removed,
}

const BITS: u32 = 6;
const FAN_OUT: u64 = 1 << BITS;

impl<V> Default for Branch<V> {
    fn default() -> Self {
        Self {
            present: 0,
            slots: Arc::new([]),
        }
    }
}

impl<V> Branch<V> {
    /// The bit and the place of the way that `bits` go.
    fn way(&self, bits: u64) -> (u64, usize) {
        let bit = 1 << (bits & (FAN_OUT - 1));
        (bit, (self.present & (bit - 1)).count_ones() as usize)
    }

    fn slot(&self, bits: u64) -> Option<&Slot<V>> {
        let (bit, place) = self.way(bits);
        if self.present & bit == 0 {
            None
        } else {
            self.slots.get(place)
        }
    }

    fn for_each<'m>(&'m self, see: &mut impl FnMut(&'m V)) {
        for slot in &*self.slots {
            match slot {
                Slot::Branch(branch) => branch.for_each(see),
                Slot::Entries(_, entries) => entries.iter().for_each(|entry| see(&entry.value)),
            }
        }
    }
}

impl<V: Vacant> Branch<V> {
    fn edit(&mut self, key: Key<'_>, change: impl FnOnce(&mut V)) -> Effect {
        let (bit, place) = self.way(key.hash >> key.used);
        if self.present & bit == 0 {
            let Some(entry) = Entry::new(key, change) else {
                return Effect::None;
            };
            let slot = Slot::Entries(key.hash, Arc::new(smallvec![entry]));
            let (before, after) = self.slots.split_at(place);
            let slots = before.iter().cloned().chain(once(slot));
            self.slots = slots.chain(after.iter().cloned()).collect();
            self.present |= bit;
            return Effect::Added;
        }
        let slot = &mut Arc::make_mut(&mut self.slots)[place];
        let effect = slot.edit(key, change);
        if slot.is_empty() {
            let (before, after) = self.slots.split_at(place);
            self.slots = before.iter().chain(&after[1..]).cloned().collect();
            self.present &= !bit;
        }
        effect
    }
}

impl<V: Vacant> Slot<V> {
    fn edit(&mut self, key: Key<'_>, change: impl FnOnce(&mut V)) -> Effect {
        match self {
            Self::Branch(branch) => {
                let effect = branch.edit(key.next(), change);
                if let [only @ Self::Entries(..)] = &*branch.slots {
                    *self = only.clone();
                }
                effect
            }
            Self::Entries(kept, entries) if *kept == key.hash => {
                edit_entries(Arc::make_mut(entries), key, change)
            }
            Self::Entries(kept, _) => {
                let next = key.next();
                let mut branch = Branch::default();
                branch.present = branch.way(*kept >> next.used).0;
                branch.slots = Arc::new([self.clone()]);
                let effect = branch.edit(next, change);
                if matches!(effect, Effect::Added) {
                    *self = Self::Branch(branch);
                }
                effect
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Branch(branch) => branch.slots.is_empty(),
            Self::Entries(_, entries) => entries.is_empty(),
        }
    }
}

impl<V: Vacant> Entry<V> {
    /// The entry of a key that had none, if `change` gives it a value.
    fn new(key: Key<'_>, change: impl FnOnce(&mut V)) -> Option<Self> {
        let mut value = V::default();
        change(&mut value);
        (!value.is_vacant()).then(|| Self {
            key: key.text.into(),
            value,
        })
    }
}

impl Key<'_> {
    /// The key one branch further down. Hashes that differ part before their bits are used up.
    fn next(self) -> Self {
        Self {
            used: self.used + BITS,
            ..self
        }
    }
}

fn edit_entries<V: Vacant>(
    entries: &mut SmallVec<[Entry<V>; 1]>,
    key: Key<'_>,
    change: impl FnOnce(&mut V),
) -> Effect {
    let place = entries.iter().position(|entry| *entry.key == *key.text);
    let Some(place) = place else {
        let Some(entry) = Entry::new(key, change) else {
            return Effect::None;
        };
        entries.push(entry);
        return Effect::Added;
    };
    change(&mut entries[place].value);
    if entries[place].value.is_vacant() {
        entries.remove(place);
        return Effect::Removed;
    }
    Effect::None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Vacant for u8 {
        fn is_vacant(&self) -> bool {
            *self == 0
        }
    }

    /// Few hashes, alike in many bits, so that keys collide and branches nest.
    fn hash(key: &str) -> u64 {
        let byte = u64::from(key.as_bytes()[0] % 8);
        (byte & 3) << 61 | (byte >> 2) << 20
    }

    fn content(map: &Map<u8>) -> Vec<u8> {
        let mut values = Vec::new();
        map.for_each(|value| values.push(*value));
        values.sort_unstable();
        values
    }

    proptest! {
        #[test]
        fn is_a_map_and_copies_stay_as_they_were(
            edits in prop::collection::vec(("[a-x]{1,2}", 0_u8..4), 1..60),
        ) {
            let mut map = Map::default();
            let mut model = BTreeMap::new();
            for (key, new) in edits {
                let (before, known) = (map.clone(), content(&map));
                map.edit(hash(&key), &key, |value| *value = new);
                if new == 0 { model.remove(&key) } else { model.insert(key.clone(), new) };
                prop_assert_eq!(map.get(hash(&key), &key), model.get(&key));
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(content(&before), known);
            }
            for (key, value) in &model {
                prop_assert_eq!(map.get(hash(key), key), Some(value));
            }
            let mut values: Vec<u8> = model.into_values().collect();
            values.sort_unstable();
            prop_assert_eq!(content(&map), values);
        }
    }

    #[test]
    fn removing_everything_leaves_nothing_nested() {
        let mut map = Map::default();
        for new in [7, 0] {
            for key in ["a", "b", "c", "d", "e", "i", "q"] {
                map.edit(hash(key), key, |value| *value = new);
            }
        }
        assert_eq!(
            (map.len(), map.root.slots.len(), map.root.present),
            (0, 0, 0)
        );
    }
}
