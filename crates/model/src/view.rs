//! Views: what a group's instances should serve, proven by one root digest.
//!
//! A view is laid out as git lays out a tree: 256 buckets of small entries (by hash of kind and
//! name) under a root. A change rewrites one bucket and the root, and shares all other buckets with
//! the view it came from. Content is named by digest and lies elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::digest::Digest;
use crate::json;
use crate::limits::NAME_CHARS_MAX;
use crate::name::{Name, VersionNumber};

/// How many buckets a view has.
pub const BUCKETS: usize = 256;

/// What a group's instances should serve. Cheap to clone; equal roots mean equal content.
#[derive(Clone)]
pub struct View {
    buckets: Arc<[Arc<Bucket>; BUCKETS]>,
    root: Digest,
    len: usize,
}

/// The entries whose keys hash to one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    entries: BTreeMap<Key, (Entry, Digest)>,
    digest: Digest,
}

/// What an entry is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What the entry is of.
    pub kind: Kind,
    /// The name of the service or resource.
    pub name: Name,
}

/// What an entry is of. Consumers and global plugins come with a later schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A published service.
    Service,
    /// A registry of the group.
    Registry,
}

/// One entry of a view: names and digests, no content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Entry {
    /// A published service.
    Service(ServiceEntry),
    /// A registry of the group.
    Registry(RegistryEntry),
}

/// A published service in a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    /// The version it runs; none: No Version.
    pub version: Option<VersionNumber>,
    /// The digest of the definition it runs.
    pub definition: Digest,
    /// The digest of the group's binding.
    pub binding: Digest,
    /// Whether it serves; a disabled one answers as if it were not there.
    pub enabled: bool,
    /// What a rollout moves it to. Always none until waves exist.
    pub candidate: Option<Candidate>,
    /// The rollout that is under way. Always none until waves exist.
    pub rollout: Option<Rollout>,
}

/// What a rollout moves a service to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The version it will run.
    pub version: Option<VersionNumber>,
    /// The digest of the definition.
    pub definition: Digest,
    /// The digest of the binding.
    pub binding: Digest,
}

/// How far a rollout is. An instance runs the candidate if it is among the `first`, or if the hash
/// of itself and the rollout falls below `share`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Which rollout.
    pub id: Box<str>,
    /// The ids of instances that go first.
    pub first: Vec<Box<str>>,
    /// The share of instances moved, in 1/10,000.
    pub share: u16,
}

/// A registry in a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryEntry {
    /// The digest of the registry's canonical bytes.
    pub content: Digest,
}

/// What makes one view into another: entries put in, and keys taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Entries that are new or other.
    pub upserts: BTreeMap<Key, Entry>,
    /// Keys that are gone.
    pub removals: std::collections::BTreeSet<Key>,
}

/// The number of a group's view: it grows by one with each transaction that changes the view.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

static EMPTY_BUCKET: LazyLock<Arc<Bucket>> =
    LazyLock::new(|| Arc::new(Bucket::new(BTreeMap::new())));
static EMPTY_VIEW: LazyLock<View> =
    LazyLock::new(|| View::from_buckets(std::array::from_fn(|_| EMPTY_BUCKET.clone())));

impl View {
    /// The view with nothing in it.
    #[must_use]
    pub fn empty() -> Self {
        EMPTY_VIEW.clone()
    }

    /// A view of these buckets, wherever they came from. An entry whose key hashes to another
    /// bucket can't be found; its root will differ from every honest one.
    #[must_use]
    pub fn from_buckets(buckets: [Arc<Bucket>; BUCKETS]) -> Self {
        let root = root_of(&buckets);
        let len = buckets.iter().map(|bucket| bucket.entries.len()).sum();
        Self {
            buckets: Arc::new(buckets),
            root,
            len,
        }
    }

    /// The digest of the whole content.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The buckets, by number.
    #[must_use]
    pub fn buckets(&self) -> &[Arc<Bucket>; BUCKETS] {
        &self.buckets
    }

