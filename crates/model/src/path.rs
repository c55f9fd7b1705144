//! Path patterns: `/a/b`, `/users/{id}`, `/files/*`.

use std::fmt;
use std::str::FromStr;

use crate::limits::{PATH_BYTES_MAX, PATH_SEGMENTS_MAX};
use crate::normal::{BadPath, normal_path};

/// A pattern of request paths, split into its segments.
///
/// `/files/` has the segments `files` and the empty one; `/` has only the empty one; `/files/*` has
/// `files` and is a [prefix](Self::is_prefix); `/*` has none and is a prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern {
    segments: Box<[Segment]>,
    end: End,
}

/// What a [`PathPattern`] matches after its segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Nothing more.
    Here,
    /// Nothing more, and less specific than what ends there by itself: a service's base path alone,
    /// where the service has `/*`. No text is read as one.
    Bare,
    /// Everything below: `/*`.
    Below,
}

/// One segment of a [`PathPattern`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Exactly this text.
    Literal(Box<str>),
    /// Any text but none, under this name.
    Parameter(Box<str>),
}

/// Why a text is no path pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// The path has no normal form.
    #[error("{0}")]
    Bad(#[from] BadPath),
    /// The path has a normal form, but is not written in it.
    #[error("is not in normal form; write {0:?}")]
    NotNormal(String),
    /// `*` elsewhere than as the last segment.
    #[error("has a '*' that is not the whole last segment, as in \"/files/*\"")]
    Star,
    /// A brace that doesn't enclose a whole segment.
    #[error("has a brace that doesn't enclose a whole segment, as in \"/users/{{id}}\"")]
    Brace,
    /// A parameter's name that isn't one.
    #[error("has a parameter {0:?}; names are of a-z, 0-9 and '_', beginning with a letter or '_'")]
    ParameterName(String),
    /// One parameter name twice.
    #[error("has the parameter {0:?} twice")]
    ParameterTwice(String),
    /// A query or fragment.
    #[error("has a '?' or '#'; a pattern is the path alone (use `match` for queries)")]
    Query,
    /// Longer than allowed.
    #[error("is too long: at most {PATH_BYTES_MAX} bytes and {PATH_SEGMENTS_MAX} segments")]
    TooLong,
}

/// What is put before each of a service's paths: empty, or `/v1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BasePath(Box<str>);

impl PathPattern {
    /// The segments before the end, or before the `*`.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether it ends with `/*` and matches everything below.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.end == End::Below
    }

    /// How it ends.
    #[must_use]
    pub fn end(&self) -> End {
        self.end
    }

    /// The patterns of whole request paths that this one is, in a service with this base path. The
    /// base path alone is the service's `/`: what is left of it when it is taken off is nothing, and
    /// goes upstream as `/`. So a service with `/` or `/*` answers there too.
    pub fn under(&self, base: &BasePath) -> impl Iterator<Item = Self> + use<> {
        let literals = || {
            let parts = base.0.split('/').skip(1);
            parts.map(|text| Segment::Literal(text.into()))
        };
        let segments = literals().chain(self.segments.iter().cloned());
        let whole = Self {
            segments: segments.collect(),
            end: self.end,
        };
        let bare = match (&*self.segments, self.end) {
            _ if base.0.is_empty() => None,
            ([Segment::Literal(empty)], End::Here) if empty.is_empty() => Some(End::Here),
            ([], End::Below) => Some(End::Bare),
            _ => None,
        };
        let bare = bare.map(|end| Self {
            segments: literals().collect(),
            end,
        });
        std::iter::once(whole).chain(bare)
    }

    /// Whether a path in normal form is one of this pattern's. The router has a faster way; this is
    /// the definition it is tested against.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else {
            return false;
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let long_enough = if self.is_prefix() {
            parts.len() > self.segments.len()
        } else {
            parts.len() == self.segments.len()
        };
        long_enough
            && self
                .segments
                .iter()
                .zip(&parts)
                .all(|(segment, part)| match segment {
                    Segment::Literal(text) => **text == **part,
                    Segment::Parameter(_) => !part.is_empty(),
                })
    }
}

impl FromStr for PathPattern {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        if text.len() > PATH_BYTES_MAX || text.split('/').count() > PATH_SEGMENTS_MAX + 1 {
            return Err(InvalidPath::TooLong);
        }
        if text.contains(['?', '#']) {
            return Err(InvalidPath::Query);
        }
        let normal = normal_path(text)?;
        if normal != text {
            return Err(InvalidPath::NotNormal(normal.into_owned()));
        }
        let mut parts: Vec<&str> = text[1..].split('/').collect();
        let prefix = parts.last() == Some(&"*");
        if prefix {
            parts.pop();
        }
        let mut segments: Vec<Segment> = Vec::with_capacity(parts.len());
        for part in parts {
            let segment = segment(part)?;
            if let Segment::Parameter(name) = &segment
                && segments.contains(&segment)
            {
                return Err(InvalidPath::ParameterTwice(name.to_string()));
            }
            segments.push(segment);
        }
        Ok(Self {
            segments: segments.into(),
            end: if prefix { End::Below } else { End::Here },
        })
    }
}

