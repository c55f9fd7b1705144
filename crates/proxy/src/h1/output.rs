//! What is to be written, gathered so that it takes as few writes as it can.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

/// What is to be written: `text`, then `chunk`, then `tail`.
#[derive(Debug, Default)]
pub(crate) struct Output {
    text: Vec<u8>,
    /// How much of `text` is written.
    written: usize,
    chunk: Bytes,
    tail: &'static [u8],
}

impl Output {
    /// Where heads are written to; only while there [is room](Self::has_room).
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Whether everything is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.chunk.is_empty() && self.tail.is_empty()
    }

    /// Whether another part may be added.
    pub(crate) fn has_room(&self) -> bool {
        self.chunk.is_empty() && self.tail.is_empty() && self.text.len() < COPY_BYTES_MAX
    }

    /// Adds a part of a body: copied if it is small, as a part of its own costs more than a copy.
    pub(crate) fn push(&mut self, data: Bytes, chunked: bool) {
        if data.is_empty() {
            return;
        }
        if chunked {
            chunk_line(data.len(), &mut self.text);
        }
        let tail: &[u8] = if chunked { b"\r\n" } else { b"" };
        if data.len() <= COPY_BYTES_MAX {
            self.text.extend_from_slice(&data);
            self.text.extend_from_slice(tail);
        } else {
            self.chunk = data;
            self.tail = tail;
        }
    }

    /// Adds the end of a body.
    pub(crate) fn end(&mut self, chunked: bool) {
        if !chunked {
        } else if self.chunk.is_empty() {
            self.text.extend_from_slice(b"0\r\n\r\n");
        } else {
            self.tail = b"\r\n0\r\n\r\n";
        }
    }

    /// Writes some; whether the socket took it.
    pub(crate) fn poll_write(
        &mut self,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let text = &self.text[self.written..];
        let socket = Pin::new(socket);
        let written = if self.chunk.is_empty() && self.tail.is_empty() {
            ready!(socket.poll_write(cx, text))
        } else {
            let parts = [text, &self.chunk, self.tail].map(IoSlice::new);
            ready!(socket.poll_write_vectored(cx, &parts))
        };
        let written = written.unwrap_or(0);
        self.advance(written);
        Poll::Ready(written > 0)
    }

    fn advance(&mut self, written: usize) {
        let from_text = written.min(self.text.len() - self.written);
        self.written += from_text;
        let from_chunk = (written - from_text).min(self.chunk.len());
        self.chunk.advance(from_chunk);
        self.tail = &self.tail[written - from_text - from_chunk..];
        if self.written == self.text.len() {
            self.text.clear();
            self.written = 0;
        }
        if self.chunk.is_empty() {
            // Whatever it was a slice of is not held on to.
            self.chunk = Bytes::new();
        }
    }
}

/// Writes the line before a chunk.
fn chunk_line(length: usize, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // Writing to memory does not fail.
    let _ = write!(out, "{length:x}\r\n");
}

/// How much of a body is copied behind what is to be written already, in bytes.
const COPY_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However little the socket takes at a time, the bytes come in their order.
        #[test]
        fn parts_come_in_order(
            sizes in prop::collection::vec(prop_oneof![0usize..10, 8_000usize..9_000], 0..4),
            chunked: bool,
            takes in prop::collection::vec(1usize..5_000, 1..30),
        ) {
            let (mut out, mut expect, mut got) = (Output::default(), Vec::new(), Vec::new());
            let mut takes = takes.into_iter().cycle();
            let mut drain = |out: &mut Output, got: &mut Vec<u8>| while !out.is_empty() {
                let there = [&out.text[out.written..], &out.chunk, out.tail].concat();
                let taken = takes.next().unwrap_or(1).min(there.len());
                got.extend_from_slice(&there[..taken]);
                out.advance(taken);
            };
            out.text().extend_from_slice(b"head");
            expect.extend_from_slice(b"head");
            for (n, size) in sizes.into_iter().enumerate() {
                if !out.has_room() {
                    drain(&mut out, &mut got);
                }
                let data = Bytes::from(vec![b'a' + n as u8; size]);
                match chunked && size > 0 {
                    true => expect.extend([format!("{size:x}\r\n").as_bytes(), &data, b"\r\n"].concat()),
                    false => expect.extend_from_slice(&data),
                }
                out.push(data, chunked);
            }
            out.end(chunked);
            if chunked {
                expect.extend_from_slice(b"0\r\n\r\n");
            }
            drain(&mut out, &mut got);
            prop_assert!(got == expect);
        }
    }
}
