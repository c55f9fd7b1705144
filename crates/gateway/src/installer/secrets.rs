//! What of a check nobody should read in an operation: what its request authenticates with, and what
//! an answer gives a client to authenticate with.
//!
//! The definition itself holds such values in the open, for whoever may read definitions; evidence
//! goes further: into operations, logs, terminals and bug reports.

use std::borrow::Cow;

use ferryway_model::Check;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};

/// What stands in the place of a secret.
pub(super) const HIDDEN: &str = "(hidden)";

/// What shorter pieces would hide is mostly no secret, in bytes.
const PIECE_BYTES_MIN: usize = 6;
/// Headers whose names say it, wherever these stand in them.
const TELLING: [&str; 5] = ["token", "secret", "password", "api-key", "apikey"];

/// The secrets that a check sends, to be hidden where an upstream says them again.
#[derive(Debug)]
pub(super) struct Secrets(Vec<String>);

/// Whether a header holds a secret, going by its name.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let known = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE];
    known.iter().any(|it| it.as_str() == name) || TELLING.iter().any(|it| name.contains(it))
}

impl Secrets {
    /// Those of a check's request.
    pub(super) fn of(check: &Check) -> Self {
        let values = check.headers.iter().filter(|(name, _)| is_secret(name));
        let pieces = values.flat_map(|(_, value)| {
            // The credential behind the scheme; the values of cookies.
            let parts = value.split([' ', ';']);
            let parts = parts.flat_map(|part| {
                let value = part.split_once('=').map(|(_, value)| value);
                [Some(part), value]
            });
            std::iter::once(&**value).chain(parts.flatten())
        });
        let mut pieces: Vec<String> = pieces
            .filter(|piece| piece.len() >= PIECE_BYTES_MIN)
            .flat_map(|piece| [piece.to_owned(), piece.escape_debug().to_string()])
            .collect();
        // Longest first: a piece of another one must not break that up.
        pieces.sort_unstable_by_key(|piece| std::cmp::Reverse(piece.len()));
        pieces.dedup();
        Self(pieces)
    }

    /// The text without them.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for piece in &self.0 {
            if text.contains(piece.as_str()) {
                text = Cow::Owned(text.replace(piece.as_str(), HIDDEN));
            }
        }
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use ferryway_model::Definition;
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(headers: &Value, text: &str, expect: &str) {
        let check = json!({"name": "c", "path": "/", "headers": headers, "expect": {}});
        let routes = json!([{"name": "r", "paths": ["/*"]}]);
        let service = json!({"name": "s", "routes": routes, "checks": [check]});
        let definition = Definition::parse(&service, None).unwrap().content;
        assert_eq!(Secrets::of(&definition.checks[0]).hide(text), expect);
    }

    #[test]
    fn what_is_sent_is_hidden_whole_and_in_pieces() {
        let bearer = json!({"Authorization": "Bearer abcdef=="});
        check(&bearer, "got Bearer abcdef==", "got (hidden)");
        check(&bearer, "got abcdef==", "got (hidden)");
        let cookies = json!({"cookie": "a=123456; session=\"quo-ted\""});
        check(
            &cookies,
            r#"{"a": "123456", "session": "\"quo-ted\""}"#,
            r#"{"a": "(hidden)", "session": "(hidden)"}"#,
        );
        let key = json!({"X-Api-Key": "abc def ghi jkl"});
        check(&key, "abc def ghi jkl", HIDDEN);
    }

    #[test]
    fn everything_else_is_shown() {
        check(&json!({"x-a": "123456"}), "123456", "123456");
        // Too short to be told from ordinary text.
        check(&json!({"cookie": "a=1"}), "a=1, 1, a", "a=1, 1, a");
        for (name, secret) in [
            ("set-cookie", true),
            ("Proxy-Authorization", true),
            ("x-csrf-token", true),
            ("x-client-secret", true),
            ("accept", false),
            ("etag", false),
        ] {
            assert_eq!(is_secret(name), secret, "{name}");
        }
    }
}
