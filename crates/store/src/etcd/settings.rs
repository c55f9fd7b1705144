//! Where the etcd is, who we are there, and where in it the store lies: read and checked once.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::StoreError;

/// The most members that an address may name.
const MEMBERS_MAX: usize = 16;

/// The longest prefix, in bytes: with the framing it must fit into what a transaction counts for
/// each operation ([`OPERATION_BYTES`](crate::OPERATION_BYTES)).
pub const PREFIX_BYTES_MAX: usize = 24;

const SCHEME: &str = "etcd://";

/// Where a store in etcd is, and how to get there.
#[derive(Clone, PartialEq, Eq)]
pub struct EtcdSettings {
    /// `HOST:PORT` of each member, in the order in which they are tried.
    pub(super) members: Vec<Box<str>>,
    /// Ends with `/`.
    pub(super) prefix: Box<str>,
    pub(super) user: Option<User>,
    pub(super) tls: Option<Tls>,
}

/// How etcd knows us. The password is in no `Debug`, no log and no error.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// Everything in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) authority: Vec<u8>,
    /// Certificate and key.
    pub(super) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl EtcdSettings {
    /// Reads `etcd://HOST:PORT,HOST:PORT`. Without [`with_tls`](Self::with_tls) the members are
    /// spoken to in plain text.
    ///
    /// # Errors
    ///
    /// [`StoreError::Settings`]: what is wrong with the address. It never repeats what may be a
    /// password.
    pub fn new(address: &str) -> Result<Self, StoreError> {
        let wrong = |why: &str| invalid(format!("the store's address {why}"));
        let rest = address
            .strip_prefix(SCHEME)
            .ok_or_else(|| wrong("must begin with etcd://"))?;
        if rest.contains('@') {
            return Err(wrong(
                "must not name a user: give the name and the password apart from it",
            ));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(wrong(
                "has nothing after the members (etcd://HOST:PORT,HOST:PORT): the prefix is set \
                 apart from it",
            ));
        }
        let members: Vec<Box<str>> = rest.split(',').map(Into::into).collect();
        if members.len() > MEMBERS_MAX {
            return Err(wrong(&format!("names more than {MEMBERS_MAX} members")));
        }
        if let Some(member) = members.iter().find(|member| !is_host_and_port(member)) {
            return Err(wrong(&format!("names {member:?}, which is no HOST:PORT")));
        }
        Ok(Self {
            members,
            prefix: "/ferryway/".into(),
            user: None,
            tls: None,
        })
    }

    /// Puts the store under this prefix instead of `/ferryway/`: one for each installation that
    /// shares the etcd. Text of at most [`PREFIX_BYTES_MAX`] bytes that begins and ends with `/`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Settings`].
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, StoreError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
        let fits = prefix.len() >= 2
            && prefix.len() <= PREFIX_BYTES_MAX
            && prefix.starts_with('/')
            && prefix.ends_with('/')
            && prefix.chars().all(is_plain);
        if !fits {
            return Err(invalid(format!(
                "the store's prefix {prefix:?} must be 2 to {PREFIX_BYTES_MAX} letters, digits, \
                 '-', '_', '.' and '/', and begin and end with '/'"
            )));
        }
        self.prefix = prefix.into();
        Ok(self)
    }

    /// Speaks as this user of etcd.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Self {
        self.user = Some(User {
            name: name.to_owned(),
            password: password.to_owned(),
        });
        self
    }

    /// Speaks TLS, with members whose certificates this authority (PEM) signed.
    #[must_use]
    pub fn with_tls(mut self, authority: impl Into<Vec<u8>>) -> Self {
        let authority = authority.into();
        self.tls = Some(Tls {
            authority,
            client: None,
        });
        self
    }

    /// Shows members this certificate (PEM), with its key (PEM).
    ///
    /// # Errors
    ///
    /// [`StoreError::Settings`] where it isn't TLS that is spoken.
    pub fn with_client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self, StoreError> {
        let Some(tls) = &mut self.tls else {
            return Err(invalid(String::from(
                "a client certificate for etcd needs the authority that signed etcd's own",
            )));
        };
        tls.client = Some((certificate.into(), key.into()));
        Ok(self)
    }
}

impl fmt::Debug for EtcdSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdSettings")
            .field("members", &self.members)
            .field("prefix", &self.prefix)
            .field("user", &self.user)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

/// As people know it: the address and the prefix.
impl fmt::Display for EtcdSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{SCHEME}{} under {}",
            self.members.join(","),
            self.prefix
        )
    }
}

/// A name or an address (IPv6 in brackets), and a port.
fn is_host_and_port(member: &str) -> bool {
    let Some((host, port)) = member.rsplit_once(':') else {
        return false;
    };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return false;
    }
    let inside = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match inside {
        Some(inside) => inside.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        }
    }
}

pub(super) fn invalid(why: String) -> StoreError {
    StoreError::Settings {
        why: Arc::from(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expect: Result<&[&str], &str>) {
        match (EtcdSettings::new(address), expect) {
            (Ok(settings), Ok(members)) => {
                let read: Vec<&str> = settings.members.iter().map(|member| &**member).collect();
                assert_eq!(read, members);
            }
            (Err(error), Err(part)) => {
                let text = error.to_string();
                assert!(text.contains(part), "{text}");
                assert!(!text.contains("secret"), "{text}");
            }
            (read, expect) => panic!("{read:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn addresses() {
        check("etcd://a:2379", Ok(&["a:2379"]));
        check(
            "etcd://a.b-c:1,10.0.0.1:2379,[::1]:3/",
            Ok(&["a.b-c:1", "10.0.0.1:2379", "[::1]:3"]),
        );
        check("http://a:2379", Err("must begin with etcd://"));
        check("etcd://me:secret@a:2379", Err("must not name a user"));
        check("etcd://", Err("no HOST:PORT"));
        check("etcd://a", Err("\"a\""));
        check("etcd://a:0", Err("\"a:0\""));
        check("etcd://a:1,,b:1", Err("\"\""));
        check("etcd://::1:2379", Err("no HOST:PORT"));
        check("etcd://a:1/prefix", Err("nothing after the members"));
        let many = format!("etcd://{}", ["a:1"; MEMBERS_MAX + 1].join(","));
        check(&many, Err("more than 16"));
    }

    #[test]
    fn prefixes() {
        let with = |prefix| {
            EtcdSettings::new("etcd://a:1")
                .unwrap()
                .with_prefix(prefix)
                .is_ok()
        };
        for prefix in ["/a/", "/a/b-c_d.e/", "/123456789012345678901/"] {
            assert!(with(prefix), "{prefix}");
        }
        for prefix in [
            "",
            "/",
            "a/",
            "/a",
            "/é/",
            "/a b/",
            "/1234567890123456789012345/",
        ] {
            assert!(!with(prefix), "{prefix}");
        }
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let settings = EtcdSettings::new("etcd://a:1")
            .unwrap()
            .with_user("me", "secret");
        let shown = format!("{settings:?} {settings}");
        assert!(shown.contains("me") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_client_certificate_needs_tls() {
        let settings = EtcdSettings::new("etcd://a:1").unwrap();
        assert!(settings.clone().with_client_certificate("c", "k").is_err());
        let settings = settings.with_tls("a").with_client_certificate("c", "k");
        assert!(settings.is_ok());
    }
}
