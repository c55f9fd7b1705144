//! Files that people write: found, read, and split into documents that know where they stand.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferryway_api::{ClientError, Problem, ProblemDetails, Severity};
use ferryway_runtime::yaml::{self, Syntax};
use serde_json::Value;

use crate::exit::Failure;

/// One document of a file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    file: Arc<str>,
    document: yaml::Document,
}

impl Source {
    /// What it says.
    pub(crate) fn value(&self) -> &Value {
        &self.document.value
    }

    /// Where a field of it stands, as `FILE:LINE:COLUMN`.
    pub(crate) fn place(&self, path: &str) -> String {
        format!("{}:{}", self.file, self.document.place(path))
    }

    /// How far down a field of it stands.
    pub(crate) fn order(&self, path: &str) -> impl Ord + use<> {
        self.document.place(path)
    }

    /// A problem of this document, with where it stands in the file before where it is in the
    /// document.
    pub(crate) fn located(&self, problem: Problem) -> Problem {
        let place = self.place(&problem.path);
        let path = match problem.path.as_str() {
            "" => place,
            path => format!("{place}: {path}"),
        };
        Problem { path, ..problem }
    }

    /// The failure of a call that had this document for its body, its problems located.
    pub(crate) fn blame(&self, failure: Failure) -> Failure {
        let located = |mut details: Box<ProblemDetails>| {
            let problems = std::mem::take(&mut details.problems);
            details.problems = problems.into_iter().map(|it| self.located(it)).collect();
            details
        };
        match failure {
            Failure::Plan(details) => Failure::Plan(located(details)),
            Failure::Client(ClientError::Refused(details)) => {
                Failure::Client(ClientError::Refused(located(details)))
            }
            failure => failure,
        }
    }
}

/// All documents of these files and folders, in the order of the paths, of the files' names, and
/// in a file from top to bottom. `-` is the standard input. In folders, and in those below, it is
/// the files that end in `.yaml`, `.yml` or `.json`; what begins with a dot is left out.
///
/// # Errors
///
/// A path that cannot be read; or every file that is no YAML, each with its place.
pub(crate) fn documents(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let (mut found, mut problems, mut bytes) = (Vec::new(), Vec::new(), 0);
    for file in files(paths)? {
        let (name, text) = read(&file, BYTES_MAX - bytes)?;
        bytes += text.len() as u64;
        match split(&name, &text) {
            Ok(documents) => found.extend(documents),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(Failure::Files(problems))
    }
}

/// The only document of a file.
pub(crate) fn document(path: &Path, bytes_max: u64) -> Result<Source, Failure> {
    let (name, text) = read(path, bytes_max)?;
    single(&name, &text)
}

/// The only document of a text that has this name.
pub(crate) fn single(name: &str, text: &str) -> Result<Source, Failure> {
    let documents = split(name, text).map_err(|problem| Failure::Files(vec![*problem]))?;
    match <[Source; 1]>::try_from(documents) {
        Ok([document]) => Ok(document),
        Err(documents) => Err(Failure::Other(format!(
            "{name} has {} documents, and one is wanted here; for several there is `ferryway apply`",
            documents.len()
        ))),
    }
}

fn split(name: &str, text: &str) -> Result<Vec<Source>, Box<Problem>> {
    let documents = yaml::read(text).map_err(|error| Box::new(unreadable(name, &error)))?;
    let file: Arc<str> = name.into();
    let source = |document| Source {
        file: Arc::clone(&file),
        document,
    };
    Ok(documents.into_iter().map(source).collect())
}

fn unreadable(file: &str, error: &Syntax) -> Problem {
    Problem {
        severity: Severity::Error,
        code: "unreadable".to_owned(),
        path: format!("{file}:{}", error.at),
        message: format!("not readable as YAML or JSON: {}", error.what),
        group: None,
        service: None,
    }
}

/// The files that paths lead to.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path == Path::new(STDIN) {
            files.push(path.clone());
        } else if is_folder(path)? {
            let before = files.len();
            walk(path, 0, &mut files)?;
            if files.len() == before {
                let folder = path.display();
                let what = format!("{folder} holds no file that ends in .yaml, .yml or .json");
                return Err(Failure::Other(what));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn is_folder(path: &Path) -> Result<bool, Failure> {
    let met = fs::metadata(path);
    Ok(met.map_err(Failure::local(unread(path)))?.is_dir())
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        let what = format!(
            "{} is more than {DEPTH_MAX} folders deep; does a link lead back up?",
            folder.display()
        );
        return Err(Failure::Other(what));
    }
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(Failure::local(unread(folder)))?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_data = EXTENSIONS.iter().any(|end| name.ends_with(end));
        if name.starts_with('.') {
            continue;
        }
        if is_folder(&path)? {
            walk(&path, depth + 1, files)?;
        } else if is_data && files.len() < FILES_MAX {
            files.push(path);
        } else if is_data {
            let what = format!("{} and the rest are over {FILES_MAX} files", path.display());
            return Err(Failure::Other(what));
        }
    }
    Ok(())
}

/// A file's name, for messages, and its text; `-` is the standard input.
fn read(path: &Path, bytes_max: u64) -> Result<(String, String), Failure> {
    let name = if path == Path::new(STDIN) {
        "the standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let text = if path == Path::new(STDIN) {
        bounded(&mut io::stdin(), bytes_max)
    } else {
        fs::File::open(path).and_then(|mut file| bounded(&mut file, bytes_max))
    };
    let text = text.map_err(Failure::local(format!("cannot read {name}")))?;
    Ok((name, text))
}

/// All of a text, unless it is longer than that.
pub(crate) fn bounded(from: &mut impl io::Read, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    from.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        let what = format!("it is over {bytes_max} bytes, more than is read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(text)
}

fn unread(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

const STDIN: &str = "-";
const EXTENSIONS: [&str; 3] = [".yaml", ".yml", ".json"];
/// The most that all files of one call hold together, in bytes.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The most files of one call.
const FILES_MAX: usize = 10_000;
/// The deepest folder below one that was named.
const DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests;
