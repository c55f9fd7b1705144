//! Opening: whatever is in the folder, a gateway can start with it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ferryway_model::{Name, View};
use ferryway_proto::{Position, Source};
use ferryway_runtime::Random;
use jiff::Timestamp;
use redb::Database;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{DiskError, guarded};
use super::export::{Export, ExportError};
use super::kept::Kept;
use super::tables::{self, Boot, Loaded, Pointer};
use super::write::{Written, write_boot};
use super::{CRASHES_MAX, DATABASE, EXPORT, IDENTITY, Identity, InstanceDisk, Opened, Update};
use crate::hold::Hold;
use crate::load::Content;
use crate::session::{Atoms, Desired, Effective, Saved};

/// Memory for pages of the database, in bytes. Everything is read once, at the start.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Who owns a data folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    instance: Uuid,
    group: Name,
}

impl InstanceDisk {
    /// Opens the data folder of an instance of `group`, and makes it where there is none. Counts
    /// the start, on the disk, before it returns.
    ///
    /// # Errors
    /// When another process has it, when it belongs to another group, or when the file system
    /// refuses. A damaged database is no error: it is set aside.
    pub fn open(
        dir: &Path,
        group: &Name,
        now: Timestamp,
        random: &mut Random,
    ) -> Result<Opened, DiskError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(dir)
            .map_err(|source| DiskError::io("create", dir, source))?;

        let path = dir.join(DATABASE);
        let (db, mut loaded, content, is_new) = match open_all(&path) {
            Ok(opened) => opened,
            Err(DiskError::Damaged { reason }) => {
                set_aside(&path, now, &reason)?;
                open_all(&path)?
            }
            Err(DiskError::Busy { .. }) => {
                return Err(DiskError::Busy {
                    dir: dir.to_owned(),
                });
            }
            Err(error) => return Err(error),
        };
        let owner = owner(dir, group, now, random)?;
        loaded.boot = count_start(&db, loaded.boot, now);
        let identity = Identity {
            instance: owner.instance,
            boot: loaded.boot.number,
        };
        let disk = Self {
            dir: dir.to_owned(),
            group: group.clone(),
            written: Mutex::new(Written::of(&loaded)),
            kept: Mutex::new(Kept::load(&loaded.kept)),
            db: Mutex::new(Some(Arc::new(db))),
        };
        let (saved, source) = choose(&loaded);
        let mut opened = Opened {
            disk,
            identity,
            saved,
            content,
            source,
        };
        if is_new {
            opened.import_export()?;
        }
        Ok(opened)
    }
}

impl Opened {
    /// Takes what the export holds, if there is one of this group.
    fn import_export(&mut self) -> Result<(), DiskError> {
        let path = self.disk.dir.join(EXPORT);
        let export = match Export::read(&path) {
            Ok(export) if export.group == self.disk.group => export,
            Ok(export) => {
                tracing::error!(group = %export.group, "the export is of another group, and not used");
                return Ok(());
            }
            // The folder is new.
            Err(ExportError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(());
            }
            Err(error) => {
                tracing::error!(%error, "the export cannot be started from");
                return Ok(());
            }
        };
        let (saved, content) = export.into_saved();
        self.disk.write(&Update {
            desired: saved.desired.clone(),
            effective: saved.effective.clone(),
            content: content.clone(),
            ..Update::default()
        })?;
        self.saved = saved;
        self.content = content;
        self.source = Source::LastGood;
        Ok(())
    }
}

/// Opens the database again after a failed write.
pub(super) fn reopen(path: &Path) -> Result<(Database, Loaded), DiskError> {
    let db = open_database(path)?;
    let loaded = tables::load(&db)?;
    Ok((db, loaded))
}

/// The database with what is in it, and whether it was made just now.
fn open_all(path: &Path) -> Result<(Database, Loaded, Content, bool), DiskError> {
    let db = open_database(path)?;
    let read = tables::create(&db).and_then(|is_new| {
        let loaded = tables::load(&db)?;
        Ok((loaded, tables::load_content(&db)?, is_new))
    });
    match read {
        Ok((loaded, content, is_new)) => Ok((db, loaded, content, is_new)),
        Err(error) => {
            // A damaged database may panic once more while it is closed.
            let _ = guarded(|| {
                drop(db);
                Ok(())
            });
            Err(error)
        }
    }
}

