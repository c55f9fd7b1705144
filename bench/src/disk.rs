//! What the disk under the programs' data takes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

/// A file that grows by a page at a time, each made durable: the least that any durable change
/// costs here.
#[derive(Debug)]
pub struct Appends(File);

impl Appends {
    /// Makes the file in this folder.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        File::create(folder.join("appends")).map(Self)
    }

    /// Appends [`PAGE_BYTES`] and waits until they are durable (`fdatasync`); says how long.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn one(&mut self) -> io::Result<Duration> {
        let start = Instant::now();
        self.0.write_all(&[0x5a; PAGE_BYTES])?;
        self.0.sync_data()?;
        Ok(start.elapsed())
    }
}

/// The size of one append.
pub const PAGE_BYTES: usize = 4_096;

/// The kind of file system that a folder lies on, as `ext4`; `unknown` where the kernel does not
/// say.
#[must_use]
pub fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    file_system_in(&mounts, &folder)
}

fn file_system_in(mounts: &str, folder: &Path) -> String {
    let mounted = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((Path::new(words.next()?), words.next()?))
    });
    mounted
        .filter(|(point, _)| folder.starts_with(point))
        // Of two on the same point the later one is seen.
        .max_by_key(|(point, _)| point.components().count())
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(folder: &str, expect: &str) {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/deep xfs rw 0 0\n";
        assert_eq!(file_system_in(mounts, Path::new(folder)), expect);
    }

    #[test]
    fn the_deepest_mount_counts() {
        check("/home", "ext4");
        check("/tmp", "tmpfs");
        check("/tmpfiles", "ext4");
        check("/tmp/deep/er", "xfs");
        assert_eq!(file_system_in("", Path::new("/")), "unknown");
    }

    #[test]
    fn appends_grow_the_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut appends = Appends::create(folder.path()).unwrap();
        appends.one().unwrap();
        appends.one().unwrap();
        let length = fs::metadata(folder.path().join("appends")).unwrap().len();
        assert_eq!(length, 2 * PAGE_BYTES as u64);
    }
}
