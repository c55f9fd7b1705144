//! What stands between a control plane and its connections, and is careless at times: it leaves out
//! messages, brings them twice, and brings old ones again.
//!
//! No control plane of ours does that, and a stream does not either. An instance must not depend on
//! it: what it takes begins where it stands, and leads to the root that was said.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use ferryway_runtime::Random;
use http::{Request, Response};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;

use crate::net::Host;
use crate::trace::Trace;

/// A service whose messages are carried like that.
#[derive(Clone)]
pub(crate) struct Careless<S> {
    inner: S,
    way: Way,
}

/// How they are carried.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) is_careless: Arc<AtomicBool>,
    pub(crate) host: Host,
    pub(crate) random: Arc<Mutex<Random>>,
    pub(crate) trace: Trace,
}

/// The messages of one stream.
struct Stream {
    inner: Body,
    way: Way,
    /// Its own: what happens at one moment happens in no order.
    random: Random,
    /// What has come of a message so far.
    begun: BytesMut,
    /// The last messages.
    last: VecDeque<Bytes>,
}

/// What goes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// How many messages are remembered, to be brought again.
const LAST_MAX: usize = 4;

impl<S> Careless<S> {
    pub(crate) fn new(inner: S, way: Way) -> Self {
        Self { inner, way }
    }
}

impl<S> Service<Request<Body>> for Careless<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_stream = request.uri().path().ends_with("/Deliver");
        let answer = self.inner.call(request);
        let way = self.way.clone();
        Box::pin(async move {
            let answer = answer.await?;
            Ok(if is_stream {
                answer.map(|body| Body::new(Stream::new(body, way)))
            } else {
                answer
            })
        })
    }
}

impl Stream {
    fn new(inner: Body, way: Way) -> Self {
        let random = {
            let mut random = way.random.lock().expect("nothing panics while it has it");
            Random::seeded(random.next_u64())
        };
        Self {
            inner,
            way,
            random,
            begun: BytesMut::new(),
            last: VecDeque::new(),
        }
    }

    /// The next whole message, if all of it has come.
    fn message(&mut self) -> Option<Bytes> {
        let length = self.begun.get(1..PREFIX_BYTES)?.try_into().ok()?;
        let whole = PREFIX_BYTES + u32::from_be_bytes(length) as usize;
        (self.begun.len() >= whole).then(|| self.begun.split_to(whole).freeze())
    }

    /// What is brought of what has come.
    fn carried(&mut self) -> Bytes {
        let mut carried = BytesMut::new();
        while let Some(message) = self.message() {
            let is_careless = self.way.is_careless.load(Ordering::SeqCst);
            let old = self.last.front().cloned();
            let (what, brought) = match self.random.below(12) {
                0 | 1 if is_careless => ("left out", vec![]),
                2 if is_careless => ("twice", vec![message.clone(), message.clone()]),
                3 if is_careless => {
                    let both = old.into_iter().chain([message.clone()]);
                    ("an old one before", both.collect())
                }
                _ => ("", vec![message.clone()]),
            };
            if !what.is_empty() {
                self.way.trace.note("careless", self.way.host, what);
            }
            brought
                .iter()
                .for_each(|message| carried.extend_from_slice(message));
            self.last.push_back(message);
            if self.last.len() > LAST_MAX {
                self.last.pop_front();
            }
        }
        carried.freeze()
    }
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
            let data = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            };
            self.begun.extend_from_slice(&data);
            let carried = self.carried();
            if !carried.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(carried))));
            }
        }
    }
}
