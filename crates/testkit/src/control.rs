//! A running control plane.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::api::Api;
use crate::environment::binary;
use crate::eventually::{START_TIME_MAX, eventually};
use crate::ports;
use crate::program::Program;

/// A `ferryway-control` on free ports, with `--dev` unless it is told otherwise, with a data folder of
/// its own that outlives its process: it can be killed and started again.
#[derive(Debug)]
pub struct Control {
    program: Program,
    data: TempDir,
    api_port: u16,
    delivery_port: u16,
    /// How it is started: with `--dev`, or what else.
    mode: Vec<String>,
}

impl Control {
    /// Starts one on an empty data folder and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Self::start`], with further flags: another store, say.
    pub fn start_with(further: &[&str]) -> Self {
        Self::launch(["--dev"].iter().chain(further))
    }

    /// Starts one as it is meant to run: with tokens, and certificates for gateways.
    pub fn start_secured(further: &[&str]) -> Self {
        Self::launch(further.iter())
    }

    fn launch<'a>(mode: impl Iterator<Item = &'a &'a str>) -> Self {
        let mode: Vec<_> = mode.map(|flag| (*flag).to_owned()).collect();
        let data = TempDir::new().expect("a temporary folder can be made");
        let [api_port, delivery_port] = ports::free();
        let program = launch(&data, api_port, delivery_port, &mode);
        Self {
            program,
            data,
            api_port,
            delivery_port,
            mode,
        }
    }

    /// What it is started with from now on, beside its folder and ports.
    pub fn set_further(&mut self, further: &[&str]) {
        let is_dev = self.mode.iter().any(|flag| flag == "--dev");
        let all = is_dev.then_some(&"--dev").into_iter().chain(further);
        self.mode = all.map(|flag| (*flag).to_owned()).collect();
    }

    /// Kills what still runs, and starts it again with the same data folder and ports.
    pub fn start_again(&mut self) {
        self.program.kill();
        self.program = launch(&self.data, self.api_port, self.delivery_port, &self.mode);
    }

    /// Its process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Its API; in the administrator's name, where it wants a token.
    pub fn api(&self) -> Api {
        let api = Api::at(&self.origin());
        if self.mode.iter().any(|arg| arg == "--dev") {
            return api;
        }
        api.with_token(&self.admin_token())
    }

    /// The administrator's token, where there is one.
    pub fn admin_token(&self) -> String {
        let token = fs::read_to_string(self.data.path().join("admin-token"));
        token.expect("it was made at the start").trim().to_owned()
    }

    /// `http://127.0.0.1:PORT` of API and dashboard; `https` with `--api-tls`.
    pub fn origin(&self) -> String {
        let is_secured = self.mode.iter().any(|arg| arg == "--api-tls");
        let scheme = if is_secured { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.api_port)
    }

    /// What a gateway's `--control` wants.
    pub fn delivery_url(&self) -> String {
        let is_plain = self.mode.iter().any(|arg| arg == "--dev");
        let scheme = if is_plain { "http" } else { "https" };
        format!("{scheme}://127.0.0.1:{}", self.delivery_port)
    }
}

fn launch(data: &TempDir, api_port: u16, delivery_port: u16, mode: &[String]) -> Program {
    let mut command = Command::new(binary("ferryway-control"));
    command.args(mode).arg("--data-dir").arg(data.path());
    command.arg("--api").arg(format!("127.0.0.1:{api_port}"));
    command
        .arg("--delivery")
        .arg(format!("127.0.0.1:{delivery_port}"));
    let mut program = Program::start("ferryway-control", command);
    if mode.iter().any(|arg| arg == "--api-tls") {
        // Whoever calls it needs the authority, which is made at the start.
        eventually(START_TIME_MAX, "the control plane is ready", || {
            program.stderr().contains("ready").then_some(())
        });
    } else {
        program.wait_for_http(
            &format!("http://127.0.0.1:{api_port}/readyz"),
            START_TIME_MAX,
        );
    }
    program
}
