//! HTTP/2 from a client, by hyper.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::Request;
use hyper::body::Incoming;
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::supervise;
use crate::body::RequestBody;
use crate::client::Client;
use crate::exchange::answer;
use crate::settings::{H2_STREAMS_MAX, HEAD_BYTES_MAX};
use crate::worker::Worker;

/// Serves the requests of a connection whose `first` bytes have been read.
pub(super) async fn serve(
    worker: Rc<Worker>,
    client: Rc<Client>,
    socket: TcpStream,
    first: BytesMut,
) {
    client.is_http2();
    let io = Http2Io {
        socket: TokioIo::new(socket),
        client: Rc::clone(&client),
        first,
    };
    let service = {
        let (worker, client) = (Rc::clone(&worker), Rc::clone(&client));
        service_fn(move |request: Request<Incoming>| {
            let (worker, client) = (Rc::clone(&worker), Rc::clone(&client));
            let mut request = request.map(RequestBody::http2);
            async move { Ok::<_, Infallible>(answer(worker, client, &mut request).await) }
        })
    };
    let connection = http2::Builder::new(OnThisThread)
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .serve_connection(io, service);
    let wind_down = |connection: Pin<&mut _>| http2::Connection::graceful_shutdown(connection);
    // A connection that is late is dropped: what it was late with is not a request's head.
    let _ = supervise(pin!(connection), wind_down, &worker, &client).await;
}

/// A client's socket as hyper sees it, with an eye for whether the client takes what it is sent.
struct Http2Io {
    socket: TokioIo<TcpStream>,
    client: Rc<Client>,
    /// Read already.
    first: BytesMut,
}

impl Http2Io {
    fn watch<T>(&self, written: Poll<T>) -> Poll<T> {
        self.client.is_stalled(written.is_pending());
        written
    }
}

impl Read for Http2Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.first.is_empty() {
            let length = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first.split_to(length));
            if this.first.is_empty() {
                this.first = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
        this.client.has_read();
        Poll::Ready(Ok(()))
    }
}

impl Write for Http2Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.watch(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Runs the streams of an HTTP/2 connection where the connection runs. They end with it.
#[derive(Clone, Copy, Debug)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
