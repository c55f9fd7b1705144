//! Names: what identifies groups, services, routes, registries, checks and versions.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::{NAME_CHARS_MAX, VERSION_CHARS_MAX};

/// The name of a group, service, route, registry or check:
/// `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A version number: 1 to 64 of `A-Z a-z 0-9 . _ + -`, starting with a letter or digit.
///
/// Numbers are compared as text only: Ferryway gives them no order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionNumber(Arc<str>);

/// Why a text is no [`Name`] or no [`VersionNumber`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Not of a name's form.
    #[error("must be 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit")]
    Name,
    /// Not of a version number's form.
    #[error("must be 1 to 64 of A-Z a-z 0-9 . _ + -, beginning with a letter or digit")]
    Version,
}

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bytes = text.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let whole = (1..=NAME_CHARS_MAX).contains(&bytes.len()) && bytes.iter().all(inner);
        let ends = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
        if whole && ends(bytes.first()) && ends(bytes.last()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::Name)
        }
    }
}

impl VersionNumber {
    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VersionNumber {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bytes = text.as_bytes();
        let inner = |b: &u8| b.is_ascii_alphanumeric() || b"._+-".contains(b);
        let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        if first && bytes.len() <= VERSION_CHARS_MAX && bytes.iter().all(inner) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::Version)
        }
    }
}

/// What both kinds of name have in common.
macro_rules! text {
    ($($kind:ident)*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
        impl Borrow<str> for $kind {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $kind {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }
        impl<'de> serde::Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text!(Name VersionNumber);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: bool, version: bool) {
        assert_eq!(text.parse::<Name>().is_ok(), name, "{text:?} as a name");
        assert_eq!(
            text.parse::<VersionNumber>().is_ok(),
            version,
            "{text:?} as a version"
        );
    }

    #[test]
    fn forms() {
        check("a", true, true);
        check("httpbin", true, true);
        check("my-service-2", true, true);
        check("2", true, true);
        check("", false, false);
        check("-a", false, false);
        check("a-", false, true);
        check("A", false, true);
        check("1.0.0", false, true);
        check("1.0.0+build_7-rc", false, true);
        check(".1", false, false);
        check("a/b", false, false);
        check("a b", false, false);
        check("é", false, false);
        check(&"a".repeat(63), true, true);
        check(&"a".repeat(64), false, true);
        check(&"a".repeat(65), false, false);
    }
}
