//! HTTP/1.1 towards an upstream.
//!
//! Everything runs in the task of the exchange: its future sends the request and reads the head of
//! the response, the response's body goes on with both. There is no task and no channel between.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use smallvec::SmallVec;
use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::Failure;
use crate::body::{BrokenBody, Progress, RequestBody, Turn};
use crate::buffers::Buffers;
use crate::h1::{self, Decoded, Decoder, Malformed, Output, ResponseHead};
use crate::headers::Told;
use crate::refusal::Refusal;
use crate::settings::RESPONSE_HEAD_BYTES_MAX;

/// A connection that speaks HTTP/1.1.
pub(crate) struct Http1 {
    socket: TcpStream,
    buffers: Rc<Buffers>,
    /// Read and not decoded yet; without room while nothing is in flight.
    read: BytesMut,
    out: Output,
    upload: Option<Upload>,
    /// Nothing of the request is written yet.
    untouched: bool,
    /// What `out` has of the body while nothing is written, and the body when all of it is there: the
    /// request may have to be handed back, and whole.
    taken: SmallVec<[Bytes; 1]>,
    spent: Option<RequestBody>,
    method: Method,
    /// A header map to use for the response; without room while nothing is in flight.
    headers: HeaderMap,
    /// Where the response's body ends.
    body: Decoder,
    /// Whether the connection may serve another request after this one.
    keep_alive: bool,
    informational: u32,
}

/// A request's body that is being sent.
#[derive(Debug)]
struct Upload {
    body: RequestBody,
    progress: Option<Rc<Progress>>,
    chunked: bool,
}

/// Why an upload cannot go on.
enum Stuck {
    /// The upstream takes no more. What it has to say may tell why.
    Upstream,
    /// The client's body broke off.
    Client(BrokenBody),
}

