//! Where a program's settings come from: flags, then the environment, then a YAML file; the first
//! that says something wins.
//!
//! A program describes its flags to clap once. [`arguments`] finds what the environment
//! (`FERRYWAY_<FLAG>`) and the file named by `--config` add, and hands clap one list of arguments,
//! so that a value is checked in one way wherever it stood. The order of the three is decided
//! here, so the flags must not use clap's own `env`.

mod file;

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};

use file::{Setting, Value};

/// The flag that names the file, and that the program must have to offer one.
pub const CONFIG_FLAG: &str = "config";

/// What the environment's names start with.
pub const VARIABLE_PREFIX: &str = "FERRYWAY_";

/// The paragraph for the end of a program's `--help`.
pub const HELP: &str = "Every flag can also be given as an environment variable (FERRYWAY_ and \
    the flag's name in capitals, with _ for -), or in the YAML file named by --config, under the \
    flag's name. The first that says something wins: flag, environment, file.";

/// The largest file read, in bytes.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Reads an address to listen on or to connect to.
///
/// # Errors
///
/// A sentence: it is none.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let parsed = text.parse();
    parsed.map_err(|_| "must be IP:PORT, as 127.0.0.1:7080 or [::1]:7080".to_owned())
}

/// `args` (the program's name first) and what the environment and the file add to them.
///
/// `environment` is usually `|name| std::env::var_os(name)`.
///
/// # Errors
///
/// When the file cannot be read, or names what the program does not have, or when a flag without
/// value is given something else than true or false. Wrong values of other flags are left to clap.
pub fn arguments(
    command: &Command,
    args: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, SettingsError> {
    let mut args = args.into_iter();
    let program = args.next();
    let given: Vec<OsString> = args.collect();

    let mut added = Vec::new();
    let mut unsaid = Vec::new();
    for arg in flags(command).filter(|arg| !is_given(arg, &given)) {
        let name = variable(arg);
        match environment(&name).filter(|value| !value.is_empty()) {
            Some(value) => add_variable(&mut added, arg, name, &value)?,
            None => unsaid.push(arg),
        }
    }
    if let Some(path) = config_path(&given, &added) {
        for setting in file::read(&path)? {
            let arg = known(command, &path, &setting)?;
            if unsaid.iter().any(|other| other.get_id() == arg.get_id()) {
                add_setting(&mut added, arg, &path, &setting)?;
            }
        }
    }
    // Before the rest, so that a `--` in it means what it meant.
    Ok(program.into_iter().chain(added).chain(given).collect())
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is longer than [`FILE_BYTES_MAX`].
    #[error("the settings file {path} is over {FILE_BYTES_MAX} bytes", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a YAML mapping of names to values or lists.
    #[error("the settings file {path} is not a mapping of names to values", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place.
        source: Box<serde_saphyr::Error>,
    },
    /// The file names a setting that the program does not have.
    #[error("{path}:{line}: no setting {name:?}{hint}", path = path.display(), hint = hint(nearest))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The line of the name, from 1.
        line: u64,
        /// The name as written.
        name: String,
        /// The setting that looks most like it.
        nearest: Option<String>,
    },
    /// A setting holds a list where the program takes one value.
    #[error("{path}:{line}: {name} takes one value, not a list", path = path.display())]
    OneValue {
        /// The file.
        path: PathBuf,
        /// The line of the name, from 1.
        line: u64,
        /// The setting.
        name: String,
    },
    /// A flag without value is given something else than true or false.
    #[error("{place}: expected true or false, not {value:?}")]
    Switch {
        /// The variable's name, or the file, the line and the setting.
        place: String,
        /// What stood there.
        value: String,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// All that a file or the environment may set.
fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let actions = matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        arg.get_long()
            .is_some_and(|name| name != "help" && name != "version")
            && !actions
    })
}

fn is_given(arg: &Arg, given: &[OsString]) -> bool {
    let longs = arg.get_long_and_visible_aliases().unwrap_or_default();
    let short = arg.get_short();
    given
        .iter()
        .take_while(|text| *text != "--")
        .filter_map(|text| text.to_str())
        .any(|text| {
            let long = text
                .strip_prefix("--")
                .map(|text| text.split('=').next().unwrap_or(text));
            let first = text.strip_prefix('-').and_then(|text| text.chars().next());
            long.is_some_and(|name| longs.contains(&name)) || (short.is_some() && first == short)
        })
}

