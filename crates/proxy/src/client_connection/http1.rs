//! HTTP/1.1 and 1.0 from a client.
//!
//! One task serves a connection, one request after the other: read a head, answer it, write the
//! answer. While a request is being answered its body is read by whoever sends it on, from the same
//! socket ([`Http1`] is shared by the two), and the client is watched for leaving.

mod response;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::CONNECTION;
use http::{HeaderMap, Method, Request, Response, Version};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::TcpStream;

use super::{Late, supervise};
use crate::body::{BrokenBody, RequestBody, ResponseBody};
use crate::buffers::Buffers;
use crate::client::{Client, Phase};
use crate::exchange::answer;
use crate::h1::{self, Decoded, Decoder, HeadError, Malformed, Output, RequestHead};
use crate::refusal::Refusal;
use crate::settings::HEAD_BYTES_MAX;
use crate::worker::Worker;
use response::{Framing, write_head};

/// A client's connection, shared by the task that serves it and the body of the request in flight.
#[derive(Debug)]
pub(crate) struct Http1(RefCell<Inner>);

#[derive(Debug)]
struct Inner {
    socket: TcpStream,
    client: Rc<Client>,
    buffers: Rc<Buffers>,
    /// Read and not taken yet; without room while the client has nothing to say.
    read: BytesMut,
    /// Where the body of the request in flight ends.
    body: Decoder,
    /// The client waits for a `100 Continue`.
    owes_continue: bool,
    /// A header map to use again.
    headers: HeaderMap,
}

/// A request, and how it wants to be answered.
#[derive(Debug)]
struct Asked {
    request: Request<RequestBody>,
    manner: Manner,
}

/// How a request wants to be answered.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// In HTTP/1.1, or 1.0.
    http_11: bool,
    /// Without a body.
    to_head: bool,
    /// With another request to follow.
    keep_alive: bool,
}

/// The client has left, or its answer broke off.
#[derive(Clone, Copy, Debug)]
struct Gone;

/// Serves the requests of a connection whose `first` bytes have been read.
pub(super) async fn serve(
    worker: Rc<Worker>,
    client: Rc<Client>,
    socket: TcpStream,
    first: BytesMut,
) {
    let connection = Rc::new(Http1(RefCell::new(Inner {
        socket,
        client: Rc::clone(&client),
        buffers: Rc::clone(worker.buffers()),
        read: first,
        body: Decoder::Done,
        owes_continue: false,
        headers: HeaderMap::new(),
    })));
    let serving = connection.serve(&worker, &client);
    if let Err(Late) = supervise(pin!(serving), |_| {}, &worker, &client).await {
        time_out(&worker, &client, &connection.0.borrow().socket);
    }
}

/// Ends a connection whose client is late: with a word, if it has begun a request.
pub(super) fn time_out(worker: &Worker, client: &Client, socket: &TcpStream) {
    if client.phase() == Phase::Head {
        worker.refused_unread(&Refusal::RequestTimeout);
        // A client that does not take some hundred bytes at once gets none.
        let _ = socket.try_write(&Refusal::RequestTimeout.bytes());
    }
}

impl Http1 {
    async fn serve(self: &Rc<Self>, worker: &Rc<Worker>, client: &Rc<Client>) {
        loop {
            let asked = match poll_fn(|cx| self.poll_next(cx)).await {
                Ok(Some(asked)) => asked,
                Ok(None) => return,
                Err(refusal) => {
                    worker.refused_unread(&refusal);
                    self.refuse(&refusal).await;
                    return self.linger().await;
                }
            };
            let Asked {
                mut request,
                manner,
            } = asked;
            // Pinned here once: it is too large to be moved about.
            let answered = {
                let answering = answer(Rc::clone(worker), Rc::clone(client), &mut request);
                let mut answering = pin!(answering);
                poll_fn(|cx| match answering.as_mut().poll(cx) {
                    Poll::Ready(response) => Poll::Ready(Some(response)),
                    Poll::Pending => self.poll_left(cx).map(|()| None),
                })
                .await
            };
            let Some(response) = answered else {
                return;
            };
            let mut out = worker.buffers().output();
            let (body, framing, keeps) = self.begin_answer(response, manner, worker, &mut out);
            let mut body = pin!(body);
            let written = poll_fn(|cx| self.poll_write(&mut out, body.as_mut(), framing, cx));
            if let Err(Gone) = written.await {
                return;
            }
            worker.buffers().give_back_output(out);
            if !keeps {
                return self.linger().await;
            }
        }
    }

