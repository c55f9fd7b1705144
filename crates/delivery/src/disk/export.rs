//! A whole view in one JSON file: what an instance falls back to when its database will not open,
//! and what `--static` serves from.
//!
//! `{"group": …, "position": {…}|null, "entries": {"service/httpbin": {…}}, "content": {"blake3:…": {…}}}`

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ferryway_model::{
    Changes, Digest, Entry, Key, Name, Revision, View, canonical_json, parse_json,
};
use ferryway_proto::{Epoch, Position};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::aside::make_way;
use crate::hold::Holds;
use crate::load::Content;
use crate::session::{Atoms, Desired, Effective, Saved};

/// A view with all its content.
#[derive(Clone, Debug)]
pub struct Export {
    /// Whose view.
    pub group: Name,
    /// Where in the group's history; none in a file that somebody wrote by hand.
    pub position: Option<Position>,
    /// The view.
    pub view: View,
    /// What it names.
    pub content: Content,
}

/// Why an export cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no export.
    #[error("{} is no view of a gateway group", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// It contradicts itself.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
}

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
    group: Name,
    position: Option<Position>,
    #[serde(borrow)]
    entries: BTreeMap<String, &'a RawValue>,
    #[serde(borrow)]
    content: BTreeMap<String, &'a RawValue>,
}

impl Export {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is no export, or lacks content that it names.
    pub fn read(path: &Path) -> Result<Self, ExportError> {
        let path_of = || path.to_owned();
        let bytes = read_bounded(path).map_err(|source| ExportError::Read {
            path: path_of(),
            source,
        })?;
        Self::parse(&bytes, path)
    }

    /// Reads what the file at `path` holds.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self, ExportError> {
        let path_of = || path.to_owned();
        let raw: Raw<'_> = serde_json::from_slice(bytes).map_err(|source| ExportError::Syntax {
            path: path_of(),
            source,
        })?;
        Self::from_raw(raw).map_err(|what| ExportError::Content {
            path: path_of(),
            what,
        })
    }

    /// Writes a file, whole or not at all; only its owner may read it.
    ///
    /// # Errors
    /// When the file system refuses. A file that was there before is as it was then.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        if let Err(error) = self.write_new(&temporary) {
            // Half a file would take the room that the database may need.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        make_way(path)?;
        fs::rename(&temporary, path)?;
        match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            Some(dir) => File::open(dir)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    }

    /// What a session starts from, and its content.
    #[must_use]
    pub fn into_saved(self) -> (Saved, Content) {
        let Self {
            group: _, // Compared by whoever has a group to compare it with.
            position,
            view,
            content,
        } = self;
        let position = position.unwrap_or_else(|| Position {
            epoch: Epoch {
                store: Uuid::nil(),
                restores: 0,
            },
            revision: Revision(0),
            root: view.root(),
        });
        let saved = Saved {
            desired: Some(Desired {
                position,
                view: view.clone(),
                atoms: Atoms::Each,
            }),
            effective: Some(Effective {
                position,
                view,
                holds: Holds::default(),
            }),
        };
        (saved, content)
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let mut out = BufWriter::new(file);
        self.write_to(&mut out)?;
        out.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()
    }

    pub(super) fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let Self {
            group,
            position,
            view,
            content,
        } = self;
        write!(out, "{{\"group\":\"{group}\",\"position\":")?;
        serde_json::to_writer(&mut *out, position)?;
        out.write_all(b",\n\"entries\":{")?;
        for (n, (key, entry)) in view.entries().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(out, "{comma}\n\"{key}\":")?;
            out.write_all(&entry.to_bytes())?;
        }
        out.write_all(b"},\n\"content\":{")?;
        for (n, (digest, bytes)) in content.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(out, "{comma}\n\"{digest}\":")?;
            out.write_all(bytes)?;
        }
        out.write_all(b"}}\n")
    }

    fn from_raw(raw: Raw<'_>) -> Result<Self, String> {
        let Raw {
            group,
            position,
            entries,
            content,
        } = raw;
        let content = read_content(&content)?;
        let mut changes = Changes::default();
        for (key, entry) in entries {
            let at = |error: String| format!("entries[{key:?}]: {error}");
            let parsed: Key = key.parse().map_err(at)?;
            let entry = Entry::from_bytes(parsed.kind, entry.get().as_bytes()).map_err(at)?;
            let lacks = entry.content().find(|digest| !content.contains_key(digest));
            if let Some(digest) = lacks {
                return Err(at(format!("names {digest}, which is not in content")));
            }
            changes.upserts.insert(parsed, entry);
        }
        let view = View::empty().with(&changes);
        if let Some(position) = position.filter(|position| position.root != view.root()) {
            let root = view.root();
            return Err(format!(
                "position.root is {}, but the entries digest to {root}",
                position.root
            ));
        }
        Ok(Self {
            group,
            position,
            view,
            content,
        })
    }
}

/// Content as it stands or, where somebody has laid it out for reading, in canonical form.
fn read_content(raw: &BTreeMap<String, &RawValue>) -> Result<Content, String> {
    let mut content = Content::new();
    for (name, value) in raw {
        let at = |error: &dyn std::fmt::Display| format!("content[{name:?}]: {error}");
        let digest: Digest = name
            .parse()
            .map_err(|error: ferryway_model::InvalidDigest| at(&error))?;
        let mut bytes = Bytes::copy_from_slice(value.get().as_bytes());
        if Digest::of(&bytes) != digest {
            let value = parse_json(&bytes).map_err(|problem| at(&problem))?;
            bytes = canonical_json(&value).into();
        }
        let got = Digest::of(&bytes);
        if got != digest {
            return Err(at(&format_args!("digests to {got}")));
        }
        content.insert(digest, bytes);
    }
    Ok(content)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > FILE_BYTES_MAX {
        let what = format!("it has {length} bytes; at most {FILE_BYTES_MAX} are read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    fs::read(path)
}
