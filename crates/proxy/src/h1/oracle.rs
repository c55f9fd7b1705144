//! hyper as the oracle: what is read here as one message, hyper reads as the same message.
//!
//! Only in this direction: what hyper takes and this codec refuses is the point of being stricter.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Decoded, Decoder, read_request, read_response};
use crate::headers::ends_before_client;

/// First line, headers in their order, body.
type Message = (String, Vec<(String, Vec<u8>)>, Vec<u8>);

fn lines(headers: &HeaderMap, leave_out: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let kept = headers.iter().filter(|(name, _)| !leave_out(name.as_str()));
    let mut lines: Vec<_> = kept
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    // A stable sort: lines of one name stay in their order.
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

/// The body, if it is whole; `closed` if nothing follows what is in the buffer.
fn body(mut decoder: Decoder, buffer: &mut BytesMut) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        match decoder.decode(buffer).ok()? {
            Decoded::Data(data) => body.extend_from_slice(&data),
            Decoded::End(_) => return Some(body),
            Decoded::More => return decoder.closed().then_some(body),
        }
    }
}

fn our_request(text: &str) -> Option<Message> {
    let (mut buffer, mut headers) = (BytesMut::from(text), HeaderMap::new());
    let head = read_request(&mut buffer, 0, &mut headers).ok()??;
    let line = format!("{} {}", head.method, head.uri);
    Some((
        line,
        lines(&headers, |_| false),
        body(head.body, &mut buffer)?,
    ))
}

fn our_response(text: &str) -> Option<Message> {
    let (mut buffer, mut headers) = (BytesMut::from(text), HeaderMap::new());
    let head = read_response(&mut buffer, &Method::GET, &mut headers).ok()??;
    if head.status.is_informational() {
        return None;
    }
    let line = head.status.as_str().to_owned();
    Some((
        line,
        lines(&headers, |_| false),
        body(head.body, &mut buffer)?,
    ))
}

/// The first request that hyper reads.
async fn hypers_request(text: &str) -> Option<Message> {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    client.write_all(text.as_bytes()).await.ok()?;
    client.shutdown().await.ok()?;
    let first = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&first);
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let line = format!("{} {}", head.method, head.uri);
            if let Ok(body) = body.collect().await {
                let headers = lines(&head.headers, |_| false);
                let body = body.to_bytes().to_vec();
                let mut seen = seen.lock().unwrap();
                seen.get_or_insert((line, headers, body));
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    let mut answers = Vec::new();
    let _ = tokio::join!(connection, client.read_to_end(&mut answers));
    first.lock().unwrap().take()
}

async fn hypers_response(text: &str) -> Option<Message> {
    let (client, mut server) = tokio::io::duplex(64 * 1024);
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(client));
    let (mut sender, connection) = handshake.await.ok()?;
    let request = Request::get("/").body(Empty::<Bytes>::new()).ok()?;
    let asking = async {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes().to_vec();
        let line = head.status.as_str().to_owned();
        Some((line, lines(&head.headers, ends_before_client), body))
    };
    let answering = async {
        let mut asked = [0; 64];
        let _ = server.read(&mut asked).await;
        let _ = server.write_all(text.as_bytes()).await;
        drop(server);
    };
    let (message, (), _) = tokio::join!(asking, answering, connection);
    message
}

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// Headers that matter to framing, well-formed and not, and some that don't.
fn header() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "host: a\r\n",
        "Content-Length: 4\r\n",
        "content-length: 0\r\n",
        "content-length: 04\r\n",
        "content-length: +4\r\n",
        "content-length: 4, 4\r\n",
        "content-length : 4\r\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding: Chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding:\tchunked \r\n",
        "connection: close\r\n",
        "connection: keep-alive\r\n",
        "expect: 100-continue\r\n",
        "x:\r\n",
        "x: a b\t\u{e9} \r\n",
        "x: 1\r\n folded: 2\r\n",
        "x: 1\nh: 2\r\n",
        "x-\u{e9}: 1\r\n",
    ])
}

fn text(first: &'static [&'static str]) -> impl Strategy<Value = String> {
    let bodies: &'static [&'static str] = &[
        "",
        "body",
        "bodyGET / HTTP/1.1\r\n\r\n",
        "4\r\nbody\r\n0\r\n\r\n",
        "4;x\r\nbody\r\n0\r\n\r\n",
        "4\r\nbody\r\n0\r\nt: 1\r\n\r\nrest",
        "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        "4\nbody\n0\n\n",
        "04\r\nbody\r\n00\r\n\r\n",
    ];
    let headers = prop::collection::vec(header(), 0..5);
    let parts = (
        prop::sample::select(first),
        headers,
        prop::sample::select(bodies),
    );
    parts.prop_map(|(first, headers, body)| format!("{first}\r\n{}\r\n{body}", headers.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_request_taken_is_the_one_hyper_takes(text in text(&[
        "GET / HTTP/1.1", "POST /a?b=%20 HTTP/1.1", "PUT http://k.io/a HTTP/1.1", "GET / HTTP/1.0",
        "POST / HTTP/1.0", "BREW /~a!$&'()*+,;=:@/ HTTP/1.1", "GET /a#b HTTP/1.1", "GET  / HTTP/1.1",
        "GET /\" HTTP/1.1", "\r\nPOST / HTTP/1.1", "GET /|{}^` HTTP/1.1",
    ])) {
        let text = text.trim_start_matches("\r\n");
        if let Some(ours) = our_request(text) {
            let hypers = run(hypers_request(text));
            prop_assert_eq!(Some(ours), hypers);
        }
    }

    #[test]
    fn a_response_taken_is_the_one_hyper_takes(text in text(&[
        "HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.1 418 ", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 Not Modified", "HTTP/1.1 599 Odd One", "HTTP/1.1 1000 No", "HTTP/1.1 99 No", "HTTP/1.1  200 OK",
    ])) {
        if let Some(ours) = our_response(&text) {
            let hypers = run(hypers_response(&text));
            prop_assert_eq!(Some(ours), hypers);
        }
    }
}

/// The properties above are about something: well-formed messages are taken.
#[test]
fn some_messages_are_taken() {
    let chunked =
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    assert!(our_request(chunked).is_some_and(|(_, _, body)| body == b"body"));
    assert_eq!(our_request(chunked), run(hypers_request(chunked)));
    let sized = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
    assert!(our_response(sized).is_some_and(|(_, _, body)| body == b"body"));
    assert_eq!(our_response(sized), run(hypers_response(sized)));
}
