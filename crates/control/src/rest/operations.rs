//! `/operations`

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use ferryway_api::{ApiError, List, Operation};
use ferryway_model::{Code, Problem};
use uuid::Uuid;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, settled, shown};
use super::page::page;
use super::query::{ListQuery, Params, PlainListQuery, WaitQuery};
use super::sent::Sent;
use super::url::Url;

/// Operations, newest first.
#[utoipa::path(get, path = "/operations", tag = "operations", params(PlainListQuery),
    responses((status = 200, description = "One page", body = List<Operation>)))]
pub(super) async fn list_operations(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Operations, None)?;
    let query = params.plain_list()?;
    let before = query
        .cursor::<Uuid>()?
        .map_or(Bound::Unbounded, Bound::Excluded);
    // Written when memory is free again: a page may have megabytes.
    let operations: BTreeMap<Uuid, Arc<Operation>> = allowed.core().read(|memory| {
        let all = memory.operations.range((Bound::Unbounded, before)).rev();
        let wanted = all.filter(|(_, operation)| is_wanted(&query, operation));
        let one_more = wanted.take(query.limit + 1);
        one_more.map(|(id, it)| (*id, it.clone())).collect()
    });
    let list = page(&query, operations.keys().rev(), |id| operations.get(id));
    Ok(shown(&list))
}

/// One operation. With `wait`, when it has ended.
#[utoipa::path(get, path = "/operations/{id}", tag = "operations", params(WaitQuery),
    responses((status = 200, description = "The operation", body = Operation)))]
pub(super) async fn get_operation(caller: Caller, Url(id): Url<Uuid>, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Operations, None)?;
    let operation = allowed
        .core()
        .read(|memory| memory.operations.get(&id).cloned());
    let operation = operation.ok_or_else(|| no_operation(id))?;
    let wait = params.wait()?;
    Ok(shown(&settled(&allowed, operation, wait).await))
}

/// Pauses a rollout. This build has none: it delivers all at once.
#[utoipa::path(post, path = "/operations/{id}/pause", tag = "operations",
    responses((status = 200, description = "Paused", body = Operation)))]
pub(super) async fn pause(caller: Caller, url: Url<Uuid>, params: Params, sent: Sent) -> Answer {
    steer(caller, url, params, sent, "paused").await
}

/// Goes on with a paused or halted rollout. This build has none: it delivers all at once.
#[utoipa::path(post, path = "/operations/{id}/resume", tag = "operations",
    responses((status = 200, description = "Resumed", body = Operation)))]
pub(super) async fn resume(caller: Caller, url: Url<Uuid>, params: Params, sent: Sent) -> Answer {
    steer(caller, url, params, sent, "resumed").await
}

/// Ends a rollout and takes back what it did. This build has none: it delivers all at once.
#[utoipa::path(post, path = "/operations/{id}/abort", tag = "operations",
    responses((status = 200, description = "Aborted", body = Operation)))]
pub(super) async fn abort(caller: Caller, url: Url<Uuid>, params: Params, sent: Sent) -> Answer {
    steer(caller, url, params, sent, "aborted").await
}

/// Every operation of this build is one wave, delivered to all instances at once, so there is never
/// a rollout to steer.
async fn steer(
    caller: Caller,
    Url(id): Url<Uuid>,
    params: Params,
    sent: Sent,
    what: &str,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Operations, None)?;
    let operation = allowed
        .core()
        .read(|memory| memory.operations.get(&id).cloned());
    let operation = operation.ok_or_else(|| no_operation(id))?;
    params.none()?;
    sent.keyed_nothing(&allowed.actor).await?;
    let message = format!(
        "operation {id} was delivered to all instances at once, so it has no rollout that could \
         be {what}; to take the change back, use rollback"
    );
    let mut problem = Problem::new(Code::NoRollout, "", message);
    problem.service = operation
        .service
        .as_deref()
        .and_then(|name| name.parse().ok());
    Err(vec![problem].into())
}

pub(super) fn no_operation(id: Uuid) -> ApiError {
    ApiError::not_found(format!(
        "there is no operation {id}; the last 10,000 are kept"
    ))
}

/// By the services and groups it concerns, its version, and who asked.
fn is_wanted(query: &ListQuery, operation: &Operation) -> bool {
    let version = operation.version.as_deref().unwrap_or_default();
    let of = operation.destinations.iter();
    let names = of.flat_map(|it| [it.group.as_str(), it.service.as_str()]);
    let texts = [operation.by.as_str(), version].into_iter().chain(names);
    query.matches_any(&BTreeMap::new(), texts)
}
