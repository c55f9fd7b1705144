//! A running control plane.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::api::Api;
use crate::environment::binary;
use crate::eventually::START_TIME_MAX;
use crate::ports;
use crate::program::Program;

/// A `ferryway-control --dev` on free ports, with a data folder of its own that outlives its
/// process: it can be killed and started again.
#[derive(Debug)]
pub struct Control {
    program: Program,
    data: TempDir,
    api_port: u16,
    delivery_port: u16,
    further: Vec<String>,
}

impl Control {
    /// Starts one on an empty data folder and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Self::start`], with further flags: another store, say.
    pub fn start_with(further: &[&str]) -> Self {
        let data = TempDir::new().expect("a temporary folder can be made");
        let [api_port, delivery_port] = ports::free();
        let further: Vec<_> = further.iter().map(|flag| (*flag).to_owned()).collect();
        let program = launch(&data, api_port, delivery_port, &further);
        Self {
            program,
            data,
            api_port,
            delivery_port,
            further,
        }
    }

    /// What it is started with from now on, beside its folder and ports.
    pub fn set_further(&mut self, further: &[&str]) {
        self.further = further.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// Kills what still runs, and starts it again with the same data folder and ports.
    pub fn start_again(&mut self) {
        self.program.kill();
        let (api_port, delivery_port) = (self.api_port, self.delivery_port);
        self.program = launch(&self.data, api_port, delivery_port, &self.further);
    }

    /// Its process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Its API.
    pub fn api(&self) -> Api {
        Api::at(&self.origin())
    }

    /// `http://127.0.0.1:PORT` of API and dashboard.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.api_port)
    }

    /// What a gateway's `--control` wants.
    pub fn delivery_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.delivery_port)
    }
}

fn launch(data: &TempDir, api_port: u16, delivery_port: u16, further: &[String]) -> Program {
    let mut command = Command::new(binary("ferryway-control"));
    command.arg("--dev").arg("--data-dir").arg(data.path());
    command.arg("--api").arg(format!("127.0.0.1:{api_port}"));
    command
        .arg("--delivery")
        .arg(format!("127.0.0.1:{delivery_port}"));
    command.args(further);
    let mut program = Program::start("ferryway-control", command);
    program.wait_for_http(
        &format!("http://127.0.0.1:{api_port}/readyz"),
        START_TIME_MAX,
    );
    program
}
