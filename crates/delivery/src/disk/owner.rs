//! Who a data folder belongs to: a file of its own says so, and the database with it. A folder that
//! lost the one is known by the other, so that what a group served is never another group's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ferryway_model::Name;
use ferryway_runtime::Random;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::aside::make_way;
use super::error::DiskError;
use super::export::Export;
use super::{EXPORT, IDENTITY};

/// Who owns a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Owner {
    pub(super) instance: Uuid,
    pub(super) group: Name,
}

/// Who the folder belongs to, if it says so.
pub(super) fn known_owner(dir: &Path, group: &Name) -> Result<Option<Owner>, DiskError> {
    let path = dir.join(IDENTITY);
    match fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice::<Owner>(&bytes) {
            Ok(owner) => {
                require(dir, &owner.group, group)?;
                Ok(Some(owner))
            }
            Err(error) => {
                tracing::error!(%error, "the identity is damaged; it is made again");
                Ok(None)
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(None),
        Err(source) => Err(DiskError::io("read", &path, source)),
    }
}

/// Refuses a folder that holds something of another group.
pub(super) fn require(dir: &Path, has: &Name, asked: &Name) -> Result<(), DiskError> {
    if has == asked {
        return Ok(());
    }
    Err(DiskError::OtherGroup {
        dir: dir.to_owned(),
        has: has.clone(),
        asked: asked.clone(),
    })
}

/// The owner of a folder whose file says nothing of it: that of its database, if there is one of
/// this group, or a new one. Without either, the export still says whose content it is.
pub(super) fn found_owner(
    dir: &Path,
    of_database: Option<Owner>,
    group: &Name,
    now: Timestamp,
    random: &mut Random,
) -> Result<Owner, DiskError> {
    let owner = match of_database {
        Some(owner) => owner,
        None => {
            if let Ok(export) = Export::read(&dir.join(EXPORT)) {
                require(dir, &export.group, group)?;
            }
            Owner {
                instance: new_instance(now, random),
                group: group.clone(),
            }
        }
    };
    let path = dir.join(IDENTITY);
    let bytes =
        serde_json::to_vec(&owner).map_err(|error| DiskError::damaged(error.to_string()))?;
    write_whole(&path, &bytes).map_err(|source| DiskError::io("write", &path, source))?;
    Ok(owner)
}

/// A UUID of version 7.
fn new_instance(now: Timestamp, random: &mut Random) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let mut bytes = [0; 10];
    for chunk in bytes.chunks_mut(8) {
        let word = random.next_u64().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// Writes a file for this user alone, whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_way(path)?;
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}
