//! An instance's disk: a database in memory that can be full, and that loses power between two
//! writes, with what was not synced partly there.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ferryway_delivery::{DiskError, Medium, Working};
use ferryway_runtime::Random;
use redb::{Database, StorageBackend};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::net::{Host, Net};

/// What stays of an instance when its program ends.
#[derive(Clone)]
pub(crate) struct Platter(Arc<Mutex<State>>);

/// What one start of the program has of it. What it writes after its end reaches nobody.
#[derive(Clone)]
struct Spinning(Arc<Mutex<Image>>);

struct State {
    host: Host,
    random: Random,
    net: Net,
    /// Where a loss of power is told.
    dark: mpsc::Sender<Host>,
    /// What the next start finds.
    image: Arc<Mutex<Image>>,
}

struct Image {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// What was written since the last sync.
    unsynced: Vec<Written>,
    is_full: bool,
    /// After so many more writes and syncs the power goes.
    fuse: Option<u64>,
    /// What the disk held when it went.
    lost: Option<Vec<u8>>,
    random: Random,
    net: Net,
    dark: mpsc::Sender<Host>,
    host: Host,
}

enum Written {
    At(usize, Vec<u8>),
    Length(usize),
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Killed: the system keeps what it was given.
    Killed,
    /// Without power: what was not synced may be gone.
    Dark,
}

impl Platter {
    pub(crate) fn new(host: Host, mut random: Random, net: &Net, dark: mpsc::Sender<Host>) -> Self {
        let image = Image {
            bytes: Vec::new(),
            synced: Vec::new(),
            unsynced: Vec::new(),
            is_full: false,
            fuse: None,
            lost: None,
            random: Random::seeded(random.next_u64()),
            net: net.clone(),
            dark: dark.clone(),
            host,
        };
        let image = Arc::new(Mutex::new(image));
        Self(Arc::new(Mutex::new(State {
            host,
            random,
            net: net.clone(),
            dark,
            image,
        })))
    }

    /// No more can be written, or it can again.
    pub(crate) fn fill(&self, is_full: bool) {
        lock(&self.state().image).is_full = is_full;
    }

    /// The power goes after so many more writes and syncs, if they come.
    pub(crate) fn light(&self, fuse: u64) {
        lock(&self.state().image).fuse = Some(fuse);
    }

    /// It can be written, and has power.
    pub(crate) fn mend(&self) {
        let state = self.state();
        let mut image = lock(&state.image);
        image.is_full = false;
        image.fuse = None;
    }

    /// Whether the power has gone since the program started.
    pub(crate) fn has_lost_power(&self) -> bool {
        lock(&self.state().image).lost.is_some()
    }

    /// The program is gone; the next one finds what is left.
    pub(crate) fn end(&self, ends: Ends) {
        let mut state = self.state();
        let bytes = {
            let mut image = lock(&state.image);
            image.fuse = None;
            match (&image.lost, ends) {
                (Some(lost), _) => lost.clone(),
                (None, Ends::Killed) => image.bytes.clone(),
                (None, Ends::Dark) => {
                    // What the program still does while it is taken down reaches nothing.
                    let left = image.after_loss();
                    image.lost = Some(left.clone());
                    left
                }
            }
        };
        let image = Image {
            synced: bytes.clone(),
            bytes,
            unsynced: Vec::new(),
            is_full: false,
            fuse: None,
            lost: None,
            random: Random::seeded(state.random.next_u64()),
            net: state.net.clone(),
            dark: state.dark.clone(),
            host: state.host,
        };
        state.image = Arc::new(Mutex::new(image));
    }

    /// For a program that starts.
    pub(crate) fn medium(&self) -> Arc<dyn Medium> {
        Arc::new(Spinning(Arc::clone(&self.state().image)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Image {
    /// What a loss of power leaves: what was synced, and some of what was not, perhaps torn.
    fn after_loss(&mut self) -> Vec<u8> {
        let mut left = self.synced.clone();
        let mut unsynced = std::mem::take(&mut self.unsynced);
        let keeps_order = self.random.below(2) == 0;
        let reached = self.random.below(unsynced.len() as u64 + 1) as usize;
        for (n, written) in unsynced.iter_mut().enumerate() {
            let is_there = if keeps_order {
                n < reached
            } else {
                self.random.below(2) == 0
            };
            match written {
                Written::Length(length) => left.resize((*length).max(left.len()), 0),
                Written::At(offset, bytes) if is_there => {
                    if self.random.below(8) == 0 {
                        let torn = self.random.below(bytes.len() as u64 + 1) as usize;
                        // Sectors are whole.
                        bytes.truncate(torn / 512 * 512);
                    }
                    put(&mut left, *offset, bytes);
                }
                Written::At(..) => {}
            }
        }
        left
    }

    fn burn(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            None => {}
            Some(0) => {
                self.fuse = None;
                let left = self.after_loss();
                self.lost.get_or_insert(left);
                // Whoever ends the program may be busy with others; nobody hears of it from now on.
                self.net.gone(self.host, true);
                // There is room: one such message for each machine.
                let _ = self.dark.try_send(self.host);
            }
            Some(left) => *left -= 1,
        }
        if self.is_full {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl Medium for Spinning {
    fn open(&self, _path: &Path) -> Result<Database, DiskError> {
        let backend = self.clone();
        let database = Database::builder()
            .set_cache_size(1024 * 1024)
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)?;
        Ok(database)
    }

    fn read(&self, _path: &Path) -> io::Result<Vec<u8>> {
        Ok(lock(&self.0).bytes.clone())
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Working {
        let (before, after) = {
            let random = &mut lock(&self.0).random;
            let is_slow = random.below(20) == 0;
            let before = random.below(if is_slow { 300_000 } else { 5_000 });
            (before, 50 + random.below(1_000))
        };
        Box::pin(async move {
            sleep(Duration::from_micros(before)).await;
            work();
            sleep(Duration::from_micros(after)).await;
        })
    }
}

impl StorageBackend for Spinning {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = lock(&self.0);
        let offset = usize::try_from(offset).map_err(|_| ErrorKind::UnexpectedEof)?;
        let there = image.bytes.get(offset..offset + out.len());
        out.copy_from_slice(there.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut image = lock(&self.0);
        image.burn()?;
        let length = usize::try_from(len).map_err(|_| ErrorKind::StorageFull)?;
        image.bytes.resize(length, 0);
        image.unsynced.push(Written::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut image = lock(&self.0);
        image.burn()?;
        let written = std::mem::take(&mut image.unsynced);
        if image.lost.is_some() {
            // Nothing reaches it any more.
            return Ok(());
        }
        for written in written {
            match written {
                Written::Length(length) => image.synced.resize(length, 0),
                Written::At(offset, data) => put(&mut image.synced, offset, &data),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut image = lock(&self.0);
        image.burn()?;
        let offset = usize::try_from(offset).map_err(|_| ErrorKind::StorageFull)?;
        let there = image.bytes.get_mut(offset..offset + data.len());
        there.ok_or(ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        image.unsynced.push(Written::At(offset, data.to_vec()));
        Ok(())
    }
}

/// A file is at least as long as what was written to it.
fn put(file: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(data);
}

impl fmt::Debug for Spinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the disk of {}", lock(&self.0).host)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it has it")
}
