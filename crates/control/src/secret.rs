//! Secrets that callers show. Neither memory, store nor log holds one: only its digest is kept, and
//! compared in a time that doesn't depend on what is compared.
//!
//! A plain digest is right because every secret is random and long: there is no list of likely ones
//! to try against it, which is what slow password hashes are for.

use ferryway_model::Digest;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// The digest of a secret.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretDigest(Digest);

impl SecretDigest {
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(Digest::of(secret))
    }

    /// Whether both are of the same secret.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// 256 bits from the system's random source, as hexadecimal digits: the digest of three random
/// UUIDs, which hold 366.
pub(crate) fn random_hex() -> String {
    let random = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    let bytes: Vec<u8> = random.iter().flat_map(|uuid| *uuid.as_bytes()).collect();
    blake3::hash(&bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_secrets_apart() {
        let digest = SecretDigest::of(b"a secret");
        assert!(digest.equals(&SecretDigest::of(b"a secret")));
        assert!(!digest.equals(&SecretDigest::of(b"a secreT")));
        assert!(!format!("{digest:?}").contains("a secret"));
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let (a, b) = (random_hex(), random_hex());
        assert_eq!((a.len(), b.len()), (64, 64));
        assert_ne!(a, b);
    }
}
