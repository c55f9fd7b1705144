//! The agent in a gateway: drives a [`Session`] over a real connection, a real disk and an
//! [`Installer`].

mod connection;
mod credentials;
mod dial;
mod driver;
mod enroll;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use ferryway_model::Name;
use ferryway_proto::{Position, Source};
use ferryway_runtime::{Random, Stop, Tasks};
use tokio::sync::{mpsc, watch};

use crate::candidate::Installer;
use crate::disk::{Export, Identity, InstanceDisk, Opened};
use crate::hold::Holds;
use crate::load::Content;
use crate::session::{Saved, Session, Standing, Who};
use connection::endpoint;
pub use credentials::{Credentials, CredentialsError};
use dial::Controls;
pub use dial::{CannotDial, Dial, Dialling, Io, dial};
use driver::Driver;

/// The agent of an instance.
pub struct Agent<I> {
    controls: Controls,
    session: Session,
    saved: Saved,
    content: Content,
    disk: Option<Arc<InstanceDisk>>,
    installer: Arc<I>,
    status: watch::Sender<AgentStatus>,
    /// Views that come from a file while it runs: those who send them, and where they arrive.
    files: (mpsc::Sender<Export>, mpsc::Receiver<Export>),
    tasks: Tasks,
    random: Random,
}

/// What an agent is told by its program's flags.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// Control planes, as `https://HOST:PORT` or, on this host, `http://HOST:PORT`, tried in turn, in
    /// an order that is drawn. None: the instance serves what it starts from.
    pub controls: Vec<String>,
    /// What the instance proves who it is with; none: it need not, because its control planes are
    /// on this host and speak no TLS.
    pub credentials: Option<Credentials>,
    /// The instance's group.
    pub group: Name,
    /// The build.
    pub build: String,
    /// The host's name.
    pub hostname: String,
    /// Where the instance listens.
    pub addresses: Vec<String>,
}

/// What an agent starts from.
#[derive(Debug)]
pub struct Origin {
    /// Who the instance is.
    pub identity: Identity,
    /// Where it keeps what it gets; none: nowhere.
    pub disk: Option<Arc<InstanceDisk>>,
    /// What it starts from, and what that is.
    pub saved: Saved,
    /// Content of what it starts from.
    pub content: Content,
    /// What it starts from.
    pub source: Source,
}

/// How an instance stands, for its status page and its metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentStatus {
    /// Whether a control plane serves it.
    pub connected: bool,
    /// Which one, or the one tried last.
    pub address: Option<String>,
    /// What it should run.
    pub desired: Option<Position>,
    /// What it runs; none: nothing yet, and it is not ready.
    pub effective: Option<Position>,
    /// Whether it runs what it should, with nothing held.
    pub converged: bool,
    /// What is held, and why.
    pub held: Holds,
    /// Whether what it runs was confirmed by a control plane since the start; if not, it is from
    /// the disk.
    pub confirmed: bool,
}

/// An address that no control plane can be reached at.
#[derive(Debug, thiserror::Error)]
pub enum BadAddress {
    /// Not an address.
    #[error("{address:?} is not an address as https://HOST:PORT")]
    Invalid {
        /// As given.
        address: String,
    },
    /// TLS is for enrolled instances.
    #[error("{address:?} asks for TLS, and this instance has no credentials")]
    Tls {
        /// As given.
        address: String,
    },
    /// What an instance proves who it is with is for TLS.
    #[error("{address:?} has no TLS, and this instance has credentials")]
    Plain {
        /// As given.
        address: String,
    },
}

impl Origin {
    /// A view from a file, for an instance without a control plane and without a disk.
    #[must_use]
    pub fn of_file(export: Export, random: &mut Random) -> Self {
        let (saved, content) = export.into_saved();
        let bytes = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
        Self {
            identity: Identity {
                instance: uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid(),
                boot: 1,
            },
            disk: None,
            saved,
            content,
            source: Source::LastGood,
        }
    }
}

impl From<Opened> for Origin {
    fn from(opened: Opened) -> Self {
        let Opened {
            disk,
            identity,
            saved,
            content,
            source,
        } = opened;
        Self {
            identity,
            disk: Some(Arc::new(disk)),
            saved,
            content,
            source,
        }
    }
}

impl<I: Installer> Agent<I> {
    /// An agent that does not run yet. `tasks` owns what it runs.
    ///
    /// # Errors
    /// When an address is none.
    pub fn new(
        settings: AgentSettings,
        origin: Origin,
        installer: Arc<I>,
        mut random: Random,
        tasks: &Tasks,
    ) -> Result<Self, BadAddress> {
        let AgentSettings {
            controls,
            credentials,
            group,
            build,
            hostname,
            addresses,
        } = settings;
        let Origin {
            identity,
            disk,
            saved,
            content,
            source,
        } = origin;
        let endpoints = controls.into_iter().map(|address| {
            let endpoint = endpoint(&address)?;
            match (address.starts_with("https://"), &credentials) {
                (true, None) => return Err(BadAddress::Tls { address }),
                (false, Some(_)) => return Err(BadAddress::Plain { address }),
                _ => {}
            }
            Ok((address, endpoint))
        });
        let mut endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        // Instances spread themselves over the control planes, and those of one that is lost over
        // all others: each has an order of its own.
        random.shuffle(&mut endpoints);
        let who = Who {
            instance: identity.instance,
            boot: identity.boot,
            group,
            build,
            hostname,
            addresses,
            source,
        };
        let own = Random::seeded(random.next_u64());
        let session = Session::new(who, random);
        let status = AgentStatus::of(session.standing(), None);
        Ok(Self {
            controls: Controls {
                endpoints,
                dial: None,
                credentials,
            },
            session,
            saved,
            content,
            disk,
            installer,
            status: watch::Sender::new(status),
            // One at a time: whoever reads files reads the next when this one is taken.
            files: mpsc::channel(1),
            tasks: tasks.child("agent"),
            random: own,
        })
    }

    /// An agent that reaches control planes in another way than over TCP.
    #[must_use]
    pub fn dialling(mut self, dial: Arc<dyn Dial>) -> Self {
        self.controls.dial = Some(dial);
        self
    }

    /// How the instance stands, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<AgentStatus> {
        self.status.subscribe()
    }

    /// Takes views from a file while the agent runs. For an instance without a control plane: one
    /// that has one would be told to go back.
    #[must_use]
    pub fn files(&self) -> mpsc::Sender<Export> {
        self.files.0.clone()
    }

    /// Installs what the instance starts from, keeps to its control plane, and installs what that
    /// sends, until `stop`. Returns when everything is on the disk.
    pub async fn run(self, stop: Stop) {
        let Self {
            controls,
            session,
            saved,
            content,
            disk,
            installer,
            status,
            files: (_, files),
            tasks,
            random,
        } = self;
        if let Some(credentials) = controls.credentials.clone() {
            let controls = controls.clone();
            tasks.spawn("renew the certificate", |stop| {
                enroll::keep_renewed(credentials, controls, random, stop)
            });
        }
        let driver = Driver::new(session, controls, disk, installer, status, files, tasks);
        driver.run(saved, content, stop).await;
    }
}

impl AgentStatus {
    fn of(standing: Standing, address: Option<String>) -> Self {
        let Standing {
            connected,
            desired,
            effective,
            converged,
            holds,
            confirmed,
        } = standing;
        Self {
            connected,
            address,
            desired,
            effective,
            converged,
            held: holds,
            confirmed,
        }
    }
}

/// An error with its causes, in one line.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Layers in between repeat what lies below them.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

impl<I> fmt::Debug for Agent<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("session", &self.session)
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}
