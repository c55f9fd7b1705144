//! A long way: everything arrives later.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Hands connections on, late; ended when dropped.
pub(super) struct Slow {
    /// Where it listens.
    pub(super) address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

/// What is read at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

impl Slow {
    pub(super) fn start(to: &str, delay: Duration) -> Self {
        let to: SocketAddr = to.parse().expect("it is an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let is_over = Arc::<AtomicBool>::default();
        let over = Arc::clone(&is_over);
        thread::spawn(move || {
            for near in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                // One that breaks is whose it is.
                let _ = near.and_then(|near| join(near, TcpStream::connect(to)?, delay));
            }
        });
        Self { address, is_over }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
    }
}

fn join(near: TcpStream, far: TcpStream, delay: Duration) -> std::io::Result<()> {
    let ways = [(near.try_clone()?, far.try_clone()?), (far, near)];
    for (from, to) in ways {
        to.set_nodelay(true)?;
        thread::spawn(move || carry(&from, &to, delay));
    }
    Ok(())
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, delay: Duration) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        thread::sleep(delay);
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    // The other side may be gone.
    let _ = to.shutdown(Shutdown::Write);
}
