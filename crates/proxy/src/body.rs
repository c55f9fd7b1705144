//! Bodies on their way: the client's to the upstream, the upstream's to the client. Both stream, and
//! each side reads no faster than the other takes.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::client_connection::Http1;
use crate::exchange::Exchange;
use crate::pool::Lease;
use crate::refusal::{Refusal, Wait};
use crate::replay::Replay;

/// A request's body, as it goes upstream. Trailers end here.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// None.
    Empty,
    /// The client's, as it comes.
    Stream(Upload),
    /// The client's, kept for another try.
    Replay(Replay),
}

/// A response's body, as it goes to the client.
pub(crate) enum ResponseBody {
    /// The gateway's own words; none once they are said.
    Text(Bytes),
    /// An upstream's.
    Relay(Relay),
}

/// Why a body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BrokenBody {
    /// The client's body is malformed, or the client is gone.
    #[error("the client's body broke off")]
    Client,
    /// Another try has taken the body over.
    #[error("the request is tried again")]
    TakenOver,
    /// The upstream's body is malformed, or the upstream is gone.
    #[error("the upstream's body broke off")]
    Upstream,
    /// The upstream has sent nothing for too long.
    #[error("the upstream's body did not go on in time")]
    Timeout,
}

/// A client's body that streams.
#[derive(Debug)]
pub(crate) struct Upload {
    source: Source,
    /// Read already, and given back.
    back: VecDeque<Bytes>,
    progress: Rc<Progress>,
}

/// Where a client's body comes from.
#[derive(Debug)]
enum Source {
    Http1(Rc<Http1>),
    Http2(Incoming),
    #[cfg(test)]
    Nowhere,
}

/// How far an upload has come: whoever waits for the response needs to know whose turn it is.
#[derive(Debug)]
pub(crate) struct Progress {
    turn: Cell<Turn>,
    since: Cell<Instant>,
    broken: Cell<bool>,
}

/// Whose turn it is in an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The client's, to send more.
    Client,
    /// The upstream's, to take more.
    Upstream,
    /// The upstream's, to answer: it has everything.
    Answer,
}

impl RequestBody {
    /// The body of an HTTP/1 request, which is to be read from its connection.
    pub(crate) fn http1(connection: Rc<Http1>) -> Self {
        Self::Stream(Upload::new(Source::Http1(connection)))
    }

    /// The body of an HTTP/2 request.
    pub(crate) fn http2(incoming: Incoming) -> Self {
        match incoming.is_end_stream() {
            true => Self::Empty,
            false => Self::Stream(Upload::new(Source::Http2(incoming))),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Another view of it for another try, if there can be one.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Replay(replay) => Some(Self::Replay(replay.again())),
            Self::Stream(_) => None,
        }
    }

    /// How the upload goes, if there is one.
    pub(crate) fn progress(&self) -> Option<&Rc<Progress>> {
        match self {
            Self::Empty => None,
            Self::Stream(upload) => Some(&upload.progress),
            Self::Replay(replay) => Some(replay.progress()),
        }
    }

    /// Takes back what it gave last, to give it again.
    pub(crate) fn put_back(&mut self, parts: impl IntoIterator<Item = Bytes>) {
        match self {
            Self::Empty => {}
            Self::Stream(upload) => upload.put_back(parts),
            Self::Replay(replay) => replay.put_back(parts),
        }
    }

    /// One that consists of these parts.
    #[cfg(test)]
    pub(crate) fn of(parts: &[&'static str]) -> Self {
        let mut body = Self::Stream(Upload::new(Source::Nowhere));
        body.put_back(parts.iter().map(|part| Bytes::from_static(part.as_bytes())));
        body
    }

    /// What comes next of it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Stream(upload) => upload.poll(cx),
            Self::Replay(replay) => replay.poll(cx),
        }
    }
}

impl Upload {
    fn new(source: Source) -> Self {
        let progress = Progress::new();
        let back = VecDeque::new();
        Self {
            source,
            back,
            progress,
        }
    }

