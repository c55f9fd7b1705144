//! The one normal form of a request path: what is matched, checked and sent upstream.
//!
//! Escapes of unreserved characters are decoded, the hex digits of all others are capitals, dot
//! segments are removed (RFC 3986, 5.2.4, after decoding), `//` and `%2F` are kept as they are.
//! Absent on purpose: decoding `%2F` (it would change the segments) and merging `//` (an upstream
//! may tell them apart). Two readers that see the same normal form can't disagree about the path.

use std::borrow::Cow;

/// A path that has no normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not beginning with `/`.
    #[error("must begin with '/'")]
    NotAbsolute,
    /// `%` without two hex digits.
    #[error("has a broken escape: '%' needs two hex digits")]
    BrokenEscape,
    /// A control or non-ASCII byte, or a space.
    #[error("has a control, space or non-ASCII byte; write it as an escape")]
    RawByte,
    /// More `..` than segments to leave.
    #[error("leaves the root: it has more '..' than segments")]
    LeavesRoot,
}

/// The normal form of a path (without query). Borrowed where it is in normal form already.
///
/// # Errors
/// The path has none.
pub fn normal_path(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if !path.starts_with('/') {
        return Err(BadPath::NotAbsolute);
    }
    let mut needs_work = false;
    let mut last = 0;
    for byte in path.bytes() {
        match byte {
            0..=b' ' | 0x7f.. => return Err(BadPath::RawByte),
            b'%' => needs_work = true,
            b'.' if last == b'/' => needs_work = true,
            _ => {}
        }
        last = byte;
    }
    if !needs_work {
        return Ok(Cow::Borrowed(path));
    }
    remove_dot_segments(decode_unreserved(path)?)
}

fn decode_unreserved(path: &str) -> Result<String, BadPath> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let digit = |n: usize| {
            rest.as_bytes()
                .get(at + n)
                .and_then(|b| char::from(*b).to_digit(16))
        };
        let (Some(high), Some(low)) = (digit(1), digit(2)) else {
            return Err(BadPath::BrokenEscape);
        };
        let byte = u8::try_from(high * 16 + low).map_err(|_| BadPath::BrokenEscape)?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&rest[at + 1..at + 3].to_ascii_uppercase());
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Ok(out)
}

fn remove_dot_segments(path: String) -> Result<Cow<'static, str>, BadPath> {
    if !path.contains("/.") {
        return Ok(Cow::Owned(path));
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop().ok_or(BadPath::LeavesRoot)?;
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    Ok(Cow::Owned(format!("/{}", kept.join("/"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(path: &str, expect: Result<&str, BadPath>) {
        assert_eq!(normal_path(path).as_deref(), expect.as_deref(), "{path:?}");
    }

    #[test]
    fn spellings() {
        for same in [
            "/", "/a", "/a/b/", "/a//b", "/a%2Fb", "/...", "/.a", "/a.b", "/%00", "/a;b", "//",
        ] {
            check(same, Ok(same));
        }
        check("/%61%7e%2d", Ok("/a~-"));
        check("/%2f%3a", Ok("/%2F%3A"));
        check("/a/./b", Ok("/a/b"));
        check("/a/.", Ok("/a/"));
        check("/a/..", Ok("/"));
        check("/a/../b", Ok("/b"));
        check("/a/%2e%2E/b", Ok("/b"));
        check("/a//../b", Ok("/a/b"));
        check("/%252e%252e/a", Ok("/%252e%252e/a"));
        check("/..", Err(BadPath::LeavesRoot));
        check("/a/../../b", Err(BadPath::LeavesRoot));
        check("/%zz", Err(BadPath::BrokenEscape));
        check("/%4", Err(BadPath::BrokenEscape));
        check("/%", Err(BadPath::BrokenEscape));
        check("/%é", Err(BadPath::RawByte));
        check("/a b", Err(BadPath::RawByte));
        check("/\u{7f}", Err(BadPath::RawByte));
        check("a", Err(BadPath::NotAbsolute));
        check("", Err(BadPath::NotAbsolute));
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own(path in "/[a-c./%2eEfF]{0,24}") {
            if let Ok(normal) = normal_path(&path) {
                prop_assert_eq!(normal_path(&normal), Ok(normal.clone()));
                prop_assert!(!normal.split('/').any(|s| s == "." || s == ".."), "{}", normal);
            }
        }
    }
}
