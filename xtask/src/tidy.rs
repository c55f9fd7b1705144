//! What no compiler looks at: words that must not stay, files that have grown too long, links that
//! lead nowhere.

mod links;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::sh::Failure;
use crate::workspace;

/// Checks all files of the workspace.
pub(crate) fn check() -> Result<(), Failure> {
    let root = workspace::root();
    let files = Files::under(root)
        .map_err(|error| Failure::Other(format!("cannot read {}: {error}", root.display())))?;
    let mut findings = words::check(&files);
    findings.extend(links::check(&files));
    report(&findings)
}

/// Shows all findings; any is a failure.
pub(crate) fn report(findings: &[String]) -> Result<(), Failure> {
    for finding in findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err(Failure::Other("one finding, see above".to_owned())),
        count => Err(Failure::Other(format!("{count} findings, see above"))),
    }
}

/// The files of the workspace by their path from its root, and the texts of those that are read.
#[derive(Debug, Default)]
struct Files {
    texts: BTreeMap<PathBuf, Option<String>>,
}

impl Files {
    fn under(root: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let (name, path) = (entry.file_name(), entry.path());
                let kind = entry.file_type()?;
                if kind.is_dir() && !NOT_OURS.iter().any(|not| name == *not) {
                    folders.push(path);
                } else if kind.is_file() {
                    let text = is_read(&path)
                        .then(|| fs::read_to_string(&path))
                        .transpose()?;
                    let inside = path.strip_prefix(root).expect("was found below the root");
                    files.texts.insert(inside.to_owned(), text);
                }
            }
        }
        Ok(files)
    }

    /// All texts of files with one of these extensions.
    fn with(&self, extensions: &[&str]) -> impl Iterator<Item = (&Path, &str)> {
        self.texts.iter().filter_map(move |(path, text)| {
            let extension = path.extension()?.to_str()?;
            Some((path.as_path(), text.as_deref()?)).filter(|_| extensions.contains(&extension))
        })
    }

    fn text(&self, path: &Path) -> Option<&str> {
        self.texts.get(path)?.as_deref()
    }

    /// Whether there is such a file, or a folder with files in it.
    fn has(&self, path: &Path) -> bool {
        path == Path::new("") || self.texts.keys().any(|file| file.starts_with(path))
    }

    #[cfg(test)]
    fn of(texts: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| (PathBuf::from(path), Some((*text).to_owned()));
        Self {
            texts: texts.iter().map(own).collect(),
        }
    }
}

/// Folders that are made and not written.
const NOT_OURS: &[&str] = &[".cache", ".git", "dist", "node_modules", "target"];

const READ: &[&str] = &["md", "proto", "rs", "sh", "svelte", "toml", "ts"];

fn is_read(path: &Path) -> bool {
    path.extension()
        .and_then(|it| it.to_str())
        .is_some_and(|it| READ.contains(&it))
}
