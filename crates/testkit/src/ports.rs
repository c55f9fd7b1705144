//! Free ports, for many test processes at once.
//!
//! A program that is given its port on the command line cannot be handed a bound socket, so
//! between "this port is free" and "the program listens" nobody else may take it. Three things
//! could: another test process, an outgoing connection, and a stranger.
//!
//! - Test processes agree through file locks: a process takes blocks of eight ports, each with a
//!   lock file, and keeps the lock until it ends. The kernel drops it then, however the
//!   process dies. The folder is one per machine and user, not one per checkout: so are ports.
//! - Outgoing connections take theirs from the kernel's ephemeral range, which begins at 32768; all
//!   blocks lie below. (Binding port 0 would take one from that range, and give it back.)
//! - A stranger's port is found busy by binding it once, and passed over.
//!
//! No port is given out twice by one process.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, PoisonError};

/// `N` ports that are free on all addresses of this machine, for TCP and UDP, and stay this
/// process's until it ends.
///
/// ```
/// let [api, delivery] = ferryway_testkit::ports::free();
/// assert_ne!(api, delivery);
/// ```
///
/// # Panics
///
/// When no block is left, or the lock folder cannot be written.
pub fn free<const N: usize>() -> [u16; N] {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    std::array::from_fn(|_| held.next())
}

/// The first port of the first block, above the ports that programs are known by.
const FIRST_PORT: u16 = 20_000;
/// Ports in a block: enough for one test with a small cluster.
const BLOCK_PORTS: u16 = 8;
/// Blocks in all; the last one ends below the ephemeral range.
const BLOCKS: u16 = 1_500;

static HELD: Mutex<Held> = Mutex::new(Held {
    locks: Vec::new(),
    unused: Vec::new(),
});

struct Held {
    /// Open until the process ends: closing one would release its block.
    locks: Vec<File>,
    unused: Vec<u16>,
}

impl Held {
    fn next(&mut self) -> u16 {
        loop {
            while let Some(port) = self.unused.pop() {
                if is_free(port) {
                    return port;
                }
            }
            let (block, lock) = take_block();
            self.locks.push(lock);
            let first = FIRST_PORT + block * BLOCK_PORTS;
            self.unused.extend((first..first + BLOCK_PORTS).rev());
        }
    }
}

/// Locks the first free block, beginning at one that depends on the process, so that processes
/// started together do not all try the same ones first.
fn take_block() -> (u16, File) {
    let folder = lock_folder();
    let start = u16::try_from(process::id() % u32::from(BLOCKS)).expect("less than BLOCKS");
    for offset in 0..BLOCKS {
        let block = (start + offset) % BLOCKS;
        let path = folder.join(format!("block-{block}"));
        let file = File::create(&path)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        if file.try_lock().is_ok() {
            return (block, file);
        }
    }
    panic!("all {BLOCKS} blocks of test ports are taken by running test processes");
}

fn lock_folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    let folder = env::temp_dir().join(format!("ferryway-test-ports-{user}"));
    fs::create_dir_all(&folder)
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
    folder
}

fn is_free(port: u16) -> bool {
    let everywhere = (Ipv4Addr::UNSPECIFIED, port);
    TcpListener::bind(everywhere).is_ok() && UdpSocket::bind(everywhere).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_port_twice() {
        let ports = free::<20>();
        assert_eq!(BTreeSet::from(ports).len(), ports.len());
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port can be bound");
        }
    }

    #[test]
    fn a_busy_port_is_passed_over() {
        let [busy] = free();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, busy)).expect("it is free");
        assert!(!is_free(busy));
        drop(listener);
        assert!(is_free(busy));
    }

    #[test]
    fn a_block_that_is_held_is_not_taken_again() {
        let (first, _lock) = take_block();
        let (second, _lock) = take_block();
        assert_ne!(first, second);
    }

    #[test]
    fn blocks_end_below_the_ephemeral_range() {
        assert!(u32::from(FIRST_PORT) + u32::from(BLOCKS) * u32::from(BLOCK_PORTS) <= 32_768);
    }
}
