//! Where the authority comes from: the store, where it is made at the first start, or files.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferryway_tls::{
    Authority, Fingerprint, SecretKey, TrustDomain, certificates_pem, read_certificates,
};
use uuid::Uuid;

use super::{IdentitySettings, Proof, secret_key};
use crate::core::{AuthorityKeyRecord, AuthorityRecord, Core};

/// Where the authority comes from.
pub(super) enum Source {
    /// From the store, its key opened with this one.
    Store(SecretKey),
    /// From files.
    Files,
    /// From the store, and there is no key to open it with; a sentence why. Only where nobody needs
    /// certificates.
    Unopened(String),
}

/// What a sealed key is for.
const PURPOSE: &str = "ferryway authority key";

impl Source {
    /// Finds the authority, and makes one where there is none yet.
    ///
    /// # Errors
    /// A sentence for people.
    pub(super) async fn find(
        core: &Core,
        settings: &IdentitySettings,
        proof: Proof,
    ) -> Result<(Self, Vec<Authority>), String> {
        if let Some(files) = &settings.authority_files {
            return Ok((Self::Files, vec![given(files)?]));
        }
        match stored_or_made(core, settings).await {
            Ok((key, authorities)) => Ok((Self::Store(key), authorities)),
            Err(why) if proof == Proof::None => {
                tracing::warn!(why, "no join tokens can be made here");
                Ok((Self::Unopened(why), Vec::new()))
            }
            Err(why) => Err(why),
        }
    }
}

fn given((certificate, key): &(PathBuf, PathBuf)) -> Result<Authority, String> {
    let read = |path: &PathBuf, flag: &str| {
        fs::read(path).map_err(|error| format!("cannot read {} ({flag}): {error}", path.display()))
    };
    let pem = read(certificate, "--ca-cert")?;
    let key_pem = String::from_utf8(read(key, "--ca-key")?)
        .map_err(|_| format!("{} (--ca-key) is no PEM", key.display()))?;
    Authority::from_pem(&pem, &key_pem).map_err(|error| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("--ca-cert {certificate} and --ca-key {key}: {error}")
    })
}

async fn stored_or_made(
    core: &Core,
    settings: &IdentitySettings,
) -> Result<(SecretKey, Vec<Authority>), String> {
    let place = settings.secret_key_place();
    let is_made = core.authorities().is_some();
    let key = match secret_key::read(&place)? {
        Some(key) => key,
        None if is_made || settings.secret_key_file.is_some() => {
            let place = place.display();
            return Err(if is_made {
                format!(
                    "the store has an authority already, and there is no {place} to open it with; {PUT_IT}"
                )
            } else {
                format!(
                    "there is no {place} (--secret-key-file); openssl rand -base64 {} makes a key",
                    SecretKey::LEN
                )
            });
        }
        None => secret_key::make(&place)?,
    };
    if !is_made {
        let (record, _) = make(core, &key, &settings.trust_domain)?;
        core.first_authority(record)
            .await
            .map_err(|error| format!("cannot keep the authority: {error}"))?;
    }
    let record = core.authorities().ok_or("the authority was not kept")?;
    let authorities = opened(&record, &key).map_err(|why| {
        let place = place.display();
        format!("the key in {place} does not open the store's authority ({why}); {PUT_IT}")
    })?;
    Ok((key, authorities))
}

/// What to do where the secret key is not the store's.
const PUT_IT: &str = "all control planes on one store have the same secret key: put the secret.key \
                      of the one that began the store there, or name it with --secret-key-file";
/// What can't happen, in words.
pub(super) const NONE: &str = "there is no authority";

/// Makes an authority, and its record.
///
/// # Errors
/// A sentence.
pub(super) fn make(
    core: &Core,
    key: &SecretKey,
    domain: &TrustDomain,
) -> Result<(AuthorityKeyRecord, Fingerprint), String> {
    let authority =
        Authority::make(domain, Uuid::now_v7(), core.now()).map_err(|error| error.to_string())?;
    let sealed = key.seal(PURPOSE, &authority.key())?;
    let record = AuthorityKeyRecord {
        certificate: certificates_pem([authority.anchor()]),
        sealed_key: STANDARD.encode(sealed),
    };
    Ok((record, authority.fingerprint()))
}

/// The authorities of a record, the newest last.
///
/// # Errors
/// A sentence: this is not the key that sealed them, or they are damaged.
pub(super) fn opened(record: &AuthorityRecord, key: &SecretKey) -> Result<Vec<Authority>, String> {
    let open = |one: &AuthorityKeyRecord| {
        let AuthorityKeyRecord {
            certificate,
            sealed_key,
        } = one;
        let sealed = STANDARD.decode(sealed_key).unwrap_or_default();
        let plain = key
            .open(PURPOSE, &sealed)
            .map_err(|error| error.to_string())?;
        let certificates =
            read_certificates(certificate.as_bytes()).map_err(|error| error.to_string())?;
        let own = certificates.first().map(Vec::as_slice).unwrap_or_default();
        Authority::from_der(own, &plain).map_err(|error| error.to_string())
    };
    record.authorities.iter().map(open).collect()
}