    /// How long the body is, where the client has said so.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.source {
            Source::Http1(connection) => connection.body_left(),
            Source::Http2(incoming) => incoming.size_hint().exact(),
            #[cfg(test)]
            Source::Nowhere => None,
        }
    }

    fn put_back(&mut self, parts: impl IntoIterator<Item = Bytes>) {
        let mut front: VecDeque<Bytes> = parts.into_iter().collect();
        front.append(&mut self.back);
        self.back = front;
    }

    pub(crate) fn progress(&self) -> &Rc<Progress> {
        &self.progress
    }

    /// What comes next; trailers end here.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        if let Some(part) = self.back.pop_front() {
            return Poll::Ready(Some(Ok(part)));
        }
        let polled = match &mut self.source {
            Source::Http1(connection) => ready!(connection.poll_body(cx)),
            Source::Http2(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                match frame.map(|frame| frame.map(Frame::into_data)) {
                    Some(Ok(Ok(data))) => Some(Ok(data)),
                    Some(Ok(Err(_))) | None => None,
                    Some(Err(_)) => Some(Err(BrokenBody::Client)),
                }
            }
            #[cfg(test)]
            Source::Nowhere => None,
        };
        if let Some(Err(_)) = polled {
            self.progress.broken.set(true);
        }
        Poll::Ready(polled)
    }
}

impl Progress {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            turn: Cell::new(Turn::Upstream),
            since: Cell::new(Instant::now()),
            broken: Cell::new(false),
        })
    }

    /// Whose turn it is, and since when.
    pub(crate) fn turn(&self) -> (Turn, Instant) {
        (self.turn.get(), self.since.get())
    }

    /// Whether the client's body broke off.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Somebody waits for whoever's turn it is; for how long already, if it was theirs before.
    pub(crate) fn waits_for(&self, turn: Turn) {
        if self.turn.replace(turn) != turn {
            self.since.set(Instant::now());
        }
    }

    /// Something got through, so all waiting begins anew.
    pub(crate) fn moves(&self) {
        self.since.set(Instant::now());
    }
}

/// An upstream's answer on its way to the client. Dropped at its end, it gives the connection back to
/// the pool; dropped before, it closes it.
pub(crate) struct Relay {
    lease: Option<Lease>,
    /// Whether the deadline for the next bytes runs.
    waits: bool,
    /// It has broken off.
    broken: Option<BrokenBody>,
    exchange: Exchange,
}

impl Relay {
    pub(crate) fn new(lease: Lease, exchange: Exchange) -> Self {
        Self {
            lease: Some(lease),
            waits: false,
            broken: None,
            exchange,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        if let Some(broken) = self.broken {
            return Poll::Ready(Some(Err(broken)));
        }
        let Some(lease) = &mut self.lease else {
            return Poll::Ready(None);
        };
        match lease.connection.poll_frame(cx) {
            Poll::Ready(Some(Err(broken))) => self.break_off(broken, cx),
            Poll::Ready(item) => {
                self.waits = false;
                Poll::Ready(item)
            }
            Poll::Pending => {
                if !self.waits {
                    self.waits = true;
                    self.exchange.wait_for_more();
                }
                let late = self.exchange.poll_late(cx);
                late.map(|()| Some(Err(self.is_late())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease
            .as_ref()
            .is_none_or(|lease| lease.connection.is_end_stream())
    }

    fn left(&self) -> Option<u64> {
        self.lease
            .as_ref()
            .map_or(Some(0), |lease| lease.connection.left())
    }

    /// Lets what came before go out to the client, and then breaks off.
    fn break_off(
        &mut self,
        broken: BrokenBody,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        self.exchange.count(&match broken {
            BrokenBody::Client => Refusal::BadRequest("Body Is Malformed"),
            BrokenBody::Timeout => Refusal::UpstreamTimeout(Wait::Read),
            BrokenBody::Upstream | BrokenBody::TakenOver => Refusal::UpstreamReset,
        });
        self.broken = Some(broken);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_late(&self) -> BrokenBody {
        self.exchange.count(&Refusal::UpstreamTimeout(Wait::Read));
        BrokenBody::Timeout
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.exchange.give_back(lease);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match &mut *self {
            Self::Text(text) if text.is_empty() => Poll::Ready(None),
            Self::Text(text) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
            Self::Relay(relay) => relay.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Relay(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.len() as u64),
            Self::Relay(relay) => relay
                .left()
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
