//! Sealing: what lies in the store and only the control plane shall read.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;

/// A key of the control plane's own, which is not in the store. Without it a copy of the store says
/// nothing of what is sealed there.
#[derive(Debug)]
pub struct SecretKey(RandomizedNonceKey);

/// What was sealed cannot be opened: by another key, for another purpose, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was sealed with another secret key, or was changed since")]
pub struct Unsealed;

impl SecretKey {
    /// Its length in bytes.
    pub const LEN: usize = 32;

    /// Bytes for a new key, from the system's random source.
    ///
    /// # Errors
    /// A sentence, where that source fails.
    pub fn random() -> Result<[u8; Self::LEN], String> {
        let mut bytes = [0; Self::LEN];
        rand::fill(&mut bytes).map_err(|_| "the system's random source failed".to_owned())?;
        Ok(bytes)
    }

    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; Self::LEN]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("the length is the algorithm's"))
    }

    /// Seals `plain` for one purpose: whoever opens it must name the same. A fresh random nonce
    /// comes first.
    ///
    /// # Errors
    /// A sentence, where the system's random source fails.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, String> {
        let mut sealed = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(purpose), &mut sealed)
            .map_err(|_| "the system's random source failed".to_owned())?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Ok(whole)
    }

    /// Opens what was sealed for this purpose.
    ///
    /// # Errors
    /// It was not, or not by this key, or it was changed.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, Unsealed> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(Unsealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealed)?;
        let mut rest = rest.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(purpose), &mut rest);
        plain.map(|plain| plain.to_vec()).map_err(|_| Unsealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only() {
        let key = SecretKey::new(&SecretKey::random().unwrap());
        let sealed = key.seal("a", b"secret").unwrap();
        assert_eq!(key.open("a", &sealed).as_deref(), Ok(&b"secret"[..]));
        assert_eq!(key.open("b", &sealed), Err(Unsealed));
        assert_ne!(
            key.seal("a", b"secret").unwrap(),
            sealed,
            "a nonce is used once"
        );
        let other = SecretKey::new(&[7; 32]);
        assert_eq!(other.open("a", &sealed), Err(Unsealed));
        for n in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[n] ^= 1;
            assert_eq!(key.open("a", &changed), Err(Unsealed), "byte {n}");
            assert_eq!(key.open("a", &sealed[..n]), Err(Unsealed), "cut at {n}");
        }
    }
}
