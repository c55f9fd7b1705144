//! What is, as files: those that `apply` takes back without a change, and those of a group from
//! which `ferryway-gateway --static` serves.
//!
//! Not written: versions that no group runs, and histories. They are what was.

mod order;
mod read;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::args::Dump;
use crate::exit::{Exit, Failure};
use crate::plan::count;
use crate::screen::yaml;
use crate::session::Session;
use order::Ordered;
use read::Dumped;

pub(super) async fn run(session: &Session, dump: Dump) -> Result<Exit, Failure> {
    if session.screen.is_json() {
        return Err(Failure::Usage(
            "documents are written as YAML, which can hold several: leave -o json out".to_owned(),
        ));
    }
    let Dump { folder, group } = dump;
    let dumped = match &group {
        Some(group) => read::view(session, group).await?,
        None => read::all(session).await?,
    };
    match folder {
        None => session.screen.print(&text(&dumped)?)?,
        Some(folder) => write(session, &folder, &dumped)?,
    }
    Ok(Exit::Done)
}

/// All documents in one text.
fn text(dumped: &Dumped) -> Result<String, Failure> {
    let mut text = String::new();
    for said in &dumped.said {
        text.push_str(&format!("# {said}\n"));
    }
    for document in &dumped.documents {
        text.push_str("---\n");
        text.push_str(&yaml(&Ordered(document))?);
    }
    Ok(text)
}

/// One file for each resource.
fn write(session: &Session, folder: &Path, dumped: &Dumped) -> Result<(), Failure> {
    let mut written = BTreeSet::new();
    for document in &dumped.documents {
        let file = folder.join(place(document));
        let parent = file.parent().unwrap_or(folder);
        let made = fs::create_dir_all(parent);
        let text = yaml(&Ordered(document))?;
        made.and_then(|()| fs::write(&file, text))
            .map_err(Failure::local(format!("cannot write {}", file.display())))?;
        written.insert(file);
    }
    for old in left_over(folder, &written) {
        session.note(&format!(
            "{} is of an earlier dump, and what it declares is no more: delete the file, or \
             `ferryway apply` makes it again",
            old.display()
        ))?;
    }
    if session.screen.is_for_people() {
        let what = format!("{} in {}", count(written.len(), "file"), folder.display());
        session.screen.line(&what)?;
    }
    Ok(())
}

/// Where a document goes.
fn place(document: &Value) -> PathBuf {
    let text = |field: &str| document[field].as_str().unwrap_or_default();
    match text("kind") {
        "gateway_group" => Path::new(GROUPS).join(text("name")).join("group.yaml"),
        "registry" => Path::new(GROUPS)
            .join(text("group"))
            .join("registries")
            .join(format!("{}.yaml", text("name"))),
        "published_service" => Path::new(GROUPS)
            .join(text("group"))
            .join("services")
            .join(format!("{}.yaml", text("service"))),
        _ => Path::new(SERVICES).join(format!("{}.yaml", text("name"))),
    }
}

/// Files of an earlier dump that this one did not write again.
fn left_over(folder: &Path, written: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut left = Vec::new();
    let mut folders = vec![folder.join(GROUPS), folder.join(SERVICES)];
    while let Some(folder) = folders.pop() {
        // What cannot be read is nothing to warn of.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "yaml") && !written.contains(&path) {
                left.push(path);
            }
        }
    }
    left.sort_unstable();
    left
}

const GROUPS: &str = "gateway-groups";
const SERVICES: &str = "services";

#[cfg(test)]
mod tests;
