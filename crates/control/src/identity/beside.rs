//! How control planes know each other: each gives itself certificates of the authority that they
//! share. An instance can't: the authority's key is with the control planes alone.

use ferryway_tls::{Connector, ControlName, InstanceKey, Now, TlsError, Validity};
use jiff::SignedDuration;
use uuid::Uuid;

use super::source::NONE;
use super::{Identity, anchors};

/// How long the certificate of a call lives. It is looked at when the call begins, and each call has
/// one of its own.
const CALL_CERTIFICATE_LIVES: SignedDuration = SignedDuration::from_hours(1);

impl Identity {
    /// What a call of another control plane is made with, as this one; none where delivery ports
    /// speak plaintext.
    ///
    /// # Errors
    /// The certificate cannot be made.
    pub(crate) fn caller(&self, plane: Uuid) -> Result<Option<Connector>, TlsError> {
        if self.0.acceptor.is_none() {
            return Ok(None);
        }
        let authorities = self.authorities();
        let none = || TlsError::Unfit(NONE.to_owned());
        let newest = authorities.last().ok_or_else(none)?;
        let name = ControlName {
            domain: self.0.domain.clone(),
            plane,
        };
        let validity = Validity {
            now: self.0.core.now(),
            lifetime: CALL_CERTIFICATE_LIVES,
        };
        let key = InstanceKey::make()?;
        let chain = newest.issue_to_control(&name, &key, Uuid::now_v7(), validity)?;
        let clock = self.0.core.clone();
        let now = Now::new(move || clock.now());
        Connector::of_instance(anchors(&authorities), &chain, &key, now).map(Some)
    }
}
