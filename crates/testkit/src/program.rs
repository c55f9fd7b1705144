//! A running program, owned by the test that started it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, kill_process, prlimit};
use tempfile::TempDir;

use crate::eventually::{Deadline, PROBE_INTERVAL, eventually};
use crate::try_curl;

/// A child process whose output goes to files, killed when dropped, and whose output is shown
/// when it is dropped by a failing test.
///
/// A test that is killed takes its programs along: they stay in the process group of the test,
/// which is what nextest signals when a test's time is over.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    /// Holds `stdout` and `stderr`.
    output: TempDir,
}

impl Program {
    /// Starts `command`; `name` stands for it in messages.
    ///
    /// The program sees none of this process's `FERRYWAY_…` variables but those `command` sets
    /// itself (and `FERRYWAY_LOG`): a developer's own settings must not decide a test.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(name: impl Into<String>, mut command: Command) -> Self {
        let name = name.into();
        let output = TempDir::new().expect("a temporary folder can be made");
        forget_own_settings(&mut command);
        let child = command
            .stdin(Stdio::null())
            .stdout(create(&output.path().join(STDOUT)))
            .stderr(create(&output.path().join(STDERR)))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} as {command:?}: {error}"));
        Self {
            name,
            child,
            output,
        }
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.output.path().join(STDOUT))
    }

    /// What it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.output.path().join(STDERR))
    }

    /// Sends it a signal. One that has already ended gets none.
    pub fn signal(&mut self, signal: Signal) {
        // A child that nobody has waited for keeps its id, even when it has ended: the signal
        // cannot reach a stranger.
        if self.exit().is_none()
            && let Err(error) = kill_process(Pid::from_child(&self.child), signal)
        {
            panic!("cannot send {signal:?} to {}: {error}", self.name);
        }
    }

    /// Bounds the files that it writes: what lies beyond so many bytes is refused from now on, as on a
    /// full disk (the error is EFBIG in the place of ENOSPC). `None`: there is room again.
    ///
    /// It must have been started by [`heedless`], or the first refusal kills it.
    pub fn limit_files(&mut self, bytes: Option<u64>) {
        let maximum = getrlimit(Resource::Fsize).maximum;
        let limit = Rlimit {
            current: bytes.or(maximum),
            maximum,
        };
        if let Err(error) = prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit) {
            panic!("cannot limit the files of {}: {error}", self.name);
        }
    }

    /// Ends it as a power failure would (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self) {
        // Killing a process that has ended is no error for std.
        self.child
            .kill()
            .unwrap_or_else(|error| panic!("cannot kill {}: {error}", self.name));
        self.child
            .wait()
            .unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name));
    }

    /// How it ended, if it has.
    pub fn exit(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name))
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// When it still runs after `within`.
    #[track_caller]
    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        eventually(within, &what, || self.exit())
    }

    /// Gives it time to end by itself; one that has not ended then still runs. For `Drop`, where
    /// nothing may panic.
    pub(crate) fn end_within(&mut self, within: Duration) {
        let deadline = Deadline::after(within);
        while matches!(self.child.try_wait(), Ok(None)) && !deadline.is_over() {
            std::thread::sleep(PROBE_INTERVAL);
        }
    }

    /// Waits until a GET of `url` is answered with 200.
    ///
    /// # Panics
    ///
    /// When that does not happen `within`, or the program ends meanwhile.
    #[track_caller]
    pub fn wait_for_http(&mut self, url: &str, within: Duration) {
        let what = format!("{} answering 200 at {url}", self.name);
        eventually(within, &what, || {
            if let Some(exit) = self.exit() {
                panic!("{} ended ({exit}) before it answered at {url}", self.name);
            }
            try_curl([url])
                .is_ok_and(|answer| answer.status == 200)
                .then_some(())
        });
    }

    #[expect(
        clippy::print_stderr,
        reason = "the output of a failed test's programs explains it"
    )]
    fn show(&self) {
        for (stream, text) in [(STDOUT, self.stdout()), (STDERR, self.stderr())] {
            eprintln!("--- {} {stream}\n{}", self.name, tail(&text));
        }
    }
}

/// `command` with the signal ignored that a write beyond [`Program::limit_files`] sends.
///
/// `before` is a line of shell that is run first, in the same process.
#[must_use]
pub fn heedless(command: &Command, before: &str) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("trap '' XFSZ; {before}\nexec \"$0\" \"$@\"");
    shell.arg("-c").arg(script);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