impl Http1 {
    pub(super) fn new(socket: TcpStream, buffers: Rc<Buffers>) -> Self {
        Self {
            socket,
            buffers,
            read: BytesMut::new(),
            out: Output::default(),
            upload: None,
            untouched: false,
            taken: SmallVec::new(),
            spent: None,
            method: Method::GET,
            headers: HeaderMap::new(),
            body: Decoder::Done,
            keep_alive: true,
            informational: 0,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        // Nothing is asked of the system unless it has told of news.
        let news = self.socket.try_read(&mut [0]);
        self.keep_alive && news.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(super) fn is_surely_ready(&self) -> bool {
        let news = SockRef::from(&self.socket).peek(&mut [std::mem::MaybeUninit::uninit()]);
        self.keep_alive && news.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(super) fn start(&mut self, request: &mut Request<RequestBody>, told: &Told) {
        let target = request.uri().path_and_query().map_or("/", |it| it.as_str());
        self.out = self.buffers.output();
        let out = self.out.text();
        h1::write_request_line(request.method(), target, out);
        h1::write_headers(request.headers(), out);
        told.write(out);
        out.extend_from_slice(b"\r\n");
        self.method = request.method().clone();
        let body = std::mem::replace(request.body_mut(), RequestBody::Empty);
        self.upload = Some(Upload {
            progress: body.progress().cloned(),
            chunked: !body.is_empty() && request.headers().contains_key(TRANSFER_ENCODING),
            body,
        });
        self.headers = self.buffers.headers();
        self.untouched = true;
        // Until the end of the response says otherwise.
        self.keep_alive = false;
        self.informational = 0;
    }

    pub(super) fn left(&self) -> Option<u64> {
        self.body.left()
    }

    pub(super) fn rests(&mut self) -> bool {
        let sent = self.upload.is_none() && self.out.is_empty();
        let over = self.keep_alive && sent && self.body.is_done() && self.read.is_empty();
        self.buffers.give_back(std::mem::take(&mut self.read));
        self.buffers.give_back_output(std::mem::take(&mut self.out));
        over
    }

    pub(super) fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<()>, Failure>> {
        match self.poll_upload(cx) {
            Err(Stuck::Upstream) if self.untouched => {
                return Poll::Ready(Err(self.hand_back()));
            }
            Err(Stuck::Upstream) => self.gives_up_sending(),
            Err(Stuck::Client(_)) => {
                let broken = Refusal::BadRequest("Body Is Malformed");
                return Poll::Ready(Err(failed(broken)));
            }
            Ok(()) => {}
        }
        loop {
            match self.read_head() {
                Ok(Some(response)) => return Poll::Ready(Ok(response)),
                Ok(None) => {}
                Err(Malformed) => return Poll::Ready(Err(failed(Refusal::UpstreamProtocol))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(read) if read > 0 => {}
                _closed => return Poll::Ready(Err(failed(Refusal::UpstreamReset))),
            }
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match self.poll_upload(cx) {
            Err(Stuck::Upstream) => self.gives_up_sending(),
            Err(Stuck::Client(broken)) => return Poll::Ready(Some(Err(broken))),
            Ok(()) => {}
        }
        loop {
            match self.body.decode(&mut self.read) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::End(None)) => return Poll::Ready(None),
                Ok(Decoded::End(Some(trailers))) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Decoded::More) => {}
                Err(Malformed) => return Poll::Ready(Some(Err(BrokenBody::Upstream))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(read) if read > 0 => {}
                Ok(_) if self.body.closed() => return Poll::Ready(None),
                _broken => return Poll::Ready(Some(Err(BrokenBody::Upstream))),
            }
        }
    }

    /// Reads a response's head, and passes over those that are not the last word.
    fn read_head(&mut self) -> Result<Option<Response<()>>, Malformed> {
        loop {
            let head = h1::read_response(&mut self.read, &self.method, &mut self.headers)?;
            let Some(head) = head else {
                let too_long = self.read.len() >= RESPONSE_HEAD_BYTES_MAX;
                return if too_long { Err(Malformed) } else { Ok(None) };
            };
            // Nobody asked to switch protocols.
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(Malformed);
            }
            if !head.status.is_informational() {
                return Ok(Some(self.begin_body(head)));
            }
            self.informational += 1;
            if self.informational > INFORMATIONAL_MAX {
                return Err(Malformed);
            }
        }
    }

    fn begin_body(&mut self, head: ResponseHead) -> Response<()> {
        let ResponseHead {
            status,
            reason,
            body,
            keep_alive,
        } = head;
        self.keep_alive = keep_alive;
        self.body = body;
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = std::mem::take(&mut self.headers);
        if let Some(reason) = reason {
            response.extensions_mut().insert(reason);
        }
        response
    }

    /// Reads more; how much.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let want = match self.body.left() {
            Some(left) => usize::try_from(left).unwrap_or(usize::MAX),
            None => BODY_READ_BYTES,
        };
        self.buffers.make_room(&mut self.read, want);
        std::pin::pin!(self.socket.read_buf(&mut self.read)).poll(cx)
    }

