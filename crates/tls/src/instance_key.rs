//! The key of an instance, or of a control plane that calls others; and the request for a certificate that it makes with it.

use std::fmt;

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, KeyPair,
    PublicKeyData as _,
};
use rustls::pki_types::{CertificateSigningRequestDer, PrivateKeyDer};

use crate::error::TlsError;
use crate::fingerprint::Fingerprint;
use crate::pem;

/// The key of an instance, or of a control plane that calls others: ECDSA on P-256.
pub struct InstanceKey(KeyPair);

/// A request for a certificate, verified: whoever made it has the key.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    pub(crate) key: rcgen::PublicKey,
}

/// Longest request, in bytes. One for a key on P-256 is a few hundred.
const REQUEST_BYTES_MAX: usize = 4 * 1024;

impl InstanceKey {
    /// A fresh key.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make() -> Result<Self, TlsError> {
        let key = KeyPair::generate().map_err(|error| TlsError::not_made("a key", &error))?;
        Ok(Self(key))
    }

    /// A key that was kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn from_pem(pem: &str) -> Result<Self, TlsError> {
        // Certificates may stand before it.
        let der = pem::private_key(pem.as_bytes())?;
        let key = KeyPair::try_from(&der).map_err(|error| TlsError::unreadable("a key", &error))?;
        Ok(Self(key))
    }

    /// The key as PEM (PKCS #8), to be kept where nobody else reads.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::block("PRIVATE KEY", self.0.serialized_der())
    }

    /// A request for a certificate, in DER (PKCS #10). It names nobody: the control plane says who
    /// the holder is.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn request(&self) -> Result<Vec<u8>, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params
            .serialize_request(&self.0)
            .map_err(|error| TlsError::not_made("a certificate request", &error))?;
        Ok(request.der().to_vec())
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }

    pub(crate) fn der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.0.serialize_der().into())
    }
}

impl CertificateRequest {
    /// Reads a request and verifies that it was made with its key.
    ///
    /// # Errors
    /// It is none, is too long, asks for more than a key's certificate, or another key signed it.
    pub fn read(der: &[u8]) -> Result<Self, TlsError> {
        let what = "the certificate request";
        if der.len() > REQUEST_BYTES_MAX {
            let why = format!("it is longer than {REQUEST_BYTES_MAX} bytes");
            return Err(TlsError::unreadable(what, &why));
        }
        let der = CertificateSigningRequestDer::from(der);
        let request = CertificateSigningRequestParams::from_der(&der)
            .map_err(|error| TlsError::unreadable(what, &error))?;
        Ok(Self {
            key: request.public_key,
        })
    }

    /// Of the key: equal requests come from the same holder.
    #[must_use]
    pub fn key(&self) -> Fingerprint {
        Fingerprint::of(self.key.der_bytes())
    }
}

/// Without the key.
impl fmt::Debug for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceKey")
    }
}
