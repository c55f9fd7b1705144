//! The folder: its lock, the file in it, and how both come to be.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, DatabaseError};
use uuid::Uuid;

use crate::StoreError;
use crate::identity::Identity;

use super::tables::{self, Facts, Fault};

const FILE: &str = "store.redb";

/// The file while it is being made. It gets its name when it is complete, so that an empty or a
/// cut `store.redb` is always damage and never a beginning.
const FILE_BEING_MADE: &str = "store.redb.new";

/// The folder of a store that is being filled from another one.
const FILLING: &str = "filling";

const LOCK: &str = "lock";

/// Put beside a backup by who restores it; see `Store::open`.
const RESTORED: &str = "restored";

/// What redb may keep of the file in memory, in bytes.
const CACHE_BYTES: usize = 64 * 1_024 * 1_024;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// How a file is opened as a database.
pub(super) type Opener = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send>;

/// A folder that is ours while this exists.
pub(super) struct Place {
    dir: PathBuf,
    opener: Opener,
    /// Released by the system when it is closed, also when the process dies.
    _lock: File,
}

/// The way of production: every page's checksum is checked, so that damage is found here and not
/// later, in the middle of a read.
pub(super) fn open_file(path: &Path) -> Result<Database, DatabaseError> {
    builder().open(path)
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    builder
}

impl Place {
    /// Takes the folder and opens the file in it; makes both where they are missing.
    pub(super) fn open(
        dir: &Path,
        fresh: Uuid,
        opener: Opener,
    ) -> Result<(Self, Database, Facts), StoreError> {
        let io = |error| Fault::Io(Arc::new(error)).on("open", dir);
        make_folder(dir).map_err(io)?;
        let lock = lock(dir)?;
        let place = Self {
            dir: dir.to_owned(),
            opener,
            _lock: lock,
        };
        if !is_there(&place.file()).map_err(io)? {
            let fault = |fault: Fault| fault.on("make", &place.file());
            tables::guarded(|| place.make_file(Identity::new(fresh))).map_err(fault)?;
        }
        let (db, mut facts) = place.open_file()?;
        let fault = |fault: Fault| fault.on("write", &place.file());
        tables::guarded(|| place.count_restore(&db, &mut facts, fresh)).map_err(fault)?;
        Ok((place, db, facts))
    }

    /// Makes a store to be filled, in a folder of its own inside `dir`, where there is no store yet.
    /// Answers that folder.
    pub(super) fn make(dir: &Path, identity: Identity) -> Result<PathBuf, StoreError> {
        let io = |error| Fault::Io(Arc::new(error)).on("make", dir);
        make_folder(dir).map_err(io)?;
        let _lock = lock(dir)?;
        if is_there(&dir.join(FILE)).map_err(io)? {
            return Err(taken(dir));
        }
        let inside = dir.join(FILLING);
        if is_there(&inside).map_err(io)? {
            std::fs::remove_dir_all(&inside).map_err(io)?;
        }
        make_folder(&inside).map_err(io)?;
        let place = Self {
            _lock: lock(&inside)?,
            dir: inside,
            opener: Box::new(open_file),
        };
        let fault = |fault: Fault| fault.on("make", &place.file());
        tables::guarded(|| place.make_file(identity)).map_err(fault)?;
        Ok(place.dir)
    }

    /// Puts a store that was filled, and closed, where it belongs.
    pub(super) fn complete(dir: &Path) -> Result<(), StoreError> {
        let io = |error| Fault::Io(Arc::new(error)).on("make", dir);
        let _lock = lock(dir)?;
        let (inside, file) = (dir.join(FILLING), dir.join(FILE));
        if is_there(&file).map_err(io)? {
            return Err(taken(dir));
        }
        let moved = std::fs::rename(inside.join(FILE), &file)
            .and_then(|()| File::open(dir)?.sync_all())
            .and_then(|()| std::fs::remove_dir_all(&inside));
        moved.map_err(io)
    }

    /// Opens the file, also a second time after it has been closed.
    pub(super) fn open_file(&self) -> Result<(Database, Facts), StoreError> {
        let file = self.file();
        tables::guarded(|| {
            let db = (self.opener)(&file)?;
            let facts = tables::facts(&db)?;
            Ok((db, facts))
        })
        .map_err(|fault| fault.on("open", &file))
    }

    pub(super) fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn make_file(&self, identity: Identity) -> Result<(), Fault> {
        let path = self.dir.join(FILE_BEING_MADE);
        // Emptied, for a beginning that was cut short.
        new_file(&path)?.set_len(0)?;
        let db = builder().create(&path)?;
        tables::create(&db, identity)?;
        db.close()?;
        std::fs::rename(&path, self.file())?;
        Ok(File::open(&self.dir)?.sync_all()?)
    }

    /// A crash between the two steps counts the restore twice, which does no harm: the epoch that
    /// the count is part of needs to change, not to be dense.
    fn count_restore(&self, db: &Database, facts: &mut Facts, fresh: Uuid) -> Result<(), Fault> {
        let mark = self.dir.join(RESTORED);
        if !mark.try_exists()? {
            return Ok(());
        }
        facts.identity = facts.identity.restored(fresh);
        let restores = facts.identity.restores;
        tables::count_restore(db, restores)?;
        tracing::info!(restores, "a backup was put in place");
        Ok(std::fs::remove_file(mark)?)
    }
}

/// Also a link that leads nowhere is there: what it should lead to may be on a disk that isn't
/// mounted, and an empty store in its place would be no help.
fn is_there(file: &Path) -> io::Result<bool> {
    match file.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn taken(dir: &Path) -> StoreError {
    StoreError::Taken {
        place: dir.display().to_string().into(),
    }
}

fn make_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(dir)
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
}

/// Our own lock beside redb's: it covers the making of the file, too.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let io = |error| Fault::Io(Arc::new(error)).on("lock", &path);
    let file = new_file(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}