    /// Writes what there is to write, until the socket or the client's body has to be waited for.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Stuck> {
        if self.upload.is_none() && self.out.is_empty() {
            return Ok(());
        }
        loop {
            // A body that is there already goes with the head, in one write.
            let waits = self.fill_output(cx)?;
            while !self.out.is_empty() {
                match self.out.poll_write(&mut self.socket, cx) {
                    Poll::Pending => {
                        self.waits_for(Turn::Upstream);
                        return Ok(());
                    }
                    Poll::Ready(true) => {
                        self.touches();
                        self.progress().inspect(|progress| progress.moves());
                    }
                    Poll::Ready(false) => return Err(Stuck::Upstream),
                }
            }
            if self.upload.is_none() {
                return Ok(());
            }
            if waits {
                self.waits_for(Turn::Client);
                return Ok(());
            }
        }
    }

    /// Takes the next part of the body to write; whether there is none for now.
    fn fill_output(&mut self, cx: &mut Context<'_>) -> Result<bool, Stuck> {
        let Some(upload) = &mut self.upload else {
            return Ok(false);
        };
        if !self.out.has_room() {
            return Ok(false);
        }
        match upload.body.poll(cx) {
            Poll::Pending => return Ok(true),
            Poll::Ready(Some(Ok(data))) => {
                if self.untouched {
                    self.taken.push(data.clone());
                }
                self.out.push(data, upload.chunked);
            }
            Poll::Ready(Some(Err(broken))) => return Err(Stuck::Client(broken)),
            Poll::Ready(None) => {
                self.out.end(upload.chunked);
                upload
                    .progress
                    .as_ref()
                    .inspect(|it| it.waits_for(Turn::Answer));
                let upload = self.upload.take();
                if self.untouched {
                    self.spent = upload.map(|upload| upload.body);
                }
            }
        }
        Ok(false)
    }

    /// Some of the request is written: it cannot be handed back any more.
    fn touches(&mut self) {
        if std::mem::take(&mut self.untouched) {
            self.taken.clear();
            self.spent = None;
        }
    }

    fn progress(&self) -> Option<&Rc<Progress>> {
        self.upload
            .as_ref()
            .and_then(|upload| upload.progress.as_ref())
    }

    fn waits_for(&self, turn: Turn) {
        self.progress().inspect(|progress| progress.waits_for(turn));
    }

    /// The upstream takes no more of the request: only what it has to say counts now.
    fn gives_up_sending(&mut self) {
        self.waits_for(Turn::Answer);
        self.upload = None;
        self.out = Output::default();
        self.keep_alive = false;
    }

    fn hand_back(&mut self) -> Failure {
        let upload = self.upload.take().map(|upload| upload.body);
        let mut body = upload
            .or_else(|| self.spent.take())
            .unwrap_or(RequestBody::Empty);
        body.put_back(self.taken.drain(..));
        Failure {
            refusal: Refusal::UpstreamReset,
            unsent: Some(body),
        }
    }
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1")
            .field("socket", &self.socket)
            .field("body", &self.body)
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}

fn failed(refusal: Refusal) -> Failure {
    Failure {
        refusal,
        unsent: None,
    }
}

/// Interim responses (1xx) that are passed over before a response.
const INFORMATIONAL_MAX: u32 = 16;
/// How much of a body of unknown length is read at once, in bytes.
const BODY_READ_BYTES: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    /// Over a connection that turns out to be closed at the first write; the body that comes back.
    async fn handed_back(parts: &[&'static str]) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        let (peer, _) = listener.accept().unwrap();
        // Closed so, it is reset, and over loopback that is known at once.
        let linger = Some(Duration::ZERO);
        SockRef::from(&peer).set_linger(linger).unwrap();
        drop(peer);
        let mut connection = Http1::new(socket, Rc::default());
        let mut request = Request::new(RequestBody::of(parts));
        connection.start(&mut request, &Told::default());
        let failure = poll_fn(|cx| connection.poll_response(cx))
            .await
            .unwrap_err();
        let mut body = failure.unsent.expect("nothing was written");
        let mut text = String::new();
        while let Some(part) = poll_fn(|cx| body.poll(cx)).await {
            text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
        text
    }

    /// Its head says how long the body is: with less of it, what follows would be taken for the rest.
    #[tokio::test]
    async fn what_is_handed_back_is_whole() {
        assert_eq!(handed_back(&["hello"]).await, "hello");
        assert_eq!(handed_back(&["hel", "lo"]).await, "hello");
        assert_eq!(handed_back(&[]).await, "");
        assert_eq!(handed_back(&[LONG, "end"]).await, format!("{LONG}end"));
    }

    const LONG: &str = match std::str::from_utf8(&[b'x'; 20_000]) {
        Ok(text) => text,
        Err(_) => "",
    };
}
