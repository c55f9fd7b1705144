//! What is written to the terminal, the pipe or the file.

use std::error::Error;
use std::io::{self, IsTerminal, Write};

use ferryway_api::{Problem, Severity};
use serde::Serialize;

use crate::args::{Color, Format};
use crate::exit::Failure;

/// Standard output, and how it is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    format: Format,
    paint: Paint,
    terminal: bool,
}

impl Screen {
    /// Standard output as it is.
    pub(crate) fn new(format: Format, color: Color) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            format,
            paint: Paint::new(color, terminal),
            terminal,
        }
    }

    /// Whether people read it, and not scripts.
    pub(crate) fn is_for_people(self) -> bool {
        self.format == Format::Table
    }

    /// Whether scripts read it as JSON.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Whether lines can be written over: people read it on a terminal.
    pub(crate) fn can_redraw(self) -> bool {
        self.is_for_people() && self.terminal
    }

    /// Its colors.
    pub(crate) fn paint(self) -> Paint {
        self.paint
    }

    /// Writes text as it is.
    pub(crate) fn print(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(unwritten)
    }

    /// Writes a line.
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        self.print(&format!("{text}\n"))
    }

    /// Says something to people beside what the command prints, on standard error.
    #[expect(
        clippy::unused_self,
        reason = "whoever speaks to people has a screen, and asks it first"
    )]
    pub(crate) fn aside(self, text: &str) {
        // Nobody could be told that this cannot be written.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Writes an answer for scripts, or what `text` makes of it for people.
    pub(crate) fn show<T: Serialize>(
        self,
        answer: &T,
        text: impl FnOnce(Paint) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => self.print(&text(self.paint)),
            Format::Json => self.print(&json(answer)?),
            Format::Yaml => self.print(&yaml(answer)?),
        }
    }

    /// Writes one resource: YAML for people, too.
    pub(crate) fn show_whole<T: Serialize>(self, answer: &T) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.print(&json(answer)?),
            Format::Table | Format::Yaml => self.print(&yaml(answer)?),
        }
    }
}

/// A value as the JSON that is shown.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::Other(format!("cannot write the answer as JSON: {error}")))?;
    Ok(text + "\n")
}

/// A text of somebody else's as it can be written to a terminal: what would move its cursor, change
/// its colors or turn the direction of writing stands there as an escape.
pub(crate) fn visible(text: &str) -> String {
    escaped(text, |c| c == '\n')
}