fn open_database(path: &Path) -> Result<Database, DiskError> {
    // Made here, so that nobody else can read it; redb would make it with the usual rights.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| DiskError::io("open", path, source))?;
    guarded(|| {
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(path)?;
        Ok(db)
    })
}

/// One start more, and one more that has not come to a good end yet.
///
/// A disk that cannot be written (it may be full) is no reason not to serve what it holds.
fn count_start(db: &Database, boot: Boot, now: Timestamp) -> Boot {
    // By the clock too: the number still rises when the counter was lost with the database.
    let clock = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let next = Boot {
        number: boot.number.saturating_add(1).max(clock),
        crashes: boot.crashes.saturating_add(1),
    };
    let counted = guarded(|| {
        let transaction = db.begin_write()?;
        write_boot(&transaction, next)?;
        transaction.commit()?;
        Ok(())
    });
    if let Err(error) = counted {
        tracing::error!(%error, "cannot count this start on the disk");
    }
    next
}

/// What to start from: what was effective or, after too many crashes, the last good view.
fn choose(loaded: &Loaded) -> (Saved, Source) {
    let at = |pointer| loaded.pointers.get(&pointer).cloned();
    let desired = at(Pointer::Desired).map(|(target, view)| Desired {
        position: target.position,
        view,
        atoms: target.atoms,
    });
    let last_good = at(Pointer::LastGood).map(|(target, view)| (target.position, view));
    // This start is counted already.
    if loaded.boot.crashes > CRASHES_MAX
        && let Some((position, view)) = last_good.clone()
    {
        tracing::error!(
            crashes = loaded.boot.crashes - 1,
            "starts from the last good view"
        );
        return (
            crash_loop(desired, position, view, loaded),
            Source::LastGood,
        );
    }
    let effective = at(Pointer::Effective).map(|(target, view)| (target.position, view));
    let (effective, source) = match (effective, last_good) {
        (Some(effective), _) => (Some(effective), Source::Disk),
        // The effective view is damaged, or was never written.
        (None, Some(last_good)) => (Some(last_good), Source::LastGood),
        (None, None) => (None, Source::Empty),
    };
    let effective = effective.map(|(position, view)| Effective {
        position,
        view,
        holds: loaded.holds.clone(),
    });
    (Saved { desired, effective }, source)
}

/// The last good view, with everything that is desired otherwise held: one of that ended the
/// instance, and the control plane would only send it again.
fn crash_loop(desired: Option<Desired>, position: Position, view: View, loaded: &Loaded) -> Saved {
    let desired = desired.unwrap_or_else(|| Desired {
        position,
        view: view.clone(),
        atoms: Atoms::Each,
    });
    let mut holds = (*loaded.holds).clone();
    for key in view.changes_to(&desired.view).keys() {
        let wanted = desired.view.get_digested(key).map(|(_, digest)| digest);
        let is_held = holds.get(key).is_some_and(|hold| hold.digest == wanted);
        if !is_held {
            holds.insert(
                key.clone(),
                Hold::crash_loop(desired.position.revision, wanted),
            );
        }
    }
    Saved {
        desired: Some(desired),
        effective: Some(Effective {
            position,
            view,
            holds: Arc::new(holds),
        }),
    }
}

/// Gives a damaged database another name. It is kept for whoever wants to know.
fn set_aside(path: &Path, now: Timestamp, reason: &str) -> Result<(), DiskError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".corrupt-{}", now.as_second()));
    let aside = PathBuf::from(aside);
    tracing::error!(reason, aside = %aside.display(), "the database is damaged and set aside");
    fs::rename(path, &aside).map_err(|source| DiskError::io("set aside", path, source))
}

/// Reads who the folder belongs to, or says so for the first time.
fn owner(
    dir: &Path,
    group: &Name,
    now: Timestamp,
    random: &mut Random,
) -> Result<Owner, DiskError> {
    let path = dir.join(IDENTITY);
    match fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice::<Owner>(&bytes) {
            Ok(owner) if owner.group == *group => return Ok(owner),
            Ok(owner) => {
                return Err(DiskError::OtherGroup {
                    dir: dir.to_owned(),
                    has: owner.group,
                    asked: group.clone(),
                });
            }
            Err(error) => tracing::error!(%error, "the identity is damaged; a new one is made"),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(DiskError::io("read", &path, source)),
    }
    let owner = Owner {
        instance: new_instance(now, random),
        group: group.clone(),
    };
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

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
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
