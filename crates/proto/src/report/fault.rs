use bytes::Bytes;
use ferryway_model::{Digest, Key, Revision};
use serde::{Deserialize, Serialize};

use crate::entry::{bytes, decode_key, encode_key};
use crate::error::DecodeError;
use crate::limits::{CODE_BYTES_MAX, DETAIL_BYTES_MAX, EVIDENCE_BYTES_MAX, PATH_BYTES_MAX};
use crate::read::{choice, digest_or_none, required, text};
use crate::wire;

/// Why an entry cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which entry.
    pub key: Key,
    /// The digest of the entry; none: its removal is meant.
    pub digest: Option<Digest>,
    /// How far it came.
    pub stage: Stage,
    /// What is wrong, for scripts: `check_failed`, `invalid`…
    pub code: String,
    /// The place in the content, as `routes[3].paths[0]`; empty for all of it.
    pub path: String,
    /// What is wrong, for people.
    pub detail: String,
    /// What was seen: a request and its answer.
    pub evidence: Option<String>,
}

/// How far the loading of an entry came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The content could not be read.
    Decode,
    /// It is larger than what is allowed.
    Limit,
    /// It has a form that this build does not know.
    Schema,
    /// It names something that is not there.
    Reference,
    /// No table could be built with it.
    Build,
    /// A check failed.
    Check,
    /// Something broke while it was loaded.
    Runtime,
}

/// An entry that stays at its last good content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldEntry {
    /// Which entry.
    pub key: Key,
    /// The digest of the entry that is not applied; none: its removal.
    pub digest: Option<Digest>,
    /// The revision with which the hold began.
    pub revision: Revision,
    /// Why, for scripts.
    pub code: String,
    /// The place in the content; empty for all of it.
    pub path: String,
    /// Why, for people.
    pub detail: String,
}

impl Fault {
    /// The same fault with its texts cut to what a message may hold.
    #[must_use]
    pub fn clipped(mut self) -> Self {
        clip(&mut self.code, CODE_BYTES_MAX);
        clip(&mut self.path, PATH_BYTES_MAX);
        clip(&mut self.detail, DETAIL_BYTES_MAX);
        if let Some(evidence) = &mut self.evidence {
            clip(evidence, EVIDENCE_BYTES_MAX);
        }
        self
    }
}

pub(crate) fn clip(text: &mut String, bytes_max: usize) {
    text.truncate(text.floor_char_boundary(bytes_max));
}

impl From<Fault> for wire::Fault {
    fn from(fault: Fault) -> Self {
        let Fault {
            key,
            digest,
            stage,
            code,
            path,
            detail,
            evidence,
        } = fault;
        let stage = match stage {
            Stage::Decode => wire::Stage::Decode,
            Stage::Limit => wire::Stage::Limit,
            Stage::Schema => wire::Stage::Schema,
            Stage::Reference => wire::Stage::Reference,
            Stage::Build => wire::Stage::Build,
            Stage::Check => wire::Stage::Check,
            Stage::Runtime => wire::Stage::Runtime,
        };
        Self {
            key: Some(encode_key(&key)),
            digest: bytes_or_empty(digest),
            stage: stage.into(),
            code,
            path,
            detail,
            evidence,
        }
    }
}

impl TryFrom<wire::Fault> for Fault {
    type Error = DecodeError;

    fn try_from(fault: wire::Fault) -> Result<Self, DecodeError> {
        let wire::Fault {
            key,
            digest,
            stage,
            code,
            path,
            detail,
            evidence,
        } = fault;
        let key = required("key", key)?;
        Ok(Self {
            key: decode_key(key).map_err(|error| error.within("key"))?,
            digest: digest_or_none("digest", &digest)?,
            stage: choice("stage", stage, |stage| match stage {
                wire::Stage::Unspecified => None,
                wire::Stage::Decode => Some(Stage::Decode),
                wire::Stage::Limit => Some(Stage::Limit),
                wire::Stage::Schema => Some(Stage::Schema),
                wire::Stage::Reference => Some(Stage::Reference),
                wire::Stage::Build => Some(Stage::Build),
                wire::Stage::Check => Some(Stage::Check),
                wire::Stage::Runtime => Some(Stage::Runtime),
            })?,
            code: text("code", code, CODE_BYTES_MAX)?,
            path: text("path", path, PATH_BYTES_MAX)?,
            detail: text("detail", detail, DETAIL_BYTES_MAX)?,
            evidence: evidence
                .map(|evidence| text("evidence", evidence, EVIDENCE_BYTES_MAX))
                .transpose()?,
        })
    }
}

impl From<HeldEntry> for wire::Hold {
    fn from(held: HeldEntry) -> Self {
        let HeldEntry {
            key,
            digest,
            revision,
            code,
            path,
            detail,
        } = held;
        Self {
            key: Some(encode_key(&key)),
            digest: bytes_or_empty(digest),
            revision: revision.0,
            code,
            path,
            detail,
        }
    }
}

impl TryFrom<wire::Hold> for HeldEntry {
    type Error = DecodeError;

    fn try_from(hold: wire::Hold) -> Result<Self, DecodeError> {
        let wire::Hold {
            key,
            digest,
            revision,
            code,
            path,
            detail,
        } = hold;
        let key = required("key", key)?;
        Ok(Self {
            key: decode_key(key).map_err(|error| error.within("key"))?,
            digest: digest_or_none("digest", &digest)?,
            revision: Revision(revision),
            code: text("code", code, CODE_BYTES_MAX)?,
            path: text("path", path, PATH_BYTES_MAX)?,
            detail: text("detail", detail, DETAIL_BYTES_MAX)?,
        })
    }
}

fn bytes_or_empty(digest: Option<Digest>) -> Bytes {
    digest.map(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let fault = Fault {
            key: Key::service(&"a".parse().unwrap()),
            digest: None,
            stage: Stage::Check,
            code: "é".repeat(CODE_BYTES_MAX),
            path: "short".to_owned(),
            detail: "€".repeat(DETAIL_BYTES_MAX),
            evidence: Some("x".repeat(EVIDENCE_BYTES_MAX + 1)),
        };
        let clipped = fault.clipped();
        assert_eq!(clipped.code, "é".repeat(CODE_BYTES_MAX / 2));
        assert_eq!(clipped.path, "short");
        assert_eq!(clipped.detail, "€".repeat(DETAIL_BYTES_MAX / 3));
        assert_eq!(clipped.evidence.map(|e| e.len()), Some(EVIDENCE_BYTES_MAX));
    }
}
