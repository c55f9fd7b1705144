//! The REST API by TLS: its certificate, and how it is kept fresh.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ferryway_runtime::signals::Hangup;
use ferryway_runtime::{Clock, Stop, Tasks};
use ferryway_tls::{Acceptor, Now, ServerKey};
use tokio::time::{Instant, sleep};

use crate::identity::Identity;
use crate::settings::whole;

/// What the REST API proves who it is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiTls {
    /// Nothing: it speaks plain HTTP.
    Off,
    /// A certificate of the authority that gateways know the control plane by.
    Own,
    /// A certificate with its chain, and its key, from files.
    Files {
        /// The certificate, with its chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

/// How often it is looked whether the authority has changed.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often a certificate of our own is made anew: well within its life of a week.
const RENEW_EVERY: Duration = Duration::from_secs(3 * 24 * 3_600);

impl ApiTls {
    /// What the API's connections are accepted with; none: they are plain. Files are read again on
    /// SIGHUP.
    ///
    /// # Errors
    /// A sentence: the files cannot be used.
    pub(crate) fn acceptor(
        &self,
        identity: &Identity,
        hangup: Hangup,
        tasks: &Tasks,
    ) -> Result<Option<Acceptor>, String> {
        if *self == Self::Off {
            return Ok(None);
        }
        let clock = Clock::system();
        let now = Now::new(move || clock.now());
        let acceptor = Acceptor::of_anybody(self.key(identity)?, now);
        let acceptor = acceptor.map_err(|error| self.unfit(&whole(&error)))?;
        let (source, kept, identity) = (self.clone(), acceptor.clone(), identity.clone());
        tasks.spawn("keep the api's certificate", |stop| async move {
            match source {
                Self::Off => {}
                Self::Own => keep_own(&kept, &identity, &stop).await,
                Self::Files { .. } => source.keep_files(&kept, &identity, hangup, &stop).await,
            }
        });
        Ok(Some(acceptor))
    }

    fn key(&self, identity: &Identity) -> Result<ServerKey, String> {
        let Self::Files { certificate, key } = self else {
            return identity.server_key().map_err(|error| whole(&error));
        };
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        ServerKey::from_pem(&read(certificate)?, &read(key)?)
            .map_err(|error| self.unfit(&whole(&error)))
    }

    fn unfit(&self, why: &str) -> String {
        match self {
            Self::Files { certificate, key } => {
                let (certificate, key) = (certificate.display(), key.display());
                format!("--api-tls-cert {certificate} and --api-tls-key {key}: {why}")
            }
            Self::Off | Self::Own => format!("--api-tls: {why}"),
        }
    }

    async fn keep_files(
        &self,
        kept: &Acceptor,
        identity: &Identity,
        mut hangup: Hangup,
        stop: &Stop,
    ) {
        loop {
            tokio::select! {
                () = hangup.next() => {}
                () = stop.requested() => return,
            }
            let replaced = self.key(identity).and_then(|key| {
                kept.replace(key, [])
                    .map_err(|error| self.unfit(&whole(&error)))
            });
            match replaced {
                Ok(()) => tracing::info!("the api's certificate was read again"),
                Err(why) => {
                    tracing::error!(
                        why,
                        "the api's certificate could not be read again; the one before serves on"
                    );
                }
            }
        }
    }
}

async fn keep_own(kept: &Acceptor, identity: &Identity, stop: &Stop) {
    let issuer = || identity.fingerprint().ok();
    let mut of = issuer();
    let mut due = Instant::now() + RENEW_EVERY;
    loop {
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = stop.requested() => return,
        }
        let now = issuer();
        if of == now && Instant::now() < due {
            continue;
        }
        let replaced = identity.server_key().and_then(|key| kept.replace(key, []));
        if let Err(error) = replaced {
            tracing::error!(%error, "the api's certificate could not be renewed");
            continue;
        }
        (of, due) = (now, Instant::now() + RENEW_EVERY);
    }
}
