//! Entity tags: over what callers set, so that an answer's counts and revisions don't move them.

use ferryway_model::{Digest, Name, canonical_json, plan::World};
use serde_json::{Value, json};

use super::memory::Memory;

impl Memory {
    /// The tag of a group; none if there is no such group.
    pub(crate) fn group_etag(&self, group: &Name) -> Option<String> {
        let record = &self.groups.get(group)?.record;
        Some(tag(&json!(record)))
    }

    /// The tag of a registry.
    pub(crate) fn registry_etag(&self, group: &Name, registry: &Name) -> Option<String> {
        let (content, title) = self.registry(group, registry)?;
        Some(tag(&json!([content.digest, title])))
    }

    /// The tag of a service in the hub.
    pub(crate) fn hub_etag(&self, service: &Name) -> Option<String> {
        let record = &self.hub.get(service)?.record;
        Some(tag(&json!([record.digest, record.meta])))
    }

    /// The tag of a published service: what runs, where its upstream is, whether it serves.
    pub(crate) fn published_etag(&self, group: &Name, service: &Name) -> Option<String> {
        let running = self.running(group, service)?;
        let digests = [running.definition.digest, running.binding.digest];
        Some(tag(&json!([running.version, digests, running.enabled])))
    }
}

fn tag(value: &Value) -> String {
    let digest = Digest::of(&canonical_json(value)).to_string();
    let hex = digest.rsplit(':').next().unwrap_or_default();
    format!("\"{}\"", &hex[..TAG_HEX_DIGITS])
}

/// 128 bits: enough that two states of one resource never share a tag.
const TAG_HEX_DIGITS: usize = 32;
