//! The administrator's token: made at the first start, kept in the data folder.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use uuid::Uuid;

/// The token, and whether it was made just now.
pub(crate) struct AdminToken {
    pub(crate) token: String,
    pub(crate) is_new: bool,
}

const FILE: &str = "admin-token";
/// A token that somebody wrote by hand must not be guessable.
const TOKEN_BYTES_MIN: usize = 32;

/// Reads the token of a data folder, and makes one where there is none.
///
/// # Errors
/// A sentence: the file can't be read or written, or holds no token.
pub(crate) fn read_or_make(data_dir: &Path) -> Result<AdminToken, String> {
    let path = data_dir.join(FILE);
    let failed =
        |doing: &str, error: &std::io::Error| format!("cannot {doing} {}: {error}", path.display());
    match fs::read_to_string(&path) {
        Ok(text) => {
            let token = text.trim().to_owned();
            if token.len() < TOKEN_BYTES_MIN {
                return Err(format!(
                    "{} holds no token; delete it, and a new one is made",
                    path.display()
                ));
            }
            return Ok(AdminToken {
                token,
                is_new: false,
            });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", &error)),
    }
    // Two random UUIDs are 244 bits from the system's random source.
    let token = format!("fw_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    let mut file = file.map_err(|error| failed("make", &error))?;
    file.write_all(format!("{token}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| failed("write", &error))?;
    Ok(AdminToken {
        token,
        is_new: true,
    })
}
