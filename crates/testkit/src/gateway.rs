//! A running gateway instance.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::curl::curl;
use crate::environment::binary;
use crate::eventually::START_TIME_MAX;
use crate::ports;
use crate::program::Program;

/// What a gateway instance is started with, beside ports and a data folder.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// The control plane's delivery address.
    pub control: String,
    /// The group it belongs to.
    pub group: String,
    /// The DNS servers it asks; none: the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// Further arguments, as they are.
    pub further: Vec<String>,
}

/// A `ferryway-gateway` on free ports of 127.0.0.1, with a data folder of its own that outlives
/// its process: it can be killed and started again.
#[derive(Debug)]
pub struct Gateway {
    program: Program,
    options: GatewayOptions,
    data: TempDir,
    ports: Ports,
}

impl Gateway {
    /// Starts one on an empty data folder and waits until its process is up; that it serves is
    /// [`Self::wait_ready`].
    pub fn start(options: GatewayOptions) -> Self {
        let data = TempDir::new().expect("a temporary folder can be made");
        let [http, https, status] = ports::free();
        let ports = Ports {
            http,
            https,
            status,
        };
        let program = launch(&options, &data, ports);
        Self {
            program,
            options,
            data,
            ports,
        }
    }

    /// Kills what still runs, and starts it again with the same data folder, ports and options.
    pub fn start_again(&mut self) {
        self.program.kill();
        self.program = launch(&self.options, &self.data, self.ports);
    }

    /// As [`Self::start_again`], with other further arguments.
    pub fn start_again_with(&mut self, further: &[&str]) {
        self.options.further = further.iter().map(|arg| (*arg).to_owned()).collect();
        self.start_again();
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Waits until a complete view is effective.
    #[track_caller]
    pub fn wait_ready(&mut self, within: Duration) {
        let url = self.status_url("/readyz");
        self.program.wait_for_http(&url, within);
    }

    /// Its process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// The URL of `path` on its HTTP port. The host is 127.0.0.1.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.http)
    }

    /// The URL of `path` on its TLS port.
    pub fn https_url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.ports.https)
    }

    /// The URL of `path` on its status port.
    pub fn status_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.status)
    }

    /// What it says at `/status`.
    #[track_caller]
    pub fn status(&self) -> Value {
        curl([self.status_url("/status")]).json_of(200)
    }
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    http: u16,
    https: u16,
    status: u16,
}

fn launch(options: &GatewayOptions, data: &TempDir, ports: Ports) -> Program {
    let mut command = Command::new(binary("ferryway-gateway"));
    command.args(["--control", &options.control, "--group", &options.group]);
    command.arg("--data-dir").arg(data.path());
    for (flag, port) in [
        ("--http", ports.http),
        ("--https", ports.https),
        ("--status", ports.status),
    ] {
        command.arg(flag).arg(format!("127.0.0.1:{port}"));
    }
    for server in &options.dns_servers {
        command.arg("--dns-server").arg(server.to_string());
    }
    command.args(&options.further);
    let mut program = Program::start(format!("ferryway-gateway of {}", options.group), command);
    program.wait_for_http(
        &format!("http://127.0.0.1:{}/healthz", ports.status),
        START_TIME_MAX,
    );
    program
}
