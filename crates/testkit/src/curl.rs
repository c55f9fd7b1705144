//! The real `curl`, and what it was answered.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header lines in the order they came, names as they were written.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from its transfer encoding.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of the first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}) in {}: {}", self.status, self.text()))
    }

    /// The body as JSON, of an answer that must have this status.
    ///
    /// # Panics
    ///
    /// When it has another: with the body, which says why.
    #[track_caller]
    pub fn json_of(&self, status: u16) -> Value {
        assert_eq!(
            self.status,
            status,
            "the answer's status; its body: {}",
            self.text()
        );
        self.json()
    }
}

/// Runs `curl ARGS` as a user would, but without `~/.curlrc` and proxies, silent, and for at most
/// 45 seconds. The answer's status is not judged.
///
/// # Panics
///
/// When there is no answer.
#[track_caller]
pub fn curl<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Answer {
    try_curl(args).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`curl`]; `Err` with curl's own message when there was no answer.
pub fn try_curl<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Answer, String> {
    let files = TempDir::new().expect("a temporary folder can be made");
    let (head, body) = (files.path().join("head"), files.path().join("body"));
    let mut command = Command::new("curl");
    command.args([
        "--disable",
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
    ]);
    command.arg(CURL_SECONDS_MAX.to_string());
    command
        .arg("--dump-header")
        .arg(&head)
        .arg("--output")
        .arg(&body)
        .args(args);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run curl, which tests need: {error}"));
    if !output.status.success() {
        return Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let head = fs::read(&head).map_err(|error| format!("{command:?} left no headers: {error}"))?;
    // Without a body, curl makes no file for it; asked for the head alone, it writes that there.
    let mut body = fs::read(&body).unwrap_or_default();
    if body == head {
        body.clear();
    }
    let (status, headers) = parse_head(&String::from_utf8_lossy(&head))
        .ok_or_else(|| format!("{command:?} left headers that are none"))?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// Longer than any wait the API offers by default, shorter than nextest's patience.
const CURL_SECONDS_MAX: u32 = 45;

/// Reads the last of the header blocks: `100 Continue` and redirects come before it.
fn parse_head(text: &str) -> Option<(u16, Vec<(String, String)>)> {
    let lines = text.lines().filter(|line| !line.is_empty());
    let mut last = None;
    for line in lines {
        if line.starts_with("HTTP/") {
            let status = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
            last = Some((status, Vec::new()));
        } else {
            let (name, value) = line.split_once(':')?;
            last.as_mut()?
                .1
                .push((name.to_owned(), value.trim().to_owned()));
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_header_block_counts() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 NOT FOUND\r\nA: b: c\r\na:d\r\n\r\n";
        let (status, headers) = parse_head(text).expect("two blocks");
        let answer = Answer {
            status,
            headers,
            body: b"[1]".to_vec(),
        };
        assert_eq!(answer.json_of(404), serde_json::json!([1]));
        assert_eq!(answer.header("a"), Some("b: c"));
        assert_eq!(answer.headers.len(), 2);
        assert_eq!(answer.header("b"), None);
    }

    #[test]
    fn what_is_no_head_is_none() {
        for text in ["", "HTTP/1.1\r\n", "A: b\r\n", "HTTP/1.1 200\r\nbroken\r\n"] {
            assert!(parse_head(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn nobody_there_is_curls_message() {
        let error = try_curl(["http://127.0.0.1:1/"]).expect_err("nobody listens on port 1");
        assert!(error.contains("Failed to connect"), "{error}");
    }
}
