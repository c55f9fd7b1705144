//! What must hold of any bytes that a client or an upstream sends: the doors through which fuzzing
//! reaches this crate's codec. No interface: only the crate `ferryway-fuzz` uses it.
//!
//! Each function is a property: it fails by a failed assertion, or by a panic in what it calls.
#![expect(clippy::panic, reason = "a property fails by failing")]

use std::net::{IpAddr, Ipv4Addr};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Version};

use crate::client::Peer;
use crate::h1::{self, Decoded, Decoder, HeadError, Malformed, RequestHead, ResponseHead};
use crate::headers::to_upstream;
use crate::settings::{HEAD_BYTES_MAX, Settings};
use crate::target::{KnownHost, Target};

/// A client's request: its head and body mean the same however the bytes are cut into reads, and
/// what would go upstream is read back as one request that asks for the same. The first byte says
/// how long a read is.
pub fn request(data: &[u8]) {
    let Some((step, text)) = split(data) else {
        return;
    };
    let whole = read_request(text, text.len());
    assert_eq!(whole, read_request(text, step), "reads of {step} bytes");

    let (mut buffer, mut headers) = (BytesMut::from(text), HeaderMap::new());
    h1::skip_empty_lines(&mut buffer);
    if let Ok(Some(head)) = h1::read_request(&mut buffer, 0, &mut headers) {
        forward(head, headers);
    }
}

/// An upstream's answer: its head and body mean the same however the bytes are cut into reads. The
/// first byte says how long a read is, and whether it answers a HEAD.
pub fn response(data: &[u8]) {
    let Some((step, text)) = split(data) else {
        return;
    };
    let method = match data.first() {
        Some(first) if first & 128 != 0 => Method::HEAD,
        _ => Method::GET,
    };
    let whole = read_response(text, text.len(), &method);
    assert_eq!(
        whole,
        read_response(text, step, &method),
        "reads of {step} bytes"
    );
}

/// A chunked body alone, which mutation does not find behind a head.
pub fn chunks(data: &[u8]) {
    let Some((step, text)) = split(data) else {
        return;
    };
    let mut buffer = BytesMut::new();
    let whole = read_body(Decoder::chunked(), &mut buffer, text, text.len());
    let left = buffer.len();
    let mut buffer = BytesMut::new();
    let cut = read_body(Decoder::chunked(), &mut buffer, text, step);
    assert_eq!(whole, cut, "reads of {step} bytes");
    if let Body::Whole { .. } = whole {
        assert_eq!(left, buffer.len(), "what follows the body");
    }
}

/// Reads of 1 to 64 bytes, and the text.
fn split(data: &[u8]) -> Option<(usize, &[u8])> {
    let (first, text) = data.split_first()?;
    Some((usize::from(first % 64) + 1, text))
}

/// A head as text, with the body behind it; or why there is none.
type Message = Result<Option<(String, Body)>, HeadError>;

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
enum Body {
    Whole { data: Vec<u8>, trailers: usize },
    Unfinished(Vec<u8>),
    Malformed,
}

fn read_request(text: &[u8], step: usize) -> Message {
    let (mut buffer, mut headers, mut seen) = (BytesMut::new(), HeaderMap::new(), 0);
    let mut pieces = text.chunks(step.max(1));
    loop {
        match h1::read_request(&mut buffer, seen, &mut headers)? {
            Some(head) => {
                let rest = pieces.flatten().copied().collect::<Vec<_>>();
                let RequestHead {
                    method,
                    uri,
                    http_11,
                    body,
                    keep_alive,
                    expects_continue,
                } = head;
                let told = format!(
                    "{method} {uri} {http_11} {body:?} {keep_alive} {expects_continue} {headers:?}"
                );
                return Ok(Some((told, read_body(body, &mut buffer, &rest, step))));
            }
            // As the connection does.
            None if buffer.len() >= HEAD_BYTES_MAX => return Err(HeadError::TooLarge),
            None => seen = buffer.len(),
        }
        match pieces.next() {
            Some(piece) => buffer.extend_from_slice(piece),
            None => return Ok(None),
        }
    }
}

