//! What discovery keeps: a small store of values by key, in memory, written behind.

use std::collections::{BTreeMap, BTreeSet};

use super::write::KeptChanges;

/// Values by key. When there are too many, what was put first is forgotten.
#[derive(Debug, Default)]
pub(super) struct Kept {
    values: BTreeMap<String, Value>,
    by_age: BTreeMap<u64, String>,
    bytes: usize,
    next: u64,
    changed: BTreeSet<String>,
}

#[derive(Debug)]
struct Value {
    age: u64,
    bytes: Vec<u8>,
}

/// Most values.
const COUNT_MAX: usize = 4_096;
/// Most bytes of all of them.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest key, and largest value, in bytes. Larger ones are not kept.
const KEY_BYTES_MAX: usize = 1_024;
const VALUE_BYTES_MAX: usize = 1024 * 1024;

impl Kept {
    /// What was kept, as it is on the disk.
    pub(super) fn load(rows: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut kept = Self::default();
        for (key, row) in rows {
            if let Some((age, bytes)) = row.split_first_chunk::<8>() {
                kept.insert(key, u64::from_be_bytes(*age), bytes);
            }
        }
        kept
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.values.get(key).map(|value| value.bytes.clone())
    }

    pub(super) fn put(&mut self, key: &str, bytes: &[u8]) {
        if key.len() > KEY_BYTES_MAX || bytes.len() > VALUE_BYTES_MAX {
            tracing::warn!(key, bytes = bytes.len(), "too large to be kept on the disk");
            return;
        }
        if self
            .values
            .get(key)
            .is_some_and(|value| value.bytes == bytes)
        {
            return;
        }
        self.insert(key, self.next, bytes);
        self.changed.insert(key.to_owned());
        while self.values.len() > COUNT_MAX || self.bytes > BYTES_MAX {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                return;
            };
            if let Some(value) = self.values.remove(&oldest) {
                self.bytes -= value.bytes.len();
            }
            self.changed.insert(oldest);
        }
    }

    /// Whether anything is to be written.
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What is to be written: new values, and none for what was forgotten.
    pub(super) fn changed(&self) -> KeptChanges {
        let row = |value: &Value| [&value.age.to_be_bytes()[..], &value.bytes].concat();
        let change = |key: &String| (key.clone(), self.values.get(key).map(row));
        self.changed.iter().map(change).collect()
    }

    /// These were written. What has changed since is still to be.
    pub(super) fn written(&mut self, written: &KeptChanges) {
        let now = self.changed();
        self.changed.retain(|key| now.get(key) != written.get(key));
    }

    fn insert(&mut self, key: &str, age: u64, bytes: &[u8]) {
        let value = Value {
            age,
            bytes: bytes.to_vec(),
        };
        self.bytes += bytes.len();
        if let Some(old) = self.values.insert(key.to_owned(), value) {
            self.by_age.remove(&old.age);
            self.bytes -= old.bytes.len();
        }
        self.by_age.insert(age, key.to_owned());
        self.next = self.next.max(age.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut kept = Kept::default();
        for n in 0..=COUNT_MAX {
            kept.put(&n.to_string(), b"x");
        }
        assert_eq!(kept.get("0"), None);
        assert_eq!(kept.get("1"), Some(b"x".to_vec()));
        kept.put("1", b"y");
        kept.put("one more", b"x");
        assert_eq!(
            kept.get("1"),
            Some(b"y".to_vec()),
            "it is not the oldest any more"
        );
        assert_eq!(kept.get("2"), None);
        assert_eq!(kept.changed()["0"], None);

        let big = vec![0; VALUE_BYTES_MAX];
        for n in 0..20 {
            kept.put(&format!("big {n}"), &big);
        }
        assert!(kept.bytes <= BYTES_MAX);
        kept.put("too big", &vec![0; VALUE_BYTES_MAX + 1]);
        assert_eq!(kept.get("too big"), None);
    }

    #[test]
    fn what_is_written_is_not_written_again() {
        let mut kept = Kept::default();
        kept.put("a", b"1");
        kept.put("b", b"1");
        let written = kept.changed();
        kept.put("b", b"2");
        kept.written(&written);
        assert_eq!(kept.changed().keys().collect::<Vec<_>>(), ["b"]);

        let rows = [("a", &written["a"]), ("b", &kept.changed()["b"])];
        let rows = rows.map(|(key, row)| (key.to_owned(), row.clone().unwrap()));
        let mut loaded = Kept::load(&rows.into());
        assert_eq!(loaded.get("b"), Some(b"2".to_vec()));
        assert!(loaded.changed().is_empty());
        loaded.put("a", b"1");
        assert!(loaded.changed().is_empty(), "an equal value is no change");
    }
}
