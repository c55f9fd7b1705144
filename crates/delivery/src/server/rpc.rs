//! From HTTP/2 calls to the server's methods. Written by hand, where tonic would generate it, so
//! that answers can be bytes that were encoded once.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ferryway_proto::FetchRequest;
use ferryway_proto::limits::MESSAGE_BYTES_MAX;
use ferryway_proto::wire;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, ServerStreamingService, StreamingService};
use tonic::{Request, Response, Status, Streaming};

use super::codec::ReadyCodec;
use super::{Beside, Presence, Shared, Source, fetch, stream};

/// The service.
pub(super) struct Rpc<S, P> {
    shared: Arc<Shared<S, P>>,
    beside: Option<Beside>,
}

/// Messages on their way out: as many as the receiver has room for, so one.
type Outgoing = ReceiverStream<Result<Bytes, Status>>;

/// `rpc Deliver`.
struct Deliver<S, P>(Arc<Shared<S, P>>);
/// `rpc Fetch`.
struct Fetch<S, P>(Arc<Shared<S, P>>);

impl<S, P> Rpc<S, P> {
    pub(super) fn new(shared: Arc<Shared<S, P>>, beside: Option<Beside>) -> Self {
        Self { shared, beside }
    }
}

impl<S, P> Clone for Rpc<S, P> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared), self.beside.clone())
    }
}

impl<S, P> NamedService for Rpc<S, P> {
    const NAME: &'static str = "ferryway.delivery.v1.Delivery";
}

impl<S: Source, P: Presence> Service<http::Request<Body>> for Rpc<S, P> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        match request.uri().path() {
            "/ferryway.delivery.v1.Delivery/Deliver" => Box::pin(async move {
                let mut grpc = Grpc::new(ReadyCodec::<wire::AgentMessage>::new())
                    .max_decoding_message_size(MESSAGE_BYTES_MAX);
                Ok(grpc.streaming(Deliver(shared), request).await)
            }),
            "/ferryway.delivery.v1.Delivery/Fetch" => Box::pin(async move {
                let mut grpc = Grpc::new(ReadyCodec::<wire::FetchRequest>::new())
                    .max_decoding_message_size(MESSAGE_BYTES_MAX);
                Ok(grpc.server_streaming(Fetch(shared), request).await)
            }),
            "/ferryway.delivery.v1.Delivery/Enroll" => {
                let status = Status::unimplemented(
                    "enrolment needs a delivery port with TLS, which this build has not",
                );
                Box::pin(async move { Ok(status.into_http()) })
            }
            path => {
                let is_ours = path.starts_with("/ferryway.delivery.v1.Delivery/");
                if let Some(beside) = self.beside.as_ref().filter(|_| !is_ours) {
                    let answering = beside(request);
                    return Box::pin(async move { Ok(answering.await) });
                }
                let status = Status::unimplemented("no such method");
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}

impl<S: Source, P: Presence> StreamingService<wire::AgentMessage> for Deliver<S, P> {
    type Response = Bytes;
    type ResponseStream = Outgoing;
    type Future = BoxFuture<Response<Outgoing>, Status>;

    fn call(&mut self, request: Request<Streaming<wire::AgentMessage>>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let address = request.remote_addr();
            let incoming = request.into_inner();
            let (outgoing, messages) = mpsc::channel(1);
            let tasks = shared.tasks.clone();
            tasks.spawn("stream", move |stop| {
                stream::run(shared, incoming, outgoing, address, stop)
            });
            Ok(Response::new(ReceiverStream::new(messages)))
        })
    }
}

impl<S: Source, P: Presence> ServerStreamingService<wire::FetchRequest> for Fetch<S, P> {
    type Response = Bytes;
    type ResponseStream = Outgoing;
    type Future = BoxFuture<Response<Outgoing>, Status>;

    fn call(&mut self, request: Request<wire::FetchRequest>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let FetchRequest { session, digests } =
                request
                    .into_inner()
                    .try_into()
                    .map_err(|error: ferryway_proto::DecodeError| {
                        Status::invalid_argument(format!("fetch_request.{error}"))
                    })?;
            let group = shared.sessions.group_of(session);
            let group = group.ok_or_else(|| Status::permission_denied("no such session"))?;
            let (outgoing, chunks) = mpsc::channel(1);
            let tasks = shared.tasks.clone();
            tasks.spawn("fetch", move |stop| {
                fetch::run(shared, group, digests, outgoing, stop)
            });
            Ok(Response::new(ReceiverStream::new(chunks)))
        })
    }
}
