//! How a control plane is reached.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Channel, Endpoint, Error};
use tower::service_fn;

/// How a control plane is reached, where that is not over TCP: in a simulation.
pub trait Dial: Send + Sync + 'static {
    /// Opens a connection to this address.
    fn dial(&self, address: Uri) -> Dialling;
}

/// The control planes, and how they are reached.
pub(super) struct Controls {
    /// Each with its address as it was given; tried in turn.
    pub(super) endpoints: Vec<(String, Endpoint)>,
    /// None: over TCP.
    pub(super) dial: Option<Arc<dyn Dial>>,
}

/// A connection that is being opened.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// What a connection is read from and written to.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Connects to an endpoint: over TCP, if nothing else is said.
pub(super) async fn connect(
    endpoint: &Endpoint,
    dial: Option<Arc<dyn Dial>>,
) -> Result<Channel, Error> {
    let Some(dial) = dial else {
        return endpoint.connect().await;
    };
    let connector = service_fn(move |address| {
        let dialling = dial.dial(address);
        async move { dialling.await.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(connector).await
}
