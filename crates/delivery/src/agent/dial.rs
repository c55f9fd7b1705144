//! How a control plane is reached.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use ferryway_tls::Connector;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Error};
use tower::service_fn;

use super::BadAddress;
use super::connection::endpoint;
use super::credentials::Credentials;

/// How a control plane is reached, where that is not over TCP: in a simulation.
pub trait Dial: Send + Sync + 'static {
    /// Opens a connection to this address.
    fn dial(&self, address: Uri) -> Dialling;
}

/// The control planes, and how they are reached.
#[derive(Clone)]
pub(super) struct Controls {
    /// Each with its address as it was given; tried in turn.
    pub(super) endpoints: Vec<(String, Endpoint)>,
    /// None: over TCP.
    pub(super) dial: Option<Arc<dyn Dial>>,
    /// What TLS connections are made with; none: there are none.
    pub(super) credentials: Option<Credentials>,
}

/// The way to one control plane.
pub(super) struct Route {
    /// None: over TCP.
    pub(super) dial: Option<Arc<dyn Dial>>,
    /// None: in plaintext.
    pub(super) tls: Option<Connector>,
}

impl Controls {
    /// Whom to dial once this one is lost: the next of those that are said to be there; where none
    /// of them is ours, the next one.
    pub(super) fn after(&self, lost: usize, there: &[String]) -> usize {
        let count = self.endpoints.len().max(1);
        let next = |step: &usize| (lost + step) % count;
        let is_there = |number: &usize| {
            let ours = self
                .endpoints
                .get(*number)
                .map(|(address, _)| place(address));
            there.iter().any(|it| Some(place(it)) == ours)
        };
        let mut others = (1..count).map(|step| next(&step));
        others.find(is_there).unwrap_or_else(|| next(&1))
    }
}

/// Host and port of an address; none: it is none.
fn place(address: &str) -> Option<(String, Option<u16>)> {
    let uri: Uri = address.parse().ok()?;
    Some((uri.host()?.to_ascii_lowercase(), uri.port_u16()))
}

/// A connection that is being opened.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// What a connection is read from and written to.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Connects to an endpoint.
pub(super) async fn connect(endpoint: &Endpoint, route: Route) -> Result<Channel, Error> {
    let Route { dial, tls } = route;
    let connector = service_fn(move |address: Uri| {
        let (dial, tls) = (dial.clone(), tls.clone());
        async move {
            let plain: Box<dyn Io> = match dial {
                Some(dial) => dial.dial(address.clone()).await?,
                None => Box::new(over_tcp(&address).await?),
            };
            let io: Box<dyn Io> = match tls {
                None => plain,
                Some(tls) => {
                    let host = address.host().unwrap_or_default();
                    let secured = tls.connect(host, plain).await;
                    Box::new(secured.map_err(io::Error::other)?)
                }
            };
            Ok::<_, io::Error>(TokioIo::new(io))
        }
    });
    endpoint.connect_with_connector(connector).await
}

/// Connects to the delivery port of a control plane, for what is served there beside the delivery;
/// with TLS where there is a connector.
///
/// # Errors
/// There is no connection.
pub async fn dial(address: &str, tls: Option<Connector>) -> Result<Channel, CannotDial> {
    let route = Route { dial: None, tls };
    Ok(connect(&endpoint(address)?, route).await?)
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum CannotDial {
    /// There is nothing to connect to.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// Nobody answers, or not as a control plane does.
    #[error("cannot connect")]
    Connect(#[from] Error),
}

async fn over_tcp(address: &Uri) -> io::Result<TcpStream> {
    let host = address.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, address.port_u16().unwrap_or_default())).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
