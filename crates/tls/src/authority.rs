//! The authority: who says which instance is which.

use std::fmt;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use uuid::Uuid;
use x509_parser::parse_x509_certificate;

use crate::CLOCKS_DIFFER;
use crate::error::TlsError;
use crate::fingerprint::Fingerprint;
use crate::instance_key::{CertificateRequest, InstanceKey};
use crate::names::{ControlName, InstanceName, TrustDomain};
use crate::pem;

/// A certificate authority with its key.
pub struct Authority {
    /// Its own certificate, and what stands above it where it is no root.
    chain: Vec<Vec<u8>>,
    /// What peers are given to trust.
    anchor: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The time of issue; the certificate begins a little before.
    pub now: Timestamp,
    /// For how long from then on.
    pub lifetime: SignedDuration,
}

/// A certificate for a port, with its chain and its key.
pub struct ServerKey {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

/// How long an authority of our own lives: ten years.
const AUTHORITY_LIVES: SignedDuration = SignedDuration::from_hours(24 * 365 * 10);

impl Authority {
    /// Makes an authority: a root, with a fresh key (ECDSA on P-256). `id` tells it from others of
    /// its domain.
    ///
    /// # Errors
    /// The key cannot be made.
    pub fn make(domain: &TrustDomain, id: Uuid, now: Timestamp) -> Result<Self, TlsError> {
        let not_made = |error| TlsError::not_made("an authority", &error);
        let key = KeyPair::generate().map_err(not_made)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let name = format!("Ferryway authority {}", id.simple());
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, domain.to_string());
        // Only instances below it, and the control plane: no further authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(SerialNumber::from_slice(id.as_bytes()));
        limit(
            &mut params,
            Validity {
                now,
                lifetime: AUTHORITY_LIVES,
            },
        )?;
        let certificate = params.self_signed(&key).map_err(not_made)?;
        let der = certificate.der().to_vec();
        Ok(Self {
            chain: vec![der.clone()],
            anchor: der,
            issuer: Issuer::new(params, key),
        })
    }

    /// An authority that was made before.
    ///
    /// # Errors
    /// Certificate or key cannot be read, or do not belong together.
    pub fn from_der(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let key = KeyPair::try_from(key)
            .map_err(|error| TlsError::unreadable("the authority's key", &error))?;
        Self::of(vec![certificate.to_vec()], key)
    }

    /// An authority from files: the first certificate issues, with this key; what follows stands
    /// above it, up to a root where the file has it.
    ///
    /// # Errors
    /// Certificates or key cannot be read, the first is no authority, or they do not belong
    /// together.
    pub fn from_pem(certificates: &[u8], key: &str) -> Result<Self, TlsError> {
        let chain = pem::certificates(certificates)?;
        let der = pem::private_key(key.as_bytes())?;
        let key = KeyPair::try_from(&der)
            .map_err(|error| TlsError::unreadable("the authority's key", &error))?;
        Self::of(chain, key)
    }

