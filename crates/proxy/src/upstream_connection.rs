//! A connection to an upstream: one request at a time goes in, its response comes out.
//!
//! An enum, so that HTTP/2 fits beside HTTP/1.1; and the only place that knows which codec reads and
//! writes the messages.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use ferryway_runtime::{Task, Tasks};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::body::RequestBody;
use crate::refusal::Refusal;
use crate::settings::RESPONSE_HEAD_BYTES_MAX;

/// A connection to an endpoint. Dropping it closes it, whatever it is doing.
pub(crate) enum Connection {
    /// HTTP/1.1.
    Http1 {
        sender: SendRequest<RequestBody>,
        /// Reads and writes; aborted with the connection.
        task: Task,
    },
}

/// Why there is no response, and the request, if it came back untouched.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) refusal: Refusal,
    pub(crate) request: Option<Box<Request<RequestBody>>>,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(address: SocketAddr, tasks: &Tasks) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(RESPONSE_HEAD_BYTES_MAX);
        let handshake = builder.handshake(TokioIo::new(socket)).await;
        let (sender, connection) = handshake.map_err(io::Error::other)?;
        let task = tasks.spawn_local("upstream", |_stop| async move {
            // Whoever waits for a response is told; nobody else is concerned.
            let _ = connection.await;
        });
        Ok(Self::Http1 { sender, task })
    }

    /// Whether it can take a request: the last one is over, both ways, and the upstream has neither
    /// closed it nor sent what nobody asked for.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Http1 { sender, .. } => sender.is_ready(),
        }
    }

    /// Sends a request and waits for the head of its response.
    pub(crate) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, Failure>> + use<> {
        let Self::Http1 { sender, .. } = self;
        let response = sender.try_send_request(request);
        async move {
            match response.await {
                Ok(response) => check(response),
                Err(mut error) => Err(Failure {
                    request: error.take_message().map(Box::new),
                    refusal: blame(&error.into_error()),
                }),
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Self::Http1 { task, .. } = self;
        task.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http1 { .. } => f.write_str("Http1"),
        }
    }
}

/// A response that can be taken in two ways is none: it said both lengths, a coding other than
/// `chunked`, or that it speaks another protocol from here on, for which nobody asked.
fn check(response: Response<Incoming>) -> Result<Response<Incoming>, Failure> {
    let headers = response.headers();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let framed = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => {
            coding.as_bytes().eq_ignore_ascii_case(b"chunked")
                && !headers.contains_key(CONTENT_LENGTH)
        }
        (Some(_), Some(_)) => false,
    };
    if framed && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    Err(Failure {
        refusal: Refusal::UpstreamProtocol,
        request: None,
    })
}

/// What an upstream did wrong.
fn blame(error: &hyper::Error) -> Refusal {
    let gone = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    let broken = error
        .source()
        .is_some_and(|source| source.is::<io::Error>());
    if !error.is_parse() && (gone || broken) {
        Refusal::UpstreamReset
    } else {
        Refusal::UpstreamProtocol
    }
}
