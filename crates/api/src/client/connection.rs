//! One connection for one call, driven while something is awaited from it.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use ferryway_tls::Connector;
use http::Request;
use http::response::Parts;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::{ClientError, silence};
use super::server::Server;

/// The body of an answer, and the connection that it comes from.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Incoming,
    pub(super) driver: Driver,
}

/// Connects, sends the request and reads the head of the answer.
pub(super) async fn send(
    server: &Server,
    tls: Option<&Connector>,
    request: Request<Full<Bytes>>,
) -> Result<(Parts, Reply), ClientError> {
    let failed = |source| ClientError::Unreachable {
        server: server.to_string(),
        source,
    };
    let plain = connect(server).await.map_err(failed)?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(plain),
        Some(tls) => {
            let secured = tls.connect(server.host(), plain).await;
            Box::new(secured.map_err(|error| failed(io::Error::other(error)))?)
        }
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(io::Error::other(error)))?;
    let mut driver = Driver {
        connection: Some(connection),
    };
    let response = driver.during(sender.send_request(request)).await;
    match response {
        Ok(response) => {
            let (head, body) = response.into_parts();
            Ok((head, Reply { body, driver }))
        }
        Err(error) if error.is_parse() => Err(ClientError::Protocol {
            server: server.to_string(),
            what: format!("it is not HTTP ({error})"),
        }),
        Err(error) => Err(failed(io::Error::other(error))),
    }
}

async fn connect(server: &Server) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect((server.host(), server.port()));
    let stream = timeout(CONNECT_TIME_MAX, connecting)
        .await
        .map_err(|_| silence(CONNECT_TIME_MAX))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What moves the bytes of a connection, polled together with what waits for them: a task of its
/// own would need an owner that a client has not got.
pub(super) struct Driver {
    /// None once it has ended; its error, if any, reaches what waits for its bytes.
    connection: Option<Connection<Wire, Full<Bytes>>>,
}

/// A connection below HTTP: plain, or TLS.
type Wire = TokioIo<Box<dyn Stream>>;

/// What a connection is read from and written to.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

impl Driver {
    /// Does `work`, and what the connection has to do for it.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Some(connection) = &mut self.connection
                && Pin::new(connection).poll(cx).is_ready()
            {
                self.connection = None;
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
