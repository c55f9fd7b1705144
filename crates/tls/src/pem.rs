//! PEM, as people and files have it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::TlsError;

/// Most certificates read from one text.
const CERTIFICATES_MAX: usize = 64;

/// The certificates of a PEM text, in DER; at least one.
///
/// # Errors
/// There is none, or one cannot be read.
pub fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, TlsError> {
    let all = CertificateDer::pem_slice_iter(pem).take(CERTIFICATES_MAX);
    let all: Result<Vec<_>, _> = all.collect();
    let all = all.map_err(|error| TlsError::unreadable("a certificate", &error))?;
    if all.is_empty() {
        return Err(TlsError::unreadable(
            "a certificate",
            &"there is no BEGIN CERTIFICATE",
        ));
    }
    Ok(all.into_iter().map(|der| der.to_vec()).collect())
}

/// Certificates as PEM.
#[must_use]
pub fn certificates_pem<'a>(all: impl IntoIterator<Item = &'a [u8]>) -> String {
    all.into_iter()
        .map(|der| block("CERTIFICATE", der))
        .collect()
}

pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|error| TlsError::unreadable("a private key", &error))
}

pub(crate) fn block(label: &str, der: &[u8]) -> String {
    const LINE: usize = 64;
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(LINE) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
