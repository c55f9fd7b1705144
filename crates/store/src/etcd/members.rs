//! The members of a cluster: one connection to each, one of them asked until it fails, and each
//! call with a deadline.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ferryway_runtime::{Backoff, Random};
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::fault::{self, Fault};
use super::settings::{EtcdSettings, User, invalid};
use super::wire::{AuthClient, AuthenticateRequest, ResponseHeader};
use crate::{StoreError, Trouble};

/// How long one member may take to answer, before another is asked.
pub(super) const ATTEMPT_MAX: Duration = Duration::from_secs(2);

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// A connection is asked whether it is alive this often while something waits on it. etcd takes
/// more than one ping in five seconds for an attack.
const PING_EVERY: Duration = Duration::from_secs(6);
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// How long is waited once all members have failed, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_millis(500);

/// A call to etcd that may be made twice: a read, or what is guarded so that only one of two takes
/// place.
pub(super) trait Call: Clone + Send + Sync + Sized {
    type Answer: Send;

    fn send(
        request: Request<Self>,
        channel: Channel,
    ) -> impl Future<Output = Result<Self::Answer, Status>> + Send;

    fn header(answer: &Self::Answer) -> Option<&ResponseHeader>;
}

/// An answer, and how many members were asked for it.
pub(super) struct Answered<T> {
    pub(super) answer: T,
    pub(super) asked: usize,
}

#[derive(Debug)]
pub(super) struct Members {
    members: Vec<Channel>,
    /// The one to ask.
    preferred: AtomicUsize,
    user: Option<User>,
    token: Mutex<Option<MetadataValue<Ascii>>>,
    signing_in: tokio::sync::Mutex<()>,
    /// The cluster that answered first.
    cluster: OnceLock<u64>,
    random: Mutex<Random>,
}

impl Members {
    /// Connects to none of them yet.
    pub(super) fn new(settings: &EtcdSettings) -> Result<Self, StoreError> {
        let tls = settings.tls.as_ref().map(|tls| {
            let config =
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.authority));
            match &tls.client {
                Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
                None => config,
            }
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let connect = |member: &str| {
            let endpoint = Endpoint::from_shared(format!("{scheme}://{member}"))?
                .connect_timeout(CONNECT_MAX)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(PING_EVERY)
                .keep_alive_timeout(PING_ANSWERED_WITHIN);
            let endpoint = match &tls {
                Some(tls) => endpoint.tls_config(tls.clone())?,
                None => endpoint,
            };
            Ok(endpoint.connect_lazy())
        };
        let members = settings.members.iter().map(|member| {
            connect(member).map_err(|error: tonic::transport::Error| {
                let why = std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), ToString::to_string);
                invalid(format!("etcd's member {member} can't be spoken to: {why}"))
            })
        });
        Ok(Self {
            members: members.collect::<Result<_, _>>()?,
            preferred: AtomicUsize::new(0),
            user: settings.user.clone(),
            token: Mutex::default(),
            signing_in: tokio::sync::Mutex::default(),
            cluster: OnceLock::new(),
            random: Mutex::new(Random::from_entropy()),
        })
    }

    /// Asks one member after the other until one answers, at most for `within`.
    pub(super) async fn call<Q: Call>(
        &self,
        request: Q,
        within: Duration,
    ) -> Result<Answered<Q::Answer>, Fault> {
        let deadline = Instant::now() + within;
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        let mut last = Fault::from(Trouble::Slow { within });
        let mut signed_in = false;
        for asked in 1_usize.. {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let (number, channel) = self.preferred();
            let attempt = left.min(ATTEMPT_MAX);
            match self.ask(request.clone(), channel, attempt).await {
                Ok(answer) => return Ok(Answered { answer, asked }),
                // Tokens expire, and a member that starts again knows none.
                Err(Fault::SignIn) if !std::mem::replace(&mut signed_in, true) => continue,
                Err(fault) if !fault.may_pass() => return Err(fault),
                // The last member's silence says less than what another said before it.
                Err(Fault::Trouble(Trouble::Slow { .. })) if asked > 1 => {}
                Err(fault) => last = fault,
            }
            self.leave(number);
            // Certificates don't change while one waits.
            if asked >= self.members.len()
                && matches!(last, Fault::Trouble(Trouble::Untrusted { .. }))
            {
                break;
            }
            if asked % self.members.len() == 0 {
                let wait = backoff.next(&mut self.random());
                tokio::time::sleep(wait.min(deadline.saturating_duration_since(Instant::now())))
                    .await;
            }
        }
        Err(last)
    }

    /// The member to ask, and its number.
    pub(super) fn preferred(&self) -> (usize, Channel) {
        let number = self.preferred.load(Ordering::Relaxed);
        (number, self.members[number % self.members.len()].clone())
    }

    /// Asks another member from now on, unless that has been decided already.
    pub(super) fn leave(&self, number: usize) {
        let next = (number + 1) % self.members.len();
        let _ = self
            .preferred
            .compare_exchange(number, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn random(&self) -> std::sync::MutexGuard<'_, Random> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an answer is from the cluster that answered first.
    pub(super) fn check(&self, header: Option<&ResponseHeader>) -> Result<(), Trouble> {
        let Some(found) = header.map(|header| header.cluster_id) else {
            return Ok(());
        };
        let expected = *self.cluster.get_or_init(|| found);
        if expected == found {
            return Ok(());
        }
        Err(Trouble::OtherCluster { expected, found })
    }

    async fn ask<Q: Call>(
        &self,
        request: Q,
        channel: Channel,
        within: Duration,
    ) -> Result<Q::Answer, Fault> {
        let asked = async {
            let mut request = Request::new(request);
            request.set_timeout(within);
            self.sign(&mut request, &channel).await?;
            Q::send(request, channel)
                .await
                .map_err(|status| self.fault(&status, within))
        };
        let answer = tokio::time::timeout(within, asked)
            .await
            .unwrap_or_else(|_| Err(Trouble::Slow { within }.into()))?;
        self.check(Q::header(&answer))?;
        Ok(answer)
    }

    /// Reads a refusal, and forgets a token that is none.
    pub(super) fn fault(&self, status: &Status, within: Duration) -> Fault {
        let fault = fault::read(status, within);
        if fault == Fault::SignIn {
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        fault
    }

    /// Says who asks, where etcd wants to know.
    pub(super) async fn sign<Q>(
        &self,
        request: &mut Request<Q>,
        channel: &Channel,
    ) -> Result<(), Fault> {
        let Some(user) = &self.user else {
            return Ok(());
        };
        let token = match self.token() {
            Some(token) => token,
            None => self.sign_in(user, channel).await?,
        };
        request.metadata_mut().insert("token", token);
        Ok(())
    }

    fn token(&self) -> Option<MetadataValue<Ascii>> {
        self.token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn sign_in(&self, user: &User, channel: &Channel) -> Result<MetadataValue<Ascii>, Fault> {
        let _one = self.signing_in.lock().await;
        if let Some(token) = self.token() {
            return Ok(token);
        }
        let request = AuthenticateRequest {
            name: user.name.clone(),
            password: user.password.clone(),
        };
        let answer = AuthClient::new(channel.clone())
            .authenticate(request)
            .await
            .map_err(|status| fault::read(&status, ATTEMPT_MAX))?
            .into_inner();
        let token: MetadataValue<Ascii> = answer.token.parse().map_err(|_| Trouble::Denied {
            detail: Arc::from("the token it gives is no text"),
        })?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token)
    }
}
