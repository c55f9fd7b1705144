//! `--static`: a group's view from a file, for a gateway without a control plane.
//!
//! Two kinds of files are read: documents, as `ferryway dump --group NAME` writes them, people edit
//! them and `ferryway apply` takes them; and delivery's own export of a view. Nobody has judged the
//! first before, so all that a plan would say is said here, each problem with its line: what cannot
//! be read, what names nothing, routes that nothing would tell apart.
//!
//! A file is read at the start, and again on SIGHUP: what changed in it changes as if a control plane
//! had sent it, and where something is wrong with it the former view serves on.

mod documents;
mod reread;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use ferryway_delivery::Export;
use ferryway_model::Name;
use serde_json::value::RawValue;

use crate::settings::whole;
pub(crate) use reread::Reread;

/// Reads a view, of this group where the file may have several.
///
/// # Errors
///
/// All that is wrong, for people.
pub(crate) fn read(path: &Path, group: Option<&Name>) -> Result<Export, String> {
    let file = path.display();
    let text = text(path).map_err(|error| format!("--static: cannot read {file}: {error}"))?;
    let export = if is_export(&text) {
        Export::read(path).map_err(|error| format!("--static: {}", whole(&error)))?
    } else {
        documents::read(&text, group).map_err(|problems| {
            let problems = problems.iter().map(|problem| format!("{file}:{problem}"));
            said(&problems.collect::<Vec<_>>())
        })?
    };
    match group {
        Some(group) if *group != export.group => Err(format!(
            "--group {group}: {file} has the view of the gateway group {}",
            export.group
        )),
        _ => Ok(export),
    }
}

/// One problem in a line, and several in as many below a first one.
fn said(problems: &[String]) -> String {
    match problems {
        [only] => format!("--static: {only}"),
        several => {
            let lines = several.iter().map(|problem| format!("\n  {problem}"));
            format!(
                "--static: {} problems{}",
                several.len(),
                lines.collect::<String>()
            )
        }
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let what = format!("it is over {FILE_BYTES_MAX} bytes, more than is read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(text)
}

/// Whether it is an export of delivery's: one JSON object with `entries`, and no document of a
/// `kind`.
fn is_export(text: &str) -> bool {
    if !text.trim_start().starts_with('{') {
        return false;
    }
    let fields: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(text);
    fields.is_ok_and(|fields| fields.contains_key("entries") && !fields.contains_key("kind"))
}

/// The largest file that is read, in bytes: several times a view of 100,000 routes.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests;
