//! A store in one file.
//!
//! A line that says what it is, the identity, then each entry as the lengths of its key and its
//! value (4 bytes each, little-endian) and both; a key of length 0 ends them; last a digest of all. So
//! a file that was cut, or has a byte changed, is found before anything is written.

use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::identity::Identity;
use crate::transfer::{Export, Filling, Sum, Summing};
use crate::{KEY_BYTES_MAX, Key, Store, StoreError, VALUE_BYTES_MAX};

const HEAD: &[u8] = b"ferryway store backup 1\n";

/// Writes all entries of a store as they are at one moment. In etcd others may write meanwhile.
///
/// # Errors
///
/// As [`Store::list`]; [`StoreError::Backup`] where `file` refuses.
pub async fn backup(store: &Store, file: impl Write) -> Result<Sum, StoreError> {
    let mut file = BufWriter::new(file);
    let mut summing = Summing::default();
    let Identity { uuid, restores } = store.identity();
    let refused = |error: io::Error| wrong(format!("can't be written: {error}"));
    let mut write = |parts: &[&[u8]]| {
        parts
            .iter()
            .try_for_each(|part| file.write_all(part))
            .map_err(refused)
    };
    write(&[HEAD, uuid.as_bytes(), &restores.to_le_bytes()])?;
    let mut export = Export::of(store);
    loop {
        let page = export.page().await?;
        if page.is_empty() {
            break;
        }
        for (key, value) in page {
            summing.add(&key, &value);
            let text = key.as_str().as_bytes();
            write(&[&length(text), &length(&value), text, &value])?;
        }
    }
    let sum = summing.sum();
    write(&[&0_u32.to_le_bytes(), &seal(store.identity(), sum)])?;
    file.flush().map_err(refused)?;
    Ok(sum)
}

/// Makes a store of a backup. It begins a history of its own, so that gateways know that revisions
/// may have fallen. `fresh` is a UUID made now (of version 7); `begin` is given the identity and
/// begins the store to be filled.
///
/// # Errors
///
/// [`StoreError::Backup`] where the file is none, or not whole: nothing was written then. Else
/// those of the store.
pub async fn restore(
    file: impl Read + Seek,
    fresh: Uuid,
    begin: impl AsyncFnOnce(Identity) -> Result<Filling, StoreError>,
) -> Result<Sum, StoreError> {
    let mut entries = Entries::begin(file)?;
    while entries.next()?.is_some() {}
    let checked = entries.summing.sum();

    let mut entries = entries.again()?;
    let mut filling = begin(entries.identity.restored(fresh)).await?;
    while let Some((key, value)) = entries.next()? {
        filling.put(key, value).await?;
    }
    filling.complete(checked).await
}

/// Reads a backup.
struct Entries<F> {
    file: BufReader<F>,
    identity: Identity,
    summing: Summing,
}

impl<F: Read + Seek> Entries<F> {
    fn begin(file: F) -> Result<Self, StoreError> {
        let mut file = BufReader::new(file);
        let (mut head, mut uuid, mut restores) = ([0; HEAD.len()], [0; 16], [0; 8]);
        fill(&mut file, &mut head)?;
        if head != HEAD {
            return Err(wrong(String::from(
                "is none that this build can read: it does not begin as one",
            )));
        }
        fill(&mut file, &mut uuid)?;
        fill(&mut file, &mut restores)?;
        Ok(Self {
            file,
            identity: Identity {
                uuid: Uuid::from_bytes(uuid),
                restores: u64::from_le_bytes(restores),
            },
            summing: Summing::default(),
        })
    }

    fn again(self) -> Result<Self, StoreError> {
        let mut file = self.file.into_inner();
        file.seek(SeekFrom::Start(0))
            .map_err(|error| wrong(format!("can't be read again: {error}")))?;
        Self::begin(file)
    }

    /// The next entry; `None` at the end, once the digest is found to be right.
    fn next(&mut self) -> Result<Option<(Key, Bytes)>, StoreError> {
        let key_bytes = self.length(KEY_BYTES_MAX)?;
        if key_bytes == 0 {
            let mut digest = [0; 32];
            fill(&mut self.file, &mut digest)?;
            if digest != seal(self.identity, self.summing.sum()) {
                return Err(damaged());
            }
            return Ok(None);
        }
        let value_bytes = self.length(VALUE_BYTES_MAX)?;
        let (mut key, mut value) = (vec![0; key_bytes], vec![0; value_bytes]);
        fill(&mut self.file, &mut key)?;
        fill(&mut self.file, &mut value)?;
        let key = String::from_utf8(key).map_err(|_| damaged())?;
        let key = Key::new(key).map_err(|_| damaged())?;
        self.summing.add(&key, &value);
        Ok(Some((key, value.into())))
    }

    fn length(&mut self, max: usize) -> Result<usize, StoreError> {
        let mut bytes = [0; 4];
        fill(&mut self.file, &mut bytes)?;
        let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
        if length > max {
            return Err(damaged());
        }
        Ok(length)
    }
}

/// The digest of a whole backup.
fn seal(identity: Identity, sum: Sum) -> [u8; 32] {
    let Identity { uuid, restores } = identity;
    let mut hasher = blake3::Hasher::new();
    hasher.update(uuid.as_bytes());
    hasher.update(&restores.to_le_bytes());
    hasher.update(&sum.digest);
    *hasher.finalize().as_bytes()
}

fn fill(file: &mut impl Read, part: &mut [u8]) -> Result<(), StoreError> {
    file.read_exact(part).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => wrong(String::from("ends too early: it was cut")),
        _ => wrong(format!("can't be read: {error}")),
    })
}

/// Keys and values are bounded far below what 4 bytes can say.
fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes()
}

fn damaged() -> StoreError {
    wrong(String::from("is damaged: its digest does not match"))
}

fn wrong(why: String) -> StoreError {
    StoreError::Backup {
        why: Arc::from(why),
    }
}
