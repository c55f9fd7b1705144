//! The control plane's end of a connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::authority::ServerKey;
use crate::certificate::Certificate;
use crate::error::{HandshakeError, TlsError};
use crate::provider::{Now, provider};
use crate::verify::{InstanceVerifier, roots};

/// Accepts TLS. Clones share their certificates.
#[derive(Clone)]
pub struct Acceptor {
    current: Arc<ArcSwap<ServerConfig>>,
    clients: Clients,
    now: Now,
}

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clients {
    Instances,
    Anybody,
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted<IO> {
    /// To read from and write to.
    pub stream: TlsStream<IO>,
    /// The client's certificate, if it showed one. Its chain was verified, its time was not.
    pub certificate: Option<Certificate>,
}

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

impl Acceptor {
    /// For instances and control planes: with a certificate of one of these authorities, or with none, which is for
    /// who has no certificate yet.
    ///
    /// # Errors
    /// The key is not that of its certificate, or an authority cannot be read.
    pub fn of_instances<'a>(
        key: ServerKey,
        anchors: impl IntoIterator<Item = &'a [u8]>,
        now: Now,
    ) -> Result<Self, TlsError> {
        let config = instances(key, anchors, &now)?;
        Ok(Self::with(config, Clients::Instances, now))
    }

    /// For anybody: no certificate is asked for.
    ///
    /// # Errors
    /// The key is not that of its certificate.
    pub fn of_anybody(key: ServerKey, now: Now) -> Result<Self, TlsError> {
        let config = anybody(key, &now)?;
        Ok(Self::with(config, Clients::Anybody, now))
    }

    fn with(config: ServerConfig, clients: Clients, now: Now) -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(config)),
            clients,
            now,
        }
    }

    /// From now on accepts with another key, and clients of these authorities. Connections that
    /// there are go on.
    ///
    /// # Errors
    /// As when it was made; then everything stays as it is.
    pub fn replace<'a>(
        &self,
        key: ServerKey,
        anchors: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), TlsError> {
        let config = match self.clients {
            Clients::Instances => instances(key, anchors, &self.now)?,
            Clients::Anybody => anybody(key, &self.now)?,
        };
        self.current.store(Arc::new(config));
        Ok(())
    }

    /// Accepts a connection.
    ///
    /// # Errors
    /// There is no TLS connection, in words.
    pub async fn accept<IO>(&self, io: IO) -> Result<Accepted<IO>, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.current.load_full());
        let accepted = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(io)).await;
        let stream = accepted.map_err(|_| HandshakeError::TimedOut(HANDSHAKE_MAX))??;
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(|chain| chain.first());
        let certificate = shown
            .map(|der| Certificate::read(der))
            .transpose()
            .map_err(|error| HandshakeError::Refused(error.to_string()))?;
        Ok(Accepted {
            stream,
            certificate,
        })
    }
}

fn instances<'a>(
    key: ServerKey,
    anchors: impl IntoIterator<Item = &'a [u8]>,
    now: &Now,
) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let verifier = InstanceVerifier::new(roots(anchors)?, Arc::clone(&provider))?;
    let builder = ServerConfig::builder_with_details(provider, Arc::new(now.clone()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| TlsError::not_made("a TLS server", &error))?
        .with_client_cert_verifier(Arc::new(verifier));
    let config = builder
        .with_single_cert(key.chain, key.key)
        .map_err(|error| TlsError::Unfit(error.to_string()))?;
    let mut config = lean(config);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn anybody(key: ServerKey, now: &Now) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_details(provider(), Arc::new(now.clone()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| TlsError::not_made("a TLS server", &error))?
        .with_no_client_auth();
    let config = builder
        .with_single_cert(key.chain, key.key)
        .map_err(|error| TlsError::Unfit(error.to_string()))?;
    let mut config = lean(config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// No sessions to resume: an instance stays connected for days, and what was kept for its return
/// would be memory for nothing.
fn lean(mut config: ServerConfig) -> ServerConfig {
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}
