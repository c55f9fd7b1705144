use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::fingerprint::Fingerprint;

/// What lets a new instance in: `fwj1.ID.SECRET.FINGERPRINT`, the secret and the fingerprint in
/// base64url without padding.
///
/// The fingerprint is that of the authority: who holds the token knows the control plane before it
/// says the secret. The id says which record to compare with.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Which token.
    pub id: Uuid,
    secret: [u8; SECRET_BYTES],
    /// Of the authority whose control planes are asked.
    pub authority: Fingerprint,
}

/// A text that is no join token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no join token; take it whole, as `ferryway token create-join` showed it (fwj1.…)")]
pub struct InvalidJoinToken;

const SECRET_BYTES: usize = 32;
const FORM: &str = "fwj1";

impl JoinToken {
    /// A token with a fresh secret.
    ///
    /// # Errors
    /// A sentence, where the system's random source fails.
    pub fn make(id: Uuid, authority: Fingerprint) -> Result<Self, String> {
        let mut secret = [0; SECRET_BYTES];
        rand::fill(&mut secret).map_err(|_| "the system's random source failed".to_owned())?;
        Ok(Self {
            id,
            secret,
            authority,
        })
    }

    /// What must be known: only its digest is stored.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            secret,
            authority,
        } = self;
        let (secret, authority) = (encode(secret), encode(authority.as_bytes()));
        write!(f, "{FORM}.{}.{secret}.{authority}", id.simple())
    }
}

/// Without the secret.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            secret: _,
            authority,
        } = self;
        f.debug_struct("JoinToken")
            .field("id", id)
            .field("authority", authority)
            .finish_non_exhaustive()
    }
}

impl FromStr for JoinToken {
    type Err = InvalidJoinToken;

    fn from_str(text: &str) -> Result<Self, InvalidJoinToken> {
        let mut parts = text.trim().split('.');
        let mut next = || parts.next().ok_or(InvalidJoinToken);
        let (form, id, secret, authority) = (next()?, next()?, next()?, next()?);
        if form != FORM || parts.next().is_some() {
            return Err(InvalidJoinToken);
        }
        let id = Uuid::try_parse(id).map_err(|_| InvalidJoinToken)?;
        let token = Self {
            id,
            secret: decode(secret).ok_or(InvalidJoinToken)?,
            authority: Fingerprint::from_bytes(decode(authority).ok_or(InvalidJoinToken)?),
        };
        // One text for each token: another spelling of it is none.
        (token.to_string() == text.trim())
            .then_some(token)
            .ok_or(InvalidJoinToken)
    }
}

fn encode(bytes: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_were_written() {
        let token = JoinToken::make(Uuid::from_u128(7), Fingerprint::of(b"x")).unwrap();
        let text = token.to_string();
        assert_eq!(text.parse(), Ok(token.clone()));
        assert_eq!(format!(" {text}\n").parse(), Ok(token.clone()));
        let secret = text.split('.').nth(2).unwrap();
        assert_eq!(secret.len(), 43);
        assert!(!format!("{token:?}").contains(secret));
        for bad in [
            "",
            "fwj1",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}A"),
            &format!("{text}.A"),
            &text.replace("fwj1", "fwj2"),
            &text.replace(secret, ""),
            &text.replace(secret, "%"),
            &text.replace(secret, &secret[..42]),
        ] {
            assert_eq!(bad.parse::<JoinToken>(), Err(InvalidJoinToken), "{bad}");
        }
    }
}