fn read_response(text: &[u8], step: usize, method: &Method) -> Message {
    let (mut buffer, mut headers) = (BytesMut::new(), HeaderMap::new());
    let mut pieces = text.chunks(step.max(1));
    loop {
        if let Some(head) = h1::read_response(&mut buffer, method, &mut headers)? {
            let rest = pieces.flatten().copied().collect::<Vec<_>>();
            let ResponseHead {
                status,
                reason,
                body,
                keep_alive,
            } = head;
            let told = format!("{status} {reason:?} {body:?} {keep_alive} {headers:?}");
            return Ok(Some((told, read_body(body, &mut buffer, &rest, step))));
        }
        match pieces.next() {
            Some(piece) => buffer.extend_from_slice(piece),
            None => return Ok(None),
        }
    }
}

/// Decodes what is in `buffer` and then what comes after it, in reads of `step` bytes. What is left
/// in the buffer follows the body.
fn read_body(mut decoder: Decoder, buffer: &mut BytesMut, more: &[u8], step: usize) -> Body {
    let (mut body, mut pieces) = (Vec::new(), more.chunks(step.max(1)));
    loop {
        match decoder.decode(buffer) {
            Ok(Decoded::Data(data)) => {
                assert!(!data.is_empty(), "a frame without data");
                body.extend_from_slice(&data);
            }
            Ok(Decoded::More) => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None if decoder.closed() => {
                    let (data, trailers) = (body, 0);
                    return Body::Whole { data, trailers };
                }
                None => return Body::Unfinished(body),
            },
            Ok(Decoded::End(trailers)) => {
                assert!(decoder.is_done(), "an end that is none");
                buffer.extend(pieces.flatten());
                let (data, trailers) = (body, trailers.map_or(0, |it| it.len()));
                return Body::Whole { data, trailers };
            }
            Err(Malformed) => return Body::Malformed,
        }
    }
}

/// What the exchange makes of a request on its way upstream.
fn forward(head: RequestHead, headers: HeaderMap) {
    let mut request = Request::new(());
    *request.method_mut() = head.method;
    *request.uri_mut() = head.uri;
    *request.version_mut() = if head.http_11 {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };
    *request.headers_mut() = headers;
    let Ok(target) = Target::read(&request, &KnownHost::default()) else {
        return;
    };
    let path = target.path(request.uri()).to_owned();
    if target.rewrite(request.uri_mut(), "").is_err() {
        return;
    }
    let (version, host) = (request.version(), target.into_host());
    let peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9080, false);
    let settings = Settings::default();
    let told = to_upstream(
        request.headers_mut(),
        version,
        host.as_ref(),
        &peer,
        &settings,
    );

    let target = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let mut out = Vec::new();
    h1::write_request_line(request.method(), target, &mut out);
    h1::write_headers(request.headers(), &mut out);
    told.write(&mut out);
    out.extend_from_slice(b"\r\n");
    if out.len() > HEAD_BYTES_MAX {
        return;
    }

    let shown = String::from_utf8_lossy(&out).into_owned();
    let (mut buffer, mut again) = (BytesMut::from(&*Bytes::from(out)), HeaderMap::new());
    // A head near the limits may have a few lines too many now; none is malformed.
    let read = match h1::read_request(&mut buffer, 0, &mut again) {
        Err(HeadError::TooLarge | HeadError::UriTooLong) => return,
        read => read,
    };
    let Ok(Some(read)) = read else {
        panic!("what goes out is not read as a head:\n{shown}");
    };
    assert!(buffer.is_empty(), "more than one head goes out:\n{shown}");
    assert_eq!(&read.method, request.method(), "{shown}");
    assert_eq!(read.uri.path(), path, "{shown}");
    assert_eq!(read.uri.query(), request.uri().query(), "{shown}");
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
        let count = again.get_all(&name).iter().count();
        assert!(count <= 1, "{name} goes out {count} times:\n{shown}");
    }
    // The body goes as it was read: with the same length, or in chunks.
    let is_chunked = |body: &Decoder| body.left().is_none();
    assert_eq!(is_chunked(&head.body), is_chunked(&read.body), "{shown}");
    assert_eq!(head.body.left(), read.body.left(), "{shown}");
}