    fn of(chain: Vec<Vec<u8>>, key: KeyPair) -> Result<Self, TlsError> {
        let unreadable =
            |why: &dyn fmt::Display| TlsError::unreadable("the authority's certificate", why);
        let own = chain.first().ok_or_else(|| unreadable(&"there is none"))?;
        let (_, parsed) = parse_x509_certificate(own).map_err(|error| unreadable(&error))?;
        if !parsed.is_ca() {
            let why = "the first certificate is none of an authority (CA: TRUE)";
            return Err(TlsError::Unfit(why.to_owned()));
        }
        if parsed.public_key().subject_public_key.data != key.public_key_raw() {
            let why = "the authority's key is not the one of its certificate";
            return Err(TlsError::Unfit(why.to_owned()));
        }
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(own.clone()), key)
            .map_err(|error| unreadable(&error))?;
        // A root where there is one; else the authority itself is what is trusted.
        let root = chain.iter().find(|der| is_root(der));
        let anchor = root.unwrap_or(own).clone();
        Ok(Self {
            chain,
            anchor,
            issuer,
        })
    }

    /// What peers are given to trust, in DER.
    #[must_use]
    pub fn anchor(&self) -> &[u8] {
        &self.anchor
    }

    /// Its certificates, its own first, in DER.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Of what peers are given to trust.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.anchor)
    }

    /// Its key, in DER (PKCS #8): to be sealed before it lies anywhere.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        self.issuer.key().serialize_der()
    }

    /// Says of another authority that it is to be trusted as this one is: so that whoever trusts
    /// only the older of two believes what the newer one issues.
    ///
    /// # Errors
    /// The other's certificate cannot be read, or the new one not made.
    pub fn vouch(
        &self,
        other: &Self,
        serial: Uuid,
        validity: Validity,
    ) -> Result<Vec<u8>, TlsError> {
        let not_made = |error| TlsError::not_made("a certificate between authorities", &error);
        let own = other.chain.first().map(Vec::as_slice).unwrap_or_default();
        let (_, parsed) = parse_x509_certificate(own)
            .map_err(|error| TlsError::unreadable("an authority's certificate", &error))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for attribute in parsed.subject().iter_attributes() {
            let Ok(text) = attribute.as_str() else {
                continue;
            };
            let kind = match attribute.attr_type().to_id_string().as_str() {
                "2.5.4.3" => DnType::CommonName,
                "2.5.4.10" => DnType::OrganizationName,
                _ => continue,
            };
            params.distinguished_name.push(kind, text);
        }
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
        limit(&mut params, validity)?;
        let certificate = params
            .signed_by(other.issuer.key(), &self.issuer)
            .map_err(not_made)?;
        Ok(certificate.der().to_vec())
    }

    /// A certificate for an instance, and what stands between it and what peers trust.
    ///
    /// Of the request only the key is taken: what the certificate says is ours to say.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn issue(
        &self,
        name: &InstanceName,
        request: &CertificateRequest,
        serial: Uuid,
        validity: Validity,
    ) -> Result<Vec<Vec<u8>>, TlsError> {
        self.issue_to_caller(&name.to_string(), &request.key, serial, validity)
    }

    /// A certificate for a control plane that calls others, and what stands between it and what
    /// peers trust.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn issue_to_control(
        &self,
        name: &ControlName,
        key: &InstanceKey,
        serial: Uuid,
        validity: Validity,
    ) -> Result<Vec<Vec<u8>>, TlsError> {
        self.issue_to_caller(&name.to_string(), key.pair(), serial, validity)
    }

    fn issue_to_caller(
        &self,
        uri: &str,
        key: &impl PublicKeyData,
        serial: Uuid,
        validity: Validity,
    ) -> Result<Vec<Vec<u8>>, TlsError> {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let params = leaf(uri, &[], usage, serial, validity)?;
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(|error| TlsError::not_made("a certificate", &error))?;
        Ok(self.with_chain(certificate.der().to_vec()))
    }

    /// A key and a certificate for a port of the control plane, which is reached under these host
    /// names and addresses. `vouched` are certificates by older authorities for this one.
    ///
    /// # Errors
    /// A name is none, or the key cannot be made.
    pub fn server_key(
        &self,
        domain: &TrustDomain,
        names: &[String],
        vouched: &[Vec<u8>],
        serial: Uuid,
        validity: Validity,
    ) -> Result<ServerKey, TlsError> {
        let not_made = |error| TlsError::not_made("a certificate", &error);
        let key = KeyPair::generate().map_err(not_made)?;
        let params = leaf(
            &domain.control(),
            names,
            ExtendedKeyUsagePurpose::ServerAuth,
            serial,
            validity,
        )?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(not_made)?;
        let mut chain = vec![certificate.der().to_vec()];
        chain.extend(self.chain.iter().cloned());
        chain.extend(vouched.iter().cloned());
        Ok(ServerKey {
            chain: chain.into_iter().map(CertificateDer::from).collect(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            not_after: end(validity),
        })
    }

    /// Without the root, which who verifies has.
    fn with_chain(&self, certificate: Vec<u8>) -> Vec<Vec<u8>> {
        let between = self.chain.iter().filter(|der| **der != self.anchor);
        std::iter::once(certificate)
            .chain(between.cloned())
            .collect()
    }
}

impl ServerKey {
    /// A certificate with its chain, and its key, from files.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = pem::certificates(certificates)?;
        let own = chain.first().map(Vec::as_slice).unwrap_or_default();
        let not_after = crate::Certificate::read(own)?.not_after;
        Ok(Self {
            chain: chain.into_iter().map(CertificateDer::from).collect(),
            key: pem::private_key(key)?,
            not_after,
        })
    }
}

fn leaf(
    uri: &str,
    names: &[String],
    usage: ExtendedKeyUsagePurpose,
    serial: Uuid,
    validity: Validity,
) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let no_name = |error| TlsError::not_made("a certificate", &error);
    let uri = uri.try_into().map_err(no_name)?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(no_name)?),
        });
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    limit(&mut params, validity)?;
    Ok(params)
}

fn end(Validity { now, lifetime }: Validity) -> Timestamp {
    now.checked_add(lifetime).unwrap_or(Timestamp::MAX)
}

fn limit(params: &mut CertificateParams, validity: Validity) -> Result<(), TlsError> {
    // One that lives for moments, in a test say, begins moments earlier.
    let before = CLOCKS_DIFFER.min(validity.lifetime / 10);
    let begin = validity.now.checked_sub(before).unwrap_or(Timestamp::MIN);
    let date = |at: Timestamp| {
        time::OffsetDateTime::from_unix_timestamp(at.as_second())
            .map_err(|error| TlsError::not_made("a certificate", &error))
    };
    (params.not_before, params.not_after) = (date(begin)?, date(end(validity))?);
    Ok(())
}

fn is_root(der: &[u8]) -> bool {
    parse_x509_certificate(der).is_ok_and(|(_, parsed)| parsed.subject() == parsed.issuer())
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

/// Without the key.
impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKey")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
