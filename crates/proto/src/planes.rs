//! What control planes tell each other.

use bytes::Bytes;
use ferryway_model::{Digest, Name, Revision};
use uuid::Uuid;

use crate::error::DecodeError;
use crate::limits::{
    ADDRESSES_MAX, CODE_BYTES_MAX, EVIDENCE_BYTES_MAX, LABEL_BYTES_MAX, PLANES_HELD_MAX,
    PLANES_INSTANCES_MAX, PLANES_MESSAGE_TEXT_MAX, PLANES_WARNINGS_MAX, SCHEMAS_MAX,
};
use crate::planes_wire as wire;
use crate::read::{digest, digest_or_none, list, name, text, texts, uuid};
use crate::report::{Warnings, clip};

/// Asks another control plane how its instances stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowRequest {
    /// Lowest and highest protocol number of who asks.
    pub protocol: (u32, u32),
    /// Who asks.
    pub plane: Uuid,
    /// Who is meant.
    pub expected: Uuid,
}

/// A part of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How instances stand, at most [`PLANES_INSTANCES_MAX`].
    pub instances: Vec<Standing>,
    /// Whether all that there was when the stream began has been told.
    pub complete: bool,
}

/// How an instance stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its group.
    pub group: Name,
    /// Its id.
    pub instance: Uuid,
    /// Its stream.
    pub session: Uuid,
    /// As it says hello.
    pub boot: u64,
    /// As it says hello.
    pub attempt: u64,
    /// Whether that stream is open.
    pub online: bool,
    /// When it came or went, in microseconds of the Unix epoch.
    pub since_us: i64,
    /// When it was last heard of, in microseconds of the Unix epoch.
    pub seen_us: i64,
    /// The name of its host.
    pub hostname: String,
    /// Its build.
    pub build: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Forms of definitions that it can load.
    pub schemas: Vec<u32>,
    /// What it should run.
    pub desired: Option<At>,
    /// What it runs.
    pub effective: Option<At>,
    /// Services that stay at earlier content.
    pub held: Vec<HeldService>,
    /// What it said of checks that only warn.
    pub warnings: Vec<Warnings>,
}

/// A place in a group's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The revision.
    pub revision: Revision,
    /// The digest of the whole content.
    pub root: Digest,
}

/// A service that stays at its last good content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldService {
    /// Which.
    pub service: Name,
    /// Of what it refused; none: of a removal.
    pub digest: Option<Digest>,
    /// Why, for scripts.
    pub code: String,
    /// Why, for people.
    pub message: String,
    /// What was seen, as JSON.
    pub evidence: Option<String>,
}

/// Most bytes of details of one instance, about. What is beyond is told without them.
const DETAILS_BYTES_MAX: usize = 512 * 1024;

impl Standing {
    /// The same, with no more details than a message takes: that something is held is told of
    /// every service, why and how it was seen of the first of them.
    #[must_use]
    pub fn clipped(mut self) -> Self {
        let mut bytes = 0;
        self.held.truncate(PLANES_HELD_MAX);
        for held in &mut self.held {
            clip(&mut held.code, CODE_BYTES_MAX);
            clip(&mut held.message, PLANES_MESSAGE_TEXT_MAX);
            if bytes > DETAILS_BYTES_MAX {
                "the instance's own status says why".clone_into(&mut held.message);
                held.evidence = None;
            }
            let evidence = held.evidence.as_mut();
            bytes += held.message.len()
                + evidence.map_or(0, |evidence| {
                    clip(evidence, EVIDENCE_BYTES_MAX);
                    evidence.len()
                });
        }
        // The latest matter most.
        let surplus = self.warnings.len().saturating_sub(PLANES_WARNINGS_MAX);
        self.warnings.drain(..surplus);
        for fault in self
            .warnings
            .iter_mut()
            .rev()
            .flat_map(|it| it.found.iter_mut().flatten())
        {
            let evidence = fault.evidence.as_ref().map_or(0, String::len);
            bytes += evidence + fault.detail.len();
            if bytes > DETAILS_BYTES_MAX {
                fault.evidence = None;
                clip(&mut fault.detail, LABEL_BYTES_MAX);
                clip(&mut fault.path, LABEL_BYTES_MAX);
            }
        }
        self
    }
}

