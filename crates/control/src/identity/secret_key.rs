//! The control plane's secret key: what is sealed in the store opens with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferryway_tls::SecretKey;

/// Who but its owner may do something with the file, as the system counts it.
const OTHERS: u32 = 0o077;

/// Reads the secret key, if there is one. It is 32 random bytes in base64
/// (`openssl rand -base64 32`).
///
/// # Errors
/// A sentence: the file can't be read, others may read it, or it holds no key.
pub(super) fn read(path: &Path) -> Result<Option<SecretKey>, String> {
    match fs::read_to_string(path) {
        Ok(text) => {
            refuse_open_to_others(path)?;
            let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
            let bytes = bytes.try_into().map_err(|_| {
                format!(
                    "{} holds no secret key: write {} random bytes in base64 (openssl rand -base64 {})",
                    path.display(), SecretKey::LEN, SecretKey::LEN
                )
            })?;
            Ok(Some(SecretKey::new(&bytes)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Makes a secret key, and keeps it in a file.
///
/// # Errors
/// A sentence: the file can't be written.
pub(super) fn make(path: &Path) -> Result<SecretKey, String> {
    let bytes = SecretKey::random()?;
    // Whole or not at all: half a key would open nothing, for good.
    let temporary = path.with_extension("key.new");
    write(&temporary, &STANDARD.encode(bytes))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(path.parent().unwrap_or(path))?.sync_all())
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(SecretKey::new(&bytes))
}

fn refuse_open_to_others(path: &Path) -> Result<(), String> {
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode());
    let mode = mode.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    // A group that may read it is how secrets are mounted; anybody who may is a mistake.
    if mode & OTHERS & !0o040 != 0 {
        let path = path.display();
        return Err(format!(
            "others may use the secret key in {path}; chmod 600 {path}"
        ));
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_made_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        assert!(read(&path).unwrap().is_none());
        let sealed = make(&path).unwrap().seal("p", b"x").unwrap();
        let again = read(&path).unwrap().unwrap();
        assert_eq!(again.open("p", &sealed).as_deref(), Ok(&b"x"[..]));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("given");
        let refused = |part: &str| {
            let error = read(&path).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        write(&path, "c2hvcnQ=").unwrap();
        refused("holds no secret key");
        write(&path, &STANDARD.encode([1; 32])).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        refused("chmod 600");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("cannot read");
    }
}
