//! Content on its way: compressed once where that pays, and never larger than it says.

use std::io;

use bytes::Bytes;
use ferryway_proto::limits::BLOB_BYTES_MAX;
use ferryway_proto::{Blob, Encoding};

/// Content shorter than this travels as it is, in bytes: a zstd frame would hardly be smaller.
const COMPRESS_FROM: usize = 1_024;
/// zstd's level: the one that costs least. Definitions are repetitive; higher ones gain little.
const LEVEL: i32 = 1;

/// Content that cannot be what it claims.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// Not a zstd frame, or one that grows beyond the claimed length.
    #[error("a blob of {length} bytes cannot be decompressed")]
    Zstd {
        /// The claimed length of the plain bytes.
        length: u32,
        /// What zstd says.
        source: io::Error,
    },
    /// Another length than claimed.
    #[error("a blob has {got} bytes, but claims {length}")]
    Length {
        /// The claimed length of the plain bytes.
        length: u32,
        /// What it has.
        got: usize,
    },
}

/// Makes content ready to travel. What is too large for a blob is left out: no agent would take it.
pub(crate) fn pack(content: &Bytes) -> Option<Blob> {
    if content.len() > BLOB_BYTES_MAX {
        return None;
    }
    let length = u32::try_from(content.len()).ok()?;
    let squeezed = (content.len() >= COMPRESS_FROM)
        .then(|| zstd::bulk::compress(content, LEVEL).ok())
        .flatten()
        .filter(|squeezed| squeezed.len() < content.len());
    Some(match squeezed {
        Some(squeezed) => Blob {
            encoding: Encoding::Zstd,
            length,
            content: squeezed.into(),
        },
        None => Blob {
            encoding: Encoding::Plain,
            length,
            content: content.clone(),
        },
    })
}

/// The plain bytes.
pub(crate) fn unpack(blob: &Blob) -> Result<Bytes, UnpackError> {
    let Blob {
        encoding,
        length,
        content,
    } = blob;
    let length = *length;
    let claimed = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(BLOB_BYTES_MAX);
    let plain = match encoding {
        Encoding::Plain => content.clone(),
        Encoding::Zstd => zstd::bulk::decompress(content, claimed)
            .map_err(|source| UnpackError::Zstd { length, source })?
            .into(),
    };
    if plain.len() == claimed {
        Ok(plain)
    } else {
        let got = plain.len();
        Err(UnpackError::Length { length, got })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_content_comes_back(seed: Vec<u8>, times in 1_usize..300) {
            let content = Bytes::from(seed.repeat(times));
            let blob = pack(&content).unwrap();
            prop_assert!(blob.content.len() <= content.len());
            prop_assert_eq!(unpack(&blob).unwrap(), content);
        }

        #[test]
        fn any_bytes_are_answered(content: Vec<u8>, length: u32) {
            let blob = Blob { encoding: Encoding::Zstd, length, content: content.into() };
            if let Ok(plain) = unpack(&blob) {
                prop_assert_eq!(plain.len() as u32, length);
            }
        }
    }

    #[test]
    fn a_frame_may_not_grow_beyond_its_claim() {
        let bomb = zstd::bulk::compress(&vec![0; 8 * BLOB_BYTES_MAX], LEVEL).unwrap();
        let blob = Blob {
            encoding: Encoding::Zstd,
            length: 10,
            content: bomb.into(),
        };
        assert!(matches!(
            unpack(&blob),
            Err(UnpackError::Zstd { length: 10, .. })
        ));
    }

    #[test]
    fn repetitive_content_is_compressed_and_short_content_is_not() {
        let long = Bytes::from(vec![b'a'; 2_000]);
        assert_eq!(pack(&long).unwrap().encoding, Encoding::Zstd);
        assert_eq!(pack(&long.slice(..900)).unwrap().encoding, Encoding::Plain);
        assert_eq!(pack(&Bytes::from(vec![0; BLOB_BYTES_MAX + 1])), None);
    }
}
