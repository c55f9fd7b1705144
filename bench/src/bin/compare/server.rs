//! Programs that are not Ferryway's, while they run.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ferryway_bench::wire::{Connection, request};
use ferryway_bench::{Outcome, cpu};
use ferryway_testkit::{Program, Signal};
use tokio::time::sleep;

/// A server, kept to one core. Dropping it ends it and all that it started.
#[derive(Debug)]
pub(crate) struct Server {
    program: Program,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `command` as `name`: a server that will listen on `address`.
    pub(crate) fn start(name: &str, command: Command, address: SocketAddr) -> Self {
        Self {
            program: Program::start(name, command),
            address,
        }
    }

    /// Starts an nginx with this configuration; all its files lie in `folder`.
    pub(crate) fn nginx(
        core: usize,
        name: &str,
        folder: &Path,
        conf: &str,
        address: SocketAddr,
    ) -> Outcome<Self> {
        let file = |extension: &str| folder.join(name).with_extension(extension);
        // nginx removes its pid file when it ends, whatever that is: so it has one of its own.
        let pid = file("pid");
        fs::write(file("conf"), format!("pid {};\n{conf}", pid.display()))?;
        let mut command = cpu::pinned(core, "nginx");
        command.arg("-e").arg(file("log"));
        command.arg("-c").arg(file("conf"));
        Ok(Self::start(name, command, address))
    }

    /// Starts a haproxy with this configuration, which is written into `folder`.
    pub(crate) fn haproxy(
        core: usize,
        folder: &Path,
        conf: &str,
        address: SocketAddr,
    ) -> Outcome<Self> {
        let file = folder.join("haproxy.cfg");
        fs::write(&file, conf)?;
        let mut command = cpu::pinned(core, "haproxy");
        command.arg("-db").arg("-f").arg(file);
        Ok(Self::start("haproxy", command, address))
    }

    /// Its process, the root of what is counted.
    pub(crate) fn id(&self) -> u32 {
        self.program.id()
    }

    /// Waits until a GET of `path` is answered with 200.
    ///
    /// # Errors
    ///
    /// That does not happen, or the program ends.
    pub(crate) async fn answers(&mut self, path: &str) -> Outcome<()> {
        let failed = |program: &Program, what: &str| {
            let (name, said) = (program.name(), program.stderr());
            Err(format!("{name} {what}: {said}").into())
        };
        for _ in 0..PROBES_MAX {
            if answers(self.address, path).await {
                return Ok(());
            }
            if let Some(exit) = self.program.exit() {
                return failed(&self.program, &format!("ended ({exit})"));
            }
            sleep(PAUSE).await;
        }
        failed(&self.program, &format!("does not answer 200 at {path}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its workers on a TERM, but not on a KILL, which comes when this is over.
        self.program.signal(Signal::TERM);
        for _ in 0..END_PROBES_MAX {
            if self.program.exit().is_some() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Whether a GET of `path` is answered with 200, over a connection of its own.
pub(crate) async fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = request("GET", "bench", path, "connection: close\r\n", b"");
    match Connection::open(address, PROBE_TIME_MAX).await {
        Ok(mut connection) => {
            let answer = connection.exchange(&ask).await;
            answer.is_ok_and(|reply| reply.status == 200)
        }
        Err(_) => false,
    }
}

/// How long one probe may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(5);
/// How often a server that was started is asked, 5 s in all where it refuses at once.
const PROBES_MAX: usize = 250;
/// How often it is looked whether a server that was told to end has, 2 s in all.
const END_PROBES_MAX: usize = 100;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
