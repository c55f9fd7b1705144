//! From HTTP/2 calls to the server's methods. Written by hand, where tonic would generate it, so
//! that answers can be bytes that were encoded once.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ferryway_proto::limits::MESSAGE_BYTES_MAX;
use ferryway_proto::wire;
use ferryway_proto::{EnrollRequest, FetchRequest};
use ferryway_tls::Certificate;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};

use super::codec::ReadyCodec;
use super::incoming::Origin;
use super::{Beside, Presence, Shared, Source, fetch, stream};

/// The service.
pub(super) struct Rpc<S, P> {
    shared: Arc<Shared<S, P>>,
    beside: Option<Beside>,
}

/// `rpc Deliver`'s path.
const DELIVER: &str = "/ferryway.delivery.v1.Delivery/Deliver";
/// `rpc Fetch`'s.
const FETCH: &str = "/ferryway.delivery.v1.Delivery/Fetch";
/// `rpc Enroll`'s.
const ENROLL: &str = "/ferryway.delivery.v1.Delivery/Enroll";
/// Largest request for a certificate, in bytes: a join token, a certificate request, and names.
/// Whoever makes one need not have proved who it is.
const ENROLL_BYTES_MAX: usize = 32 * 1024;

/// Messages on their way out: as many as the receiver has room for, so one.
type Outgoing = ReceiverStream<Result<Bytes, Status>>;

/// `rpc Deliver`.
struct Deliver<S, P>(Arc<Shared<S, P>>);
/// `rpc Enroll`.
struct Enroll<S, P>(Arc<Shared<S, P>>);
/// `rpc Fetch`.
struct Fetch<S, P>(Arc<Shared<S, P>>);

impl<S, P> Rpc<S, P> {
    pub(super) fn new(shared: Arc<Shared<S, P>>, beside: Option<Beside>) -> Self {
        Self { shared, beside }
    }
}

impl<S, P> Rpc<S, P> {
    /// On a guarded port, adds which control plane calls; nobody else reaches what is beside.
    fn for_control(
        &self,
        mut request: http::Request<Body>,
    ) -> Result<http::Request<Body>, Box<Status>> {
        if let Some(guard) = &self.shared.guard {
            let origin = request.extensions().get::<Origin>().cloned();
            let shown = origin.and_then(|origin| origin.certificate);
            let name = guard.admit_control(shown.as_deref())?;
            request.extensions_mut().insert(name);
        }
        Ok(request)
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
        // Before anything is read of what it sends: whoever shows no certificate costs no memory.
        if matches!(request.uri().path(), DELIVER | FETCH)
            && let Some(guard) = &shared.guard
            && let Err(status) = guard.identify(certificate(request.extensions()).as_deref())
        {
            return Box::pin(async move { Ok(status.into_http()) });
        }
        match request.uri().path() {
            DELIVER => Box::pin(async move {
                let mut grpc = Grpc::new(ReadyCodec::<wire::AgentMessage>::new())
                    .max_decoding_message_size(MESSAGE_BYTES_MAX);
                Ok(grpc.streaming(Deliver(shared), request).await)
            }),
            FETCH => Box::pin(async move {
                let mut grpc = Grpc::new(ReadyCodec::<wire::FetchRequest>::new())
                    .max_decoding_message_size(MESSAGE_BYTES_MAX);
                Ok(grpc.server_streaming(Fetch(shared), request).await)
            }),
            ENROLL => Box::pin(async move {
                let mut grpc = Grpc::new(ReadyCodec::<wire::EnrollRequest>::new())
                    .max_decoding_message_size(ENROLL_BYTES_MAX);
                Ok(grpc.unary(Enroll(shared), request).await)
            }),
            path => {
                let is_ours = path.starts_with("/ferryway.delivery.v1.Delivery/");
                if let Some(beside) = self.beside.as_ref().filter(|_| !is_ours) {
                    let answering = match self.for_control(request) {
                        Ok(request) => beside(request),
                        Err(status) => return Box::pin(async move { Ok(status.into_http()) }),
                    };
                    return Box::pin(async move { Ok(answering.await) });
                }
                let status = Status::unimplemented("no such method");
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}

/// The certificate that was shown on the connection of a call.
fn certificate(extensions: &http::Extensions) -> Option<Arc<Certificate>> {
    extensions.get::<Origin>()?.certificate.clone()
}

impl<S: Source, P: Presence> StreamingService<wire::AgentMessage> for Deliver<S, P> {
    type Response = Bytes;
    type ResponseStream = Outgoing;
    type Future = BoxFuture<Response<Outgoing>, Status>;

    fn call(&mut self, request: Request<Streaming<wire::AgentMessage>>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let origin = request.extensions().get::<Origin>().cloned();
            let address = origin.as_ref().map(|origin| origin.address);
            let address = address.or_else(|| request.remote_addr());
            let shown = origin.and_then(|origin| origin.certificate);
            let incoming = request.into_inner();
            let (outgoing, messages) = mpsc::channel(1);
            let tasks = shared.tasks.clone();
            tasks.spawn("stream", move |stop| {
                stream::run(shared, incoming, outgoing, (address, shown), stop)
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
            let shown = certificate(request.extensions());
            let FetchRequest { session, digests } =
                request
                    .into_inner()
                    .try_into()
                    .map_err(|error: ferryway_proto::DecodeError| {
                        Status::invalid_argument(format!("fetch_request.{error}"))
                    })?;
            let no_session = || Status::permission_denied("no such session");
            let group = shared.sessions.group_of(session);
            let (group, whose) = group
                .zip(shared.sessions.instance_of(session))
                .ok_or_else(no_session)?;
            // A session's name is no secret: on a guarded port the certificate has to fit too, and
            // to be taken still.
            if let Some(guard) = &shared.guard {
                let name = shown.as_ref().and_then(|shown| shown.instance.as_ref());
                if name.is_none_or(|name| name.instance != whose) {
                    return Err(no_session());
                }
                guard.admit(shown.as_deref(), &group, whose)?;
            }
            let (outgoing, chunks) = mpsc::channel(1);
            let tasks = shared.tasks.clone();
            tasks.spawn("fetch", move |stop| {
                fetch::run(shared, group, digests, outgoing, stop)
            });
            Ok(Response::new(ReceiverStream::new(chunks)))
        })
    }
}

impl<S: Source, P: Presence> UnaryService<wire::EnrollRequest> for Enroll<S, P> {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<wire::EnrollRequest>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let Some(guard) = &shared.guard else {
                return Err(Status::unimplemented(
                    "there is no enrolment on a delivery port without TLS (--dev); leave the join \
                     token out",
                ));
            };
            let origin = request.extensions().get::<Origin>().cloned();
            let from = origin
                .as_ref()
                .map(|origin| origin.address.ip().to_string());
            let from = from.unwrap_or_else(|| "unknown".to_owned());
            let shown = origin.and_then(|origin| origin.certificate);
            let asked = EnrollRequest::try_from(request.into_inner())
                .map_err(|error| Status::invalid_argument(format!("enroll_request.{error}")))?;
            let reply = guard.enroll(shown.as_deref(), asked, from).await?;
            let reply = wire::EnrollReply::from(reply).encode_to_vec();
            Ok(Response::new(Bytes::from(reply)))
        })
    }
}