    /// The entry of this key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.get_digested(key).map(|(entry, _)| entry)
    }

    /// The entry of this key with its digest.
    #[must_use]
    pub fn get_digested(&self, key: &Key) -> Option<(&Entry, Digest)> {
        let (entry, digest) = self.buckets[key.bucket()].entries.get(key)?;
        Some((entry, *digest))
    }

    /// The published service of this name.
    #[must_use]
    pub fn service(&self, name: &Name) -> Option<&ServiceEntry> {
        match self.get(&Key {
            kind: Kind::Service,
            name: name.clone(),
        })? {
            Entry::Service(service) => Some(service),
            Entry::Registry(_) => None,
        }
    }

    /// All published services, by bucket and name.
    pub fn services(&self) -> impl Iterator<Item = (&Name, &ServiceEntry)> {
        self.entries().filter_map(|(key, entry)| match entry {
            Entry::Service(service) => Some((&key.name, service)),
            Entry::Registry(_) => None,
        })
    }

    /// All registries, by bucket and name.
    pub fn registries(&self) -> impl Iterator<Item = (&Name, &RegistryEntry)> {
        self.entries().filter_map(|(key, entry)| match entry {
            Entry::Registry(registry) => Some((&key.name, registry)),
            Entry::Service(_) => None,
        })
    }

    /// All entries, by bucket and key.
    pub fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.buckets.iter().flat_map(|bucket| bucket.entries())
    }

    /// The view with these changes made. Costs what the changed buckets cost.
    #[must_use]
    pub fn with(&self, changes: &Changes) -> Self {
        let mut touched: BTreeMap<usize, BTreeMap<Key, (Entry, Digest)>> = BTreeMap::new();
        for (key, entry) in &changes.upserts {
            let number = key.bucket();
            let entries = touched
                .entry(number)
                .or_insert_with(|| self.buckets[number].entries.clone());
            entries.insert(key.clone(), (entry.clone(), entry.digest()));
        }
        for key in &changes.removals {
            let number = key.bucket();
            let entries = touched
                .entry(number)
                .or_insert_with(|| self.buckets[number].entries.clone());
            entries.remove(key);
        }
        let mut buckets = (*self.buckets).clone();
        for (number, entries) in touched {
            buckets[number] = Arc::new(Bucket::new(entries));
        }
        Self::from_buckets(buckets)
    }

    /// What makes this view into `target`. Equal buckets cost nothing.
    #[must_use]
    pub fn changes_to(&self, target: &Self) -> Changes {
        let mut changes = Changes::default();
        for (mine, theirs) in self.buckets.iter().zip(target.buckets.iter()) {
            if mine.digest == theirs.digest {
                continue;
            }
            for (key, (entry, digest)) in &theirs.entries {
                if mine.entries.get(key).is_none_or(|(_, mine)| mine != digest) {
                    changes.upserts.insert(key.clone(), entry.clone());
                }
            }
            let gone = mine
                .entries
                .keys()
                .filter(|key| !theirs.entries.contains_key(*key));
            changes.removals.extend(gone.cloned());
        }
        changes
    }
}

impl Bucket {
    /// A bucket of these entries.
    #[must_use]
    pub fn new(entries: BTreeMap<Key, (Entry, Digest)>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for (key, (_, digest)) in &entries {
            hasher.update(key.to_string().as_bytes());
            hasher.update(b"\0");
            hasher.update(digest.as_bytes());
        }
        Self {
            entries,
            digest: Digest::from_bytes(*hasher.finalize().as_bytes()),
        }
    }

    /// The digest of its sorted keys and their entries' digests.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its entries, by key.
    pub fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter().map(|(key, (entry, _))| (key, entry))
    }

    /// The bucket as canonical JSON: `{"service/httpbin": {…}}`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let map = self
            .entries
            .iter()
            .map(|(key, (entry, _))| (key.to_string(), json!(entry)));
        json::canonical(&serde_json::Value::Object(map.collect()))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let map: BTreeMap<String, serde_json::Value> = serde_json::from_slice(bytes)
            .map_err(|error| format!("bucket is unreadable: {error}"))?;
        let mut entries = BTreeMap::new();
        for (key, value) in map {
            let key: Key = key.parse()?;
            let entry = Entry::from_value(key.kind, value)?;
            let digest = entry.digest();
            entries.insert(key, (entry, digest));
        }
        Ok(Self::new(entries))
    }
}

impl Entry {
    /// The digest of its canonical JSON.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Its canonical JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        json::canonical(&json!(self))
    }

    /// Reads an entry of a kind.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn from_bytes(kind: Kind, bytes: &[u8]) -> Result<Self, String> {
        let value = json::parse(bytes).map_err(|problem| problem.message)?;
        Self::from_value(kind, value)
    }

    fn from_value(kind: Kind, value: serde_json::Value) -> Result<Self, String> {
        let read = match kind {
            Kind::Service => serde_json::from_value(value).map(Self::Service),
            Kind::Registry => serde_json::from_value(value).map(Self::Registry),
        };
        read.map_err(|error| format!("{kind} entry is unreadable: {error}"))
    }

    /// The digests of the content it names.
    pub fn content(&self) -> impl Iterator<Item = Digest> {
        let digests = match self {
            Self::Registry(registry) => vec![registry.content],
            Self::Service(service) => {
                let candidate = service
                    .candidate
                    .iter()
                    .flat_map(|c| [c.definition, c.binding]);
                [service.definition, service.binding]
                    .into_iter()
                    .chain(candidate)
                    .collect()
            }
        };
        digests.into_iter()
    }
}

