//! The programs that are measured: found, started, watched, killed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ferryway_testkit::{Program, Signal, ports};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::machine::field;
use crate::wire::{Connection, request};
use crate::{Outcome, cpu, disk, written_at};

/// The folder with the built programs, and one for all data of a run, gone at its end.
#[derive(Debug)]
pub struct Stage {
    programs: PathBuf,
    data: TempDir,
}

impl Stage {
    /// `programs` is where the programs lie; none: beside the one that runs.
    ///
    /// # Errors
    ///
    /// A program is missing, or there is no folder for temporary files.
    pub fn new(programs: Option<&Path>) -> Outcome<Self> {
        let own = std::env::current_exe()?;
        let programs = match programs {
            Some(folder) => folder.to_owned(),
            None => own.parent().map(Path::to_owned).unwrap_or_default(),
        };
        for name in [CONTROL, GATEWAY] {
            if !programs.join(name).is_file() {
                let folder = programs.display();
                let why = format!("no {name} in {folder}: run `cargo xtask bench`");
                return Err(why.into());
            }
        }
        Ok(Self {
            programs,
            data: TempDir::new()?,
        })
    }

    /// A folder for the data of one program, made where it is missing.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn folder(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.data.path().join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The file system that all data lies on.
    #[must_use]
    pub fn file_system(&self) -> String {
        disk::file_system(self.data.path())
    }

    /// Starts a control plane on the data of this name, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It does not become ready.
    pub async fn control(&self, data: &str) -> Outcome<Control> {
        self.start_control(self.anywhere(CONTROL), data).await
    }

    /// The same, kept to one core.
    ///
    /// # Errors
    ///
    /// It does not become ready.
    pub async fn control_on(&self, core: usize, data: &str) -> Outcome<Control> {
        self.start_control(self.pinned(CONTROL, core), data).await
    }

    /// The same, on any core, on a store that others are on too, at these addresses of API and
    /// delivery.
    ///
    /// # Errors
    ///
    /// It does not become ready.
    pub async fn control_beside(
        &self,
        data: &str,
        store: &str,
        at: [SocketAddr; 2],
    ) -> Outcome<Control> {
        let mut command = self.anywhere(CONTROL);
        command.args(["--store", store]);
        self.start_control_at(command, data, at).await
    }

    async fn start_control(&self, command: Command, data: &str) -> Outcome<Control> {
        let at = ports::free().map(local);
        self.start_control_at(command, data, at).await
    }

    async fn start_control_at(
        &self,
        mut command: Command,
        data: &str,
        [api, delivery]: [SocketAddr; 2],
    ) -> Outcome<Control> {
        command
            .arg("--dev")
            .arg("--data-dir")
            .arg(self.folder(data)?);
        command.args(["--api", &api.to_string()]);
        command.args(["--delivery", &delivery.to_string()]);
        let start = Instant::now();
        let mut control = Control {
            program: Program::start(CONTROL, command),
            api,
            delivery,
        };
        answers(&mut control.program, start, api, "/readyz", "bench").await?;
        Ok(control)
    }

    /// Starts a gateway instance of a group on the data of this name, and waits until it is ready;
    /// says how long that took. The delivery address may be a dead one.
    ///
    /// # Errors
    ///
    /// It does not become ready.
    pub async fn gateway(
        &self,
        data: &str,
        group: &str,
        delivery: SocketAddr,
    ) -> Outcome<(Gateway, Started)> {
        let command = self.anywhere(GATEWAY);
        self.start_gateway(command, data, group, &[delivery]).await
    }

    /// The same, with several control planes to go to.
    ///
    /// # Errors
    ///
    /// It does not become ready.
    pub async fn gateway_of_several(
        &self,
        data: &str,
        group: &str,
        deliveries: &[SocketAddr],
    ) -> Outcome<Gateway> {
        let command = self.anywhere(GATEWAY);
        let started = self.start_gateway(command, data, group, deliveries).await?;
        Ok(started.0)
    }

    /// The same, with one worker, all of it kept to one core.
    ///
    /// # Errors
    ///
    /// It does not become ready.
    pub async fn gateway_on(
        &self,
        core: usize,
        data: &str,
        group: &str,
        delivery: SocketAddr,
    ) -> Outcome<Gateway> {
        let mut command = self.pinned(GATEWAY, core);
        command.args(["--workers", "1"]);
        let started = self
            .start_gateway(command, data, group, &[delivery])
            .await?;
        Ok(started.0)
    }

    /// What the gateway says that it is, and when it was built.
    ///
    /// # Errors
    ///
    /// It cannot be asked.
    pub fn gateway_version(&self) -> Outcome<String> {
        let output = self.anywhere(GATEWAY).arg("--version").output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let built = written_at(&self.programs.join(GATEWAY));
        Ok(format!("{}, built {built}", said.trim()))
    }

    fn anywhere(&self, program: &str) -> Command {
        Command::new(self.programs.join(program))
    }

    fn pinned(&self, program: &str, core: usize) -> Command {
        cpu::pinned(core, self.programs.join(program))
    }

