//! Heads: reading and writing them.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use httparse::{EMPTY_HEADER, Header};

use super::decode::Decoder;

/// What was read is no HTTP/1.1, or could be taken in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A response's head.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    /// The reason phrase, if it is not the usual one.
    pub(crate) reason: Option<Reason>,
    /// How its body is framed.
    pub(crate) body: Decoder,
    /// Whether the connection may serve another request.
    pub(crate) keep_alive: bool,
}

/// A reason phrase that is not the usual one; among the extensions of a response.
#[derive(Clone, Debug)]
pub(crate) struct Reason(pub(crate) Bytes);

/// Most headers in a head.
pub(super) const HEADERS_MAX: usize = 100;

/// Reads a response's head from the front of `buffer`, headers into `headers`; none if there is not
/// all of it yet. Interim responses (1xx) are read as any other, without a body.
pub(crate) fn read_response(
    buffer: &mut BytesMut,
    request: &Method,
    headers: &mut HeaderMap,
) -> Result<Option<ResponseHead>, Malformed> {
    let Some(end) = head_end(buffer, 0)? else {
        return Ok(None);
    };
    let bytes = buffer.split_to(end).freeze();
    let mut lines = [EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut lines);
    match parsed.parse(&bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        _ => return Err(Malformed),
    }
    let status = parsed
        .code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or(Malformed)?;
    let http_11 = parsed.version == Some(1);
    let reason = parsed
        .reason
        .filter(|reason| Some(*reason) != status.canonical_reason());
    let reason = reason.map(|reason| Reason(bytes.slice_ref(reason.as_bytes())));
    headers.clear();
    fill(&bytes, parsed.headers, headers)?;
    let body = response_body(request, status, http_11, headers)?;
    let keep_alive = keeps_alive(http_11, headers) && body != Decoder::UntilClose;
    Ok(Some(ResponseHead {
        status,
        reason,
        body,
        keep_alive,
    }))
}

/// Reads lines of headers, up to the empty one, as trailers are.
pub(super) fn read_headers(
    lines: &[u8],
    bytes: &Bytes,
    headers: &mut HeaderMap,
) -> Result<(), Malformed> {
    if has_bare_line_ends(lines, 0, lines.len()) {
        return Err(Malformed);
    }
    let mut parsed = [EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(lines, &mut parsed) {
        Ok(httparse::Status::Complete((length, parsed))) if length == lines.len() => {
            fill(bytes, parsed, headers)
        }
        _ => Err(Malformed),
    }
}

/// Where the head at the front of a buffer ends, if it does; what is before `seen` has been looked
/// at. Only CR LF ends a line, and a head that has another end of line in it is refused at once.
pub(super) fn head_end(buffer: &[u8], seen: usize) -> Result<Option<usize>, Malformed> {
    let from = seen.saturating_sub(3);
    let end = memchr::memmem::find(&buffer[from..], b"\r\n\r\n").map(|end| from + end + 4);
    if has_bare_line_ends(buffer, from, end.unwrap_or(buffer.len())) {
        return Err(Malformed);
    }
    Ok(end)
}

/// Whether a line ends with something other than CR LF. (A lone CR is no header's byte, so the
/// parser refuses it.)
fn has_bare_line_ends(bytes: &[u8], from: usize, to: usize) -> bool {
    memchr::memchr_iter(b'\n', &bytes[from..to])
        .any(|at| from + at == 0 || bytes[from + at - 1] != b'\r')
}

pub(super) fn fill(
    bytes: &Bytes,
    parsed: &[Header<'_>],
    headers: &mut HeaderMap,
) -> Result<(), Malformed> {
    headers.reserve(parsed.len());
    for line in parsed {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value));
        headers.append(name, value.map_err(|_| Malformed)?);
    }
    Ok(())
}

/// RFC 9112, 6.3, and stricter: a coding is `chunked`, alone, once, without a length.
fn response_body(
    request: &Method,
    status: StatusCode,
    http_11: bool,
    headers: &HeaderMap,
) -> Result<Decoder, Malformed> {
    let length = content_length(headers)?;
    let chunked = is_chunked(headers)?;
    if chunked && (length.is_some() || !http_11) {
        return Err(Malformed);
    }
    let bodyless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || request == Method::HEAD;
    Ok(match (bodyless, chunked, length) {
        (true, ..) => Decoder::Done,
        (false, true, _) => Decoder::chunked(),
        (false, false, Some(length)) => Decoder::length(length),
        (false, false, None) => Decoder::UntilClose,
    })
}

/// The length that is said; more than once only if it is the same.
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut said = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let length = parse_length(value.as_bytes()).ok_or(Malformed)?;
        if said.is_some_and(|said| said != length) {
            return Err(Malformed);
        }
        said = Some(length);
    }
    Ok(said)
}

fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |length, byte| {
        let digit = byte.is_ascii_digit().then_some(u64::from(byte & 15))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether the body is chunked; any other coding is malformed.
pub(super) fn is_chunked(headers: &HeaderMap) -> Result<bool, Malformed> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(Malformed),
    }
}

