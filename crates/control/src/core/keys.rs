//! Where everything lies in the store.
//!
//! Content (definitions, bindings, registries), buckets and trees are named by digest and written
//! first; a transaction only moves heads, uses up version numbers and adds one commit record. So it
//! stays within the store's bounds whatever a call changes.

use ferryway_model::{Digest, Name, VersionNumber};
use ferryway_store::Key;
use uuid::Uuid;

pub(super) const GROUPS: &str = "group/";
pub(super) const HEADS: &str = "head/";
pub(super) const REGISTRIES: &str = "registry/";
pub(super) const HUB: &str = "hub/";
pub(super) const VERSIONS: &str = "version/";
pub(super) const COMMITS: &str = "commit/";
pub(super) const ONCE: &str = "once/";
pub(super) const TOKENS: &str = "token/";
pub(super) const JOIN_TOKENS: &str = "join-token/";
pub(super) const IDENTITIES: &str = "identity/";
pub(super) const AUTHORITIES: &str = "authority/";
pub(super) const SHRINKS: &str = "shrink/";
pub(super) const INSTANCES: &str = "instance/";
pub(super) const PLANES: &str = "plane/";
pub(super) const FENCES: &str = "fence/";
pub(super) const WISHES: &str = "wish/";
pub(super) const CONTENT: &str = "content/";
pub(super) const BUCKETS: &str = "bucket/";
pub(super) const TREES: &str = "tree/";
/// Whether content is being collected, and how often it was.
pub(super) const SWEEP: &str = "sweep/content";

/// What a group's people set.
pub(super) fn group(group: &Name) -> Key {
    key(format!("{GROUPS}{group}"))
}

/// Which view a group has.
pub(super) fn head(group: &Name) -> Key {
    key(format!("{HEADS}{group}"))
}

/// What people wrote about a registry; its content is in the view.
pub(super) fn registry(group: &Name, registry: &Name) -> Key {
    key(format!("{REGISTRIES}{group}/{registry}"))
}

/// A service in the hub.
pub(super) fn hub(service: &Name) -> Key {
    key(format!("{HUB}{service}"))
}

/// A version number that was used. Never deleted.
pub(super) fn version(service: &Name, version: &VersionNumber) -> Key {
    key(format!("{VERSIONS}{service}/{version}"))
}

/// What one transaction was.
pub(super) fn commit(id: Uuid) -> Key {
    key(format!("{COMMITS}{id}"))
}

/// What an idempotency key stands for. Callers choose its text, so it is named by its digest.
pub(super) fn once(idempotency: &str) -> Key {
    by_digest(ONCE, Digest::of(idempotency.as_bytes()))
}

/// Who collects content that nobody names; every change requires it as it was planned with.
pub(super) fn sweep() -> Key {
    key(SWEEP.to_owned())
}

/// An instance that was seen.
pub(super) fn instance(group: &Name, id: &str) -> Key {
    key(format!("{INSTANCES}{group}/{id}"))
}

/// A control plane that lives.
pub(super) fn plane(id: Uuid) -> Key {
    key(format!("{PLANES}{id}"))
}

/// What a control plane writes to see it come back.
pub(super) fn fence(plane: Uuid) -> Key {
    key(format!("{FENCES}{plane}"))
}

/// All wishes of a control plane.
pub(super) fn wishes(plane: Uuid) -> String {
    format!("{WISHES}{plane}/")
}

/// A change of a control plane that others are asked to let go first.
pub(super) fn wish(plane: Uuid, id: Uuid) -> Key {
    key(format!("{WISHES}{plane}/{id}"))
}

/// An API token.
pub(super) fn token(id: Uuid) -> Key {
    key(format!("{TOKENS}{id}"))
}

/// A join token of a group.
pub(super) fn join_token(group: &Name, id: Uuid) -> Key {
    key(format!("{JOIN_TOKENS}{group}/{id}"))
}

/// The certificate that an instance was given last.
pub(super) fn identity(instance: Uuid) -> Key {
    key(format!("{IDENTITIES}{instance}"))
}

/// The authorities that are made here.
pub(super) fn authority() -> Key {
    key(format!("{AUTHORITIES}own"))
}

/// The shrunken view of a group that an operator has confirmed.
pub(super) fn shrink(group: &Name) -> Key {
    key(format!("{SHRINKS}{group}"))
}

/// Canonical bytes of a definition, binding or registry.
pub(super) fn content(digest: Digest) -> Key {
    by_digest(CONTENT, digest)
}

/// One bucket of a view.
pub(super) fn bucket(digest: Digest) -> Key {
    by_digest(BUCKETS, digest)
}

/// The digests of a view's buckets, one after the other.
pub(super) fn tree(root: Digest) -> Key {
    by_digest(TREES, root)
}

/// The digest in the key of content, of a bucket or of a tree.
pub(super) fn digest(key: &Key) -> Option<Digest> {
    let (_, hex) = key.as_str().split_once('/')?;
    format!("blake3:{hex}").parse().ok()
}

fn by_digest(prefix: &str, digest: Digest) -> Key {
    let text = digest.to_string();
    let hex = text.rsplit(':').next().unwrap_or_default();
    key(format!("{prefix}{hex}"))
}

fn key(text: String) -> Key {
    Key::new(text).expect("names and digests are far shorter than a key may be")
}
