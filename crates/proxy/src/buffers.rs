//! Read buffers, shared by the connections of a worker: one that waits has none.

use std::cell::RefCell;

use bytes::BytesMut;

/// The spare read buffers of a worker.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    spare: RefCell<Vec<BytesMut>>,
}

impl Buffers {
    /// An empty buffer with room for [`BUFFER_BYTES`].
    pub(crate) fn take(&self) -> BytesMut {
        let spare = self.spare.borrow_mut().pop();
        spare.unwrap_or_else(|| BytesMut::with_capacity(BUFFER_BYTES))
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
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;
/// Buffers that are kept.
const SPARE_MAX: usize = 64;
