//! The administrator's token: made at the first start, kept in the data folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use uuid::Uuid;

/// The token, and whether it was made just now.
pub(crate) struct AdminToken {
    pub(crate) token: String,
    pub(crate) is_new: bool,
}

const FILE: &str = "admin-token";
/// The file until it is complete.
const FILE_BEING_MADE: &str = "admin-token.new";
/// A token that somebody wrote by hand must not be guessable.
const TOKEN_BYTES_MIN: usize = 32;

/// Reads the token of a data folder, and makes one where there is none.
///
/// # Errors
/// A sentence: the file can't be read or written, or holds no token.
pub(crate) fn read_or_make(data_dir: &Path) -> Result<AdminToken, String> {
    let path = data_dir.join(FILE);
    let failed =
        |doing: &str, error: &io::Error| format!("cannot {doing} {}: {error}", path.display());
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
    // Whole or not at all: half a token would be refused at every start from then on.
    let temporary = data_dir.join(FILE_BEING_MADE);
    write(&temporary, &token)
        .and_then(|()| fs::rename(&temporary, &path))
        .and_then(|()| File::open(data_dir)?.sync_all())
        .map_err(|error| failed("write", &error))?;
    Ok(AdminToken {
        token,
        is_new: true,
    })
}

fn write(path: &Path, token: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(format!("{token}\n").as_bytes())?;
    file.sync_all()
}