impl Key {
    /// The key of a published service.
    #[must_use]
    pub fn service(name: &Name) -> Self {
        Self {
            kind: Kind::Service,
            name: name.clone(),
        }
    }

    /// The key of a registry.
    #[must_use]
    pub fn registry(name: &Name) -> Self {
        Self {
            kind: Kind::Registry,
            name: name.clone(),
        }
    }

    /// The number of the bucket it lies in.
    #[must_use]
    pub fn bucket(&self) -> usize {
        // The text of the key, made where it costs nothing: each look-up begins here.
        let mut text = [0; KEY_BYTES_MAX];
        let mut end = 0;
        for part in [self.kind.as_str(), "/", self.name.as_str()] {
            text[end..end + part.len()].copy_from_slice(part.as_bytes());
            end += part.len();
        }
        usize::from(blake3::hash(&text[..end]).as_bytes()[0])
    }
}

/// A key's text is no longer than this, in bytes: the longest kind, a slash, a name.
const KEY_BYTES_MAX: usize = "registry/".len() + NAME_CHARS_MAX;

impl Kind {
    /// The kind's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Registry => "registry",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "service" => Ok(Self::Service),
            "registry" => Ok(Self::Registry),
            other => Err(format!(
                "{other:?} is no kind of entry that this build knows"
            )),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text
            .split_once('/')
            .ok_or_else(|| format!("{text:?} is no key of an entry"))?;
        let name = name.parse().map_err(|error| format!("{name:?} {error}"))?;
        Ok(Self {
            kind: kind.parse()?,
            name,
        })
    }
}

impl Changes {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty()
    }

    /// Every key that changes.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.upserts.keys().chain(&self.removals)
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("root", &self.root)
            .field("len", &self.len)
            .finish()
    }
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

impl Eq for View {}

fn root_of(buckets: &[Arc<Bucket>; BUCKETS]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for bucket in buckets {
        hasher.update(bucket.digest.as_bytes());
    }
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(n: u8) -> Entry {
        Entry::Service(ServiceEntry {
            version: Some(format!("1.{n}").parse().expect("is a version")),
            definition: Digest::of(&[n]),
            binding: Digest::of(&[n, n]),
            enabled: n.is_multiple_of(2),
            candidate: None,
            rollout: None,
        })
    }

    fn views() -> impl Strategy<Value = BTreeMap<Key, Entry>> {
        proptest::collection::btree_map("[a-z]{1,2}", 0u8..4, 0..40).prop_map(|map| {
            map.into_iter()
                .map(|(name, n)| (Key::service(&name.parse().expect("is a name")), entry(n)))
                .collect()
        })
    }

    fn view(upserts: BTreeMap<Key, Entry>) -> View {
        View::empty().with(&Changes {
            upserts,
            ..Changes::default()
        })
    }

    proptest! {
        #[test]
        fn difference_then_change_is_the_target(a in views(), b in views()) {
            let (from, to) = (view(a.clone()), view(b.clone()));
            let changes = from.changes_to(&to);
            let made = from.with(&changes);
            prop_assert_eq!(made.root(), to.root());
            prop_assert_eq!(made.len(), b.len());
            prop_assert_eq!(changes.is_empty(), a == b);
            prop_assert_eq!(made.entries().map(|(k, e)| (k.clone(), e.clone())).collect::<BTreeMap<_, _>>(), b);
        }

        #[test]
        fn buckets_survive_their_bytes(a in views()) {
            for bucket in view(a).buckets().iter() {
                prop_assert_eq!(&Bucket::from_bytes(&bucket.to_bytes()), &Ok((**bucket).clone()));
            }
        }
    }

    #[test]
    fn keys_lie_where_the_hash_of_their_text_says() {
        for name in ["a", "s4711", &"z".repeat(NAME_CHARS_MAX)] {
            let name = name.parse().expect("is a name");
            for key in [Key::service(&name), Key::registry(&name)] {
                let hash = blake3::hash(key.to_string().as_bytes());
                assert_eq!(key.bucket(), usize::from(hash.as_bytes()[0]), "{key}");
            }
        }
    }

    #[test]
    fn a_field_that_this_build_does_not_know_is_refused() {
        let bytes = br#"{"content":"blake3:00","more":1}"#;
        assert!(Entry::from_bytes(Kind::Registry, bytes).is_err());
    }
}
