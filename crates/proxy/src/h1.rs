//! HTTP/1.1 as bytes: heads are read and written here, bodies are framed and unframed.
//!
//! Nothing here does I/O or waits; who has bytes asks what they mean. It is stricter than it must
//! be: a line ends with CR LF, a length is digits, a coding is `chunked`, a chunk's size is at most
//! 15 hex digits. What two readers could take differently is malformed.

mod decode;
mod head;

pub(crate) use decode::{Decoded, Decoder};
pub(crate) use head::{
    Malformed, ResponseHead, chunk_line, read_response, write_chunk_end, write_headers,
    write_request_line,
};
