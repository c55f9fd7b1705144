//! The control plane's side of the wire: a gRPC service over the feeds.
//!
//! What goes out is made once, by the feeds, and handed to tonic as ready bytes. One task per
//! stream reads what the instance says and sends what the feed has; it holds a cursor and at most
//! the frames of one transaction, which are shared. An instance that does not read costs nobody
//! anything: its cursor falls out of the log.

pub(crate) mod codec;
mod fetch;
mod guard;
mod incoming;
mod rpc;
mod sessions;
mod stream;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ferryway_model::{Digest, Name};
use ferryway_proto::{Ack, Hello, Nack, Status, Warnings};
use ferryway_runtime::{Random, Stop, Tasks};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::server::Connected;
use uuid::Uuid;

use crate::feed::Feed;
use crate::limits::{
    CONNECTION_WINDOW_BYTES, HEARTBEAT, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT,
    STREAM_WINDOW_BYTES,
};
pub use guard::{Enrolling, Guard, NotEnrolled, Registrar};
use rpc::Rpc;
use sessions::Sessions;

/// Where the server takes its groups and their content from.
pub trait Source: Send + Sync + 'static {
    /// The feed of a group; none: there is no such group.
    fn feed(&self, group: &Name) -> Option<Arc<Feed>>;

    /// Content by digest, in any order; what is not there is left out.
    fn blobs(
        &self,
        group: &Name,
        digests: &[Digest],
    ) -> impl Future<Output = Result<Vec<Bytes>, Unavailable>> + Send;

    /// Addresses of other control planes that are there: where instances go when this one ends.
    fn others(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Content cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("content cannot be read now: {reason}")]
pub struct Unavailable {
    /// Why.
    pub reason: String,
}

/// Who wants to know what instances say. Called from the streams' tasks: nothing here may block.
///
/// An instance that comes again may be `connected` on its new stream before it is `disconnected`
/// from the old one; `Peer::session` tells them apart.
pub trait Presence: Send + Sync + 'static {
    /// A stream began.
    fn connected(&self, peer: &Peer, hello: &Hello);
    /// A transaction has come a stage further.
    fn acked(&self, peer: &Peer, ack: &Ack);
    /// A transaction was rejected.
    fn rejected(&self, peer: &Peer, nack: &Nack);
    /// Checks of a transaction that only warn run, or are over. Whoever keeps no operations need
    /// not know.
    fn warned(&self, peer: &Peer, warnings: &Warnings) {
        let _ = (peer, warnings);
    }
    /// The answer to a heartbeat.
    fn reported(&self, peer: &Peer, status: &Status);
    /// An earlier start of an instance that is connected wants in, and is turned away: its data
    /// folder is in use twice. Whoever keeps no list of instances need not know.
    fn contested(&self, peer: &Peer) {
        let _ = peer;
    }
    /// The stream ended, in whatever way.
    fn disconnected(&self, peer: &Peer);
}

/// The other end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The instance's identity.
    pub instance: Uuid,
    /// Rises with each start of the instance.
    pub boot: u64,
    /// Rises with each stream of one start.
    pub attempt: u64,
    /// The stream.
    pub session: Uuid,
    /// The instance's group.
    pub group: Name,
    /// Where the stream comes from.
    pub address: Option<SocketAddr>,
}

/// How a server behaves.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// How often each stream gets a heartbeat.
    pub heartbeat: Duration,
    /// Over what time instances come back that lost their stream.
    pub spread: Duration,
    /// Most streams, and most connections without one.
    pub streams_max: usize,
}

/// Serves instances.
pub struct DeliveryServer<S, P> {
    shared: Arc<Shared<S, P>>,
    beside: Option<Beside>,
}

/// Answers the calls on the delivery port that are none of [`DeliveryServer`]'s: another gRPC
/// service beside it, for other control planes. On a guarded port nobody else reaches it, and each
/// request has the caller's [`ControlName`](ferryway_tls::ControlName) among its extensions.
pub type Beside = Arc<dyn Fn(http::Request<Body>) -> Answering + Send + Sync>;

/// The answer of a service beside the delivery.
pub type Answering = Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>;

/// The listening socket cannot be served any longer.
#[derive(Debug, thiserror::Error)]
#[error("the delivery server ended")]
pub struct ServeError {
    #[source]
    source: tonic::transport::Error,
}

/// What the streams have in common.
struct Shared<S, P> {
    source: Arc<S>,
    presence: Arc<P>,
    settings: ServerSettings,
    guard: Option<Guard>,
    sessions: Sessions,
    fetches: Semaphore,
    random: Mutex<Random>,
    tasks: Tasks,
}

