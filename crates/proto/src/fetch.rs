use ferryway_model::Digest;
use uuid::Uuid;

use crate::blob::Blob;
use crate::entry::bytes;
use crate::error::DecodeError;
use crate::limits::{FETCH_DIGESTS_MAX, MESSAGE_BYTES_MAX};
use crate::read::{digest, list, uuid};
use crate::wire;

/// Asks for content by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// The session of an open stream.
    pub session: Uuid,
    /// What is asked for; at most [`FETCH_DIGESTS_MAX`].
    pub digests: Vec<Digest>,
}

/// A part of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Content.
    pub blobs: Vec<Blob>,
    /// Digests that the control plane has no content for.
    pub missing: Vec<Digest>,
}

impl From<FetchRequest> for wire::FetchRequest {
    fn from(request: FetchRequest) -> Self {
        let FetchRequest { session, digests } = request;
        Self {
            session: session.as_bytes().to_vec().into(),
            digests: digests.into_iter().map(bytes).collect(),
        }
    }
}

impl TryFrom<wire::FetchRequest> for FetchRequest {
    type Error = DecodeError;

    fn try_from(request: wire::FetchRequest) -> Result<Self, DecodeError> {
        let wire::FetchRequest { session, digests } = request;
        Ok(Self {
            session: uuid("session", &session)?,
            digests: list("digests", digests, FETCH_DIGESTS_MAX, |item| {
                digest("", &item)
            })?,
        })
    }
}

impl From<Chunk> for wire::Chunk {
    fn from(chunk: Chunk) -> Self {
        let Chunk { blobs, missing } = chunk;
        Self {
            blobs: blobs.into_iter().map(Into::into).collect(),
            missing: missing.into_iter().map(bytes).collect(),
        }
    }
}

impl TryFrom<wire::Chunk> for Chunk {
    type Error = DecodeError;

    fn try_from(chunk: wire::Chunk) -> Result<Self, DecodeError> {
        let wire::Chunk { blobs, missing } = chunk;
        Ok(Self {
            blobs: list("blobs", blobs, MESSAGE_BYTES_MAX, Blob::try_from)?,
            missing: list("missing", missing, FETCH_DIGESTS_MAX, |item| {
                digest("", &item)
            })?,
        })
    }
}
