//! A client's socket as hyper sees it, with eyes for what passes: that bytes come in, that the
//! client does not take what it is sent, and that hyper is about to answer by itself.
//!
//! hyper answers a head it cannot read with a bare status. The contract wants a refusal with a code,
//! so that one write is replaced. It is recognised by position, not by content: it begins where all
//! earlier answers are flushed and no request is in flight.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::client::{Client, Phase};
use crate::refusal::Refusal;
use crate::worker::Worker;

/// A client's socket.
pub(crate) struct ClientIo {
    socket: TokioIo<TcpStream>,
    client: Rc<Client>,
    worker: Rc<Worker>,
    /// Read already, to tell the protocol.
    first: BytesMut,
    /// What is written instead of hyper's own answer.
    instead: Option<Bytes>,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl ClientIo {
    pub(crate) fn new(socket: TcpStream, client: Rc<Client>, worker: Rc<Worker>) -> Self {
        Self {
            socket: TokioIo::new(socket),
            client,
            worker,
            first: BytesMut::new(),
            instead: None,
        }
    }

    /// Reads until the client's first bytes tell what it speaks: HTTP/2 if they are its preface.
    pub(crate) async fn protocol(&mut self) -> io::Result<Protocol> {
        self.first.reserve(FIRST_READ_BYTES);
        loop {
            let read = self.first.len().min(PREFACE.len());
            if self.first[..read] != PREFACE[..read] {
                return Ok(Protocol::Http1);
            }
            if read == PREFACE.len() {
                return Ok(Protocol::Http2);
            }
            if self.socket.inner_mut().read_buf(&mut self.first).await? == 0 {
                // The end of the stream is hyper's to see: it may be a client that said "PRI".
                return Ok(Protocol::Http1);
            }
            self.client.has_read();
        }
    }

    /// Answers with a refusal and ends, as far as the socket takes it at once.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        self.worker.refused_unread(refusal);
        // A client that does not take some hundred bytes gets none.
        let _ = self.socket.inner().try_write(&refusal.bytes());
    }

    /// Whether hyper, about to write `bytes`, is answering by itself; then what to write instead.
    fn instead_of(&self, bytes: &[u8]) -> Option<Bytes> {
        // HTTP/2 frames are nobody's answer, whenever they come.
        let quiet = matches!(
            self.client.phase(),
            Phase::Fresh | Phase::Head | Phase::Idle
        );
        if !quiet || !self.client.owes_nothing() {
            return None;
        }
        // `HTTP/1.1 400 Bad Request`
        let refusal = match bytes.get(9..12)? {
            b"414" => Refusal::UriTooLong,
            b"431" => Refusal::HeaderTooLarge,
            _ => Refusal::BadRequest("Bad Request"),
        };
        self.worker.refused_unread(&refusal);
        Some(refusal.bytes())
    }

    /// Writes what replaces hyper's answer of `length` bytes.
    fn poll_write_instead(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        while let Some(bytes) = self.instead.as_mut().filter(|bytes| bytes.has_remaining()) {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
            bytes.advance(written);
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(length))
    }

    fn watch<T>(&self, written: Poll<T>) -> Poll<T> {
        self.client.is_stalled(written.is_pending());
        written
    }
}

impl Read for ClientIo {
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

impl Write for ClientIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() {
            this.instead = slices.first().and_then(|first| this.instead_of(first));
        }
        let written = if this.instead.is_some() {
            let length = slices.iter().map(|slice| slice.len()).sum();
            this.poll_write_instead(cx, length)
        } else {
            Pin::new(&mut this.socket).poll_write_vectored(cx, slices)
        };
        this.watch(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.client.has_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Room for the first read: an ordinary first request fits, so that no second read is needed.
const FIRST_READ_BYTES: usize = 2 * 1024;
