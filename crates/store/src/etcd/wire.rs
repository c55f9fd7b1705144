//! What prost and tonic generate from `proto/etcd.proto`, and how its requests are put together.

use bytes::Bytes;

use super::names::after_prefix;
use crate::Revision;

#[expect(
    clippy::allow_attributes_without_reason,
    clippy::enum_variant_names,
    unreachable_pub,
    unnameable_types,
    unused_qualifications,
    reason = "the code is generated; its style is not ours"
)]
mod generated {
    tonic::include_proto!("etcdserverpb");
}

pub(super) use generated::auth_client::AuthClient;
pub(super) use generated::compare::{CompareResult, CompareTarget, TargetUnion};
pub(super) use generated::event::EventType;
pub(super) use generated::kv_client::KvClient;
pub(super) use generated::lease_client::LeaseClient;
pub(super) use generated::request_op::Request;
pub(super) use generated::response_op::Response;
pub(super) use generated::watch_client::WatchClient;
pub(super) use generated::watch_request::RequestUnion;
pub(super) use generated::{
    AuthenticateRequest, Compare, DeleteRangeRequest, Event, KeyValue, LeaseGrantRequest,
    LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, TxnRequest, TxnResponse, WatchCreateRequest, WatchProgressRequest,
    WatchRequest, WatchResponse,
};

/// A revision as etcd writes it.
pub(super) fn number(revision: Revision) -> i64 {
    i64::try_from(revision.number()).unwrap_or(i64::MAX)
}

/// A revision as etcd wrote it. None is negative.
pub(super) fn revision(number: i64) -> Revision {
    Revision::new(u64::try_from(number).unwrap_or(0))
}

/// The revision that an answer was given at.
pub(super) fn at(header: Option<&ResponseHeader>) -> Revision {
    header.map_or(Revision::ZERO, |header| revision(header.revision))
}

/// Requires that `key` was last modified by the transaction of this revision; 0: that it is absent.
pub(super) fn modified_at(key: Bytes, revision: i64) -> Compare {
    compare(key, CompareResult::Equal, revision)
}

/// Requires that `key` has this value.
pub(super) fn has_value(key: Bytes, value: Bytes) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Value.into(),
        key,
        target_union: Some(TargetUnion::Value(value)),
    }
}

/// Requires that `key` is there.
pub(super) fn present(key: Bytes) -> Compare {
    compare(key, CompareResult::Greater, 0)
}

fn compare(key: Bytes, result: CompareResult, revision: i64) -> Compare {
    Compare {
        result: result.into(),
        target: CompareTarget::Mod.into(),
        key,
        target_union: Some(TargetUnion::ModRevision(revision)),
    }
}

pub(super) fn put(key: Bytes, value: Bytes, lease: i64) -> RequestOp {
    op(Request::RequestPut(PutRequest { key, value, lease }))
}

pub(super) fn delete(key: Bytes) -> RequestOp {
    op(Request::RequestDeleteRange(DeleteRangeRequest {
        key,
        range_end: Bytes::new(),
    }))
}

/// Deletes everything that starts with `prefix`.
pub(super) fn delete_all(prefix: Bytes) -> RequestOp {
    op(Request::RequestDeleteRange(DeleteRangeRequest {
        range_end: after_prefix(&prefix),
        key: prefix,
    }))
}

/// Reads one key, its value only where asked.
pub(super) fn read(key: Bytes, keys_only: bool) -> RequestOp {
    op(Request::RequestRange(RangeRequest {
        key,
        keys_only,
        ..RangeRequest::default()
    }))
}

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

/// What the reads of a transaction found, in their order.
pub(super) fn found(answer: TxnResponse) -> Vec<Option<KeyValue>> {
    let found = |op| match op {
        Some(Response::ResponseRange(range)) => {
            let range: RangeResponse = range;
            range.kvs.into_iter().next()
        }
        _ => None,
    };
    answer
        .responses
        .into_iter()
        .map(|op| found(op.response))
        .collect()
}
