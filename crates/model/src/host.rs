//! Hosts: what a service is served under, and what a request asks for.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A host that a service is served under: exact, or `*.` and a suffix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// Exactly this host.
    Exact(HostName),
    /// One or more labels before this suffix: `*.example.org` is `Suffix("example.org")`.
    Suffix(HostName),
}

/// A host in the one form it is compared in: lower case, without port and trailing dot; an IPv6
/// address in brackets and in its shortest spelling.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Box<str>);

/// Why a text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// Nothing, or nothing but a dot.
    #[error("is empty; name a host")]
    Empty,
    /// The same in a list of hosts.
    #[error("is empty; name a host, or leave the list empty for any host")]
    EmptyPattern,
    /// A port after the host.
    #[error("has a port; write the host alone")]
    Port,
    /// `*` where one host is meant.
    #[error("has a '*'; name one host")]
    Star,
    /// `*` somewhere else than in front of a whole label, or alone.
    #[error("has a '*' that is not a leading '*.'; for any host leave the list empty")]
    Wildcard,
    /// A character that no host name has.
    #[error(
        "is no host name: letters, digits, '-', '_' and '.' are allowed (write other scripts in punycode)"
    )]
    Character,
    /// A label that is empty or too long, or a name that is too long.
    #[error("is no host name: each part needs 1 to 63 characters, the whole at most 253")]
    Length,
}

const HOST_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

impl HostName {
    /// The host as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        if let Some(inner) = text.strip_prefix('[') {
            let (address, rest) = inner.split_once(']').ok_or(InvalidHost::Character)?;
            let address: Ipv6Addr = address.parse().map_err(|_| InvalidHost::Character)?;
            return match rest {
                "" => Ok(Self(format!("[{address}]").into())),
                _ if rest.starts_with(':') => Err(InvalidHost::Port),
                _ => Err(InvalidHost::Character),
            };
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        match name.split_once(':') {
            _ if name.is_empty() => return Err(InvalidHost::Empty),
            Some((_, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(InvalidHost::Port);
            }
            Some(_) => return Err(InvalidHost::Character),
            None => {}
        }
        if name.contains('*') {
            return Err(InvalidHost::Star);
        }
        if !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            return Err(InvalidHost::Character);
        }
        let label = |label: &str| (1..=LABEL_CHARS_MAX).contains(&label.len());
        if name.len() > HOST_CHARS_MAX || !name.split('.').all(label) {
            return Err(InvalidHost::Length);
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

impl HostPattern {
    /// Whether a request's host, in the form of [`HostName`], is one of this pattern's.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name.as_str() == host,
            Self::Suffix(suffix) => host
                .strip_suffix(suffix.as_str())
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty()),
        }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let in_a_list = |error| match error {
            InvalidHost::Empty => InvalidHost::EmptyPattern,
            InvalidHost::Star => InvalidHost::Wildcard,
            other => other,
        };
        let Some(suffix) = text.strip_prefix("*.") else {
            return text.parse().map(Self::Exact).map_err(in_a_list);
        };
        let suffix: HostName = suffix.parse().map_err(in_a_list)?;
        let address =
            suffix.as_str().starts_with('[') || suffix.as_str().parse::<Ipv4Addr>().is_ok();
        if address {
            Err(InvalidHost::Wildcard)
        } else {
            Ok(Self::Suffix(suffix))
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Suffix(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, InvalidHost>) {
        let got = text.parse::<HostPattern>().map(|host| host.to_string());
        assert_eq!(got, expect.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn forms() {
        check("api.example.com", Ok("api.example.com"));
        check("API.Example.com.", Ok("api.example.com"));
        check("*.Example.org", Ok("*.example.org"));
        check("127.0.0.1", Ok("127.0.0.1"));
        check("[::0:1]", Ok("[::1]"));
        check("a_b", Ok("a_b"));
        check("", Err(InvalidHost::EmptyPattern));
        check(".", Err(InvalidHost::EmptyPattern));
        check("a..b", Err(InvalidHost::Length));
        check("a.com:80", Err(InvalidHost::Port));
        check("[::1]:80", Err(InvalidHost::Port));
        check("*", Err(InvalidHost::Wildcard));
        check("a.*.b", Err(InvalidHost::Wildcard));
        check("*.1.2.3.4", Err(InvalidHost::Wildcard));
        check("a b", Err(InvalidHost::Character));
        check("ü.example", Err(InvalidHost::Character));
        check("a@b", Err(InvalidHost::Character));
        check("[::1", Err(InvalidHost::Character));
        check(&"a".repeat(64), Err(InvalidHost::Length));
    }

    #[test]
    fn a_suffix_matches_one_or_more_labels() {
        let pattern: HostPattern = "*.example.org".parse().expect("is a host");
        for (host, expect) in [
            ("a.example.org", true),
            ("a.b.example.org", true),
            ("example.org", false),
            (".example.org", false),
            ("aexample.org", false),
            ("a.example.com", false),
        ] {
            assert_eq!(pattern.matches(host), expect, "{host}");
        }
    }
}
