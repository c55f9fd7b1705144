//! The other end of a connection: an instance's, a control plane's that calls another one, or that of
//! whoever calls the API.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::error::{HandshakeError, TlsError};
use crate::fingerprint::Fingerprint;
use crate::instance_key::InstanceKey;
use crate::provider::{Now, provider};
use crate::verify::{ControlVerifier, Trusted, roots};

/// Connects with TLS. Clones share what they trust and show.
#[derive(Clone)]
pub struct Connector(Arc<ClientConfig>);

/// A connection, to read from and write to.
pub type Connected<IO> = tokio_rustls::client::TlsStream<IO>;

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

impl Connector {
    /// To a control plane whose authority has this fingerprint, with no certificate of our own.
    ///
    /// # Errors
    /// rustls cannot be set up.
    pub fn pinned(authority: Fingerprint, now: Now) -> Result<Self, TlsError> {
        Self::to_control(Trusted::Pinned(authority), None, now)
    }

    /// To a control plane of one of these authorities, as the instance, or the control plane, that
    /// `chain` is for.
    ///
    /// # Errors
    /// An authority cannot be read, or the key is not that of the certificate.
    pub fn of_instance<'a>(
        anchors: impl IntoIterator<Item = &'a [u8]>,
        chain: &[Vec<u8>],
        key: &InstanceKey,
        now: Now,
    ) -> Result<Self, TlsError> {
        let anchors = Trusted::Anchors(Arc::new(roots(anchors)?));
        Self::to_control(anchors, Some((chain, key)), now)
    }

    fn to_control(
        trusted: Trusted,
        shows: Option<(&[Vec<u8>], &InstanceKey)>,
        now: Now,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let verifier = ControlVerifier::new(trusted, &provider);
        let builder = ClientConfig::builder_with_details(provider, Arc::new(now))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsError::not_made("a TLS client", &error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match shows {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = chain.iter().cloned().map(CertificateDer::from).collect();
                builder
                    .with_client_auth_cert(chain, key.der())
                    .map_err(|error| TlsError::Unfit(error.to_string()))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// To a server of the API whose certificate is under one of these authorities and names the
    /// host that is called.
    ///
    /// # Errors
    /// An authority cannot be read.
    pub fn to_api<'a>(
        anchors: impl IntoIterator<Item = &'a [u8]>,
        now: Now,
    ) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_details(provider(), Arc::new(now))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsError::not_made("a TLS client", &error))?
            .with_root_certificates(roots(anchors)?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// Makes a TLS connection to `host` (a name or an address) of a plain one.
    ///
    /// # Errors
    /// There is no TLS connection, in words.
    pub async fn connect<IO>(&self, host: &str, io: IO) -> Result<Connected<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| HandshakeError::Refused(format!("{host:?} is no host name")))?;
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let connected = tokio::time::timeout(HANDSHAKE_MAX, connector.connect(name, io)).await;
        Ok(connected.map_err(|_| HandshakeError::TimedOut(HANDSHAKE_MAX))??)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}
