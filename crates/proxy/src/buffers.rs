//! Buffers, shared by the connections of a worker: one that waits has none.

use std::cell::RefCell;

use bytes::BytesMut;
use http::HeaderMap;

use crate::h1::Output;

/// The spare buffers of a worker.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    spare: RefCell<Vec<BytesMut>>,
    outputs: RefCell<Vec<Output>>,
    headers: RefCell<Vec<HeaderMap>>,
}

impl Buffers {
    /// An empty buffer with room for [`BUFFER_BYTES`].
    pub(crate) fn take(&self) -> BytesMut {
        let spare = self.spare.borrow_mut().pop();
        spare.unwrap_or_else(|| BytesMut::with_capacity(BUFFER_BYTES))
    }

    /// Makes room for a read in a buffer, if it has too little: for as much as is wanted, within
    /// bounds.
    pub(crate) fn make_room(&self, buffer: &mut BytesMut, want: usize) {
        if buffer.capacity() == 0 {
            *buffer = self.take();
        }
        let want = want.clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        if buffer.capacity() - buffer.len() < want / 2 {
            buffer.reserve(want);
        }
    }

    /// An empty output.
    pub(crate) fn output(&self) -> Output {
        self.outputs.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps an output for the next, if all of it is written.
    pub(crate) fn give_back_output(&self, output: Output) {
        let mut outputs = self.outputs.borrow_mut();
        if output.is_empty() && outputs.len() < SPARE_MAX {
            outputs.push(output);
        }
    }

    /// An empty header map.
    pub(crate) fn headers(&self) -> HeaderMap {
        self.headers.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps a header map, or its room, for the next.
    pub(crate) fn give_back_headers(&self, mut map: HeaderMap) {
        let mut headers = self.headers.borrow_mut();
        if map.capacity() > 0 && headers.len() < SPARE_MAX {
            map.clear();
            headers.push(map);
        }
    }

    /// Keeps a buffer for the next, if it is empty and nobody looks at what was in it.
    pub(crate) fn give_back(&self, mut buffer: BytesMut) {
        let mut spare = self.spare.borrow_mut();
        if buffer.is_empty() && spare.len() < SPARE_MAX && buffer.try_reclaim(BUFFER_BYTES) {
            spare.push(buffer);
        }
    }
}

/// Room in a buffer, in bytes: more than an ordinary head.
const BUFFER_BYTES: usize = 16 * 1024;
/// Buffers that are kept.
const SPARE_MAX: usize = 64;
/// Room that is made for a read, in bytes: at least, and at most.
const READ_BYTES_MIN: usize = 8 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
