//! A client's head.

use std::mem::MaybeUninit;

use bytes::{Buf as _, BytesMut};
use http::{HeaderMap, Method, Uri};
use httparse::ParserConfig;

use super::decode::Decoder;
use super::head::{Facts, HEADERS_MAX, Malformed, fill, head_end};
use crate::settings::{HEAD_BYTES_MAX, URI_BYTES_MAX};

/// A request's head, but for its headers.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// HTTP/1.1, or 1.0.
    pub(crate) http_11: bool,
    /// How its body is framed.
    pub(crate) body: Decoder,
    /// Whether the client would send another request.
    pub(crate) keep_alive: bool,
    /// Whether it waits for a `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
}

/// Why a head cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// It is malformed.
    Malformed,
    /// It is too long, or has too many headers.
    TooLarge,
    /// Its target is too long.
    UriTooLong,
}

impl From<Malformed> for HeadError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Takes off the empty lines that old clients send after a body (RFC 9112, 2.2); how many bytes.
pub(crate) fn skip_empty_lines(buffer: &mut BytesMut) -> usize {
    let before = buffer.len();
    while buffer.starts_with(b"\r\n") {
        buffer.advance(2);
    }
    before - buffer.len()
}

/// Reads a request's head from the front of `buffer`, headers into `headers`; none if there is not
/// all of it yet. What is before `seen` has been looked at by an earlier call.
pub(crate) fn read_request(
    buffer: &mut BytesMut,
    seen: usize,
    headers: &mut HeaderMap,
) -> Result<Option<RequestHead>, HeadError> {
    let Some(end) = head_end(buffer, seen)? else {
        return Ok(None);
    };
    if end > HEAD_BYTES_MAX {
        return Err(HeadError::TooLarge);
    }
    let bytes = buffer.split_to(end).freeze();
    let mut lines = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let config = ParserConfig::default();
    match config.parse_request_with_uninit_headers(&mut parsed, &bytes, &mut lines) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        _ => return Err(HeadError::Malformed),
    }
    let method = parsed.method.unwrap_or_default().as_bytes();
    let method = Method::from_bytes(method).map_err(|_| HeadError::Malformed)?;
    let target = parsed.path.unwrap_or_default().as_bytes();
    if target.len() > URI_BYTES_MAX {
        return Err(HeadError::UriTooLong);
    }
    if !target.iter().all(is_targets) {
        return Err(HeadError::Malformed);
    }
    let uri = Uri::from_maybe_shared(bytes.slice_ref(target)).map_err(|_| HeadError::Malformed)?;
    let http_11 = parsed.version == Some(1);
    headers.clear();
    // All of them: a route's predicates may look at any.
    let facts = fill(&bytes, parsed.headers, headers, |_| false)?;
    let body = request_body(http_11, &facts)?;
    Ok(Some(RequestHead {
        method,
        uri,
        http_11,
        keep_alive: facts.keeps_alive(http_11),
        expects_continue: http_11 && !body.is_done() && facts.expects_continue,
        body,
    }))
}

/// Visible ASCII without `#`: a fragment is never sent, and a parser might drop it in silence.
fn is_targets(byte: &u8) -> bool {
    matches!(byte, b'!'..=b'~') && *byte != b'#'
}

