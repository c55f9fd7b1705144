//! A request's body that may be sent twice: what has been sent is kept, up to a bound, until the
//! first try has come to something.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::body::{BrokenBody, Progress, Upload};
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
    /// Those of them that were given back.
    back: VecDeque<Bytes>,
}

/// The body, shared by all tries.
#[derive(Debug)]
struct Tape {
    upload: Upload,
    chunks: Vec<Bytes>,
    bytes: usize,
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
        if upload
            .length()
            .is_some_and(|length| length > REPLAY_BYTES_MAX as u64)
        {
            return Err(upload);
        }
        let progress = Rc::clone(upload.progress());
        let tape = Tape {
            upload,
            chunks: Vec::new(),
            bytes: 0,
            ended: false,
            overflowed: false,
            reader: 0,
        };
        Ok(Self {
            tape: Rc::new(RefCell::new(tape)),
            progress,
            number: 0,
            given: 0,
            back: VecDeque::new(),
        })
    }

    /// Another try's view; it works if the body has not outgrown the tape by then.
    pub(crate) fn again(&self) -> Self {
        Self {
            tape: Rc::clone(&self.tape),
            progress: Rc::clone(&self.progress),
            number: self.number + 1,
            given: 0,
            back: VecDeque::new(),
        }
    }

    /// Takes the body over from the try before, if all of it can still be sent.
    pub(crate) fn take_over(&self) -> bool {
        let mut tape = self.tape.borrow_mut();
        let whole = !tape.overflowed && !self.progress.is_broken();
        if whole {
            tape.reader = self.number;
            self.progress.moves();
        }
        whole
    }

    /// Takes back what it gave last, to give it again. (The tape may have dropped it.)
    pub(crate) fn put_back(&mut self, parts: impl IntoIterator<Item = Bytes>) {
        let mut front: VecDeque<Bytes> = parts.into_iter().collect();
        front.append(&mut self.back);
        self.back = front;
    }

    pub(crate) fn progress(&self) -> &Rc<Progress> {
        &self.progress
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        let mut tape = self.tape.borrow_mut();
        if tape.reader != self.number {
            return Poll::Ready(Some(Err(BrokenBody::TakenOver)));
        }
        if let Some(part) = self.back.pop_front() {
            return Poll::Ready(Some(Ok(part)));
        }
        let polled = match tape.chunks.get(self.given) {
            Some(chunk) => Poll::Ready(Some(Ok(chunk.clone()))),
            None => tape.read(cx),
        };
        if let Poll::Ready(Some(Ok(_))) = &polled {
            self.given += 1;
        }
        polled
    }
}

impl Tape {
    /// Reads on in the client's body, and keeps what comes.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.upload.poll(cx);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => self.keep(chunk),
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