    /// The next request, once its head is there; none if the client has left.
    fn poll_next(self: &Rc<Self>, cx: &mut Context<'_>) -> Poll<Result<Option<Asked>, Refusal>> {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        let mut seen = 0;
        if inner.headers.capacity() == 0 {
            inner.headers = inner.buffers.headers();
        }
        loop {
            let skipped = h1::skip_empty_lines(&mut inner.read);
            seen = usize::saturating_sub(seen, skipped);
            match h1::read_request(&mut inner.read, seen, &mut inner.headers) {
                Ok(Some(head)) => return Poll::Ready(Ok(Some(inner.asked(head, self)))),
                Ok(None) if inner.read.len() >= HEAD_BYTES_MAX => {
                    return Poll::Ready(Err(too_large(&inner.read)));
                }
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            seen = inner.read.len();
            match inner.poll_read(cx) {
                Poll::Ready(Ok(read)) if read > 0 => inner.client.has_read(),
                Poll::Ready(_left) => return Poll::Ready(Ok(None)),
                Poll::Pending => {
                    if !inner.read.is_empty() {
                        // It has begun, perhaps behind the request before: its time runs.
                        inner.client.has_read();
                    }
                    inner.rest();
                    return Poll::Pending;
                }
            }
        }
    }

    /// What comes next of the body of the request in flight.
    pub(crate) fn poll_body(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        self.0.borrow_mut().poll_body(cx)
    }

    /// How long the body of the request in flight is, where the client has said so.
    pub(crate) fn body_left(&self) -> Option<u64> {
        self.0.borrow().body.left()
    }

    /// Ready when the client has left while its request is answered.
    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.borrow_mut();
        // While there is a body to come, whoever reads that notices; what came early is kept.
        if !inner.body.is_done() || !inner.read.is_empty() {
            return Poll::Pending;
        }
        // A buffer is taken only if there is news.
        if let Err(_broken) = ready!(inner.socket.poll_read_ready(cx)) {
            return Poll::Ready(());
        }
        match inner.poll_read(cx) {
            Poll::Ready(Ok(read)) if read > 0 => Poll::Pending,
            Poll::Ready(_left) => Poll::Ready(()),
            Poll::Pending => {
                inner.rest();
                Poll::Pending
            }
        }
    }

    /// Writes an answer's head; what follows it, and whether the connection goes on after it.
    fn begin_answer(
        &self,
        response: Response<ResponseBody>,
        manner: Manner,
        worker: &Worker,
        out: &mut Output,
    ) -> (Option<ResponseBody>, Framing, bool) {
        let (mut head, body) = response.into_parts();
        let framing = Framing::new(&head, &body, manner);
        let keeps = manner.keep_alive
            && !worker.is_draining()
            && framing.has_end()
            && !closes(&head, &body)
            && self.has_all(&body);
        write_head(&head, manner, framing, keeps, &worker.date(), out.text());
        head.headers.clear();
        {
            let mut inner = self.0.borrow_mut();
            inner.headers = head.headers;
            // It would come in the middle of the answer.
            inner.owes_continue = false;
        }
        let body = Some(body).filter(|_| framing.has_body());
        (body, framing, keeps)
    }

