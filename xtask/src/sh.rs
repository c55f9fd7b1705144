//! Running other programs.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::workspace;

/// Why a command of xtask could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was called wrongly.
    Usage(String),
    /// A program it needs did not start, or ended with an error.
    Program { line: String, why: String },
    /// Something else, in a sentence.
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(sentence) | Self::Other(sentence) => f.write_str(sentence),
            Self::Program { line, why } => write!(f, "`{line}` {why}"),
        }
    }
}

/// `cargo ARGS` in the root of the workspace, with the cargo that runs xtask.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(args).current_dir(workspace::root());
    command
}

/// Shows the command's line and runs it to its end, with this process's terminal.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    announce(command);
    let status = command
        .status()
        .map_err(|error| not_started(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(command, &status))
    }
}

/// Runs the command unseen and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .output()
        .map_err(|error| not_started(command, &error))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let why = format!("failed ({}): {}", output.status, errors.trim());
        return Err(Failure::Program {
            line: line(command),
            why,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Which of a program's streams [`watched`] reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// As [`run`]; each line of one of its streams is shown and then given to `see`.
pub(crate) fn watched(
    command: &mut Command,
    stream: Stream,
    see: impl FnMut(&str),
) -> Result<(), Failure> {
    announce(command);
    match stream {
        Stream::Stdout => command.stdout(Stdio::piped()),
        Stream::Stderr => command.stderr(Stdio::piped()),
    };
    let mut child = command
        .spawn()
        .map_err(|error| not_started(command, &error))?;
    let shown = show(&mut child, stream, see);
    let status = child.wait().map_err(|error| not_started(command, &error))?;
    shown.map_err(|error| not_started(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(command, &status))
    }
}

fn show(child: &mut Child, stream: Stream, mut see: impl FnMut(&str)) -> io::Result<()> {
    let (from, mut to): (Box<dyn Read>, Box<dyn Write>) = match stream {
        Stream::Stdout => (
            Box::new(child.stdout.take().expect("is piped")),
            Box::new(io::stdout()),
        ),
        Stream::Stderr => (
            Box::new(child.stderr.take().expect("is piped")),
            Box::new(io::stderr()),
        ),
    };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        see(&without_colours(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    Ok(())
}

/// The program of that name on the path, if there is one.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A point in time to measure from.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no tokio here, nor a paused clock"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn announce(command: &Command) {
    println!("$ {}", line(command));
}

/// The command as one would type it, its environment left out.
fn line(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_=./:,+@%~".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn not_started(command: &Command, error: &io::Error) -> Failure {
    Failure::Program {
        line: line(command),
        why: format!("could not be run: {error}"),
    }
}

fn failed(command: &Command, status: &std::process::ExitStatus) -> Failure {
    Failure::Program {
        line: line(command),
        why: format!("failed ({status})"),
    }
}

/// The line without its end and without `ESC [ … LETTER`.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.trim_end().chars();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(char);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_name_the_command_and_its_end() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c 'exit 3'` failed (exit status: 3)"
        );
        let error = run(&mut Command::new("/none/such"))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("`such` could not be run: "), "{error}");
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 1"])).unwrap_err();
        assert!(
            error.to_string().ends_with("failed (exit status: 1): why"),
            "{error}"
        );
    }

    #[test]
    fn watched_lines_come_plain_and_the_exit_counts() {
        for (stream, script) in [
            (Stream::Stdout, r"printf 'a\n\033[31mb\033[0m c'; exit 1"),
            (
                Stream::Stderr,
                r"printf 'a\n\033[31mb\033[0m c' >&2; exit 1",
            ),
        ] {
            let mut seen = Vec::new();
            let mut command = Command::new("sh");
            let end = watched(command.args(["-c", script]), stream, |it| {
                seen.push(it.to_owned())
            });
            assert_eq!(seen, ["a", "b c"]);
            end.unwrap_err();
        }
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find("sh").is_some());
        assert!(find("none-such-program").is_none());
    }
}
