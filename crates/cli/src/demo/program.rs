//! A program that the demo has started.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::exit::Failure;

/// A child process whose output goes to a file. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `binary`; its log is `NAME.log` in `folder`.
    ///
    /// It is in a process group of its own, so that Ctrl-C on the terminal reaches the demo alone,
    /// which then ends its programs in the right order. Of this process's `FERRYWAY_…` variables it
    /// sees the log filter only: what a developer has set must not decide the demo.
    pub(super) fn start(
        name: &str,
        binary: &Path,
        args: &[impl AsRef<OsStr>],
        folder: &Path,
    ) -> Result<Self, Failure> {
        let log = folder.join(format!("{name}.log"));
        let mut command = Command::new(binary);
        for (variable, _) in std::env::vars_os() {
            let ours = variable.as_encoded_bytes().starts_with(b"FERRYWAY_");
            if ours && variable != OsStr::new(ferryway_runtime::telemetry::LOG_VARIABLE) {
                command.env_remove(variable);
            }
        }
        let mut spawn = || {
            let out = File::create(&log)?;
            command
                .args(args)
                .stdin(Stdio::null())
                .stdout(out.try_clone()?)
                .stderr(out)
                .process_group(0)
                .kill_on_drop(true)
                .spawn()
        };
        let child =
            spawn().map_err(Failure::local(format!("cannot start {}", binary.display())))?;
        let name = name.to_owned();
        Ok(Self { name, child, log })
    }

    /// Waits until it ends, which it should not, and tells how.
    pub(super) async fn death(&mut self) -> Failure {
        let exit = self.child.wait().await;
        self.obituary(exit)
    }

    /// How it ended, if it has.
    pub(super) fn dead(&mut self) -> Option<Failure> {
        let exit = self.child.try_wait().transpose()?;
        Some(self.obituary(exit))
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        // A child that nobody has waited for keeps its id, so the signal reaches no stranger; one
        // that has ended already needs none.
        if let Some(id) = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
        {
            let _ = kill_process(id, Signal::TERM);
        }
    }

    /// Waits until it has ended, and kills it if that takes too long.
    pub(super) async fn gone(&mut self) {
        if timeout(END_TIME_MAX, self.child.wait()).await.is_err() {
            // It fails only if it has ended by now.
            let _ = self.child.kill().await;
        }
    }

    fn obituary(&self, exit: io::Result<ExitStatus>) -> Failure {
        let how = exit.map_or_else(|error| error.to_string(), |exit| exit.to_string());
        let end = end_of(&self.log).unwrap_or_else(|error| format!("(cannot be read: {error})"));
        let name = &self.name;
        Failure::Other(format!(
            "{name} has ended ({how}); the end of its log:\n{end}"
        ))
    }
}

/// The last lines of a file.
fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    if lines.is_empty() {
        return Ok("  (it is empty)".to_owned());
    }
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES_MAX)..];
    Ok(shown
        .iter()
        .map(|line| format!("  {line}\n"))
        .collect::<String>()
        .trim_end()
        .to_owned())
}

/// How long a program may take to end when asked.
const END_TIME_MAX: Duration = Duration::from_secs(8);
/// How much of a dead program's log is read, in bytes.
const SHOWN_BYTES_MAX: u64 = 16 * 1024;
/// And how many lines of that are shown.
const SHOWN_LINES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Program {
        Program::start("shell", Path::new("/bin/sh"), &["-c", script], folder).unwrap()
    }

    #[tokio::test]
    async fn a_death_is_told_with_the_end_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let script = "for n in $(seq 100); do echo line $n; done; echo oh no >&2; exit 3";
        let mut program = shell(script, folder.path());
        let death = program.death().await.to_string();
        assert!(
            death.starts_with("shell has ended (exit status: 3); the end of its log:\n  line 82\n"),
            "{death}"
        );
        assert!(death.ends_with("  line 100\n  oh no"), "{death}");
        assert_eq!(program.dead().map(|it| it.to_string()), Some(death));
    }

    #[tokio::test]
    async fn it_is_asked_to_end_first() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let mut program = shell(script, folder.path());
        let log = folder.path().join("shell.log");
        while std::fs::read_to_string(&log).unwrap() != "ready\n" {
            tokio::task::yield_now().await;
        }
        assert!(program.dead().is_none());
        program.terminate();
        program.gone().await;
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "ready\nbye\n");
        program.terminate(); // has ended: nothing happens
    }

    #[test]
    fn what_is_not_there_cannot_be_started() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let failure = Program::start("x", Path::new("/nowhere/x"), &[""; 0], folder.path());
        assert_eq!(failure.unwrap_err().to_string(), "cannot start /nowhere/x");
    }
}
