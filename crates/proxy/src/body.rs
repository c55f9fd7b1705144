//! Bodies on their way: the client's to the upstream, the upstream's to the client. Both stream, and
//! each side reads no faster than the other takes.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

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
    incoming: Incoming,
    progress: Rc<Progress>,
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
    /// A client's body.
    pub(crate) fn client(incoming: Incoming) -> Self {
        if incoming.is_end_stream() {
            return Self::Empty;
        }
        let progress = Progress::new();
        Self::Stream(Upload { incoming, progress })
    }

    /// How the upload goes, if there is one.
    pub(crate) fn progress(&self) -> Option<Rc<Progress>> {
        match self {
            Self::Empty => None,
            Self::Stream(upload) => Some(Rc::clone(&upload.progress)),
            Self::Replay(replay) => Some(Rc::clone(replay.progress())),
        }
    }
}

impl Upload {
    /// How long the body is, where the client has said so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    pub(crate) fn into_parts(self) -> (Incoming, Rc<Progress>) {
        (self.incoming, self.progress)
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

    pub(crate) fn goes_to(&self, turn: Turn) {
        // Waiting on is no progress; a frame passed on is, whosever turn it was.
        if self.turn.replace(turn) != turn || turn == Turn::Upstream {
            self.since.set(Instant::now());
        }
    }

    /// Watches one poll of the client's body, and takes off the trailers.
    pub(crate) fn poll(
        &self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Pending => {
                self.goes_to(Turn::Client);
                Poll::Pending
            }
            Poll::Ready(Some(Err(_))) => {
                self.broken.set(true);
                Poll::Ready(Some(Err(BrokenBody::Client)))
            }
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(match frame.into_data() {
                Ok(data) => {
                    self.goes_to(Turn::Upstream);
                    Some(Ok(data))
                }
                Err(_trailers) => {
                    self.goes_to(Turn::Answer);
                    None
                }
            }),
            Poll::Ready(None) => {
                self.goes_to(Turn::Answer);
                Poll::Ready(None)
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let polled = match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Stream(upload) => {
                let polled = upload.progress.poll(&mut upload.incoming, cx);
                if upload.incoming.is_end_stream() {
                    upload.progress.goes_to(Turn::Answer);
                }
                polled
            }
            Self::Replay(replay) => replay.poll(cx),
        };
        polled.map(|item| item.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(upload) => upload.incoming.is_end_stream(),
            Self::Replay(replay) => replay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(upload) => upload.incoming.size_hint(),
            Self::Replay(replay) => replay.size_hint(),
        }
    }
}

/// An upstream's answer on its way to the client. Dropped at its end, it gives the connection back to
/// the pool; dropped before, it closes it.
pub(crate) struct Relay {
    incoming: Incoming,
    lease: Option<Lease>,
    ended: bool,
    /// Whether the deadline for the next bytes runs.
    waits: bool,
    exchange: Exchange,
}

impl Relay {
    pub(crate) fn new(incoming: Incoming, lease: Lease, exchange: Exchange) -> Self {
        Self {
            incoming,
            lease: Some(lease),
            ended: false,
            waits: false,
            exchange,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(item) => {
                self.waits = false;
                self.ended = item.is_none();
                Poll::Ready(item.map(|frame| frame.map_err(|_| self.breaks())))
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

    fn breaks(&self) -> BrokenBody {
        self.exchange.count(&Refusal::UpstreamReset);
        BrokenBody::Upstream
    }

    fn is_late(&self) -> BrokenBody {
        self.exchange.count(&Refusal::UpstreamTimeout(Wait::Read));
        BrokenBody::Timeout
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(lease) = self
            .lease
            .take()
            .filter(|_| self.ended || self.incoming.is_end_stream())
        {
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
            Self::Relay(relay) => relay.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.len() as u64),
            Self::Relay(relay) => relay.incoming.size_hint(),
        }
    }
}
