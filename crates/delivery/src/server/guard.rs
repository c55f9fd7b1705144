//! Who is served on a port that others can reach.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use ferryway_model::Name;
use ferryway_proto::{EnrollReply, EnrollRequest};
use ferryway_tls::{Acceptor, Certificate, ControlName, InstanceName, Time};
use jiff::Timestamp;
use tonic::Status;
use uuid::Uuid;

/// Who knows which instances there are, and lets new ones in.
pub trait Registrar: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Whether the holder of a certificate, which is valid and is for the instance that it says it
    /// is, is known here still.
    ///
    /// # Errors
    /// A sentence for the instance.
    fn knows(&self, name: &InstanceName, certificate: &Certificate) -> Result<(), String>;

    /// Whether this is the name of a control plane of this installation.
    ///
    /// # Errors
    /// A sentence for that control plane.
    fn knows_control(&self, name: &ControlName) -> Result<(), String>;

    /// Gives a certificate to who shows a join token.
    fn enroll(&self, request: EnrollRequest, from: String) -> Enrolling;

    /// Gives a new certificate to who has one, which was judged as [`Self::knows`] does. In the
    /// request, group and instance are those of the certificate; `shown` is its number.
    fn renew(&self, request: EnrollRequest, shown: Uuid, from: String) -> Enrolling;
}

/// A certificate that is being made.
pub type Enrolling = Pin<Box<dyn Future<Output = Result<EnrollReply, NotEnrolled>> + Send>>;

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEnrolled {
    /// The request is refused. A sentence for the instance.
    #[error("{0}")]
    Refused(String),
    /// Not now. A sentence for the instance.
    #[error("{0}")]
    Unavailable(String),
}

/// What a server needs that serves instances by their certificates.
#[derive(Clone)]
pub struct Guard {
    /// Makes TLS connections of plain ones.
    pub acceptor: Acceptor,
    /// Who knows the instances.
    pub registrar: Arc<dyn Registrar>,
}

impl Guard {
    /// Whether an instance that says it is this one of this group may be served.
    pub(super) fn admit(
        &self,
        shown: Option<&Certificate>,
        group: &Name,
        instance: Uuid,
    ) -> Result<(), Status> {
        let (certificate, name) = self.identify(shown)?;
        let now = self.registrar.now();
        match certificate.time(now) {
            Time::Valid => {}
            Time::Early => return Err(early(certificate, now)),
            Time::Renewable => {
                let end = certificate.not_after;
                return Err(Status::unauthenticated(format!(
                    "the instance's certificate expired at {end}, and it is {now} here; renew it"
                )));
            }
            Time::Expired => return Err(expired(certificate, now)),
        }
        self.matches(name, certificate, group, instance)
    }

    /// Which control plane calls, for what is served beside the delivery.
    pub(super) fn admit_control(&self, shown: Option<&Certificate>) -> Result<ControlName, Status> {
        let certificate = shown.ok_or_else(|| {
            Status::unauthenticated("control planes are known by certificates, and none was shown")
        })?;
        let name = certificate.control.as_ref().ok_or_else(|| {
            Status::permission_denied("the certificate shown is none of a control plane")
        })?;
        let now = self.registrar.now();
        if certificate.time(now) != Time::Valid {
            let (begin, end) = (certificate.not_before, certificate.not_after);
            return Err(Status::unauthenticated(format!(
                "the control plane's certificate is valid from {begin} to {end}, and it is {now} \
                 here; one of the clocks is wrong"
            )));
        }
        self.registrar
            .knows_control(name)
            .map_err(Status::permission_denied)?;
        Ok(name.clone())
    }

    /// Gives a certificate to who may have one.
    pub(super) async fn enroll(
        &self,
        shown: Option<&Certificate>,
        request: EnrollRequest,
        from: String,
    ) -> Result<EnrollReply, Status> {
        let enrolling = if request.token.is_some() {
            self.registrar.enroll(request, from)
        } else {
            let (certificate, name) = self.identify(shown)?;
            let now = self.registrar.now();
            match certificate.time(now) {
                Time::Valid | Time::Renewable => {}
                Time::Early => return Err(early(certificate, now)),
                Time::Expired => return Err(expired(certificate, now)),
            }
            self.matches(name, certificate, &request.group, request.instance)?;
            self.registrar.renew(request, certificate.serial, from)
        };
        enrolling.await.map_err(|error| match error {
            NotEnrolled::Refused(why) => Status::permission_denied(why),
            NotEnrolled::Unavailable(why) => Status::unavailable(why),
        })
    }

    /// The instance that a certificate is for.
    pub(super) fn identify<'a>(
        &self,
        shown: Option<&'a Certificate>,
    ) -> Result<(&'a Certificate, &'a InstanceName), Status> {
        let certificate = shown.ok_or_else(|| {
            Status::unauthenticated(
                "instances are served by their certificates here, and none was shown; enrol with \
                 a join token first",
            )
        })?;
        let name = certificate.instance.as_ref().ok_or_else(|| {
            Status::permission_denied("the certificate shown names no gateway instance")
        })?;
        Ok((certificate, name))
    }

    fn matches(
        &self,
        name: &InstanceName,
        certificate: &Certificate,
        group: &Name,
        instance: Uuid,
    ) -> Result<(), Status> {
        if name.group != group.as_str() {
            let has = &name.group;
            return Err(Status::permission_denied(format!(
                "the certificate shown is for the gateway group {has}, and the instance says that \
                 it belongs to {group}"
            )));
        }
        if name.instance != instance {
            let has = name.instance;
            return Err(Status::permission_denied(format!(
                "the certificate shown is for the instance {has}, and the instance says that it \
                 is {instance}"
            )));
        }
        self.registrar
            .knows(name, certificate)
            .map_err(Status::permission_denied)
    }
}

fn early(certificate: &Certificate, now: Timestamp) -> Status {
    let begin = certificate.not_before;
    Status::unauthenticated(format!(
        "the instance's certificate is valid from {begin} on, and it is {now} here; one of the \
         clocks is wrong"
    ))
}

fn expired(certificate: &Certificate, now: Timestamp) -> Status {
    let end = certificate.not_after;
    Status::unauthenticated(format!(
        "the instance's certificate expired at {end}, and it is {now} here: too long ago to renew \
         it; start the instance with a new join token"
    ))
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("acceptor", &self.acceptor)
            .finish_non_exhaustive()
    }
}