/// RFC 9112, 6.3, and stricter: not both a length and a coding, one line of either, `chunked` alone,
/// and no coding in HTTP/1.0.
fn request_body(http_11: bool, facts: &Facts) -> Result<Decoder, Malformed> {
    match (facts.chunked, facts.lengths) {
        (true, 0) if http_11 => Ok(Decoder::chunked()),
        (false, 0 | 1) => Ok(Decoder::length(facts.length.unwrap_or(0))),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a request with these lines: `GET /a Done keep`.
    #[track_caller]
    fn check(lines: &str, expect: &str) {
        let text = format!("{}\r\n\r\nrest", lines.replace('\n', "\r\n"));
        let mut buffer = BytesMut::from(text.as_str());
        let got = match read_request(&mut buffer, 0, &mut HeaderMap::new()) {
            Ok(Some(head)) => {
                assert_eq!(&buffer[..], b"rest");
                let end = if head.keep_alive { "keep" } else { "close" };
                let expects = if head.expects_continue {
                    " expects"
                } else {
                    ""
                };
                format!(
                    "{} {} {:?} {end}{expects}",
                    head.method, head.uri, head.body
                )
            }
            Ok(None) => "more".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(got, expect, "{lines:?}");
    }

    #[test]
    fn requests() {
        check("GET /a?b HTTP/1.1\nhost: a", "GET /a?b Done keep");
        check("GET /a HTTP/1.0", "GET /a Done close");
        check(
            "GET /a HTTP/1.0\nconnection: Keep-Alive",
            "GET /a Done keep",
        );
        check(
            "GET /a HTTP/1.1\nconnection: keep-alive, close",
            "GET /a Done close",
        );
        check(
            "GET http://k.io/a HTTP/1.1\nhost: k.io",
            "GET http://k.io/a Done keep",
        );
        check(
            "BREW /a HTTP/1.1\ncontent-length: 5",
            "BREW /a Length(5) keep",
        );
        check(
            "PUT / HTTP/1.1\ntransfer-encoding: CHUNKED",
            "PUT / Chunked(Size) keep",
        );
        check(
            "PUT / HTTP/1.1\ncontent-length: 5\nexpect: 100-Continue",
            "PUT / Length(5) keep expects",
        );
        check(
            "PUT / HTTP/1.0\ncontent-length: 5\nexpect: 100-continue",
            "PUT / Length(5) close",
        );
        check("GET / HTTP/1.1\nexpect: 100-continue", "GET / Done keep");
    }

    #[test]
    fn malformed() {
        for lines in [
            "GET / HTTP/1.2",
            "GET / HTTP/2.0",
            "GET /",
            "GET  / HTTP/1.1",
            "GET /  HTTP/1.1",
            " GET / HTTP/1.1",
            "G@T / HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET /?\u{e9} HTTP/1.1",
            "GET / HTTP/1.1\nx : 1",
            "GET / HTTP/1.1\n x: 1",
            "GET / HTTP/1.1\nx: 1\n y",
            "GET / HTTP/1.1\nx",
            "GET / HTTP/1.1\n: 1",
            "GET / HTTP/1.1\nx: a\0b",
            "PUT / HTTP/1.1\ncontent-length: 5\ncontent-length: 5",
            "PUT / HTTP/1.1\ncontent-length: 5, 5",
            "PUT / HTTP/1.1\ncontent-length: 0x5",
            "PUT / HTTP/1.1\ncontent-length: 0_5",
            "PUT / HTTP/1.1\ncontent-length:",
            "PUT / HTTP/1.1\ncontent-length: 5\ntransfer-encoding: chunked",
            "PUT / HTTP/1.1\ntransfer-encoding: chunked\ncontent-length: 5",
            "PUT / HTTP/1.1\ntransfer-encoding: chunked;q=1",
            "PUT / HTTP/1.1\ntransfer-encoding: identity",
            "PUT / HTTP/1.1\ntransfer-encoding:",
            "PUT / HTTP/1.0\ntransfer-encoding: chunked",
        ] {
            check(lines, "Malformed");
        }
        let many: String = (0..=HEADERS_MAX).map(|n| format!("\nx-{n}: 1")).collect();
        check(&format!("GET / HTTP/1.1{many}"), "TooLarge");
        check(
            &format!("GET /{} HTTP/1.1", "a".repeat(URI_BYTES_MAX)),
            "UriTooLong",
        );
    }

    /// A bare line feed is refused as soon as it is there.
    #[test]
    fn bare_line_feeds() {
        for text in [
            "GET / HTTP/1.1\n",
            "GET / HTTP/1.1\r\nhost: a\n",
            "GET / HTTP/1.1\n\n",
            "\n",
        ] {
            let read = read_request(&mut BytesMut::from(text), 0, &mut HeaderMap::new());
            assert_eq!(read.err(), Some(HeadError::Malformed), "{text:?}");
        }
    }

    /// Read byte by byte, a head is the same; and nothing is looked at again and again.
    #[test]
    fn byte_by_byte() {
        let text = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let (mut buffer, mut seen) = (BytesMut::new(), 0);
        for (n, byte) in text.iter().enumerate() {
            buffer.extend_from_slice(&[*byte]);
            let read = read_request(&mut buffer, seen, &mut HeaderMap::new()).expect("good so far");
            assert_eq!(read.is_some(), n + 1 == text.len());
            seen = buffer.len();
        }
    }

    #[test]
    fn empty_lines_before_a_head() {
        let mut buffer = BytesMut::from("\r\n\r\nGET");
        assert_eq!(skip_empty_lines(&mut buffer), 4);
        assert_eq!(&buffer[..], b"GET");
    }
}
