use bytes::Bytes;
use ferryway_model::{Digest, Entry, Key, Kind, RegistryEntry, ServiceEntry, VersionNumber};

use crate::error::DecodeError;
use crate::limits::PATH_BYTES_MAX;
use crate::read::{choice, digest, name};
use crate::report::{Fault, Stage};
use crate::wire;

/// An entry that this build cannot read, and why. What it is called and what its digest is, is
/// known: it can be held, and what is beside it be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Why.
    pub fault: Fault,
    /// As it came.
    raw: Box<wire::Entry>,
}

/// An entry as it came.
#[derive(Debug)]
pub(crate) enum Read {
    Entry(Key, Entry),
    Unreadable(Key, Unreadable),
}

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
    let wire::Key { kind, name } = encode_key(key);
    wire::Entry {
        name,
        schema: SCHEMA,
        content: Some(content),
        kind,
        digest: bytes(entry.digest()),
    }
}

pub(crate) fn encode_unreadable(unreadable: &Unreadable) -> wire::Entry {
    (*unreadable.raw).clone()
}

/// Reads an entry. An error is for one of which it is not even known what it is called.
pub(crate) fn decode_entry(raw: wire::Entry) -> Result<Read, DecodeError> {
    let key = decode_key(wire::Key {
        kind: raw.kind,
        name: raw.name.clone(),
    })?;
    let digest = digest("digest", &raw.digest)?;
    match decode_content(key.kind, digest, &raw) {
        Ok(entry) => Ok(Read::Entry(key, entry)),
        Err((stage, error)) => {
            let fault = Fault {
                key: key.clone(),
                digest: Some(digest),
                stage,
                code: match stage {
                    Stage::Schema => "unsupported".to_owned(),
                    _ => "invalid".to_owned(),
                },
                path: error.field().chars().take(PATH_BYTES_MAX).collect(),
                detail: error.why().to_owned(),
                evidence: None,
            };
            let fault = fault.clipped();
            let raw = Box::new(raw);
            Ok(Read::Unreadable(key, Unreadable { fault, raw }))
        }
    }
}

fn decode_content(
    kind: Kind,
    claimed: Digest,
    raw: &wire::Entry,
) -> Result<Entry, (Stage, DecodeError)> {
    let wire::Entry {
        name: _,
        schema,
        content,
        kind: _,
        digest: _,
    } = raw;
    let unsupported =
        |field: &str, why: &str| Err((Stage::Schema, DecodeError::new(field, why.to_owned())));
    if *schema != SCHEMA {
        let why = format!("is {schema}; this build knows {SCHEMA}");
        return unsupported("schema", &why);
    }
    let decode = |error| (Stage::Decode, error);
    let entry = match (kind, content.as_ref()) {
        (_, None) => return unsupported("", "has no content that this build knows"),
        (Kind::Service, Some(wire::entry::Content::Service(service))) => {
            let rollout = [
                ("service.candidate", service.candidate.is_some()),
                ("service.rollout", service.rollout.is_some()),
            ];
            if let Some((field, _)) = rollout.into_iter().find(|(_, is_set)| *is_set) {
                let why = "is set, but this build cannot take part in a rollout";
                return unsupported(field, why);
            }
            let service = decode_service(service).map_err(|error| error.within("service"));
            Entry::Service(service.map_err(decode)?)
        }
        (Kind::Registry, Some(wire::entry::Content::Registry(registry))) => {
            let wire::RegistryEntry { content } = registry;
            let content = digest("registry.content", content).map_err(decode)?;
            Entry::Registry(RegistryEntry { content })
        }
        (Kind::Service | Kind::Registry, Some(_)) => {
            let error = DecodeError::new("kind", format!("is {kind}, but the content is not"));
            return Err(decode(error));
        }
    };
    if entry.digest() != claimed {
        return unsupported("", "says something that this build does not know");
    }
    Ok(entry)
}

/// A rollout is written, so that a build that can take part in one can be told; this build's
/// agents cannot, and hold an entry that has one.
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

fn decode_service(service: &wire::ServiceEntry) -> Result<ServiceEntry, DecodeError> {
    let wire::ServiceEntry {
        version,
        definition,
        binding,
        enabled,
        candidate: _, // Refused before.
        rollout: _,
    } = service;
    let version = version.as_ref();
    let version = version
        .map(|text| text.parse::<VersionNumber>())
        .transpose();
    Ok(ServiceEntry {
        version: version.map_err(|error| DecodeError::new("version", error.to_string()))?,
        definition: digest("definition", definition)?,
        binding: digest("binding", binding)?,
        enabled: *enabled,
        candidate: None,
        rollout: None,
    })
}

pub(crate) fn bytes(digest: Digest) -> Bytes {
    Bytes::copy_from_slice(digest.as_bytes())
}