fn variable(arg: &Arg) -> String {
    let name = arg
        .get_long()
        .unwrap_or_default()
        .to_uppercase()
        .replace('-', "_");
    format!("{VARIABLE_PREFIX}{name}")
}

fn add_variable(
    added: &mut Vec<OsString>,
    arg: &Arg,
    name: String,
    value: &OsStr,
) -> Result<(), SettingsError> {
    if arg.get_action().takes_values() {
        added.push(with_value(arg, value));
        return Ok(());
    }
    add_switch(added, arg, name, &value.to_string_lossy())
}

fn add_setting(
    added: &mut Vec<OsString>,
    arg: &Arg,
    path: &Path,
    setting: &Setting,
) -> Result<(), SettingsError> {
    let Setting { name, line, value } = setting;
    match value {
        Value::One(value) if arg.get_action().takes_values() => {
            added.push(with_value(arg, OsStr::new(value)));
        }
        Value::One(value) => {
            let place = format!("{}:{line}: {name}", path.display());
            add_switch(added, arg, place, value)?;
        }
        Value::Many(values) if matches!(arg.get_action(), ArgAction::Append) => {
            added.extend(
                values
                    .iter()
                    .map(|value| with_value(arg, OsStr::new(value))),
            );
        }
        Value::Many(_) => {
            let (path, line, name) = (path.to_owned(), *line, name.clone());
            return Err(SettingsError::OneValue { path, line, name });
        }
    }
    Ok(())
}

fn add_switch(
    added: &mut Vec<OsString>,
    arg: &Arg,
    place: String,
    value: &str,
) -> Result<(), SettingsError> {
    match value {
        "true" | "1" => added.push(with_dashes(arg)),
        "false" | "0" => {}
        _ => {
            return Err(SettingsError::Switch {
                place,
                value: value.to_owned(),
            });
        }
    }
    Ok(())
}

fn with_dashes(arg: &Arg) -> OsString {
    OsString::from(format!("--{}", arg.get_long().unwrap_or_default()))
}

fn with_value(arg: &Arg, value: &OsStr) -> OsString {
    let mut text = with_dashes(arg);
    text.push("=");
    text.push(value);
    text
}

/// The file's path, from the flag or, as that comes first in `added`, from the environment.
fn config_path(given: &[OsString], added: &[OsString]) -> Option<PathBuf> {
    let flag = format!("--{CONFIG_FLAG}");
    let mut all = given.iter().take_while(|text| *text != "--").chain(added);
    while let Some(text) = all.next() {
        if *text == *flag {
            return all.next().map(PathBuf::from);
        }
        // `--config=PATH`, whose path need not be UTF-8.
        let bytes = text.as_encoded_bytes();
        if let Some(rest) = bytes.strip_prefix(flag.as_bytes())
            && let Some(path) = rest.strip_prefix(b"=")
        {
            return Some(PathBuf::from(OsStr::from_bytes(path)));
        }
    }
    None
}

fn known<'c>(
    command: &'c Command,
    path: &Path,
    setting: &Setting,
) -> Result<&'c Arg, SettingsError> {
    let names = || flags(command).filter(|arg| arg.get_long() != Some(CONFIG_FLAG));
    let found = names().find(|arg| arg.get_long() == Some(&setting.name));
    found.ok_or_else(|| SettingsError::Unknown {
        path: path.to_owned(),
        line: setting.line,
        name: setting.name.clone(),
        nearest: nearest(names().filter_map(Arg::get_long), &setting.name),
    })
}

fn nearest<'n>(names: impl Iterator<Item = &'n str>, name: &str) -> Option<String> {
    names
        .map(|known| (strsim::jaro_winkler(known, &name.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known.to_owned())
}

/// Below this a suggestion would be a guess (the same bar as clap's own).
const LIKENESS_MIN: f64 = 0.7;

#[cfg(test)]
mod tests;
