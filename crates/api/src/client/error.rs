//! What can go wrong between a client and its control plane.

use std::io;
use std::time::Duration;

use crate::problem::ProblemDetails;

/// Why a call brought no answer of the kind asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection, none that lasted to the end of the answer, or no answer in time. Whether the
    /// control plane did what it was asked is not known.
    #[error("cannot reach the control plane at {server}")]
    Unreachable {
        /// The control plane, as `http://HOST:PORT`.
        server: String,
        /// The network's reason.
        source: io::Error,
    },
    /// The control plane understood the call and says no; nothing was changed.
    #[error("{}", .0.detail)]
    Refused(Box<ProblemDetails>),
    /// What answers there is no control plane, or one that this client does not understand.
    #[error("the answer of {server} is not one of a control plane: {what}")]
    Protocol {
        /// The server, as `http://HOST:PORT`.
        server: String,
        /// What is wrong with the answer.
        what: String,
    },
}

/// Why a text cannot name a control plane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServer {
    /// The scheme is `https`, and it was not said whom to believe.
    #[error("{0:?} asks for TLS, and there is nothing to believe its certificate by")]
    Tls(String),
    /// What the server's certificate should be believed by is of no use.
    #[error("the server's certificate cannot be verified by what was given: {0}")]
    Authorities(String),
    /// Not of the form.
    #[error("{0:?} is no address of a control plane: write http://HOST:PORT or https://HOST:PORT")]
    Form(String),
    /// The token has characters that no header can carry. It is not repeated here.
    #[error("the API token has characters that no token has")]
    Token,
}

/// Nothing came for this long.
pub(super) fn silence(limit: Duration) -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no answer within {} s", limit.as_secs()),
    )
}
