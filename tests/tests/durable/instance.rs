//! A gateway that can be killed at any moment, and started with or without its control plane.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use ferryway_testkit::{Program, START_TIME_MAX, binary, eventually, ports};
use serde_json::Value;
use tempfile::TempDir;

use crate::caller::Caller;
use crate::site::GROUP;

/// A gateway's data folder and ports; its process comes and goes.
#[derive(Debug)]
pub(super) struct Instance {
    program: Option<Program>,
    data: TempDir,
    http: SocketAddr,
    https: SocketAddr,
    status: SocketAddr,
}

impl Instance {
    /// An empty folder, and no process yet.
    pub(super) fn new() -> Self {
        let ports: [u16; 3] = ports::free();
        let [http, https, status] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        Self {
            program: None,
            data: TempDir::new().expect("a temporary folder can be made"),
            http,
            https,
            status,
        }
    }

    pub(super) fn data(&self) -> &Path {
        self.data.path()
    }

    /// What runs the gateway, for who wants to run it in a way of his own.
    pub(super) fn command(&self, control: &str) -> Command {
        let mut command = Command::new(binary("ferryway-gateway"));
        command.args(["--control", control, "--group", GROUP]);
        command.arg("--data-dir").arg(self.data());
        for (flag, address) in [
            ("--http", self.http),
            ("--https", self.https),
            ("--status", self.status),
        ] {
            command.arg(flag).arg(address.to_string());
        }
        command
    }

    /// Starts a process, and does not wait for anything.
    pub(super) fn spawn(&mut self, control: &str) {
        let command = self.command(control);
        self.run(command);
    }

    /// Starts this command for the process.
    pub(super) fn run(&mut self, command: Command) {
        self.program = Some(Program::start("ferryway-gateway", command));
    }

    pub(super) fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("it was started")
    }

    /// Kills the process, if there is one. It must not have panicked.
    #[track_caller]
    pub(super) fn kill(&mut self) {
        let Some(mut program) = self.program.take() else {
            return;
        };
        program.kill();
        let said = program.stderr();
        assert!(!said.contains("panicked"), "{said}");
    }

    /// Waits until a complete view is effective.
    #[track_caller]
    pub(super) fn wait_ready(&mut self) {
        let status = self.status;
        let program = self.program();
        eventually(START_TIME_MAX, "the gateway to be ready", || {
            if let Some(exit) = program.exit() {
                panic!("it ended ({exit}): {}", program.stderr());
            }
            let ready = Caller::connect(status).and_then(|mut caller| caller.probe("/readyz"));
            ready.is_ok_and(|answer| answer.status == 200).then_some(())
        });
    }

    /// What it says of itself.
    #[track_caller]
    pub(super) fn status(&self) -> Value {
        self.try_status().expect("its status port answers")
    }

    /// As [`Self::status`]; none: it does not answer.
    pub(super) fn try_status(&self) -> Option<Value> {
        let said = Caller::connect(self.status).and_then(|mut caller| caller.probe("/status"));
        said.ok().map(|answer| answer.json_of(200))
    }

    /// The status of what it answers at a path.
    #[track_caller]
    pub(super) fn serves(&self, path: &str) -> u16 {
        let served = Caller::connect(self.http).and_then(|mut caller| caller.probe(path));
        served
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .status
    }
}
