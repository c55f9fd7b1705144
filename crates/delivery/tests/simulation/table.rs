//! What an instance serves: the content that it was given, and the view that this should be.

use std::collections::BTreeMap;

use bytes::Bytes;
use ferryway_delivery::Candidate;
use ferryway_model::{Digest, Key, View};

/// What an instance serves.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) view: View,
    /// The canonical bytes of each entry's content.
    content: BTreeMap<Key, Vec<Bytes>>,
}

impl Table {
    pub(crate) fn empty() -> Self {
        Self {
            view: View::empty(),
            content: BTreeMap::new(),
        }
    }

    /// The table after a candidate.
    pub(crate) fn with(&self, candidate: &Candidate) -> Self {
        let mut content = self.content.clone();
        let mut set = |key: Key, bytes: Option<Vec<Bytes>>| match bytes {
            Some(bytes) => {
                content.insert(key, bytes);
            }
            None => {
                content.remove(&key);
            }
        };
        for changed in &candidate.services {
            let service = changed.content.as_ref();
            let bytes = service.map(|it| vec![copy(&it.definition.bytes), copy(&it.binding.bytes)]);
            set(Key::service(&changed.name), bytes);
        }
        for changed in &candidate.registries {
            let registry = changed.content.as_ref();
            let bytes = registry.map(|it| vec![copy(&it.bytes)]);
            set(Key::registry(&changed.name), bytes);
        }
        Self {
            view: candidate.target.clone(),
            content,
        }
    }

    /// Two tables have one digest if they serve the same bytes.
    pub(crate) fn digest(&self) -> Digest {
        let mut all = Vec::new();
        for (key, content) in &self.content {
            all.extend_from_slice(key.to_string().as_bytes());
            content
                .iter()
                .for_each(|bytes| all.extend_from_slice(bytes));
        }
        Digest::of(&all)
    }

    /// Whether the content is that of the view.
    pub(crate) fn is_what_its_view_says(&self) -> Result<(), String> {
        if self.content.len() != self.view.len() {
            let (has, should) = (self.content.len(), self.view.len());
            return Err(format!("it has {has} entries instead of {should}"));
        }
        for (key, entry) in self.view.entries() {
            let named: Vec<Digest> = entry.content().collect();
            let there = self.content.get(key).into_iter().flatten();
            let there: Vec<Digest> = there.map(|bytes| Digest::of(bytes)).collect();
            if named != there {
                return Err(format!("{key} has other content"));
            }
        }
        Ok(())
    }
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