fn raw(id: Uuid) -> Bytes {
    id.as_bytes().to_vec().into()
}

impl From<FollowRequest> for wire::FollowRequest {
    fn from(request: FollowRequest) -> Self {
        let FollowRequest {
            protocol: (protocol_min, protocol_max),
            plane,
            expected,
        } = request;
        Self {
            protocol_min,
            protocol_max,
            plane: raw(plane),
            expected: raw(expected),
        }
    }
}

impl TryFrom<wire::FollowRequest> for FollowRequest {
    type Error = DecodeError;

    fn try_from(request: wire::FollowRequest) -> Result<Self, DecodeError> {
        let wire::FollowRequest {
            protocol_min,
            protocol_max,
            plane,
            expected,
        } = request;
        Ok(Self {
            protocol: (protocol_min, protocol_max),
            plane: uuid("plane", &plane)?,
            expected: uuid("expected", &expected)?,
        })
    }
}

impl From<Told> for wire::Told {
    fn from(told: Told) -> Self {
        let Told {
            instances,
            complete,
        } = told;
        Self {
            instances: instances.into_iter().map(Into::into).collect(),
            complete,
        }
    }
}

impl TryFrom<wire::Told> for Told {
    type Error = DecodeError;

    fn try_from(told: wire::Told) -> Result<Self, DecodeError> {
        let wire::Told {
            instances,
            complete,
        } = told;
        Ok(Self {
            instances: list(
                "instances",
                instances,
                PLANES_INSTANCES_MAX,
                Standing::try_from,
            )?,
            complete,
        })
    }
}

impl From<At> for wire::At {
    fn from(At { revision, root }: At) -> Self {
        Self {
            revision: revision.0,
            root: root.as_bytes().to_vec().into(),
        }
    }
}

impl TryFrom<wire::At> for At {
    type Error = DecodeError;

    fn try_from(wire::At { revision, root }: wire::At) -> Result<Self, DecodeError> {
        Ok(Self {
            revision: Revision(revision),
            root: digest("root", &root)?,
        })
    }
}

impl From<HeldService> for wire::Held {
    fn from(held: HeldService) -> Self {
        let HeldService {
            service,
            digest,
            code,
            message,
            evidence,
        } = held;
        Self {
            service: service.as_str().to_owned(),
            digest: digest.map_or_else(Bytes::new, |digest| digest.as_bytes().to_vec().into()),
            code,
            message,
            evidence,
        }
    }
}

impl TryFrom<wire::Held> for HeldService {
    type Error = DecodeError;

    fn try_from(held: wire::Held) -> Result<Self, DecodeError> {
        let wire::Held {
            service,
            digest,
            code,
            message,
            evidence,
        } = held;
        Ok(Self {
            service: name("service", &service)?,
            digest: digest_or_none("digest", &digest)?,
            code: text("code", code, CODE_BYTES_MAX)?,
            message: text("message", message, PLANES_MESSAGE_TEXT_MAX)?,
            evidence: evidence
                .map(|evidence| text("evidence", evidence, EVIDENCE_BYTES_MAX))
                .transpose()?,
        })
    }
}