/// Most fetches served at one time; others wait. Each holds a batch of content in memory.
const FETCHES_MAX: usize = 16;
/// HTTP/2 streams of one connection: the stream of the instance and a few fetches.
const CONNECTION_STREAMS_MAX: u32 = 8;
/// Largest headers of a call, in bytes.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// How long the server waits for connections to end once it was stopped.
const GRACE: Duration = Duration::from_secs(10);

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT,
            spread: Duration::from_secs(1),
            streams_max: 20_000,
        }
    }
}

impl<S: Source, P: Presence> DeliveryServer<S, P> {
    /// A server over these feeds, for instances that nobody else can pose as: in plaintext, on this
    /// host. `tasks` owns what it runs.
    pub fn new(
        source: Arc<S>,
        presence: Arc<P>,
        settings: ServerSettings,
        random: Random,
        tasks: &Tasks,
    ) -> Self {
        Self::with(source, presence, settings, None, random, tasks)
    }

    /// A server over these feeds that speaks TLS, and knows instances by their certificates.
    pub fn guarded(
        source: Arc<S>,
        presence: Arc<P>,
        settings: ServerSettings,
        guard: Guard,
        random: Random,
        tasks: &Tasks,
    ) -> Self {
        Self::with(source, presence, settings, Some(guard), random, tasks)
    }

    fn with(
        source: Arc<S>,
        presence: Arc<P>,
        settings: ServerSettings,
        guard: Option<Guard>,
        random: Random,
        tasks: &Tasks,
    ) -> Self {
        let shared = Shared {
            source,
            presence,
            settings,
            guard,
            sessions: Sessions::new(settings.streams_max),
            fetches: Semaphore::new(FETCHES_MAX),
            random: Mutex::new(random),
            tasks: tasks.child("delivery"),
        };
        Self {
            shared: Arc::new(shared),
            beside: None,
        }
    }

    /// Serves another service on the same port.
    #[must_use]
    pub fn beside(mut self, service: Beside) -> Self {
        self.beside = Some(service);
        self
    }

    /// Serves this socket until `stop`, and then no other: a server serves once. At the end
    /// each stream is told to go away, and the connections get a few seconds to end.
    ///
    /// # Errors
    /// When tonic cannot go on.
    pub async fn serve(&self, listener: TcpListener, stop: Stop) -> Result<(), ServeError> {
        // Twice as many as streams: a connection that is being replaced has a moment to end.
        let connections = self.shared.settings.streams_max.saturating_mul(2);
        let acceptor = self
            .shared
            .guard
            .as_ref()
            .map(|guard| guard.acceptor.clone());
        let incoming = incoming::accept(listener, acceptor, connections, &self.shared.tasks);
        self.serve_through(self.service(), incoming, stop).await
    }

    /// The service alone, for whoever puts something between it and its connections.
    pub fn service(
        &self,
    ) -> impl Service<
        http::Request<Body>,
        Response = http::Response<Body>,
        Error = Infallible,
        Future: Send,
    >
    + Clone
    + Send
    + Sync
    + 'static
    + use<S, P> {
        Rpc::new(Arc::clone(&self.shared), self.beside.clone())
    }

    /// As [`Self::serve`], with connections that somebody else accepts, and bounds, and with
    /// [`Self::service`] behind something of the caller's own. On these no certificate is seen.
    ///
    /// # Errors
    /// As [`Self::serve`].
    pub async fn serve_through<C, V>(
        &self,
        service: V,
        incoming: impl Stream<Item = io::Result<C>>,
        stop: Stop,
    ) -> Result<(), ServeError>
    where
        C: AsyncRead + AsyncWrite + Connected + Send + Unpin + 'static,
        V: Service<
                http::Request<Body>,
                Response = http::Response<Body>,
                Error = Infallible,
                Future: Send,
            > + Clone
            + Send
            + Sync
            + 'static,
    {
        let served = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(CONNECTION_STREAMS_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .serve_with_incoming_shutdown(service, incoming, stop.requested());
        let ended = async {
            stop.requested().await;
            self.shared.tasks.stop(GRACE).await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            served = served => served.map_err(|source| ServeError { source }),
            () = ended => {
                tracing::warn!(grace = ?GRACE, "delivery connections still open after the grace");
                Ok(())
            }
        }
    }
}

impl<S, P> Shared<S, P> {
    /// A name for a stream. It is no secret: on a port that others can reach, the certificate says
    /// who somebody is.
    fn new_session(&self) -> Uuid {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let (high, low) = (random.next_u64(), random.next_u64());
        let bytes = (u128::from(high) << 64) | u128::from(low);
        uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
    }
}

impl<S, P> fmt::Debug for DeliveryServer<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryServer")
            .field("settings", &self.shared.settings)
            .field("sessions", &self.shared.sessions)
            .finish_non_exhaustive()
    }
}
