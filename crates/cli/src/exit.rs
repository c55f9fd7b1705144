//! How a command ends.

use std::io;
use std::process::ExitCode;

use ferryway_api::ClientError;
use ferryway_api::{Problem, ProblemDetails};

use crate::plan::count;

/// The exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It failed, was rejected, or did not end in time.
    Failed = 1,
    /// It was asked for in a way that cannot be understood. Clap exits with it, too.
    Usage = 2,
    /// The plan refuses it, or a dry run says that it would.
    Refused = 3,
    /// Delivery stopped before all had it, or went back.
    Halted = 4,
    /// There is no control plane where one was looked for.
    Unreachable = 5,
    /// `diff --exit-code` found a difference.
    Different = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not get to its end. What it shows is a fragment in lower case.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments cannot go together.
    #[error("{0}")]
    Usage(String),
    /// The control plane's plan has an error in it: nothing was changed.
    #[error("{}", .0.detail)]
    Plan(Box<ProblemDetails>),
    /// A plan that was asked for has errors in it: nothing was changed.
    #[error("{}, and nothing was changed", count(.0.len(), "problem"))]
    Refused(Vec<Problem>),
    /// The call did not bring what it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file, the terminal or a program of this machine.
    #[error("{what}")]
    Local {
        /// What could not be done, with the object.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Files that are wrong, each with the place in it.
    #[error("{} in files", count(.0.len(), "problem"))]
    Files(Vec<Problem>),
    /// Anything else that is said in one sentence.
    #[error("{0}")]
    Other(String),
    /// The reader of the output has gone away: nobody is left to complain to.
    #[error("nobody reads the output")]
    Unread,
}

impl Failure {
    /// A failure of the system, and what it kept from being done.
    pub(crate) fn local(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Local { what, source }
    }

    /// The error of a call that makes an operation: its refusal is the plan's.
    pub(crate) fn of_change(error: ClientError) -> Self {
        match error {
            ClientError::Refused(details) if PLAN_STATUSES.contains(&details.status) => {
                Self::Plan(details)
            }
            error => Self::Client(error),
        }
    }

    /// The code to exit with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Plan(_) | Self::Refused(_) => Exit::Refused,
            Self::Client(ClientError::Unreachable { .. }) => Exit::Unreachable,
            Self::Client(ClientError::Refused(_) | ClientError::Protocol { .. })
            | Self::Local { .. }
            | Self::Files(_)
            | Self::Other(_) => Exit::Failed,
            Self::Unread => Exit::Done,
        }
    }

    /// The problems that the control plane found, beside what the failure says itself.
    pub(crate) fn problems(&self) -> &[Problem] {
        match self {
            Self::Plan(details) | Self::Client(ClientError::Refused(details)) => &details.problems,
            Self::Files(problems) | Self::Refused(problems) => problems,
            _ => &[],
        }
    }

    /// What to do about it, where the message does not say so.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Client(ClientError::Unreachable { .. }) => Some(
                "start one with `ferryway demo` or `ferryway-control --dev --data-dir DIR`, or \
                 name one with --server",
            ),
            Self::Client(ClientError::Refused(details)) if details.status == UNAUTHORIZED => {
                Some("give the token with --token, FERRYWAY_TOKEN or `ferryway context add`")
            }
            _ => None,
        }
    }
}

/// The statuses that say what a plan says: the state forbids it, the content is wrong. Others are
/// about the call itself, 404 too: what does not exist has no plan.
const PLAN_STATUSES: [u16; 2] = [409, 422];
const UNAUTHORIZED: u16 = 401;

#[cfg(test)]
mod tests {
    use super::*;

    fn details(status: u16) -> ClientError {
        ClientError::Refused(Box::new(ProblemDetails {
            kind: String::new(),
            title: String::new(),
            status,
            detail: String::new(),
            problems: Vec::new(),
        }))
    }

    fn unreachable() -> ClientError {
        ClientError::Unreachable {
            server: String::new(),
            source: io::ErrorKind::ConnectionRefused.into(),
        }
    }

    #[test]
    fn failures_and_their_codes() {
        for (failure, expect) in [
            (Failure::Usage(String::new()), 2),
            (Failure::of_change(details(404)), 1),
            (Failure::of_change(details(409)), 3),
            (Failure::of_change(details(422)), 3),
            (Failure::of_change(details(400)), 1),
            (Failure::of_change(details(401)), 1),
            (Failure::of_change(details(503)), 1),
            (Failure::of_change(unreachable()), 5),
            (Failure::Client(details(409)), 1),
            (Failure::Client(unreachable()), 5),
            (Failure::Other(String::new()), 1),
            (Failure::Unread, 0),
        ] {
            assert_eq!(failure.exit() as u8, expect, "{failure:?}");
        }
    }
}
