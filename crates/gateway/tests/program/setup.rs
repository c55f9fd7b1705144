//! A way to start the program.

use std::process::Command;
use std::time::Duration;

use ferryway_testkit::{Program, ports};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A way to start the program, on free ports and an empty data folder.
pub(crate) struct Setup {
    files: TempDir,
    pub(crate) http: u16,
    https: u16,
    status: u16,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let [http, https, status] = ports::free();
        let files = TempDir::new().expect("a temporary folder can be made");
        Self {
            files,
            http,
            https,
            status,
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    /// Starts it with the usual flags and those of `args`, which go before them. No control plane
    /// listens where it is told to dial.
    pub(crate) fn start(&self, args: &[&str]) -> Program {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let usual = [
            ("--control", "http://127.0.0.1:1".to_owned()),
            ("--group", "test".to_owned()),
            ("--data-dir", self.path("data")),
            ("--http", local(self.http)),
            ("--https", local(self.https)),
            ("--status", local(self.status)),
            ("--workers", "2".to_owned()),
            ("--drain-delay", "0s".to_owned()),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferryway-gateway"));
        command.args(args);
        // A file takes the place of these.
        let has_file = args.contains(&"--static");
        let is_replaced =
            |flag: &str| has_file && ["--control", "--group", "--data-dir"].contains(&flag);
        for (flag, value) in usual {
            if !args.contains(&flag) && !is_replaced(flag) {
                command.args([flag, &value]);
            }
        }
        Program::start("ferryway-gateway", command)
    }

    pub(crate) fn start_and_wait(&self, args: &[&str]) -> Program {
        let mut program = self.start(args);
        program.wait_for_http(&self.url("/healthz"), PATIENCE);
        program
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.status)
    }

    /// Starts it, and expects that it ends with 1 and one sentence with `part` in it.
    #[track_caller]
    pub(crate) fn refuses(&self, args: &[&str], part: &str) {
        let mut program = self.start(args);
        let exit = program.wait_exit(PATIENCE);
        let said = program.stderr();
        assert_eq!(exit.code(), Some(1), "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("ferryway-gateway: ") && last.contains(part),
            "{part:?} in {said}"
        );
        assert_eq!(
            said.matches("ferryway-gateway: ").count(),
            1,
            "one sentence, not {said}"
        );
    }
}
