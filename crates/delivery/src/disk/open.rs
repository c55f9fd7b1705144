//! Opening: whatever is in the folder, a gateway can start with it.

use std::error::Error;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use ferryway_model::{Name, View};
use ferryway_proto::{Position, Source};
use ferryway_runtime::Random;
use jiff::Timestamp;
use redb::Database;

use super::aside::set_aside;
use super::copy;
use super::error::{DiskError, guarded};
use super::export::{Export, ExportError};
use super::kept::Kept;
use super::owner::{Owner, found_owner, known_owner, require};
use super::tables::{self, Boot, Loaded, Pointer};
use super::write::{Written, write_boot, write_owner};
use super::{CRASHES_MAX, DATABASE, EXPORT, Files, Identity, InstanceDisk, Medium, Opened, Update};
use crate::hold::Hold;
use crate::load::Content;
use crate::session::{Atoms, Desired, Effective, Saved};

/// Memory for pages of the database, in bytes. Everything is read once, at the start.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

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
        Self::open_on(Arc::new(Files), dir, group, now, random)
    }

    /// As `open`, with a database that lies on something else. Identity and export stay files of
    /// the folder.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_on(
        medium: Arc<dyn Medium>,
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

        // Before anything of another group's is touched.
        let owner = known_owner(dir, group)?;
        let Found {
            db,
            unmade,
            mut loaded,
            content,
        } = find(dir, &*medium, now, owner.is_some())?;
        if let Some(owner) = &loaded.owner {
            require(dir, &owner.group, group)?;
        }
        let owner = match owner {
            Some(owner) => owner,
            None => found_owner(dir, loaded.owner.take(), group, now, random)?,
        };
        let uncounted = count_start(db.as_ref(), &mut loaded, &owner, now).err();
        let identity = Identity {
            instance: owner.instance,
            boot: loaded.boot.number,
        };
        let disk = Self {
            dir: dir.to_owned(),
            owner,
            medium,
            written: Mutex::new(Written::of(&loaded)),
            kept: Mutex::new(Kept::load(&loaded.kept)),
            db: Mutex::new(db.map(Arc::new)),
            imported: Mutex::default(),
            trouble: Mutex::new(unmade.or(uncounted).as_ref().map(DiskError::whole)),
        };
        let (saved, source) = choose(&loaded);
        let mut opened = Opened {
            disk,
            identity,
            saved,
            content,
            source,
        };
        if source == Source::Empty {
            opened.import_export();
        }
        Ok(opened)
    }
}

impl Opened {
    /// Takes what the export holds, if there is one of this group.
    fn import_export(&mut self) {
        let path = self.disk.dir.join(EXPORT);
        let export = match Export::read(&path) {
            Ok(export) if export.group == self.disk.owner.group => export,
            Ok(export) => {
                tracing::error!(group = %export.group, "the export is of another group, and not used");
                return;
            }
            // The folder is new.
            Err(ExportError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the export cannot be started from");
                return;
            }
        };
        let (mut saved, content) = export.into_saved();
        if let Some(desired) = self.saved.desired.take() {
            saved.desired = Some(desired);
        }
        *self.disk.lock_imported() = Some(Arc::new(Update {
            desired: saved.desired.clone(),
            effective: saved.effective.clone(),
            content: content.clone(),
            ..Update::default()
        }));
        // If it fails, the next write begins with it.
        if let Err(error) = self.disk.write(&Update::default()) {
            tracing::error!(
                error = &error as &dyn Error,
                "cannot write what the export holds to the database"
            );
        }
        self.saved = saved;
        self.content.extend(content);
        self.source = Source::LastGood;
    }
}

/// What a folder's database holds.
struct Found {
    /// None: there could be none.
    db: Option<Database>,
    /// Why there could be none.
    unmade: Option<DiskError>,
    loaded: Loaded,
    content: Content,
}

/// Opens the database, sets a damaged one aside, and makes one where there is none.
///
/// A disk that cannot be written (it is full, or mounted read-only) keeps a `known` instance from
/// having one, but not from serving: there may be an export, or a control plane. It is opened or made
/// with the first write that is possible.
fn find(dir: &Path, medium: &dyn Medium, now: Timestamp, known: bool) -> Result<Found, DiskError> {
    let path = dir.join(DATABASE);
    let opened = match open_all(medium, &path) {
        Err(DiskError::Damaged { reason }) => {
            set_aside(&path, now, &reason).and_then(|()| open_all(medium, &path))
        }
        opened => opened,
    };
    match opened {
        Err(DiskError::Busy { .. }) => Err(DiskError::Busy {
            dir: dir.to_owned(),
        }),
        Err(error) if known && error.is_unwritable() => {
            tracing::error!(
                error = &error as &dyn Error,
                "the database cannot be opened for writing; goes on without it"
            );
            let (loaded, content) = copy::load(medium, &path);
            Ok(Found {
                db: None,
                unmade: Some(error),
                loaded,
                content,
            })
        }
        opened => opened,
    }
}

/// Opens the database again after a failed write, or makes it after all.
pub(super) fn reopen(medium: &dyn Medium, path: &Path) -> Result<(Database, Loaded), DiskError> {
    let db = medium.open(path)?;
    tables::create(&db)?;
    let loaded = tables::load(&db)?;
    Ok((db, loaded))
}

/// The database with what is in it.
fn open_all(medium: &dyn Medium, path: &Path) -> Result<Found, DiskError> {
    let db = medium.open(path)?;
    let read =
        tables::create(&db).and_then(|()| Ok((tables::load(&db)?, tables::load_content(&db)?)));
    match read {
        Ok((loaded, content)) => Ok(Found {
            db: Some(db),
            unmade: None,
            loaded,
            content,
        }),
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

pub(super) fn open_database(path: &Path) -> Result<Database, DiskError> {
    if path.is_dir() {
        return Err(DiskError::damaged("it is a folder"));
    }
    if path.is_symlink() && !path.exists() {
        return Err(DiskError::damaged("it is a link that leads nowhere"));
    }
    // Made here, so that nobody else can read it; redb would make it with the usual rights.
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| DiskError::io("open", path, source))?;
    let is_new = file.metadata().is_ok_and(|it| it.len() == 0);
    drop(file);
    let opened = guarded(|| {
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(path)?;
        Ok(db)
    });
    // Half a beginning would be taken for damage, and kept. If it stays, that is all that happens.
    if is_new && opened.as_ref().is_err_and(DiskError::is_full) {
        let _ = fs::remove_file(path);
    }
    opened
}

/// One start more, and one more that has not come to a good end yet.
///
/// A disk that cannot be written (it may be full) is no reason not to serve what it holds.
fn count_start(
    db: Option<&Database>,
    loaded: &mut Loaded,
    owner: &Owner,
    now: Timestamp,
) -> Result<(), DiskError> {
    let boot = loaded.boot;
    // By the clock too: the number still rises when the counter was lost with the database.
    let clock = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let boot = Boot {
        number: boot.number.saturating_add(1).max(clock),
        crashes: boot.crashes.saturating_add(1),
    };
    loaded.boot = boot;
    let Some(db) = db else {
        return Ok(());
    };
    let counted = guarded(|| {
        let transaction = db.begin_write()?;
        write_boot(&transaction, boot)?;
        write_owner(&transaction, owner)?;
        transaction.commit()?;
        Ok(())
    });
    if counted.is_ok() {
        loaded.owner = Some(owner.clone());
    }
    counted.inspect_err(|error| {
        tracing::error!(
            error = error as &dyn Error,
            "cannot count this start on the disk"
        );
    })
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
