//! What an instance proves who it is with: its key and its certificate, kept in its data folder,
//! and the authorities that it trusts.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferryway_model::Name;
use ferryway_runtime::Clock;
use ferryway_tls::{
    Certificate, Connector, InstanceKey, JoinToken, Now, Time, TlsError, certificates_pem,
    read_certificates,
};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::disk::write_whole;

/// An instance's credentials. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Credentials(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    pub(super) instance: Uuid,
    pub(super) group: Name,
    token: Option<JoinToken>,
    clock: Clock,
    held: watch::Sender<Option<Held>>,
    /// The key that a first certificate is asked for with: the same in each try, so that one whose
    /// answer was lost can be answered again.
    joining: Mutex<Option<Arc<InstanceKey>>>,
    /// Somebody has found that the certificate is of no use any more.
    pub(super) renew: Notify,
}

/// A certificate in use.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) certificate: Certificate,
    pub(super) connector: Connector,
}

/// Credentials that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There is no certificate, and no way to one.
    #[error(
        "this instance has no certificate in {} that can still be used, and no join token was given; \
         start it with --join-token TOKEN, a token of its gateway group", .dir.display()
    )]
    NoToken {
        /// The data folder.
        dir: PathBuf,
    },
    /// Key or certificate cannot be made or read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The data folder cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The key and the certificate with its chain.
const CERTIFICATE: &str = "certificate.pem";
/// The authorities.
const AUTHORITIES: &str = "authorities.pem";

impl Credentials {
    /// The file in the instance's folder that says, when it is there, that the instance has joined.
    pub const FILE: &str = CERTIFICATE;

    /// Reads what the data folder keeps. What cannot be read there is as good as missing, and is
    /// said.
    ///
    /// # Errors
    /// There is nothing that can still be used, and no join token.
    pub fn open(
        dir: &Path,
        group: Name,
        instance: Uuid,
        token: Option<JoinToken>,
        clock: Clock,
    ) -> Result<Self, CredentialsError> {
        let held = read(dir, &group, instance, &clock);
        if held.is_none() && token.is_none() {
            let dir = dir.to_owned();
            return Err(CredentialsError::NoToken { dir });
        }
        Ok(Self(Arc::new(Shared {
            dir: dir.to_owned(),
            instance,
            group,
            token,
            clock,
            held: watch::Sender::new(held),
            joining: Mutex::default(),
            renew: Notify::new(),
        })))
    }

