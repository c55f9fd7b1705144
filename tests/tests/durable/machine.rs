//! A control plane that can be killed at any moment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferryway_testkit::{Program, START_TIME_MAX, binary, eventually, ports};
use tempfile::TempDir;

use crate::caller::Caller;

/// A control plane's data folder and ports; its process comes and goes.
#[derive(Debug)]
pub(super) struct Machine {
    program: Option<Program>,
    data: TempDir,
    /// Another one's folder, in the place of its own.
    shared: Option<PathBuf>,
    api: SocketAddr,
    delivery: SocketAddr,
}

impl Machine {
    /// An empty folder, and no process yet.
    pub(super) fn new() -> Self {
        let [api, delivery] = ports::free();
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            program: None,
            data: TempDir::new().expect("a temporary folder can be made"),
            shared: None,
            api: local(api),
            delivery: local(delivery),
        }
    }

    pub(super) fn data(&self) -> &Path {
        self.shared.as_deref().unwrap_or_else(|| self.data.path())
    }

    /// Takes this folder in the place of its own.
    pub(super) fn share(&mut self, folder: &Path) {
        self.shared = Some(folder.to_owned());
    }

    pub(super) fn api(&self) -> SocketAddr {
        self.api
    }

    /// What runs the control plane, for who wants to run it in a way of his own.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(binary("ferryway-control"));
        command.arg("--dev").arg("--data-dir").arg(self.data());
        command.arg("--api").arg(self.api.to_string());
        command.arg("--delivery").arg(self.delivery.to_string());
        command
    }

    /// What a gateway's `--control` wants.
    pub(super) fn delivery_url(&self) -> String {
        format!("http://{}", self.delivery)
    }

    /// Starts a process, and does not wait for anything.
    pub(super) fn spawn(&mut self) -> &mut Program {
        let command = self.command();
        self.run(command)
    }

    /// Starts this command for the process.
    pub(super) fn run(&mut self, command: Command) -> &mut Program {
        self.program
            .insert(Program::start("ferryway-control", command))
    }

    /// Starts a process, and waits until it is ready.
    #[track_caller]
    pub(super) fn start(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    #[track_caller]
    pub(super) fn wait_ready(&mut self) {
        let api = self.api;
        let program = self.program();
        eventually(START_TIME_MAX, "the control plane to be ready", || {
            if let Some(exit) = program.exit() {
                panic!("it ended ({exit}): {}", program.stderr());
            }
            let ready = Caller::connect(api).and_then(|mut caller| caller.probe("/readyz"));
            ready.is_ok_and(|answer| answer.status == 200).then_some(())
        });
    }

    pub(super) fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("it was started")
    }

    /// Kills the process, and says what it should never say.
    #[track_caller]
    pub(super) fn kill(&mut self) {
        let program = self.program();
        program.kill();
        let said = program.stderr();
        assert!(!said.contains("panicked"), "{said}");
    }
}
