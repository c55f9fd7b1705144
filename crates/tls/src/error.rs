//! What goes wrong with keys and certificates, and on the way to a connection.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// A key or a certificate that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate, key or request can be read in it.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// What should have been there.
        what: &'static str,
        /// Why it is none.
        why: String,
    },
    /// A certificate and a key that do not belong together, or a chain that is none.
    #[error("{0}")]
    Unfit(String),
    /// It could not be made.
    #[error("cannot make {what}: {why}")]
    NotMade {
        /// What should have been made.
        what: &'static str,
        /// Why not.
        why: String,
    },
}

/// A connection that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The other end shows a certificate that is not accepted here. A sentence for people.
    #[error("{0}")]
    Refused(String),
    /// The other end refused, or broke off.
    #[error("{0}")]
    ByPeer(String),
    /// The connection failed.
    #[error("the connection broke during the TLS handshake")]
    Io(#[source] io::Error),
    /// No answer in time.
    #[error("no TLS handshake within {0:?}")]
    TimedOut(std::time::Duration),
}

impl TlsError {
    pub(crate) fn unreadable(what: &'static str, why: &dyn std::fmt::Display) -> Self {
        let why = why.to_string();
        Self::Unreadable { what, why }
    }

    pub(crate) fn not_made(what: &'static str, why: &dyn std::fmt::Display) -> Self {
        let why = why.to_string();
        Self::NotMade { what, why }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>());
        match tls {
            Some(Error::AlertReceived(alert)) => Self::ByPeer(alert_in_words(*alert)),
            Some(Error::InvalidCertificate(why)) => Self::Refused(certificate_in_words(why)),
            Some(Error::InvalidMessage(_)) => Self::ByPeer(
                "what came is no TLS; is that the delivery port, and does it run with --dev?"
                    .to_owned(),
            ),
            Some(other) => Self::ByPeer(format!("no TLS connection: {other}")),
            None => Self::Io(error),
        }
    }
}

/// What the other end's alert means here.
fn alert_in_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => {
            "the other end does not trust the authority of our certificate".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked => {
            format!("the other end does not accept our certificate ({alert:?})")
        }
        other => format!("the other end broke off the TLS handshake ({other:?})"),
    }
}

fn certificate_in_words(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "the certificate is of an authority that is not trusted here".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired by this host's clock; is the clock right?".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet by this host's clock; is the clock right?".to_owned()
        }
        CertificateError::Other(other) => other.to_string(),
        other => format!("the certificate is not accepted: {other}"),
    }
}
