use bytes::Bytes;

use crate::error::DecodeError;
use crate::limits::BLOB_BYTES_MAX;
use crate::read::choice;
use crate::wire;

/// The canonical bytes of a definition, a binding or a registry, perhaps compressed. What it is
/// called is what its plain bytes digest to: a name that came along would prove nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// How `content` was made.
    pub encoding: Encoding,
    /// Length of the plain bytes; at most [`BLOB_BYTES_MAX`].
    pub length: u32,
    /// The bytes as they travel.
    pub content: Bytes,
}

/// How a blob's bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Plain,
    /// As one zstd frame.
    Zstd,
}

impl From<Blob> for wire::Blob {
    fn from(blob: Blob) -> Self {
        let Blob {
            encoding,
            length,
            content,
        } = blob;
        let encoding = match encoding {
            Encoding::Plain => wire::Encoding::Plain,
            Encoding::Zstd => wire::Encoding::Zstd,
        };
        Self {
            encoding: encoding.into(),
            length,
            content,
        }
    }
}

impl TryFrom<wire::Blob> for Blob {
    type Error = DecodeError;

    fn try_from(blob: wire::Blob) -> Result<Self, DecodeError> {
        let wire::Blob {
            encoding,
            length,
            content,
        } = blob;
        let encoding = choice("encoding", encoding, |encoding| match encoding {
            wire::Encoding::Unspecified => None,
            wire::Encoding::Plain => Some(Encoding::Plain),
            wire::Encoding::Zstd => Some(Encoding::Zstd),
        })?;
        let plain = usize::try_from(length).unwrap_or(usize::MAX);
        if plain > BLOB_BYTES_MAX {
            let why = format!("is {length}; at most {BLOB_BYTES_MAX} bytes are allowed");
            return Err(DecodeError::new("length", why));
        }
        if encoding == Encoding::Plain && plain != content.len() {
            let why = format!("is {length}, but the content has {} bytes", content.len());
            return Err(DecodeError::new("length", why));
        }
        Ok(Self {
            encoding,
            length,
            content,
        })
    }
}
