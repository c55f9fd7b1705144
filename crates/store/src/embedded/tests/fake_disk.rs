//! A disk in memory with a cache in front of it: it can refuse, and it can lose its power.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use ferryway_runtime::Random;
use redb::{Database, DatabaseError, StorageBackend};
use tokio::sync::oneshot;

use super::super::disk;

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeDisk {
    inner: Arc<Mutex<Inner>>,
    gate_opens: Arc<Condvar>,
}

/// What the disk does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refuse {
    /// It is full: the file cannot grow.
    Growth,
    Writes,
    Syncs,
    /// Writes panic, as redb may on what it does not expect.
    Panics,
}

#[derive(Debug, Default)]
struct Inner {
    loaded: bool,
    /// What survives.
    synced: Vec<u8>,
    /// What a read sees.
    cached: Vec<u8>,
    /// What made `cached` of `synced`.
    pending: Vec<Write>,
    refuse: Option<Refuse>,
    /// Counts down the writes until `Refuse::Writes`.
    writes_left: Option<u64>,
    syncs: u64,
    gate: Option<oneshot::Sender<()>>,
    is_held: bool,
}

#[derive(Debug)]
enum Write {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl FakeDisk {
    /// The first time this takes over what the file at `path` holds.
    pub(super) fn open(&self, path: &Path) -> Result<Database, DatabaseError> {
        let mut inner = self.inner.lock().unwrap();
        if !inner.loaded {
            inner.synced = std::fs::read(path)?;
            inner.cached = inner.synced.clone();
            inner.loaded = true;
        }
        drop(inner);
        disk::builder().create_with_backend(self.clone())
    }

    pub(super) fn refuse(&self, refuse: Option<Refuse>) {
        let mut inner = self.inner.lock().unwrap();
        inner.refuse = refuse;
        inner.writes_left = None;
    }

    pub(super) fn refuse_after(&self, writes: u64) {
        self.inner.lock().unwrap().writes_left = Some(writes);
    }

    pub(super) fn syncs(&self) -> u64 {
        self.inner.lock().unwrap().syncs
    }

    /// The next sync waits until the gate is opened.
    pub(super) fn hold_next_sync(&self) -> Gate {
        let (reached, is_reached) = oneshot::channel();
        let mut inner = self.inner.lock().unwrap();
        inner.gate = Some(reached);
        Gate {
            disk: self.clone(),
            is_reached: Mutex::new(Some(is_reached)),
        }
    }

    /// What is found after the power failed: any of the writes since the last sync happened, in
    /// whole or in sectors.
    pub(super) fn after_a_crash(&self, random: &mut Random) -> Vec<u8> {
        let inner = self.inner.lock().unwrap();
        let mut image = inner.synced.clone();
        let share = random.below(5);
        for write in &inner.pending {
            match write {
                Write::Length(length) => image.resize(*length, 0),
                Write::Bytes(at, bytes) => {
                    for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                        if random.below(4) < share {
                            store(&mut image, at + n * SECTOR, sector);
                        }
                    }
                }
            }
        }
        image
    }
}

const SECTOR: usize = 512;

/// Where a sync is held.
pub(super) struct Gate {
    disk: FakeDisk,
    is_reached: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Gate {
    pub(super) async fn reached(&self) {
        let is_reached = self.is_reached.lock().unwrap().take().expect("asked once");
        is_reached.await.expect("the disk lives");
    }

    pub(super) fn open(&self) {
        self.disk.inner.lock().unwrap().is_held = false;
        self.disk.gate_opens.notify_all();
    }
}

fn store(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[at..end].copy_from_slice(bytes);
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "the test says no")
}

impl Inner {
    fn check_write(&mut self, end: usize) -> io::Result<()> {
        match &mut self.writes_left {
            Some(0) => return Err(refused()),
            Some(left) => *left -= 1,
            None => {}
        }
        match self.refuse {
            Some(Refuse::Writes) => Err(refused()),
            Some(Refuse::Growth) if end > self.cached.len() => Err(refused()),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for FakeDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner.lock().unwrap().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner.lock().unwrap();
        let at = offset as usize;
        let bytes = inner
            .cached
            .get(at..at + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.check_write(len as usize)?;
        inner.cached.resize(len as usize, 0);
        inner.pending.push(Write::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap();
        if let Some(reached) = inner.gate.take() {
            inner.is_held = true;
            let _ = reached.send(());
            inner = self
                .gate_opens
                .wait_while(inner, |inner| inner.is_held)
                .unwrap();
        }
        if inner.refuse == Some(Refuse::Syncs) || inner.writes_left == Some(0) {
            return Err(refused());
        }
        inner.syncs += 1;
        inner.pending.clear();
        let Inner { synced, cached, .. } = &mut *inner;
        synced.clone_from(cached);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap();
        if inner.refuse == Some(Refuse::Panics) {
            drop(inner); // Or the panic would poison it.
            panic!("on purpose");
        }
        let at = offset as usize;
        inner.check_write(at + data.len())?;
        store(&mut inner.cached, at, data);
        inner.pending.push(Write::Bytes(at, data.to_vec()));
        Ok(())
    }
}
