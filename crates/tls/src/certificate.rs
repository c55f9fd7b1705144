use std::fmt;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::RENEWABLE_FOR;
use crate::error::TlsError;
use crate::names::{ControlName, InstanceName};

/// What is read out of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Which instance it is for; none: it is for something else.
    pub instance: Option<InstanceName>,
    /// Which control plane it is for, as a caller of others; none: it is for something else.
    pub control: Option<ControlName>,
    /// Its number. Ours are UUIDs that rise with the time of issue.
    pub serial: Uuid,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// How a certificate stands to the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// It is valid.
    Valid,
    /// It will be.
    Early,
    /// It was, and may be exchanged for a new one.
    Renewable,
    /// It was, too long ago.
    Expired,
}

impl Certificate {
    /// Reads a certificate in DER. Nothing is verified.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(der: &[u8]) -> Result<Self, TlsError> {
        let what = "a certificate";
        let (_, parsed) =
            parse_x509_certificate(der).map_err(|error| TlsError::unreadable(what, &error))?;
        let time = |seconds: i64| {
            Timestamp::from_second(seconds).map_err(|error| TlsError::unreadable(what, &error))
        };
        let uris = uris(der)?;
        let uri = uris.first();
        Ok(Self {
            instance: uri.and_then(|uri| uri.parse().ok()),
            control: uri.and_then(|uri| uri.parse().ok()),
            serial: serial(parsed.raw_serial()),
            not_before: time(parsed.validity().not_before.timestamp())?,
            not_after: time(parsed.validity().not_after.timestamp())?,
        })
    }

    /// How it stands to the time.
    #[must_use]
    pub fn time(&self, now: Timestamp) -> Time {
        if now < self.not_before {
            Time::Early
        } else if now <= self.not_after {
            Time::Valid
        } else if now.duration_since(self.not_after) <= RENEWABLE_FOR {
            Time::Renewable
        } else {
            Time::Expired
        }
    }

    /// For how long it is valid.
    #[must_use]
    pub fn lifetime(&self) -> SignedDuration {
        self.not_after.duration_since(self.not_before)
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            instance,
            control,
            serial,
            not_before,
            not_after,
        } = self;
        match (instance, control) {
            (Some(name), _) => write!(f, "{name}")?,
            (None, Some(name)) => write!(f, "{name}")?,
            (None, None) => f.write_str("a certificate of no instance")?,
        }
        write!(f, " ({}, {not_before} to {not_after})", serial.simple())
    }
}

/// The URIs that a certificate is for. One that names several is for none of them: which one was
/// meant would be anybody's guess.
pub(crate) fn uris(der: &[u8]) -> Result<Vec<String>, TlsError> {
    let what = "a certificate";
    let (_, parsed) =
        parse_x509_certificate(der).map_err(|error| TlsError::unreadable(what, &error))?;
    let names = parsed
        .subject_alternative_name()
        .map_err(|error| TlsError::unreadable(what, &error))?;
    let uris = names
        .into_iter()
        .flat_map(|names| &names.value.general_names);
    let uris: Vec<_> = uris
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        })
        .collect();
    Ok(if uris.len() == 1 { uris } else { Vec::new() })
}

/// A serial number as a UUID; a longer one is none of ours, and is told apart by its last bytes.
fn serial(raw: &[u8]) -> Uuid {
    let last = raw.last_chunk::<16>().copied();
    let bytes = last.unwrap_or_else(|| {
        let mut bytes = [0; 16];
        bytes[16 - raw.len()..].copy_from_slice(raw);
        bytes
    });
    Uuid::from_bytes(bytes)
}
