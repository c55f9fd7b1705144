//! TLS, certificates and what else is made of keys: the one crate that knows rustls.
//!
//! - [`Authority`] issues certificates: to instances for what they are ([`InstanceName`], as a
//!   SPIFFE id), to the control plane for its ports, and for its calls of others ([`ControlName`]).
//! - [`Acceptor`] is the control plane's end of a connection, [`Connector`] the other one. Both
//!   speak TLS 1.3 only, and both can be given new certificates while they are in use.
//! - [`Certificate`] is what is read out of a peer's certificate.
//! - [`JoinToken`] is how a new instance is let in, and how it knows the control plane.
//! - [`SecretKey`] seals what must lie in the store and be read by the control plane alone.
//!
//! Two decisions are made here. An instance knows the control plane by its SPIFFE id under an
//! authority that it trusts, and not by the address it dialled: addresses change, and every
//! certificate of the authority says what its holder is. And whether a client's certificate is
//! still in its time is no matter of the handshake: a chain is verified there, and the time is
//! asked for afterwards ([`Certificate::time`]), so that whoever comes too late is told so in words.
//!
//! The provider is aws-lc-rs, and is passed to rustls each time: a default that another crate could
//! set is never relied upon. Time is passed in.
//!
//! This crate must not know: the delivery protocol, the REST API, the store, files.

mod accept;
mod authority;
mod certificate;
mod connect;
mod error;
mod fingerprint;
mod instance_key;
mod join_token;
mod names;
mod pem;
mod provider;
mod seal;
#[cfg(test)]
mod tests;
mod verify;

pub use accept::{Accepted, Acceptor};
pub use authority::{Authority, ServerKey, Validity};
pub use certificate::{Certificate, Time};
pub use connect::{Connected, Connector};
pub use error::{HandshakeError, TlsError};
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use instance_key::{CertificateRequest, InstanceKey};
pub use join_token::{InvalidJoinToken, JoinToken};
pub use names::{ControlName, InstanceName, InvalidName, TrustDomain};
pub use pem::{certificates as read_certificates, certificates_pem};
pub use provider::Now;
pub use seal::{SecretKey, Unsealed};

/// For how long after its end a certificate may still be renewed.
pub const RENEWABLE_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);
/// Certificates begin so long before they are issued: clocks differ.
pub const CLOCKS_DIFFER: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