    async fn start_gateway(
        &self,
        mut command: Command,
        data: &str,
        group: &str,
        deliveries: &[SocketAddr],
    ) -> Outcome<(Gateway, Started)> {
        let [http, https, status] = ports::free().map(local);
        command.args(["--group", group]);
        for delivery in deliveries {
            command.args(["--control", &format!("http://{delivery}")]);
        }
        command.arg("--data-dir").arg(self.folder(data)?);
        for (flag, address) in [("--http", http), ("--https", https), ("--status", status)] {
            command.args([flag, &address.to_string()]);
        }
        let at = Instant::now();
        let mut program = Program::start(GATEWAY, command);
        let ready = answers(&mut program, at, status, "/readyz", "bench").await?;
        let gateway = Gateway {
            program,
            http,
            status,
        };
        Ok((gateway, Started { at, ready }))
    }
}

/// A running control plane. Dropping it kills it.
#[derive(Debug)]
pub struct Control {
    program: Program,
    /// Where its API, `/metrics` included, is.
    pub api: SocketAddr,
    /// Where gateways reach it.
    pub delivery: SocketAddr,
}

/// A running gateway instance. Dropping it kills it.
#[derive(Debug)]
pub struct Gateway {
    program: Program,
    /// Where clients are served.
    pub http: SocketAddr,
    /// Where it tells about itself.
    pub status: SocketAddr,
}

/// When a gateway was started.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// When its process was made.
    at: Instant,
    /// From then to the first 200 of `/readyz`.
    pub ready: Duration,
}

/// What a process holds in memory, in kB as the kernel counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that ever was.
    pub peak: u64,
}

impl Control {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// Kills it (SIGKILL), stops it in its tracks, or lets it go on.
    pub fn signal(&mut self, signal: Signal) {
        self.program.signal(signal);
    }

    /// The processor time that it has used so far.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn cpu(&self) -> Outcome<Duration> {
        cpu(&self.program)
    }

    /// What it holds in memory.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn memory(&self) -> Outcome<Memory> {
        Memory::of(&self.program)
    }
}

impl Gateway {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// The processor time that it has used so far.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn cpu(&self) -> Outcome<Duration> {
        cpu(&self.program)
    }

    /// What it holds in memory.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn memory(&self) -> Outcome<Memory> {
        Memory::of(&self.program)
    }

    /// Waits until a client is answered with 200 at this host and path, and says how long after the
    /// start of the process that is.
    ///
    /// # Errors
    ///
    /// That does not happen.
    pub async fn first_answer(
        &mut self,
        started: Started,
        host: &str,
        path: &str,
    ) -> Outcome<Duration> {
        answers(&mut self.program, started.at, self.http, path, host).await
    }
}

impl Memory {
    fn of(program: &Program) -> Outcome<Self> {
        let file = format!("/proc/{}/status", program.id());
        let kilobytes = |name| -> Outcome<u64> {
            let value = field(&file, name);
            let number = value.strip_suffix(" kB").unwrap_or(&value).parse();
            number.map_err(|_| format!("{} has ended", program.name()).into())
        };
        Ok(Self {
            resident: kilobytes("VmRSS")?,
            peak: kilobytes("VmHWM")?,
        })
    }

    /// Resident and most, as cells of a table.
    #[must_use]
    pub fn cells(self) -> [String; 2] {
        [self.resident, self.peak].map(|kilobytes| format!("{:.1} MB", kilobytes as f64 / 1e3))
    }
}

/// Of all its threads, also of those that have ended.
fn cpu(program: &Program) -> Outcome<Duration> {
    cpu::of_process(program.id())
        .ok_or_else(|| format!("cannot read the processor time of {}", program.name()).into())
}

/// Asks over new connections until the answer is 200; the time since `start` then.
async fn answers(
    program: &mut Program,
    start: Instant,
    address: SocketAddr,
    path: &str,
    host: &str,
) -> Outcome<Duration> {
    let ask = request("GET", host, path, "connection: close\r\n", b"");
    while start.elapsed() < START_TIME_MAX {
        let answer = match Connection::open(address, PROBE_TIME_MAX).await {
            Ok(mut connection) => connection.exchange(&ask).await,
            Err(failure) => Err(failure),
        };
        if answer.is_ok_and(|reply| reply.status == 200) {
            return Ok(start.elapsed());
        }
        if let Some(exit) = program.exit() {
            let (name, said) = (program.name(), program.stderr());
            return Err(format!("{name} ended ({exit}): {said}").into());
        }
        sleep(PROBE_PAUSE).await;
    }
    let (name, said) = (program.name(), program.stderr());
    Err(format!("{name} does not answer 200 at {path} within {START_TIME_MAX:?}: {said}").into())
}

/// An address of this machine.
#[must_use]
pub fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

const CONTROL: &str = "ferryway-control";
const GATEWAY: &str = "ferryway-gateway";
/// How long a program may take to its first 200.
const START_TIME_MAX: Duration = Duration::from_secs(120);
/// How long one probe may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(5);
/// Between two probes: what a measured start may be too long by.
const PROBE_PAUSE: Duration = Duration::from_millis(1);
