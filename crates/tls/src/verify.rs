//! How the two ends verify each other's certificates.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, RootCertStore, SignatureScheme,
};

use crate::certificate::{Certificate, uris};
use crate::error::TlsError;
use crate::fingerprint::Fingerprint;
use crate::names::is_control;
use crate::provider::unix;

/// Whom a client takes for a control plane.
#[derive(Clone, Debug)]
pub(crate) enum Trusted {
    /// Whoever is under one of these authorities.
    Anchors(Arc<RootCertStore>),
    /// Whoever is under the authority of this fingerprint, and shows it.
    Pinned(Fingerprint),
}

/// Verifies a control plane: the chain, the time, and that its SPIFFE id is a control plane's. The
/// address that was dialled says nothing: it is not asked for.
#[derive(Debug)]
pub(crate) struct ControlVerifier {
    trusted: Trusted,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Verifies an instance's chain, and leaves the time to who answers it.
#[derive(Debug)]
pub(crate) struct InstanceVerifier {
    chains: Arc<dyn ClientCertVerifier>,
}

/// A sentence of ours, as an error of rustls.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

fn refused(why: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Said(why)))))
}

/// A set of certificates that are trusted.
pub(crate) fn roots<'a>(
    anchors: impl IntoIterator<Item = &'a [u8]>,
) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for der in anchors {
        store
            .add(CertificateDer::from(der.to_vec()))
            .map_err(|error| TlsError::unreadable("a certificate of an authority", &error))?;
    }
    Ok(store)
}

impl ControlVerifier {
    pub(crate) fn new(trusted: Trusted, provider: &CryptoProvider) -> Self {
        Self {
            trusted,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn anchors(&self, intermediates: &[CertificateDer<'_>]) -> Result<Arc<RootCertStore>, Error> {
        match &self.trusted {
            Trusted::Anchors(store) => Ok(Arc::clone(store)),
            Trusted::Pinned(fingerprint) => {
                let shown = intermediates
                    .iter()
                    .find(|der| Fingerprint::of(der) == *fingerprint);
                let shown = shown.ok_or_else(|| {
                    refused(format!(
                        "the control plane is of another authority than the join token's \
                         ({fingerprint}); this is another control plane, or the token is older \
                         than its authority: make a new one"
                    ))
                })?;
                roots([shown.as_ref()])
                    .map(Arc::new)
                    .map_err(|error| refused(error.to_string()))
            }
        }
    }
}

impl ServerCertVerifier for ControlVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let anchors = self.anchors(intermediates)?;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &anchors,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        let uris = uris(end_entity).map_err(|error| refused(error.to_string()))?;
        if !uris.first().is_some_and(|uri| is_control(uri)) {
            let why = "the certificate is trusted, but is none of a control plane";
            return Err(refused(why.to_owned()));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl InstanceVerifier {
    pub(crate) fn new(
        anchors: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider)
            .clear_root_hint_subjects()
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::not_made("a verifier", &error))?;
        Ok(Self { chains })
    }
}

impl ClientCertVerifier for InstanceVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let certificate =
            Certificate::read(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let (begin, end) = (unix(certificate.not_before), unix(certificate.not_after));
        let within = now.as_secs().max(begin.as_secs()).min(end.as_secs());
        let within = UnixTime::since_unix_epoch(std::time::Duration::from_secs(within));
        self.chains
            .verify_client_cert(end_entity, intermediates, within)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
