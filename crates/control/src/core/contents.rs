//! Content by digest: what some view, history or version names, and the hub.
//!
//! Every version ever published stays readable, so definitions are held as the canonical bytes that
//! they are; what they say takes five times the room and is held for those used last alone.
//! Bindings and registries are small, and asked all at once: they stay as what they say.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ferryway_model::{Binding, Definition, Digest, Problem, Registry, Sealed};
use moka::sync::Cache;
use serde_json::value::RawValue;

/// Definitions that were used last, as what they say. Clones are handles to the same ones.
#[derive(Clone, Debug)]
pub(super) struct Recent(Cache<Digest, Arc<Sealed<Definition>>>);

/// How much of definitions is held as what they say, in canonical bytes.
const RECENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// All content that something names.
#[derive(Debug, Default)]
pub(super) struct Contents {
    kept: HashMap<Digest, Kept>,
    recent: Recent,
}

#[derive(Debug)]
enum Kept {
    Definition(Bytes),
    Binding(Arc<Sealed<Binding>>),
    Registry(Arc<Sealed<Registry>>),
}

/// Content of whatever kind, read.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Definition(Arc<Sealed<Definition>>),
    Binding(Arc<Sealed<Binding>>),
    Registry(Arc<Sealed<Registry>>),
}

/// What tells the kinds of content apart: only definitions have routes, only registries a kind.
#[derive(serde::Deserialize)]
struct Kind {
    routes: Option<serde::de::IgnoredAny>,
    kind: Option<serde::de::IgnoredAny>,
}

impl Content {
    /// Reads canonical bytes of whatever kind they are of.
    ///
    /// # Errors
    /// A sentence: they are of no kind that this build knows.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let kind: Kind = serde_json::from_slice(bytes)
            .map_err(|error| format!("content is no object: {error}"))?;
        let read = match kind {
            Kind {
                routes: Some(_), ..
            } => Self::Definition(Arc::new(Definition::from_canonical(bytes).map_err(first)?)),
            Kind { kind: Some(_), .. } => {
                Self::Registry(Arc::new(Registry::from_canonical(bytes).map_err(first)?))
            }
            Kind { .. } => Self::Binding(Arc::new(Binding::from_canonical(bytes).map_err(first)?)),
        };
        Ok(read)
    }

    fn digest(&self) -> Digest {
        match self {
            Self::Definition(sealed) => sealed.digest,
            Self::Binding(sealed) => sealed.digest,
            Self::Registry(sealed) => sealed.digest,
        }
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self::of(RECENT_BYTES_MAX)
    }
}

impl Recent {
    fn of(bytes_max: u64) -> Self {
        let weight = |_: &Digest, definition: &Arc<Sealed<Definition>>| {
            u32::try_from(definition.bytes.len()).unwrap_or(u32::MAX)
        };
        Self(
            Cache::builder()
                .weigher(weight)
                .max_capacity(bytes_max)
                .build(),
        )
    }

    /// Notes a definition that is at hand and about to be asked for.
    pub(super) fn note(&self, definition: &Arc<Sealed<Definition>>) {
        self.0.insert(definition.digest, Arc::clone(definition));
    }

    /// One that was noted or used not long ago.
    pub(super) fn get(&self, digest: Digest) -> Option<Arc<Sealed<Definition>>> {
        self.0.get(&digest)
    }
}

impl Contents {
    /// The digests of all of it.
    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        self.kept.keys().copied()
    }

    pub(super) fn has(&self, digest: Digest) -> bool {
        self.kept.contains_key(&digest)
    }

    /// The definitions used last: also for those who write, before memory has their write.
    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    pub(super) fn put(&mut self, content: Content) {
        let digest = content.digest();
        let kept = match content {
            Content::Definition(definition) => {
                self.recent.note(&definition);
                Kept::Definition(Bytes::copy_from_slice(&definition.bytes))
            }
            Content::Binding(binding) => Kept::Binding(binding),
            Content::Registry(registry) => Kept::Registry(registry),
        };
        self.kept.insert(digest, kept);
    }

    pub(super) fn remove(&mut self, digest: Digest) {
        self.kept.remove(&digest);
        self.recent.0.invalidate(&digest);
    }

    pub(super) fn bytes(&self, digest: Digest) -> Option<Bytes> {
        Some(match self.kept.get(&digest)? {
            Kept::Definition(bytes) => bytes.clone(),
            Kept::Binding(sealed) => Bytes::copy_from_slice(&sealed.bytes),
            Kept::Registry(sealed) => Bytes::copy_from_slice(&sealed.bytes),
        })
    }

    pub(super) fn definition(&self, digest: Digest) -> Option<Arc<Sealed<Definition>>> {
        let Kept::Definition(bytes) = self.kept.get(&digest)? else {
            return None;
        };
        if let Some(definition) = self.recent.get(digest) {
            return Some(definition);
        }
        // It was read when it was put: the same bytes are read in the same way.
        let definition = Arc::new(Definition::from_canonical(bytes).ok()?);
        self.recent.note(&definition);
        Some(definition)
    }

    /// A definition as answers show it: as it is kept, nothing of it made anew.
    pub(super) fn definition_json(&self, digest: Digest) -> Option<&RawValue> {
        match self.kept.get(&digest)? {
            Kept::Definition(bytes) => serde_json::from_slice(bytes).ok(),
            Kept::Binding(_) | Kept::Registry(_) => None,
        }
    }

    pub(super) fn binding(&self, digest: Digest) -> Option<&Arc<Sealed<Binding>>> {
        match self.kept.get(&digest)? {
            Kept::Binding(binding) => Some(binding),
            Kept::Definition(_) | Kept::Registry(_) => None,
        }
    }

    pub(super) fn registry(&self, digest: Digest) -> Option<&Arc<Sealed<Registry>>> {
        match self.kept.get(&digest)? {
            Kept::Registry(registry) => Some(registry),
            Kept::Definition(_) | Kept::Binding(_) => None,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn first(problems: Vec<Problem>) -> String {
    problems
        .first()
        .map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn more_definitions_than_are_held_parsed_stay_readable() {
        const BYTES_MAX: u64 = 16 * 1024;
        let definition = |n: u64| {
            let body = json!({"name": format!("s{n}"), "routes": [{"name": "a", "paths": ["/a"]}]});
            Arc::new(Definition::parse(&body, None).expect("is a definition"))
        };
        let count = 3 * BYTES_MAX / definition(0).bytes.len() as u64;
        let mut contents = Contents {
            kept: HashMap::new(),
            recent: Recent::of(BYTES_MAX),
        };
        let mut digests = Vec::new();
        for n in 0..count {
            let definition = definition(n);
            digests.push(definition.digest);
            contents.put(Content::Definition(definition));
        }
        contents.recent.0.run_pending_tasks();
        let held = contents.recent.0.weighted_size();
        assert!(held <= BYTES_MAX && held > BYTES_MAX / 2, "{held}");
        for digest in digests {
            let definition = contents.definition(digest).expect("is kept");
            assert_eq!(definition.digest, digest);
            let json = contents.definition_json(digest).map(|json| json!(json));
            assert_eq!(json, Some(definition.content.to_value()));
            assert_eq!(contents.bytes(digest).as_deref(), Some(&*definition.bytes));
        }
    }
}