    /// Writes a part of an answer after the other. A body that breaks off does so after all that came
    /// before is written.
    fn poll_write(
        &self,
        out: &mut Output,
        mut body: Pin<&mut Option<ResponseBody>>,
        framing: Framing,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        loop {
            // Not under the borrow: the body may itself read from this connection.
            let mut waits = false;
            while !waits
                && out.has_room()
                && let Some(part) = body.as_mut().as_pin_mut()
            {
                match response::poll_part(part, framing, out, cx) {
                    Poll::Ready(Ok(true)) => {}
                    Poll::Ready(Ok(false)) => body.set(None),
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Gone)),
                    Poll::Pending => waits = true,
                }
            }
            if !out.is_empty() {
                let mut inner = self.0.borrow_mut();
                let written = out.poll_write(&mut inner.socket, cx);
                inner.client.is_stalled(written.is_pending());
                match ready!(written) {
                    true => continue,
                    false => return Poll::Ready(Err(Gone)),
                }
            }
            if body.is_none() {
                return Poll::Ready(Ok(()));
            }
            return self.poll_left(cx).map(|()| Err(Gone));
        }
    }

    /// Whether all of the request has been read, or is there to be passed over. While an upstream
    /// answers early its request may still be going up: then it hasn't.
    fn has_all(&self, answer: &ResponseBody) -> bool {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        let idle = matches!(answer, ResponseBody::Text(_));
        while idle && let Ok(Decoded::Data(_)) = inner.body.decode(&mut inner.read) {}
        inner.body.is_done()
    }

    /// Answers a head that cannot be taken.
    async fn refuse(&self, refusal: &Refusal) {
        let mut out = Output::default();
        out.text().extend_from_slice(&refusal.bytes());
        let nothing = pin!(None);
        let mut nothing: Pin<&mut Option<ResponseBody>> = nothing;
        // The connection ends here in any case.
        let _ = poll_fn(|cx| self.poll_write(&mut out, nothing.as_mut(), Framing::None, cx)).await;
        self.0.borrow_mut().body = Decoder::UntilClose;
    }

    /// Ends the connection. A client that is still sending would lose the answer if the socket were
    /// just closed; so what it sends is read, for a while, and thrown away.
    async fn linger(&self) {
        let mut left = LINGER_BYTES_MAX;
        poll_fn(|cx| {
            let mut inner = self.0.borrow_mut();
            if inner.body.is_done() {
                return Poll::Ready(());
            }
            if left == LINGER_BYTES_MAX {
                inner.client.lingers();
                let _ = Pin::new(&mut inner.socket).poll_shutdown(cx);
            }
            loop {
                inner.read.clear();
                match ready!(inner.poll_read(cx)) {
                    Ok(read) if read > 0 && left > read => left -= read,
                    _ => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}

impl Inner {
    fn asked(&mut self, head: RequestHead, connection: &Rc<Http1>) -> Asked {
        let RequestHead {
            method,
            uri,
            http_11,
            body,
            keep_alive,
            expects_continue,
        } = head;
        let manner = Manner {
            http_11,
            to_head: method == Method::HEAD,
            keep_alive,
        };
        self.owes_continue = expects_continue;
        let mut request = Request::new(match body.is_done() {
            true => RequestBody::Empty,
            false => RequestBody::http1(Rc::clone(connection)),
        });
        self.body = body;
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = if http_11 {
            Version::HTTP_11
        } else {
            Version::HTTP_10
        };
        *request.headers_mut() = std::mem::take(&mut self.headers);
        Asked { request, manner }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        if std::mem::take(&mut self.owes_continue) && self.read.is_empty() {
            // All earlier answers are written, so the socket has room for a line; and a client that
            // misses it sends its body anyway after a while.
            let _ = self.socket.try_write(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        loop {
            match self.body.decode(&mut self.read) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Decoded::End(_trailers)) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(Malformed) => return Poll::Ready(Some(Err(BrokenBody::Client))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(read) if read > 0 => {}
                _left => return Poll::Ready(Some(Err(BrokenBody::Client))),
            }
        }
    }

    /// Reads more; how much.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let want = match self.body.left() {
            Some(left) => usize::try_from(left).unwrap_or(usize::MAX),
            None => BODY_READ_BYTES,
        };
        self.buffers.make_room(&mut self.read, want);
        pin!(self.socket.read_buf(&mut self.read)).poll(cx)
    }

    /// Gives the buffer back while there is nothing to say.
    fn rest(&mut self) {
        if self.read.is_empty() {
            self.buffers.give_back(std::mem::take(&mut self.read));
        }
        self.buffers
            .give_back_headers(std::mem::take(&mut self.headers));
    }
}

/// What is too large about a head of which this is the beginning.
fn too_large(head: &[u8]) -> Refusal {
    match head.contains(&b'\n') {
        true => Refusal::HeaderTooLarge,
        false => Refusal::UriTooLong,
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed => Self::BadRequest("Bad Request"),
            HeadError::TooLarge => Self::HeaderTooLarge,
            HeadError::UriTooLong => Self::UriTooLong,
        }
    }
}

/// Whether it is the gateway's own wish to close the connection after an answer.
fn closes(head: &http::response::Parts, answer: &ResponseBody) -> bool {
    matches!(answer, ResponseBody::Text(_)) && head.headers.contains_key(CONNECTION)
}

/// How much of a chunked body is read at once, in bytes.
const BODY_READ_BYTES: usize = 32 * 1024;
/// How much is read and thrown away at the end of a connection, in bytes.
const LINGER_BYTES_MAX: usize = 1024 * 1024;
