//! A request's body that may be sent twice: what has been sent is kept, up to a bound, until the
//! first try has come to something.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, SizeHint};
use hyper::body::Incoming;

use crate::body::{BrokenBody, Progress, Turn, Upload};
use crate::settings::REPLAY_BYTES_MAX;

/// One try's view of the body.
#[derive(Debug)]
pub(crate) struct Replay {
    tape: Rc<RefCell<Tape>>,
    progress: Rc<Progress>,
    /// Which try this is.
    number: u32,
    /// Chunks of the tape given so far.
    given: usize,
    /// What is left of a body of known length.
    left: Option<u64>,
}

/// The body, shared by all tries.
#[derive(Debug)]
struct Tape {
    incoming: Incoming,
    chunks: Vec<Bytes>,
    bytes: usize,
    length: Option<u64>,
    /// The client's body has been read to its end.
    ended: bool,
    /// More has been sent than is kept.
    overflowed: bool,
    /// The try that reads now; earlier ones may still be dying.
    reader: u32,
}

impl Replay {
    /// Keeps an upload for further tries, if it is not known to be too large.
    pub(crate) fn keep(upload: Upload) -> Result<Self, Upload> {
        let length = upload.length();
        if length.is_some_and(|length| length > REPLAY_BYTES_MAX as u64) {
            return Err(upload);
        }
        let (incoming, progress) = upload.into_parts();
        let tape = Tape {
            incoming,
            chunks: Vec::new(),
            bytes: 0,
            length,
            ended: false,
            overflowed: false,
            reader: 0,
        };
        Ok(Self {
            tape: Rc::new(RefCell::new(tape)),
            progress,
            number: 0,
            given: 0,
            left: length,
        })
    }

    /// Another try's view; it works if the body has not outgrown the tape by then.
    pub(crate) fn again(&self) -> Self {
        Self {
            tape: Rc::clone(&self.tape),
            progress: Rc::clone(&self.progress),
            number: self.number + 1,
            given: 0,
            left: self.tape.borrow().length,
        }
    }

    /// Takes the body over from the try before, if all of it can still be sent.
    pub(crate) fn take_over(&self) -> bool {
        let mut tape = self.tape.borrow_mut();
        let whole = !tape.overflowed && !self.progress.is_broken();
        if whole {
            tape.reader = self.number;
            self.progress.goes_to(Turn::Upstream);
        }
        whole
    }

    pub(crate) fn progress(&self) -> &Rc<Progress> {
        &self.progress
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        let tape = self.tape.borrow();
        self.left == Some(0) || (tape.ended && self.given >= tape.chunks.len())
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        let mut tape = self.tape.borrow_mut();
        if tape.reader != self.number {
            return Poll::Ready(Some(Err(BrokenBody::TakenOver)));
        }
        let polled = match tape.chunks.get(self.given) {
            Some(chunk) => {
                self.progress.goes_to(Turn::Upstream);
                Poll::Ready(Some(Ok(chunk.clone())))
            }
            None => tape.read(&self.progress, cx),
        };
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            self.given += 1;
            self.left = self
                .left
                .map(|left| left.saturating_sub(chunk.len() as u64));
        }
        if tape.ended && self.given >= tape.chunks.len() {
            self.progress.goes_to(Turn::Answer);
        }
        polled
    }
}

impl Tape {
    /// Reads on in the client's body, and keeps what comes.
    fn read(
        &mut self,
        progress: &Progress,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = progress.poll(&mut self.incoming, cx);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => {
                self.keep(chunk);
                self.ended = self.incoming.is_end_stream();
            }
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn keep(&mut self, chunk: &Bytes) {
        self.bytes = self.bytes.saturating_add(chunk.len());
        if self.bytes > REPLAY_BYTES_MAX {
            self.overflowed = true;
            self.chunks = Vec::new();
        } else {
            // A copy: a chunk is a slice of a read buffer, which may be far larger.
            self.chunks.push(Bytes::copy_from_slice(chunk));
        }
    }
}
