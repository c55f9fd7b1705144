//! An answer as a client of HTTP/1 gets it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER};
use http::response::Parts;
use http_body::Body as _;

use super::Manner;
use crate::body::{BrokenBody, ResponseBody};
use crate::h1::{Output, Reason, write_header, write_number};

/// How an answer's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, and the head says nothing about one.
    None,
    /// There is none; the head may say how long it would be.
    Left,
    /// So many bytes.
    Length(u64),
    Chunked,
    /// All until the connection is closed: for a client of HTTP/1.0.
    UntilClose,
}

impl Framing {
    pub(super) fn new(head: &Parts, body: &ResponseBody, manner: Manner) -> Self {
        match (head.status, body.size_hint().exact()) {
            (StatusCode::NO_CONTENT, _) => Self::None,
            (StatusCode::NOT_MODIFIED, _) => Self::Left,
            (..) if manner.to_head => Self::Left,
            (_, Some(length)) => Self::Length(length),
            (_, None) if manner.http_11 => Self::Chunked,
            (_, None) => Self::UntilClose,
        }
    }

    /// Whether a body follows the head.
    pub(super) fn has_body(self) -> bool {
        match self {
            Self::None | Self::Left | Self::Length(0) => false,
            Self::Length(_) | Self::Chunked | Self::UntilClose => true,
        }
    }

    /// Whether its end can be told while the connection stays open.
    pub(super) fn has_end(self) -> bool {
        self != Self::UntilClose
    }
}

/// Writes an answer's head.
pub(super) fn write_head(
    head: &Parts,
    manner: Manner,
    framing: Framing,
    keeps: bool,
    date: &str,
    out: &mut Vec<u8>,
) {
    write_status_line(head, out);
    let (mut dated, mut sized) = (false, false);
    for (name, value) in &head.headers {
        match *name {
            // The connection's own business.
            CONNECTION | TRAILER => continue,
            CONTENT_LENGTH if framing != Framing::Left || sized => continue,
            CONTENT_LENGTH => sized = true,
            DATE => dated = true,
            _ => {}
        }
        write_header(name.as_str(), value.as_bytes(), out);
    }
    match framing {
        Framing::Length(length) => write_number("content-length", length, out),
        Framing::Chunked => write_header("transfer-encoding", b"chunked", out),
        Framing::None | Framing::Left | Framing::UntilClose => {}
    }
    match (keeps, manner.http_11) {
        (true, true) => {}
        (true, false) => write_header("connection", b"keep-alive", out),
        (false, _) => write_header("connection", b"close", out),
    }
    if !dated {
        write_header("date", date.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_status_line(head: &Parts, out: &mut Vec<u8>) {
    let reason = head.extensions.get::<Reason>();
    if head.status == StatusCode::OK && reason.is_none() {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    let usual = || {
        head.status
            .canonical_reason()
            .unwrap_or_default()
            .as_bytes()
    };
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason.map_or_else(usual, |Reason(reason)| reason));
    out.extend_from_slice(b"\r\n");
}

/// Takes the next part of a body to write; whether more follows. Trailers end here: a client that
/// gets none has no reason to miss them (RFC 9110, 6.5.1).
pub(super) fn poll_part(
    mut body: Pin<&mut ResponseBody>,
    framing: Framing,
    out: &mut Output,
    cx: &mut Context<'_>,
) -> Poll<Result<bool, BrokenBody>> {
    let chunked = framing == Framing::Chunked;
    let part = ready!(body.as_mut().poll_frame(cx)).transpose()?;
    let data = part.and_then(|frame| frame.into_data().ok());
    let ended = data.is_none() || body.is_end_stream();
    if let Some(data) = data {
        out.push(data, chunked);
    }
    if ended {
        out.end(chunked);
    }
    Poll::Ready(Ok(!ended))
}
