use bytes::Bytes;
use ferryway_model::{Digest, Entry, Key, Kind, RegistryEntry, ServiceEntry, VersionNumber};

use crate::error::DecodeError;
use crate::read::{choice, digest, name, required};
use crate::wire;

/// The form of entries that this build writes and reads.
const SCHEMA: u32 = 1;

pub(crate) fn encode_key(key: &Key) -> wire::Key {
    let Key { kind, name } = key;
    let kind = match kind {
        Kind::Service => wire::Kind::Service,
        Kind::Registry => wire::Kind::Registry,
    };
    wire::Key {
        kind: kind.into(),
        name: name.as_str().to_owned(),
    }
}

pub(crate) fn decode_key(key: wire::Key) -> Result<Key, DecodeError> {
    let wire::Key { kind, name: text } = key;
    Ok(Key {
        kind: choice("kind", kind, |kind| match kind {
            wire::Kind::Unspecified => None,
            wire::Kind::Service => Some(Kind::Service),
            wire::Kind::Registry => Some(Kind::Registry),
        })?,
        name: name("name", &text)?,
    })
}

pub(crate) fn encode_entry(key: &Key, entry: &Entry) -> wire::Entry {
    let content = match entry {
        Entry::Service(service) => wire::entry::Content::Service(encode_service(service)),
        Entry::Registry(RegistryEntry { content }) => {
            wire::entry::Content::Registry(wire::RegistryEntry {
                content: bytes(*content),
            })
        }
    };
    wire::Entry {
        name: key.name.as_str().to_owned(),
        schema: SCHEMA,
        content: Some(content),
    }
}

pub(crate) fn decode_entry(entry: wire::Entry) -> Result<(Key, Entry), DecodeError> {
    let wire::Entry {
        name: text,
        schema,
        content,
    } = entry;
    if schema != SCHEMA {
        let why = format!("is {schema}; this build knows {SCHEMA}");
        return Err(DecodeError::new("schema", why));
    }
    let name = name("name", &text)?;
    match required("content", content)? {
        wire::entry::Content::Service(service) => {
            let service = decode_service(service).map_err(|error| error.within("service"))?;
            Ok((Key::service(&name), Entry::Service(service)))
        }
        wire::entry::Content::Registry(wire::RegistryEntry { content }) => {
            let content = digest("registry.content", &content)?;
            Ok((
                Key::registry(&name),
                Entry::Registry(RegistryEntry { content }),
            ))
        }
    }
}

/// A rollout is written, so that a build that can take part in one can be told; this build's
/// agents cannot, and `decode_service` refuses it.
fn encode_service(service: &ServiceEntry) -> wire::ServiceEntry {
    let ServiceEntry {
        version,
        definition,
        binding,
        enabled,
        candidate,
        rollout,
    } = service;
    let text = |version: &Option<VersionNumber>| version.as_ref().map(ToString::to_string);
    wire::ServiceEntry {
        version: text(version),
        definition: bytes(*definition),
        binding: bytes(*binding),
        enabled: *enabled,
        candidate: candidate.as_ref().map(|candidate| wire::Candidate {
            version: text(&candidate.version),
            definition: bytes(candidate.definition),
            binding: bytes(candidate.binding),
        }),
        rollout: rollout.as_ref().map(|rollout| wire::Rollout {
            id: rollout.id.to_string(),
            first: rollout.first.iter().map(ToString::to_string).collect(),
            share: rollout.share.into(),
        }),
    }
}

fn decode_service(service: wire::ServiceEntry) -> Result<ServiceEntry, DecodeError> {
    let wire::ServiceEntry {
        version,
        definition,
        binding,
        enabled,
        candidate,
        rollout,
    } = service;
    for (field, is_set) in [
        ("candidate", candidate.is_some()),
        ("rollout", rollout.is_some()),
    ] {
        if is_set {
            let why = "is set, but this build cannot take part in a rollout";
            return Err(DecodeError::new(field, why));
        }
    }
    let version = version
        .map(|text| text.parse::<VersionNumber>())
        .transpose();
    Ok(ServiceEntry {
        version: version.map_err(|error| DecodeError::new("version", error.to_string()))?,
        definition: digest("definition", &definition)?,
        binding: digest("binding", &binding)?,
        enabled,
        candidate: None,
        rollout: None,
    })
}

pub(crate) fn bytes(digest: Digest) -> Bytes {
    Bytes::copy_from_slice(digest.as_bytes())
}
