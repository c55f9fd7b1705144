//! A DNS server of the test's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ferryway_runtime::Tasks;
use ferryway_sandbox::dns::{DnsServer, Record};
use tokio::runtime::{Builder, Runtime};

use crate::ports;

/// A running [`DnsServer`] on a free port of 127.0.0.1, usable from a test without a runtime.
#[derive(Debug)]
pub struct Dns {
    server: DnsServer,
    tasks: Tasks,
    /// One worker thread, on which the server answers.
    runtime: Runtime,
}

impl Dns {
    /// Starts one that knows no name.
    pub fn start() -> Self {
        let [port] = ports::free();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("test-dns")
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let tasks = Tasks::new("test-dns");
        let server = runtime
            .block_on(DnsServer::start(address, &tasks))
            .unwrap_or_else(|error| panic!("cannot serve DNS at {address}: {error}"));
        Self {
            server,
            tasks,
            runtime,
        }
    }

    /// Where it listens, for UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The server itself: all its records and faults.
    pub fn server(&self) -> &DnsServer {
        &self.server
    }

    /// Answers for `name` with these addresses for one second each, in place of what it answered
    /// before.
    pub fn set_addresses(&self, name: &str, addresses: &[IpAddr]) {
        let record = |address: &IpAddr| match *address {
            IpAddr::V4(address) => Record::A {
                ttl: TTL_SECONDS,
                address,
            },
            IpAddr::V6(address) => Record::Aaaa {
                ttl: TTL_SECONDS,
                address,
            },
        };
        self.set(name, addresses.iter().map(record).collect());
    }

    /// Answers for the service `name` (`_http._tcp.example`) with one SRV record that
    /// lives one second.
    pub fn set_service(&self, name: &str, target: &str, port: u16) {
        let target = target.to_owned();
        let record = Record::Srv {
            ttl: TTL_SECONDS,
            priority: 0,
            weight: 100,
            port,
            target,
        };
        self.set(name, vec![record]);
    }

    /// Answers for `name`: it exists, and has nothing.
    pub fn set_empty(&self, name: &str) {
        self.set(name, Vec::new());
    }

    /// Answers for `name`: it does not exist.
    pub fn remove(&self, name: &str) {
        self.server.remove(name);
    }

    /// How many queries it has read.
    pub fn queries(&self) -> u64 {
        self.server.queries().total()
    }

    fn set(&self, name: &str, records: Vec<Record>) {
        self.server
            .set(name, records)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        // Not awaited to the end in any case: the runtime, dropped next, ends what is left.
        self.runtime.block_on(self.tasks.stop(STOP_TIME_MAX));
    }
}

/// The shortest that is not "never again": what changes is noticed within a second.
const TTL_SECONDS: u32 = 1;
const STOP_TIME_MAX: Duration = Duration::from_secs(1);
