//! Entity tags: over what callers set, so that an answer's counts and revisions don't move them.

use ferryway_model::{Digest, Name, canonical_json, plan::World};
use serde_json::{Value, json};

use super::memory::Memory;
use super::records::{GroupRecord, HubRecord};

impl Memory {
    /// The tag of a group; none if there is no such group.
    pub(crate) fn group_etag(&self, group: &Name) -> Option<String> {
        Some(self.groups.get(group)?.record.etag())
    }

    /// The tag of a registry.
    pub(crate) fn registry_etag(&self, group: &Name, registry: &Name) -> Option<String> {
        let (content, title) = self.registry(group, registry)?;
        Some(registry_tag(content.digest, title))
    }

    /// The tag of a service in the hub.
    pub(crate) fn hub_etag(&self, service: &Name) -> Option<String> {
        Some(self.hub.get(service)?.record.etag())
    }

    /// The tag of a published service: what runs, where its upstream is, whether it serves.
    pub(crate) fn published_etag(&self, group: &Name, service: &Name) -> Option<String> {
        let running = self.running(group, service)?;
        let digests = [running.definition.digest, running.binding.digest];
        Some(tag(&json!([running.version, digests, running.enabled])))
    }
}

impl GroupRecord {
    pub(super) fn etag(&self) -> String {
        tag(&json!(self))
    }
}

impl HubRecord {
    pub(super) fn etag(&self) -> String {
        tag(&json!([self.digest, self.meta]))
    }
}

pub(super) fn registry_tag(content: Digest, title: &str) -> String {
    tag(&json!([content, title]))
}

fn tag(value: &Value) -> String {
    let digest = Digest::of(&canonical_json(value)).to_string();
    let hex = digest.rsplit(':').next().unwrap_or_default();
    format!("\"{}\"", &hex[..TAG_HEX_DIGITS])
}

/// 128 bits: enough that two states of one resource never share a tag.
const TAG_HEX_DIGITS: usize = 32;
