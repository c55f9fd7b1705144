use std::time::Duration;

use uuid::Uuid;

use crate::error::DecodeError;
use crate::limits::DETAIL_BYTES_MAX;
use crate::position::{Position, position};
use crate::read::{millis, text, to_millis, unknown, uuid};
use crate::wire;

/// The answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol spoken on this stream.
    pub protocol: u32,
    /// Names the stream in `Fetch`.
    pub session: Uuid,
    /// How the two get level.
    pub resume: Resume,
    /// How often a heartbeat comes.
    pub heartbeat: Duration,
    /// Within what time a lost stream is dialled again.
    pub spread: Duration,
}

/// How agent and control plane get level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// They are: the agent stands at this head.
    InSync(Position),
    /// The transactions up to this head follow.
    Delta(Position),
    /// The agent should ask for what differs from this head.
    Reconcile(Position),
    /// Not now.
    Retry(Retry),
}

/// Why an agent is not served now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Within what time it should dial again.
    pub after: Duration,
    /// Why, for people.
    pub reason: String,
}

impl From<Welcome> for wire::Welcome {
    fn from(welcome: Welcome) -> Self {
        let Welcome {
            protocol,
            session,
            resume,
            heartbeat,
            spread,
        } = welcome;
        let (resume, head, retry) = match resume {
            Resume::InSync(head) => (wire::Resume::InSync, Some(head), None),
            Resume::Delta(head) => (wire::Resume::Delta, Some(head), None),
            Resume::Reconcile(head) => (wire::Resume::Reconcile, Some(head), None),
            Resume::Retry(retry) => (wire::Resume::Retry, None, Some(retry)),
        };
        let (after, reason) = retry.map_or_else(Default::default, |r| (r.after, r.reason));
        Self {
            protocol,
            session: session.as_bytes().to_vec().into(),
            resume: resume.into(),
            head: head.map(Into::into),
            heartbeat_ms: to_millis(heartbeat),
            spread_ms: to_millis(spread),
            retry_after_ms: to_millis(after),
            reason,
        }
    }
}

impl TryFrom<wire::Welcome> for Welcome {
    type Error = DecodeError;

    fn try_from(welcome: wire::Welcome) -> Result<Self, DecodeError> {
        let wire::Welcome {
            protocol,
            session,
            resume,
            head,
            heartbeat_ms,
            spread_ms,
            retry_after_ms,
            reason,
        } = welcome;
        let resume = match wire::Resume::try_from(resume) {
            Ok(wire::Resume::InSync) => Resume::InSync(position("head", head)?),
            Ok(wire::Resume::Delta) => Resume::Delta(position("head", head)?),
            Ok(wire::Resume::Reconcile) => Resume::Reconcile(position("head", head)?),
            Ok(wire::Resume::Retry) => Resume::Retry(Retry {
                after: millis("retry_after_ms", retry_after_ms)?,
                reason: text("reason", reason, DETAIL_BYTES_MAX)?,
            }),
            Ok(wire::Resume::Unspecified) | Err(_) => return Err(unknown("resume", resume)),
        };
        Ok(Self {
            protocol,
            session: uuid("session", &session)?,
            resume,
            heartbeat: millis("heartbeat_ms", heartbeat_ms)?,
            spread: millis("spread_ms", spread_ms)?,
        })
    }
}
