//! HTTP/1.1 as bytes: heads are read and written here, bodies are framed and unframed.
//!
//! Nothing here does I/O or waits; who has bytes asks what they mean. It is stricter than it must
//! be: a line ends with CR LF, a length is digits, a coding is `chunked`, a chunk's size is at most
//! 15 hex digits. What two readers could take differently is malformed.

mod decode;
mod head;
#[cfg(test)]
mod oracle;
mod output;
mod request;

pub(crate) use decode::{Decoded, Decoder};
pub(crate) use head::{
    Malformed, Reason, ResponseHead, read_response, write_header, write_headers, write_number,
    write_request_line,
};
pub(crate) use output::Output;
pub(crate) use request::{HeadError, RequestHead, read_request, skip_empty_lines};
