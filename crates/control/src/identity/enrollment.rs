//! Enrolment: who gets a certificate.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ferryway_delivery::Registrar;
use ferryway_delivery::server::{Enrolling, NotEnrolled};
use ferryway_model::Name;
use ferryway_proto::{EnrollReply, EnrollRequest};
use ferryway_tls::{
    Authority, Certificate, CertificateRequest, ControlName, InstanceName, JoinToken, Validity,
};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Identity, NONE};
use crate::core::{CoreError, Issued, Joining, no_longer_taken};
use crate::secret::SecretDigest;

/// How often, at most, a refusal is noted in the audit: who knocks a thousand times shall not fill
/// the store.
const NOTE_EVERY: Duration = Duration::from_secs(10);

impl Registrar for Identity {
    fn now(&self) -> Timestamp {
        self.0.core.now()
    }

    fn knows(&self, name: &InstanceName, certificate: &Certificate) -> Result<(), String> {
        if name.domain != self.0.domain {
            let (theirs, ours) = (&name.domain, &self.0.domain);
            return Err(format!(
                "the instance's certificate is of the trust domain {theirs}, and this is {ours}"
            ));
        }
        if self.0.core.is_refused(name.instance, certificate.serial) {
            return Err(no_longer_taken(&name.group, name.instance));
        }
        let (instance, serial, until) = (name.instance, certificate.serial, certificate.not_after);
        if self.0.core.is_news(instance, serial, until) {
            let shown = self.0.shown.lock();
            let mut shown = shown.unwrap_or_else(PoisonError::into_inner);
            shown.insert(instance, (serial, until));
        }
        Ok(())
    }

    fn knows_control(&self, name: &ControlName) -> Result<(), String> {
        if name.domain == self.0.domain {
            return Ok(());
        }
        let (theirs, ours) = (&name.domain, &self.0.domain);
        Err(format!(
            "the control plane is of the trust domain {theirs}, and this is {ours}"
        ))
    }

    fn enroll(&self, request: EnrollRequest, from: String) -> Enrolling {
        let identity = self.clone();
        Box::pin(async move { identity.join(request, from).await })
    }

    fn renew(&self, request: EnrollRequest, shown: Uuid, from: String) -> Enrolling {
        let identity = self.clone();
        Box::pin(async move { identity.renewed(request, shown, from).await })
    }
}

impl Identity {
    async fn join(&self, request: EnrollRequest, from: String) -> Result<EnrollReply, NotEnrolled> {
        let EnrollRequest {
            token,
            certificate_request,
            group,
            instance,
        } = request;
        let token: Result<JoinToken, _> = token.unwrap_or_default().parse();
        let token =
            token.map_err(|error| NotEnrolled::Refused(format!("what was shown {error}")))?;
        let asked = read(&certificate_request)?;
        let joining = Joining {
            token: token.id,
            secret: SecretDigest::of(token.secret()),
            group,
            instance,
            key: asked.key().to_string(),
            from,
        };
        let (authorities, issued) = self.issue()?;
        match self.0.core.join(&joining, &issued).await {
            Ok(serial) => {
                tracing::info!(group = %joining.group, %instance, from = joining.from, "an instance has joined");
                let (group, issued) = (&joining.group, Issued { serial, ..issued });
                self.make(&authorities, (group, instance), &asked, &issued)
            }
            Err(error) => Err(self.refuse(&joining, error).await),
        }
    }

    async fn refuse(&self, joining: &Joining, error: CoreError) -> NotEnrolled {
        let why = match error {
            CoreError::Unjoined(why) => why,
            other => return unavailable(&other),
        };
        let Joining {
            group,
            instance,
            from,
            token,
            ..
        } = joining;
        tracing::warn!(%group, %instance, from, %token, why, "an instance may not join");
        let is_noted = {
            let now = Instant::now();
            let next = self.0.noted_next.lock();
            let mut next = next.unwrap_or_else(PoisonError::into_inner);
            let is_due = now >= *next;
            if is_due {
                *next = now + NOTE_EVERY;
            }
            is_due
        };
        if is_noted {
            self.0.core.note_unjoined(joining, &why).await;
        }
        NotEnrolled::Refused(why)
    }

    async fn renewed(
        &self,
        request: EnrollRequest,
        shown: Uuid,
        from: String,
    ) -> Result<EnrollReply, NotEnrolled> {
        let EnrollRequest {
            token: _,
            certificate_request,
            group,
            instance,
        } = request;
        let core = &self.0.core;
        if !core.read(|memory| memory.groups.contains_key(&group)) {
            let why = format!("there is no gateway group {group}");
            return Err(NotEnrolled::Refused(why));
        }
        let asked = read(&certificate_request)?;
        let (authorities, issued) = self.issue()?;
        let renewed = core.renewed(&group, instance, shown, &issued).await;
        let serial = renewed.map_err(|error| match error {
            CoreError::Unjoined(why) => NotEnrolled::Refused(why),
            other => unavailable(&other),
        })?;
        tracing::debug!(%group, %instance, from, "a certificate was renewed");
        let issued = Issued { serial, ..issued };
        self.make(&authorities, (&group, instance), &asked, &issued)
    }

    /// What the next certificate is to be, and who is trusted then. Its number may have to be
    /// higher: that is known once it is noted, so it is noted first and made then.
    fn issue(&self) -> Result<(Arc<Vec<Authority>>, Issued), NotEnrolled> {
        let authorities = self.authorities();
        let none = || NotEnrolled::Unavailable(NONE.to_owned());
        let newest = authorities.last().ok_or_else(none)?;
        let now = self.0.core.now();
        let issued = Issued {
            serial: Uuid::now_v7(),
            authority: newest.fingerprint().to_string(),
            at: now,
            expires_at: now.checked_add(self.0.lifetime).unwrap_or(Timestamp::MAX),
        };
        Ok((authorities, issued))
    }

    fn make(
        &self,
        authorities: &[Authority],
        (group, instance): (&Name, Uuid),
        asked: &CertificateRequest,
        issued: &Issued,
    ) -> Result<EnrollReply, NotEnrolled> {
        let none = || NotEnrolled::Unavailable(NONE.to_owned());
        let newest = authorities.last().ok_or_else(none)?;
        let name = InstanceName {
            domain: self.0.domain.clone(),
            group: group.to_string(),
            instance,
        };
        let validity = Validity {
            now: issued.at,
            lifetime: self.0.lifetime,
        };
        let chain = newest.issue(&name, asked, issued.serial, validity);
        let chain = chain.map_err(|error| NotEnrolled::Unavailable(error.to_string()))?;
        let trusted = authorities
            .iter()
            .map(|authority| authority.anchor().to_vec());
        Ok(EnrollReply {
            chain: chain.into_iter().map(Into::into).collect(),
            authorities: trusted.map(Into::into).collect(),
        })
    }
}

fn read(request: &[u8]) -> Result<CertificateRequest, NotEnrolled> {
    CertificateRequest::read(request).map_err(|error| NotEnrolled::Refused(error.to_string()))
}

fn unavailable(error: &CoreError) -> NotEnrolled {
    NotEnrolled::Unavailable(format!("no certificate can be given now: {error}"))
}