fn segment(part: &str) -> Result<Segment, InvalidPath> {
    if part.contains('*') {
        return Err(InvalidPath::Star);
    }
    if !part.contains(['{', '}']) {
        return Ok(Segment::Literal(part.into()));
    }
    let name = part
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let name = name
        .filter(|name| !name.contains(['{', '}']))
        .ok_or(InvalidPath::Brace)?;
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if first && name.bytes().all(inner) {
        Ok(Segment::Parameter(name.into()))
    } else {
        Err(InvalidPath::ParameterName(name.to_owned()))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
            }
        }
        if self.is_prefix() {
            f.write_str("/*")
        } else {
            Ok(())
        }
    }
}

/// Why a text is no base path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBasePath {
    /// It is no path of literals.
    #[error("{0}")]
    Path(#[from] InvalidPath),
    /// A query or fragment.
    #[error("has a '?' or '#'; it is a path alone")]
    Query,
    /// It ends with `/`.
    #[error("must not end with '/'")]
    Slash,
    /// It has parameters or `*`.
    #[error("must not have parameters or '*'")]
    Pattern,
}

impl BasePath {
    /// The base path as text; empty where the service has none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BasePath {
    type Err = InvalidBasePath;

    fn from_str(text: &str) -> Result<Self, InvalidBasePath> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.contains(['{', '}', '*']) {
            return Err(InvalidBasePath::Pattern);
        }
        if text.contains(['?', '#']) {
            return Err(InvalidBasePath::Query);
        }
        text.parse::<PathPattern>()?;
        if text.ends_with('/') {
            Err(InvalidBasePath::Slash)
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn good(text: &str, matching: &[&str], other: &[&str]) {
        let pattern: PathPattern = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(pattern.to_string(), text);
        matching
            .iter()
            .for_each(|path| assert!(pattern.matches(path), "{text} should match {path}"));
        other
            .iter()
            .for_each(|path| assert!(!pattern.matches(path), "{text} should not match {path}"));
    }

    #[track_caller]
    fn bad(text: &str, part: &str) {
        let error = text.parse::<PathPattern>().expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }

    #[test]
    fn the_forms_of_a_path() {
        good("/", &["/"], &["//", "/a"]);
        good("/a/b", &["/a/b"], &["/a/b/", "/a", "/a/c"]);
        good("/a/", &["/a/"], &["/a"]);
        good(
            "/users/{id}",
            &["/users/7"],
            &["/users/", "/users/7/", "/users"],
        );
        good(
            "/files/*",
            &["/files/", "/files/a/b", "/files//"],
            &["/files", "/filesa"],
        );
        good("/*", &["/", "/a", "//"], &[]);
        good(
            "/users/{id}/files/*",
            &["/users/7/files/", "/users/7/files/a"],
            &["/users//files/a"],
        );
        good("/a%2Fb", &["/a%2Fb"], &["/a/b"]);
    }

    #[test]
    fn what_is_no_path() {
        bad("", "begin with '/'");
        bad("a", "begin with '/'");
        bad("/a*", "'*'");
        bad("/*/a", "'*'");
        bad("/a{b}", "whole segment");
        bad("/{a", "whole segment");
        bad("/{a}{b}", "whole segment");
        bad("/{}", "names are");
        bad("/{A}", "names are");
        bad("/{*rest}", "'*'");
        bad("/{a}/{a}", "twice");
        bad("/a/../b", "write \"/b\"");
        bad("/%61", "write \"/a\"");
        bad("/a?b", "path alone");
        bad("/é", "non-ASCII");
        bad(&"/a".repeat(33), "too long");
        bad(&format!("/{}", "a".repeat(1_024)), "too long");
    }

    #[test]
    fn base_paths() {
        let base: BasePath = "/v1/x".parse().expect("is a base path");
        for (path, base, expect) in [
            ("/", &base, "/v1/x/ Here, /v1/x Here"),
            ("/*", &base, "/v1/x/* Below, /v1/x Bare"),
            ("/{a}", &base, "/v1/x/{a} Here"),
            ("/a/*", &base, "/v1/x/a/* Below"),
            ("/a/", &base, "/v1/x/a/ Here"),
            ("//", &base, "/v1/x// Here"),
            ("/", &BasePath::default(), "/ Here"),
            ("/*", &BasePath::default(), "/* Below"),
        ] {
            let path: PathPattern = path.parse().expect("is a path");
            let under = path.under(base);
            let under: Vec<_> = under.map(|it| format!("{it} {:?}", it.end())).collect();
            assert_eq!(under.join(", "), expect);
        }
        let star: PathPattern = "/*".parse().expect("is a path");
        let matching = |path: &str| star.under(&base).any(|it| it.matches(path));
        assert!(matching("/v1/x") && matching("/v1/x/") && matching("/v1/x/a"));
        assert!(!matching("/v1/xa") && !matching("/v1"));
        for bad in ["/", "v1", "/v1/", "/{a}", "/*"] {
            assert!(bad.parse::<BasePath>().is_err(), "{bad}");
        }
    }
}
