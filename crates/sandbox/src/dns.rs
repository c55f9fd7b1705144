//! A small authoritative DNS server, over UDP and TCP, for every name there is.
//!
//! Names are set and removed from code, and take effect with the next query. Written over
//! hickory-proto's message codec alone: hickory-server would bring its catalog, zone files and
//! update protocol, and has no place for the faults that tests need.
//!
//! Absent on purpose: delegation, transfers, updates, DNSSEC, wildcards, and addresses in the
//! additional section (a resolver must not need them).

mod serve;
mod zone;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferryway_runtime::Tasks;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;

use zone::Zone;
pub use zone::{InvalidName, Record};

/// A running DNS server. It ends with the tasks it was started in; handles are cheap to clone.
#[derive(Clone, Debug)]
pub struct DnsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// How the server misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Not at all.
    #[default]
    None,
    /// Queries are read and never answered.
    Silent,
    /// Every answer is SERVFAIL.
    ServFail,
    /// Every answer over UDP is cut off; TCP works.
    Truncate,
    /// Every answer is bytes that are no DNS message.
    Garbage,
}

/// How many queries were read, answered or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    /// Over UDP.
    pub udp: u64,
    /// Over TCP.
    pub tcp: u64,
}

impl Queries {
    /// Over either.
    pub fn total(self) -> u64 {
        self.udp + self.tcp
    }
}

impl DnsServer {
    /// Listens on UDP and TCP at `address`; port 0 takes a port that is free on both.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    pub async fn start(address: SocketAddr, tasks: &Tasks) -> io::Result<Self> {
        let (udp, tcp) = bind(address).await?;
        let address = udp.local_addr()?;
        let shared = Arc::new(Shared {
            zone: Mutex::default(),
            queries: watch::Sender::new(Queries::default()),
        });
        serve::spawn(udp, tcp, &shared, tasks);
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives a name these records in place of all it had.
    ///
    /// # Errors
    ///
    /// The name, or one that a record points to, is no domain name.
    pub fn set(&self, name: &str, records: Vec<Record>) -> Result<(), InvalidName> {
        self.shared.zone().set(name, records)
    }

    /// Makes a name exist without records: NOERROR and no answer.
    ///
    /// # Errors
    ///
    /// The name is no domain name.
    pub fn set_empty(&self, name: &str) -> Result<(), InvalidName> {
        self.set(name, Vec::new())
    }

    /// Removes a name: NXDOMAIN, unless names below it remain.
    pub fn remove(&self, name: &str) {
        self.shared.zone().remove(name);
    }

    /// Misbehaves like this from the next query on.
    pub fn fail(&self, fault: Fault) {
        self.shared.zone().fault = fault;
    }

    /// The queries read so far.
    pub fn queries(&self) -> Queries {
        *self.shared.queries.borrow()
    }

    /// Waits until at least `total` queries have been read since the start.
    pub async fn queried(&self, total: u64) {
        let mut queries = self.shared.queries.subscribe();
        // The sender lives in `self`, so waiting ends only by the count.
        let _ = queries.wait_for(|queries| queries.total() >= total).await;
    }
}

/// What the server's tasks and its handles share.
#[derive(Debug)]
struct Shared {
    zone: Mutex<Zone>,
    queries: watch::Sender<Queries>,
}

impl Shared {
    /// Every change of a zone leaves it whole, so poison means nothing.
    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both sockets on one port. A port that the system chose for one may be taken on the other.
async fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut attempt = 1;
    loop {
        let tcp = TcpListener::bind(address).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(_) if address.port() == 0 && attempt < BIND_ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Ports tried before giving up, where the system chooses them.
const BIND_ATTEMPTS_MAX: u32 = 16;

#[cfg(test)]
mod tests;
