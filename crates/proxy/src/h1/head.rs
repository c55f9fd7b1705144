//! Heads: reading and writing them.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use httparse::{EMPTY_HEADER, Header, ParserConfig};
use smallvec::SmallVec;

use super::decode::Decoder;
use crate::headers::{ends_before_client, may_end_here, may_not_trail};

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

/// Reads a response's head from the front of `buffer`, headers into `headers` but for those that are
/// meant for one hop only; none if there is not all of it yet. Interim responses (1xx) are read as any other, without a body.
pub(crate) fn read_response(
    buffer: &mut BytesMut,
    request: &Method,
    headers: &mut HeaderMap,
) -> Result<Option<ResponseHead>, Malformed> {
    // Only a server passes over empty lines; here they are left from whatever came before.
    if buffer.first().is_some_and(|first| *first != b'H') {
        return Err(Malformed);
    }
    let Some(end) = head_end(buffer, 0)? else {
        return Ok(None);
    };
    let bytes = buffer.split_to(end).freeze();
    let mut lines = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, &bytes, &mut lines) {
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
    let facts = fill(&bytes, parsed.headers, headers, ends_before_client)?;
    facts.remove_named(headers);
    let body = response_body(request, status, http_11, &facts)?;
    Ok(Some(ResponseHead {
        status,
        reason,
        keep_alive: facts.keeps_alive(http_11) && body != Decoder::UntilClose,
        body,
    }))
}

/// Reads lines of trailers, up to the empty one; headers that are none are left out.
pub(super) fn read_headers(
    lines: &[u8],
    bytes: &Bytes,
    headers: &mut HeaderMap,
) -> Result<(), Malformed> {
    if head_end(lines, 0)? != Some(lines.len()) {
        return Err(Malformed);
    }
    let mut parsed = [EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(lines, &mut parsed) {
        Ok(httparse::Status::Complete((length, parsed))) if length == lines.len() => {
            fill(bytes, parsed, headers, may_not_trail).map(|_facts| ())
        }
        _ => Err(Malformed),
    }
}

/// Where the head at the front of a buffer ends, if it does; what is before `seen` has been looked
/// at. Only CR LF ends a line, and a head that has another end of line in it is refused at once. (A
/// lone CR is no header's byte, so the parser refuses it.)
pub(super) fn head_end(buffer: &[u8], seen: usize) -> Result<Option<usize>, Malformed> {
    for at in memchr::memchr_iter(b'\n', &buffer[seen..]) {
        match &buffer[..seen + at] {
            [.., b'\r', b'\n', b'\r'] => return Ok(Some(seen + at + 1)),
            [.., b'\r'] => {}
            _ => return Err(Malformed),
        }
    }
    Ok(None)
}

/// What headers say about the message's framing and about the connection.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The length, if the lines that say one agree.
    pub(super) length: Option<u64>,
    /// How many lines say one.
    pub(super) lengths: u32,
    /// The body is chunked.
    pub(super) chunked: bool,
    close: bool,
    keep_alive: bool,
    pub(super) expects_continue: bool,
    /// What `Connection` names besides.
    named: SmallVec<[HeaderName; 2]>,
}

/// Fills `headers`, but for those to leave out, and gathers what they say on the way: looking it up
/// later costs more.
pub(super) fn fill(
    bytes: &Bytes,
    parsed: &[Header<'_>],
    headers: &mut HeaderMap,
    leave_out: impl Fn(&str) -> bool,
) -> Result<Facts, Malformed> {
    let mut facts = Facts::default();
    headers.reserve(parsed.len());
    for line in parsed {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed)?;
        facts.gather(&name, line.value)?;
        if leave_out(name.as_str()) {
            continue;
        }
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value));
        headers.append(name, value.map_err(|_| Malformed)?);
    }
    Ok(facts)
}

impl Facts {
    fn gather(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Malformed> {
        match *name {
            CONTENT_LENGTH => {
                let length = parse_length(value).ok_or(Malformed)?;
                if self.length.is_some_and(|said| said != length) {
                    return Err(Malformed);
                }
                self.length = Some(length);
                self.lengths += 1;
            }
            // A coding is `chunked`, alone and once.
            TRANSFER_ENCODING if self.chunked || !value.eq_ignore_ascii_case(b"chunked") => {
                return Err(Malformed);
            }
            TRANSFER_ENCODING => self.chunked = true,
            CONNECTION => {
                for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    if token.eq_ignore_ascii_case(b"keep-alive") {
                        self.keep_alive = true;
                    } else if token.eq_ignore_ascii_case(b"close") {
                        self.close = true;
                    } else {
                        self.named.extend(HeaderName::from_bytes(token));
                    }
                }
            }
            EXPECT => self.expects_continue = value.eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
        Ok(())
    }

    /// Removes what `Connection` names.
    fn remove_named(&self, headers: &mut HeaderMap) {
        for name in self.named.iter().filter(|name| may_end_here(name)) {
            headers.remove(name);
        }
    }

    /// Whether the connection goes on after this message.
    pub(super) fn keeps_alive(&self, http_11: bool) -> bool {
        !self.close && (http_11 || self.keep_alive)
    }
}

/// RFC 9112, 6.3, and stricter: not both a length and a coding.
fn response_body(
    request: &Method,
    status: StatusCode,
    http_11: bool,
    facts: &Facts,
) -> Result<Decoder, Malformed> {
    if facts.chunked && (facts.length.is_some() || !http_11) {
        return Err(Malformed);
    }
    let bodyless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || request == Method::HEAD;
    Ok(match (bodyless, facts.chunked, facts.length) {
        (true, ..) => Decoder::Done,
        (false, true, _) => Decoder::chunked(),
        (false, false, Some(length)) => Decoder::length(length),
        (false, false, None) => Decoder::UntilClose,
    })
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

/// Writes a header whose value is a number.
pub(crate) fn write_number(name: &str, number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    write_header(name, &digits[at..], out);
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
    fn numbers() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut out = Vec::new();
            write_number("n", number, &mut out);
            assert_eq!(out, format!("n: {number}\r\n").as_bytes());
        }
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
