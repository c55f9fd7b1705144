//! A connection to an upstream: one request at a time goes in, its response comes out.
//!
//! An enum, so that HTTP/2 fits beside HTTP/1.1; and the only place that knows which codec reads and
//! writes the messages.

mod http1;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use tokio::net::TcpStream;

use crate::body::{BrokenBody, RequestBody};
use crate::buffers::Buffers;
use crate::headers::Told;
use crate::refusal::Refusal;
use http1::Http1;

/// A connection to an endpoint. Dropping it closes it, whatever it is doing.
#[derive(Debug)]
pub(crate) enum Connection {
    /// HTTP/1.1. In a box, as it moves between pool and exchange.
    Http1(Box<Http1>),
}

/// Why there is no response, and the request's body, if nothing of the request was sent.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) refusal: Refusal,
    pub(crate) unsent: Option<RequestBody>,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(address: SocketAddr, buffers: &Rc<Buffers>) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self::Http1(Box::new(Http1::new(
            socket,
            Rc::clone(buffers),
        ))))
    }

    /// Whether it is at rest and can take a request: the last one is over, both ways, and the
    /// upstream has neither closed it nor sent what nobody asked for, as far as is known.
    pub(crate) fn is_ready(&self) -> bool {
        let Self::Http1(connection) = self;
        connection.is_ready()
    }

    /// As [`is_ready`](Self::is_ready), but the system is asked, for a request that cannot be sent
    /// twice.
    pub(crate) fn is_surely_ready(&self) -> bool {
        let Self::Http1(connection) = self;
        connection.is_surely_ready()
    }

    /// Takes a request's body to send behind its head, and what the upstream is told with it; it must
    /// be ready. The head is only looked at.
    pub(crate) fn start(&mut self, request: &mut Request<RequestBody>, told: &Told) {
        let Self::Http1(connection) = self;
        connection.start(request, told);
    }

    /// Sends the request, and waits for the head of its response. The request's body goes on being
    /// sent while the response's is read.
    pub(crate) async fn response(&mut self) -> Result<Response<()>, Failure> {
        let Self::Http1(connection) = self;
        std::future::poll_fn(|cx| connection.poll_response(cx)).await
    }

    /// What comes next of the response's body.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let Self::Http1(connection) = self;
        connection.poll_frame(cx)
    }

    /// Whether the response's body is over.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.left() == Some(0)
    }

    /// How much of it is left, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        let Self::Http1(connection) = self;
        connection.left()
    }

    /// Ends the exchange: whether the connection is at rest and may be kept.
    pub(crate) fn rests(&mut self) -> bool {
        let Self::Http1(connection) = self;
        connection.rests()
    }
}
