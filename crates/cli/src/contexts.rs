//! Control planes that this command line remembers, in a file of the user's own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one that commands use; none: the default server.
    #[serde(default)]
    pub(crate) current: Option<String>,
    /// By name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// A control plane, and how to be let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub(crate) server: String,
    /// An API token, where the control plane wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// Whom its certificate is believed under; none: the system's authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { server, token, ca } = self;
        let token = token.as_ref().map(|_| "…");
        f.debug_struct("Context")
            .field("server", server)
            .field("token", &token)
            .field("ca", &ca)
            .finish()
    }
}

impl Contexts {
    /// The current context, if one was chosen.
    pub(crate) fn current(&self) -> Option<&Context> {
        self.contexts.get(self.current.as_deref()?)
    }

    /// Reads the file; one that is not there holds nothing.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let what = || format!("cannot read the contexts in {}", path.display());
        let mut text = String::new();
        match fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::local(what())(error)),
            Ok(file) => {
                file.take(FILE_BYTES_MAX)
                    .read_to_string(&mut text)
                    .map_err(Failure::local(what()))?;
            }
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(&text)
            .map_err(|error| Failure::Other(format!("{}: {error}", what())))
    }

    /// Writes the file, whole or not at all, so that only its owner can read it.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Failure> {
        let text = crate::screen::yaml(self)?;
        write_private(path, text.as_bytes()).map_err(Failure::local(format!(
            "cannot write the contexts to {}",
            path.display()
        )))
    }
}

/// Where the file is: in the XDG configuration folder.
pub(crate) fn path(environment: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Failure> {
    let folder = |name| {
        environment(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let configuration = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
    configuration
        .map(|folder| folder.join("ferryway").join("contexts.yaml"))
        .ok_or_else(|| {
            Failure::Other(
                "no place for contexts: neither XDG_CONFIG_HOME nor HOME names a folder".to_owned(),
            )
        })
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    // A temporary file is made with mode 0600, and keeps it under its new name.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// The most that is read of the file.
const FILE_BYTES_MAX: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_saved_is_loaded_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("contexts.yaml");
        assert_eq!(Contexts::load(&path).unwrap(), Contexts::default());
        let server = "http://127.0.0.1:7080".to_owned();
        let context = Context {
            server,
            token: Some("secret".to_owned()),
            ca: None,
        };
        let mut contexts = Contexts::default();
        contexts
            .contexts
            .insert("local".to_owned(), context.clone());
        assert_eq!(contexts.current(), None);
        contexts.current = Some("local".to_owned());
        contexts.save(&path).unwrap();
        contexts.save(&path).unwrap();
        let loaded = Contexts::load(&path).unwrap();
        assert_eq!(loaded, contexts);
        assert_eq!(loaded.current(), Some(&context));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(!format!("{context:?}").contains("secret"));
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contexts.yaml");
        fs::write(&path, "").unwrap();
        assert_eq!(Contexts::load(&path).unwrap(), Contexts::default());
        for text in ["current: [", "contexts: {a: {}}", "curent: a"] {
            fs::write(&path, text).unwrap();
            let failure = Contexts::load(&path).unwrap_err().to_string();
            assert!(failure.contains("contexts.yaml"), "{text}: {failure}");
        }
    }

    #[test]
    fn the_place_is_the_users_own() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            let place = path(|name| match name {
                "XDG_CONFIG_HOME" => xdg.map(Into::into),
                _ => home.map(Into::into),
            });
            place.map(|path| path.display().to_string()).ok()
        };
        let file = |folder: &str| Some(format!("{folder}/ferryway/contexts.yaml"));
        assert_eq!(at(Some("/x"), Some("/h")), file("/x"));
        assert_eq!(at(Some("x"), Some("/h")), file("/h/.config"));
        assert_eq!(at(None, Some("/h")), file("/h/.config"));
        assert_eq!(at(None, None), None);
    }
}