/// Whether the connection goes on after this message.
pub(super) fn keeps_alive(http_11: bool, headers: &HeaderMap) -> bool {
    let mut keep_alive = http_11;
    for token in headers.get_all(CONNECTION).iter().flat_map(tokens) {
        if token.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
    }
    keep_alive
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

/// Writes the first line of a request.
pub(crate) fn write_request_line(method: &Method, target: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes headers, without the empty line after them.
pub(crate) fn write_headers(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        write_header(name.as_str(), value.as_bytes(), out);
    }
}

/// Writes one header.
pub(crate) fn write_header(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, framing and what becomes of the connection, of a response with these lines.
    #[track_caller]
    fn check(method: &Method, lines: &str, expect: &str) {
        let text = format!("{}\r\n\r\nrest", lines.replace('\n', "\r\n"));
        let mut buffer = BytesMut::from(text.as_str());
        let mut headers = HeaderMap::new();
        let got = match read_response(&mut buffer, method, &mut headers) {
            Ok(Some(head)) => {
                assert_eq!(&buffer[..], b"rest");
                let end = if head.keep_alive { "keep" } else { "close" };
                format!("{} {:?} {end}", head.status.as_u16(), head.body)
            }
            Ok(None) => "more".to_owned(),
            Err(Malformed) => "malformed".to_owned(),
        };
        assert_eq!(got, expect, "{lines:?}");
    }

    #[test]
    fn responses() {
        let get = |lines, expect| check(&Method::GET, lines, expect);
        get("HTTP/1.1 200 OK\ncontent-length: 5", "200 Length(5) keep");
        get("HTTP/1.1 200 OK\nContent-Length: 0", "200 Done keep");
        get(
            "HTTP/1.1 200 OK\ntransfer-encoding: Chunked",
            "200 Chunked(Size) keep",
        );
        get("HTTP/1.1 200 OK", "200 UntilClose close");
        get("HTTP/1.1 200\ncontent-length: 5", "200 Length(5) keep");
        get("HTTP/1.1 204 No Content", "204 Done keep");
        get(
            "HTTP/1.1 304 Not Modified\ncontent-length: 5",
            "304 Done keep",
        );
        get("HTTP/1.1 100 Continue", "100 Done keep");
        get(
            "HTTP/1.1 200 OK\ncontent-length: 5\nconnection: x, Close",
            "200 Length(5) close",
        );
        get("HTTP/1.0 200 OK\ncontent-length: 5", "200 Length(5) close");
        get(
            "HTTP/1.0 200 OK\ncontent-length: 5\nconnection: keep-alive",
            "200 Length(5) keep",
        );
        get(
            "HTTP/1.1 200 OK\ncontent-length: 5\ncontent-length: 5",
            "200 Length(5) keep",
        );
        check(
            &Method::HEAD,
            "HTTP/1.1 200 OK\ncontent-length: 5",
            "200 Done keep",
        );
    }

    #[test]
    fn malformed_responses() {
        for lines in [
            "HTTP/1.1 200 OK\ncontent-length: 5\ncontent-length: 6",
            "HTTP/1.1 200 OK\ncontent-length: 5, 5",
            "HTTP/1.1 200 OK\ncontent-length: +5",
            "HTTP/1.1 200 OK\ncontent-length: ",
            "HTTP/1.1 200 OK\ncontent-length: 18446744073709551616",
            "HTTP/1.1 200 OK\ncontent-length: 5\ntransfer-encoding: chunked",
            "HTTP/1.1 200 OK\ntransfer-encoding: gzip, chunked",
            "HTTP/1.1 200 OK\ntransfer-encoding: chunked\ntransfer-encoding: chunked",
            "HTTP/1.0 200 OK\ntransfer-encoding: chunked",
            "HTTP/1.1 200 OK\nx y: 1",
            "HTTP/1.1 200 OK\nx : 1",
            "HTTP/1.1 200 OK\nx: 1\n folded",
            "HTTP/1.1 200 OK\nx: \0",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 099 OK",
            "HTTP/2.0 200 OK",
            "HTTP/1.1  200 OK",
            "garbage",
        ] {
            check(&Method::GET, lines, "malformed");
        }
        let many: String = (0..=HEADERS_MAX).map(|n| format!("\nx-{n}: 1")).collect();
        check(&Method::GET, &format!("HTTP/1.1 200 OK{many}"), "malformed");
    }

    #[test]
    fn lines_end_with_both() {
        for text in [
            "HTTP/1.1 200 OK\nx: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx: 1\n\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx: 1\r2\r\n\r\n",
        ] {
            let read = read_response(
                &mut BytesMut::from(text),
                &Method::GET,
                &mut HeaderMap::new(),
            );
            assert_eq!(read.err(), Some(Malformed), "{text:?}");
        }
        let mut part = BytesMut::from("HTTP/1.1 200 OK\r\nx: 1\r\n");
        assert!(
            read_response(&mut part, &Method::GET, &mut HeaderMap::new())
                .is_ok_and(|it| it.is_none())
        );
    }
}
