//! The admin API, called as a script would call it.

use std::io::Write as _;

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::curl::{Answer, curl};

/// A caller of one control plane's API. Paths are those below `/api/v1`.
///
/// It knows no types on purpose: a test through it sees the JSON that a user sees.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    /// What every call is made with beside its own: a token, an authority.
    always: Vec<String>,
}

impl Api {
    /// The API at `http://HOST:PORT`.
    pub fn at(origin: &str) -> Self {
        Self {
            base: format!("{origin}/api/v1"),
            always: Vec::new(),
        }
    }

    /// Called with a token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        let header = format!("Authorization: Bearer {token}");
        self.always.extend(["--header".to_owned(), header]);
        self
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], None)
    }

    /// DELETE.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], None)
    }

    /// POST of a JSON body.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[], Some(body))
    }

    /// PUT of a JSON body.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path, &[], Some(body))
    }

    /// PATCH with a JSON merge patch.
    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path, &[], Some(body))
    }

    /// Any method, with further header lines (`If-Match: "…"`).
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, headers: &[&str], body: Option<&Value>) -> Answer {
        let mut args = self.always.clone();
        args.extend(["--request".to_owned(), method.to_owned()]);
        for header in headers {
            args.extend(["--header".to_owned(), (*header).to_owned()]);
        }
        // A body of 1 MiB does not fit into an argument, so every body goes through a file.
        let mut file = NamedTempFile::new().expect("a temporary file can be made");
        if let Some(body) = body {
            write!(file, "{body}").expect("a temporary file can be written");
            args.extend([
                "--header".to_owned(),
                "Content-Type: application/json".to_owned(),
            ]);
            args.extend([
                "--data-binary".to_owned(),
                format!("@{}", file.path().display()),
            ]);
        }
        args.push(format!("{}{path}", self.base));
        curl(args)
    }
}