    /// Until when the certificate is valid; none: there is none yet.
    #[must_use]
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.held().map(|held| held.certificate.not_after)
    }

    pub(super) fn held(&self) -> Option<Held> {
        self.0.held.borrow().clone()
    }

    pub(super) fn token(&self) -> Option<&JoinToken> {
        self.0.token.as_ref()
    }

    pub(super) fn instance(&self) -> Uuid {
        self.0.instance
    }

    pub(super) fn group(&self) -> &Name {
        &self.0.group
    }

    pub(super) fn now(&self) -> Now {
        let clock = self.0.clock.clone();
        Now::new(move || clock.now())
    }

    /// Waits for the first certificate, if there is none yet.
    pub(super) async fn joined(&self) {
        let mut held = self.0.held.subscribe();
        // Its sender is here.
        let _ = held.wait_for(Option::is_some).await;
    }

    /// The control plane does not take the certificate any more.
    pub(super) fn renew_now(&self) {
        self.0.renew.notify_one();
    }

    pub(super) async fn asked_to_renew(&self) {
        self.0.renew.notified().await;
    }

    /// For how long the certificate need not be renewed, by this host's clock. `jitter` (0 to 1)
    /// spreads instances that were started together over a tenth of the lifetime.
    pub(super) fn fresh_for(&self, jitter: f64) -> SignedDuration {
        let Some(Held { certificate, .. }) = self.held() else {
            return SignedDuration::ZERO;
        };
        let lifetime = certificate.lifetime().as_secs_f64();
        let share = 0.5 + (jitter - 0.5) / 10.0;
        let age = self.0.clock.now().duration_since(certificate.not_before);
        let rest = lifetime * share - age.as_secs_f64();
        SignedDuration::try_from_secs_f64(rest.max(0.0)).unwrap_or(SignedDuration::ZERO)
    }

    /// The key to ask for a first certificate with.
    pub(super) fn joining_key(&self) -> Result<Arc<InstanceKey>, CredentialsError> {
        let mut joining = lock(&self.0.joining);
        if let Some(key) = &*joining {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(InstanceKey::make()?);
        *joining = Some(Arc::clone(&key));
        Ok(key)
    }

    /// Takes a certificate into use, once it is in the data folder. Blocks: it writes files.
    pub(super) fn take(
        &self,
        key: &InstanceKey,
        chain: &[Vec<u8>],
        authorities: &[Vec<u8>],
    ) -> Result<Certificate, CredentialsError> {
        let held = hold(key, chain, authorities, self.now())?;
        let certificate = held.certificate.clone();
        // The authorities first: they are a superset of those before, or a person's decision.
        self.write(
            AUTHORITIES,
            &certificates_pem(authorities.iter().map(Vec::as_slice)),
        )?;
        let own = certificates_pem(chain.iter().map(Vec::as_slice));
        self.write(CERTIFICATE, &format!("{own}{}", key.to_pem()))?;
        self.0.held.send_replace(Some(held));
        *lock(&self.0.joining) = None;
        Ok(certificate)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), CredentialsError> {
        let path = self.0.dir.join(name);
        write_whole(&path, text.as_bytes())
            .map_err(|source| CredentialsError::Write { path, source })
    }
}

fn hold(
    key: &InstanceKey,
    chain: &[Vec<u8>],
    authorities: &[Vec<u8>],
    now: Now,
) -> Result<Held, TlsError> {
    let own = chain.first().map(Vec::as_slice).unwrap_or_default();
    let certificate = Certificate::read(own)?;
    let anchors = authorities.iter().map(Vec::as_slice);
    let connector = Connector::of_instance(anchors, chain, key, now)?;
    Ok(Held {
        certificate,
        connector,
    })
}

/// What a data folder keeps, if it can still be used by this instance.
fn read(dir: &Path, group: &Name, instance: Uuid, clock: &Clock) -> Option<Held> {
    let text = |name: &str| match fs::read_to_string(dir.join(name)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            tracing::error!(name, %error, "cannot read what this instance proves its identity with");
            None
        }
    };
    let (own, authorities) = (text(CERTIFICATE)?, text(AUTHORITIES)?);
    let held = || {
        let key = InstanceKey::from_pem(&own)?;
        let chain = read_certificates(own.as_bytes())?;
        let authorities = read_certificates(authorities.as_bytes())?;
        let clock = clock.clone();
        hold(&key, &chain, &authorities, Now::new(move || clock.now()))
    };
    let held = match held() {
        Ok(held) => held,
        Err(error) => {
            tracing::error!(%error, "this instance's certificate is damaged; a join token makes a new one");
            return None;
        }
    };
    let name = held.certificate.instance.as_ref();
    if !name.is_some_and(|name| name.instance == instance && name.group == group.as_str()) {
        tracing::error!(certificate = %held.certificate, "the certificate in the data folder is another instance's; a join token makes a new one");
        return None;
    }
    if held.certificate.time(clock.now()) == Time::Expired {
        let end = held.certificate.not_after;
        tracing::error!(%end, "this instance's certificate expired too long ago to be renewed, by this host's clock; a join token makes a new one");
        return None;
    }
    Some(held)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("group", &self.0.group)
            .field("instance", &self.0.instance)
            .field("valid_until", &self.valid_until())
            .finish_non_exhaustive()
    }
}
