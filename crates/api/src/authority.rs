//! The authority of the instances' certificates, and how far it is exchanged for a new one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who issues the instances' certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorityState {
    /// The first part of all names in certificates: `spiffe://TRUST_DOMAIN/…`.
    pub trust_domain: String,
    /// Whether it was given by file; then it is exchanged there too.
    pub given: bool,
    /// The authorities that are trusted, the newest last: it is the one that issues. Two while one
    /// is exchanged for the other.
    pub authorities: Vec<AuthorityItem>,
}

/// One authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorityItem {
    /// The SHA-256 of its certificate, in hexadecimal digits: what join tokens carry.
    pub fingerprint: String,
    /// Its certificate, as PEM.
    pub certificate: String,
    /// Whether it issues.
    pub issues: bool,
    /// How many instances hold a certificate of it, by group.
    pub instances: BTreeMap<String, u64>,
}