impl Drop for Program {
    fn drop(&mut self) {
        // Errors are passed over here: a second panic while one unwinds would hide the first.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.show();
        }
    }
}

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";
/// How much of a program's output a failed test shows of each stream.
const SHOWN_BYTES_MAX: usize = 16 * 1024;

fn forget_own_settings(command: &mut Command) {
    let set: Vec<_> = command
        .get_envs()
        .map(|(name, _)| name.to_owned())
        .collect();
    for (name, _) in std::env::vars_os() {
        let ours = name.as_encoded_bytes().starts_with(b"FERRYWAY_");
        if ours && name != OsStr::new("FERRYWAY_LOG") && !set.contains(&name) {
            command.env_remove(name);
        }
    }
}

fn create(path: &Path) -> File {
    File::create(path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()))
}

fn read(path: &Path) -> String {
    let bytes =
        fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last [`SHOWN_BYTES_MAX`] bytes, from the beginning of a line on where there is one.
fn tail(text: &str) -> &str {
    let start = text.floor_char_boundary(text.len().saturating_sub(SHOWN_BYTES_MAX));
    if start == 0 {
        return text;
    }
    let cut = &text[start..];
    cut.find('\n').map_or(cut, |end| &cut[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::start("shell", command)
    }

    #[test]
    fn output_and_exit_are_kept() {
        let mut program = shell("echo out; echo err >&2; exit 3");
        assert_eq!(program.wait_exit(Duration::from_secs(10)).code(), Some(3));
        assert_eq!(
            (program.stdout().as_str(), program.stderr().as_str()),
            ("out\n", "err\n")
        );
    }

    #[test]
    fn signals_arrive_and_kill_needs_no_consent() {
        let script = "trap 'echo got; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let ready = |program: &Program| (program.stdout() == "ready\n").then_some(());

        let mut polite = shell(script);
        eventually(Duration::from_secs(10), "its trap", || ready(&polite));
        polite.signal(Signal::TERM);
        assert_eq!(polite.wait_exit(Duration::from_secs(10)).code(), Some(0));
        assert_eq!(polite.stdout(), "ready\ngot\n");
        polite.signal(Signal::TERM); // has ended: nothing happens

        let mut stopped = shell(script);
        eventually(Duration::from_secs(10), "its trap", || ready(&stopped));
        stopped.signal(Signal::STOP);
        stopped.kill();
        assert_eq!(stopped.exit().and_then(|exit| exit.signal()), Some(9));
    }

    #[test]
    fn a_file_has_room_or_not() {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let path = folder.path().join("file");
        let script = "echo ready; until [ -e \"$1/go\" ]; do sleep 0.01; done; \
                      echo text > \"$1/file\" && echo written || echo refused";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(folder.path());
        for (limit, expect) in [
            (Some(0), "refused"),
            (Some(100), "written"),
            (None, "written"),
        ] {
            let mut program = Program::start("shell", heedless(&command, ""));
            eventually(Duration::from_secs(10), "it", || {
                (program.stdout() == "ready\n").then_some(())
            });
            program.limit_files(limit);
            fs::write(folder.path().join("go"), "").expect("a file can be written");
            program.wait_exit(Duration::from_secs(10));
            let text = fs::read_to_string(&path).unwrap_or_default();
            let is_written = text == "text\n";
            assert_eq!(is_written, expect == "written", "{limit:?}: {text:?}");
            fs::remove_file(folder.path().join("go")).expect("it is there");
            let _ = fs::remove_file(&path);
        }
    }

    #[test]
    fn dropping_ends_it() {
        let program = shell("while :; do sleep 0.01; done");
        let id = Pid::from_child(&program.child);
        drop(program);
        assert!(rustix::process::test_kill_process(id).is_err());
    }

    #[test]
    #[should_panic(expected = "ended (exit status: 7) before it answered")]
    fn waiting_for_a_program_that_has_ended_says_so() {
        shell("exit 7").wait_for_http("http://127.0.0.1:1/", Duration::from_secs(10));
    }

    #[test]
    fn a_long_output_is_shown_from_a_line_on() {
        assert_eq!(tail("short"), "short");
        let long = format!("first\n{}\nlast\n", "é".repeat(SHOWN_BYTES_MAX / 2 - 3));
        assert_eq!(tail(&long), "last\n");
    }
}
