//! The calls that are made.

use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::members::Call;
use super::wire::{
    KvClient, LeaseClient, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest,
    RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};

/// The largest answer that is taken, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1_024 * 1_024;

impl Call for RangeRequest {
    type Answer = RangeResponse;

    async fn send(request: Request<Self>, channel: Channel) -> Result<RangeResponse, Status> {
        let mut client = KvClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        client.range(request).await.map(Response::into_inner)
    }

    fn header(answer: &RangeResponse) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}

impl Call for TxnRequest {
    type Answer = TxnResponse;

    async fn send(request: Request<Self>, channel: Channel) -> Result<TxnResponse, Status> {
        let mut client = KvClient::new(channel);
        client.txn(request).await.map(Response::into_inner)
    }

    fn header(answer: &TxnResponse) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}

/// A lease's id, or 0 where there is none, and the answer's header.
pub(super) struct Lease {
    pub(super) id: i64,
    header: Option<ResponseHeader>,
}

impl Call for LeaseGrantRequest {
    type Answer = Lease;

    async fn send(request: Request<Self>, channel: Channel) -> Result<Lease, Status> {
        let answer = LeaseClient::new(channel).lease_grant(request).await?;
        let answer = answer.into_inner();
        Ok(Lease {
            id: answer.id,
            header: answer.header,
        })
    }

    fn header(answer: &Lease) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}

impl Call for LeaseRevokeRequest {
    type Answer = Lease;

    async fn send(request: Request<Self>, channel: Channel) -> Result<Lease, Status> {
        let answer = LeaseClient::new(channel).lease_revoke(request).await?;
        let header = answer.into_inner().header;
        Ok(Lease { id: 0, header })
    }

    fn header(answer: &Lease) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}

impl Call for LeaseKeepAliveRequest {
    type Answer = Lease;

    async fn send(request: Request<Self>, channel: Channel) -> Result<Lease, Status> {
        let (metadata, extensions, one) = request.into_parts();
        let request = Request::from_parts(metadata, extensions, tokio_stream::once(one));
        let mut answers = LeaseClient::new(channel)
            .lease_keep_alive(request)
            .await?
            .into_inner();
        let answer = answers.message().await?;
        let answer = answer.ok_or_else(|| Status::unavailable("the stream ended"))?;
        let id = if answer.ttl > 0 { answer.id } else { 0 };
        Ok(Lease {
            id,
            header: answer.header,
        })
    }

    fn header(answer: &Lease) -> Option<&ResponseHeader> {
        answer.header.as_ref()
    }
}