impl From<Standing> for wire::Standing {
    fn from(standing: Standing) -> Self {
        let Standing {
            group,
            instance,
            session,
            boot,
            attempt,
            online,
            since_us,
            seen_us,
            hostname,
            build,
            addresses,
            schemas,
            desired,
            effective,
            held,
            warnings,
        } = standing;
        Self {
            group: group.as_str().to_owned(),
            instance: raw(instance),
            session: raw(session),
            boot,
            attempt,
            online,
            since_us,
            seen_us,
            hostname,
            build,
            addresses,
            schemas,
            desired: desired.map(Into::into),
            effective: effective.map(Into::into),
            held: held.into_iter().map(Into::into).collect(),
            warnings: warnings.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Standing> for Standing {
    type Error = DecodeError;

    fn try_from(standing: wire::Standing) -> Result<Self, DecodeError> {
        let wire::Standing {
            group,
            instance,
            session,
            boot,
            attempt,
            online,
            since_us,
            seen_us,
            hostname,
            build,
            addresses,
            schemas,
            desired,
            effective,
            held,
            warnings,
        } = standing;
        let at = |field: &str, at: Option<wire::At>| {
            let at = at.map(At::try_from).transpose();
            at.map_err(|error| error.within(field))
        };
        Ok(Self {
            group: name("group", &group)?,
            instance: uuid("instance", &instance)?,
            session: uuid("session", &session)?,
            boot,
            attempt,
            online,
            since_us,
            seen_us,
            hostname: text("hostname", hostname, LABEL_BYTES_MAX)?,
            build: text("build", build, LABEL_BYTES_MAX)?,
            addresses: texts("addresses", addresses, ADDRESSES_MAX + 1, LABEL_BYTES_MAX)?,
            schemas: list("schemas", schemas, SCHEMAS_MAX, Ok)?,
            desired: at("desired", desired)?,
            effective: at("effective", effective)?,
            held: list("held", held, PLANES_HELD_MAX, HeldService::try_from)?,
            warnings: list(
                "warnings",
                warnings,
                PLANES_WARNINGS_MAX,
                Warnings::try_from,
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::limits::PLANES_MESSAGE_BYTES_MAX;

    fn standing(held: usize, detail: usize) -> Standing {
        let held = (0..held).map(|n| HeldService {
            service: format!("s{n}").parse().unwrap(),
            digest: (n % 2 == 0).then(|| Digest::of(b"x")),
            code: "check_failed".to_owned(),
            message: "m".repeat(detail),
            evidence: (n % 3 == 0).then(|| "e".repeat(detail)),
        });
        let at = At {
            revision: Revision(7),
            root: Digest::of(b"root"),
        };
        Standing {
            group: "test".parse().unwrap(),
            instance: Uuid::from_u128(1),
            session: Uuid::from_u128(2),
            boot: 3,
            attempt: 4,
            online: true,
            since_us: 5,
            seen_us: -6,
            hostname: "h".to_owned(),
            build: "b".to_owned(),
            addresses: vec!["a".to_owned()],
            schemas: vec![1],
            desired: Some(at),
            effective: None,
            held: held.collect(),
            warnings: vec![Warnings {
                transaction: Revision(7),
                found: Some(vec![]),
            }],
        }
    }

    #[test]
    fn what_is_told_is_what_is_read() {
        let told = Told {
            instances: vec![standing(3, 10), standing(0, 0)],
            complete: true,
        };
        let wire = wire::Told::from(told.clone()).encode_to_vec();
        let read = Told::try_from(wire::Told::decode(&*wire).unwrap());
        assert_eq!(read, Ok(told));
        let request = FollowRequest {
            protocol: (1, 2),
            plane: Uuid::from_u128(1),
            expected: Uuid::from_u128(2),
        };
        let wire = wire::FollowRequest::from(request);
        assert_eq!(FollowRequest::try_from(wire), Ok(request));
    }

    #[test]
    fn as_much_as_there_can_be_fits_a_message() {
        let large = standing(PLANES_HELD_MAX + 5, 20_000).clipped();
        assert_eq!(large.held.len(), PLANES_HELD_MAX);
        let wire = wire::Standing::from(large.clone());
        assert!(wire.encoded_len() < PLANES_MESSAGE_BYTES_MAX / 2);
        assert_eq!(Standing::try_from(wire), Ok(large));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_field() {
        let mut wire = wire::Standing::from(standing(1, 1));
        wire.held[0].service = "NO".to_owned();
        let error = Standing::try_from(wire).unwrap_err();
        assert_eq!(error.field(), "held[0].service");
        let mut wire = wire::Standing::from(standing(0, 1));
        wire.session = Bytes::new();
        let error = Standing::try_from(wire).unwrap_err();
        assert_eq!(error.field(), "session");
    }
}