/// The same for a cell of a table, which is one line; what [`Paint`] puts around it stays.
pub(crate) fn visible_cell(cell: &str) -> String {
    let mut shown = String::with_capacity(cell.len());
    let mut parts = cell.split(ESCAPE);
    shown.push_str(&escaped(parts.next().unwrap_or_default(), |_| false));
    for part in parts {
        let color = part.split_once('m').filter(|(code, _)| {
            let number = code.strip_prefix('[').unwrap_or_default();
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        });
        let rest = match color {
            Some((code, rest)) => {
                shown.push_str(&format!("{ESCAPE}{code}m"));
                rest
            }
            None => {
                shown.extend(ESCAPE.escape_unicode());
                part
            }
        };
        shown.push_str(&escaped(rest, |_| false));
    }
    shown
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let is_hidden = |c: char| {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (c.is_control() && !stays(c))
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

const ESCAPE: char = '\x1b';

/// A value as the YAML that is shown and edited.
pub(crate) fn yaml<T: Serialize>(value: &T) -> Result<String, Failure> {
    let mut text = serde_saphyr::to_string(value)
        .map_err(|error| Failure::Other(format!("cannot write the answer as YAML: {error}")))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn unwritten(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::Unread;
    }
    Failure::local("cannot write to the standard output")(error)
}

/// The colors of standard error.
pub(crate) fn stderr_paint(color: Color) -> Paint {
    Paint::new(color, io::stderr().is_terminal())
}

/// Says on standard error why a command did not get to its end, and what to do.
pub(crate) fn complain(failure: &Failure, color: Color) {
    if matches!(failure, Failure::Unread) {
        return;
    }
    let paint = stderr_paint(color);
    // Nobody could be told that this cannot be written.
    let _ = io::stderr().write_all(complaint(failure, paint).as_bytes());
}

fn complaint(failure: &Failure, paint: Paint) -> String {
    let mut text = format!("{} ", paint.bad("error:"));
    match failure.problems() {
        [] => text.push_str(&format!("{}\n", with_causes(failure))),
        // What the failure says itself is this problem, without whom it concerns.
        [only] => text.push_str(&format!("{}\n", problem_text(only, paint))),
        several => {
            text.push_str(&format!("{} problems\n", several.len()));
            text.extend(several.iter().map(|problem| problem_line(problem, paint)));
        }
    }
    if let Some(hint) = failure.hint() {
        text.push_str(&format!("{} {hint}\n", paint.dim("hint:")));
    }
    text
}

/// The failure and what caused it, in one line.
fn with_causes(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A problem in a line: `  error  routes[3].paths[0]: what to do  (invalid)`.
pub(crate) fn problem_line(problem: &Problem, paint: Paint) -> String {
    let severity = match problem.severity {
        Severity::Error => paint.bad("error"),
        Severity::Warning => paint.warn("warning"),
    };
    format!("  {severity}  {}\n", problem_text(problem, paint))
}

/// Whom it concerns, where it is, what to do, and its code.
fn problem_text(problem: &Problem, paint: Paint) -> String {
    let Problem {
        severity: _,
        code,
        path,
        message,
        group,
        service,
    } = problem;
    // What the message names itself is not said twice.
    let about: Vec<&str> = [service, group]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .filter(|name| !message.contains(name))
        .collect();
    let places = [about.join(" in "), path.clone()];
    let places = places.iter().filter(|place| !place.is_empty());
    let mut text: String = places.map(|place| format!("{place}: ")).collect();
    text.push_str(&format!("{message}  {}", paint.dim(&format!("({code})"))));
    text
}

/// Colors, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// No colors at all.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { on: false };
    /// All of them.
    #[cfg(test)]
    pub(crate) const COLORED: Self = Self { on: true };

    fn new(color: Color, terminal: bool) -> Self {
        let on = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()),
        };
        Self { on }
    }

    /// What is well, or new.
    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What is wrong, or goes away.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What should be known, or changes.
    pub(crate) fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What is beside the point.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What is to be found at once.
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferryway_api::{ClientError, ProblemDetails};

    fn problem(severity: Severity, path: &str, message: &str) -> Problem {
        Problem {
            severity,
            code: "invalid".to_owned(),
            path: path.to_owned(),
            message: message.to_owned(),
            group: (path == "to[0]").then(|| "production".to_owned()),
            service: (path == "to[0]").then(|| "httpbin".to_owned()),
        }
    }

    fn refused(status: u16, problems: Vec<Problem>) -> ClientError {
        let detail = match problems.first() {
            None => "says no".to_owned(),
            Some(first) if first.path.is_empty() => first.message.clone(),
            Some(first) => format!("{}: {}", first.path, first.message),
        };
        ClientError::Refused(Box::new(ProblemDetails {
            kind: "/problems/invalid".to_owned(),
            title: "invalid".to_owned(),
            status,
            detail,
            problems,
        }))
    }

    #[test]
    fn complaints() {
        let unreachable = ClientError::Unreachable {
            server: "http://127.0.0.1:7080".to_owned(),
            source: io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"),
        };
        let several = vec![
            problem(Severity::Error, "routes[3].paths[0]", "must begin with '/'"),
            problem(
                Severity::Warning,
                "to[0]",
                "the group has no instance online",
            ),
        ];
        let failures = [
            Failure::Usage("--host is a part of a binding".to_owned()),
            Failure::local("cannot read service.yaml")(io::Error::other("no such file")),
            unreachable.into(),
            refused(401, Vec::new()).into(),
            Failure::of_change(refused(422, several[..1].to_vec())),
            Failure::of_change(refused(422, several.clone())),
            Failure::Files(several.clone()),
            Failure::Refused(several[..1].to_vec()),
            Failure::of_change(refused(
                409,
                vec![problem(Severity::Error, "", "has moved on")],
            )),
        ];
        let all: Vec<_> = failures
            .iter()
            .map(|failure| complaint(failure, Paint::PLAIN))
            .collect();
        insta::assert_snapshot!(all.join("\n"), @"
            error: --host is a part of a binding

            error: cannot read service.yaml: no such file

            error: cannot reach the control plane at http://127.0.0.1:7080: connection refused
            hint: start one with `ferryway demo` or `ferryway-control --dev --data-dir DIR`, or name one with --server

            error: says no
            hint: give the token with --token, FERRYWAY_TOKEN or `ferryway context add`

            error: routes[3].paths[0]: must begin with '/'  (invalid)

            error: 2 problems
              error  routes[3].paths[0]: must begin with '/'  (invalid)
              warning  httpbin in production: to[0]: the group has no instance online  (invalid)

            error: 2 problems
              error  routes[3].paths[0]: must begin with '/'  (invalid)
              warning  httpbin in production: to[0]: the group has no instance online  (invalid)

            error: routes[3].paths[0]: must begin with '/'  (invalid)

            error: has moved on  (invalid)
        ");
    }

    #[test]
    fn colors_are_only_there_when_they_are_on() {
        assert_eq!(Paint::PLAIN.bad("x"), "x");
        assert_eq!(
            Paint::new(Color::Always, false).bad("x"),
            "\x1b[31mx\x1b[0m"
        );
        assert_eq!(Paint::new(Color::Auto, false), Paint::PLAIN);
    }
}
