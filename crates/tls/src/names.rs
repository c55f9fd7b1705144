//! Who a certificate is for, as a SPIFFE id.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The trust domain: the first part of every SPIFFE id of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomain(String);

/// An instance's name: `spiffe://DOMAIN/gateway/GROUP/INSTANCE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceName {
    /// The installation.
    pub domain: TrustDomain,
    /// The gateway group.
    pub group: String,
    /// The instance.
    pub instance: Uuid,
}

/// The name of a control plane that calls another one: `spiffe://DOMAIN/control/ID`. What shows a
/// port is a control plane's is the name without an id ([`TrustDomain::control`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlName {
    /// The installation.
    pub domain: TrustDomain,
    /// The control plane, as long as its process lives.
    pub plane: Uuid,
}

/// A text that names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// No trust domain.
    #[error(
        "is no trust domain; write lower-case letters, digits, dots, dashes and underscores, at most {DOMAIN_CHARS_MAX}"
    )]
    Domain,
    /// No name of an instance.
    #[error("is no name of an instance: spiffe://DOMAIN/gateway/GROUP/INSTANCE")]
    Instance,
    /// No name of a control plane.
    #[error("is no name of a control plane: spiffe://DOMAIN/control/ID")]
    Control,
}

const SCHEME: &str = "spiffe://";
/// Longest trust domain, in characters: what DNS allows.
const DOMAIN_CHARS_MAX: usize = 253;
/// Longest name of a group in a certificate, in bytes. What a group may be called is the model's
/// business, and is stricter.
const GROUP_BYTES_MAX: usize = 63;

impl TrustDomain {
    /// The control plane's name in this domain.
    #[must_use]
    pub fn control(&self) -> String {
        format!("{SCHEME}{self}/control")
    }
}

/// Whether a URI is a control plane's name in some domain.
pub(crate) fn is_control(uri: &str) -> bool {
    let rest = uri
        .strip_prefix(SCHEME)
        .and_then(|rest| rest.split_once('/'));
    rest.is_some_and(|(domain, path)| path == "control" && domain.parse::<TrustDomain>().is_ok())
}

impl FromStr for TrustDomain {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_one = (1..=DOMAIN_CHARS_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'));
        is_one
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidName::Domain)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InstanceName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut parts = text
            .strip_prefix(SCHEME)
            .ok_or(InvalidName::Instance)?
            .split('/');
        let mut next = || parts.next().ok_or(InvalidName::Instance);
        let (domain, kind, group, instance) = (next()?, next()?, next()?, next()?);
        let is_whole = parts.next().is_none() && kind == "gateway";
        let is_group = (1..=GROUP_BYTES_MAX).contains(&group.len())
            && group.bytes().all(|byte| byte.is_ascii_graphic());
        let instance = Uuid::try_parse(instance).map_err(|_| InvalidName::Instance)?;
        if !is_whole || !is_group {
            return Err(InvalidName::Instance);
        }
        Ok(Self {
            domain: domain.parse().map_err(|_| InvalidName::Instance)?,
            group: group.to_owned(),
            instance,
        })
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            group,
            instance,
        } = self;
        write!(f, "{SCHEME}{domain}/gateway/{group}/{instance}")
    }
}

impl FromStr for ControlName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let named = |text: &str| {
            let (domain, path) = text.strip_prefix(SCHEME)?.split_once('/')?;
            let plane = Uuid::try_parse(path.strip_prefix("control/")?).ok()?;
            let domain = domain.parse().ok()?;
            Some(Self { domain, plane })
        };
        named(text).ok_or(InvalidName::Control)
    }
}

impl fmt::Display for ControlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, plane } = self;
        write!(f, "{SCHEME}{domain}/control/{plane}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_instances() {
        let text = "spiffe://ferryway.internal/gateway/test/01890a5d-ac96-774b-bcce-b302099a8057";
        let name: InstanceName = text.parse().unwrap();
        assert_eq!(
            (name.group.as_str(), name.to_string().as_str()),
            ("test", text)
        );
        for bad in [
            "",
            "spiffe://",
            "https://ferryway.internal/gateway/test/01890a5d-ac96-774b-bcce-b302099a8057",
            "spiffe://Ferryway/gateway/test/01890a5d-ac96-774b-bcce-b302099a8057",
            "spiffe:///gateway/test/01890a5d-ac96-774b-bcce-b302099a8057",
            "spiffe://d/control",
            "spiffe://d/gateway/test",
            "spiffe://d/gateway//01890a5d-ac96-774b-bcce-b302099a8057",
            "spiffe://d/gateway/test/1",
            "spiffe://d/gateway/test/01890a5d-ac96-774b-bcce-b302099a8057/",
            "spiffe://d/agent/test/01890a5d-ac96-774b-bcce-b302099a8057",
        ] {
            assert_eq!(
                bad.parse::<InstanceName>(),
                Err(InvalidName::Instance),
                "{bad}"
            );
        }
    }

    #[test]
    fn names_of_control_planes_that_call() {
        let text = "spiffe://d/control/01890a5d-ac96-774b-bcce-b302099a8057";
        let name: ControlName = text.parse().unwrap();
        assert_eq!(name.to_string(), text);
        assert!(!is_control(text), "no port shows it");
        for bad in [
            "",
            "spiffe://d/control",
            "spiffe://d/control/",
            "spiffe://d/control/1",
            "spiffe:///control/01890a5d-ac96-774b-bcce-b302099a8057",
            "spiffe://d/controls/01890a5d-ac96-774b-bcce-b302099a8057",
            "spiffe://d/gateway/control/01890a5d-ac96-774b-bcce-b302099a8057",
            "spiffe://d/control/01890a5d-ac96-774b-bcce-b302099a8057/",
        ] {
            assert_eq!(
                bad.parse::<ControlName>(),
                Err(InvalidName::Control),
                "{bad}"
            );
        }
    }

    #[test]
    fn names_of_control_planes() {
        let domain: TrustDomain = "ferryway.internal".parse().unwrap();
        assert!(is_control(&domain.control()));
        for bad in [
            "spiffe://d/controls",
            "spiffe://d/gateway/control",
            "spiffe:///control",
            "d/control",
        ] {
            assert!(!is_control(bad), "{bad}");
        }
        assert_eq!("A".parse::<TrustDomain>(), Err(InvalidName::Domain));
    }
}
