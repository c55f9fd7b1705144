//! `/operations`

use std::collections::BTreeMap;
use std::ops::Bound;

use ferryway_api::{ApiError, List, Operation};
use uuid::Uuid;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, settled, shown};
use super::page::page;
use super::query::{ListQuery, Params, WaitQuery};
use super::url::Url;

/// Operations, newest first.
#[utoipa::path(get, path = "/operations", tag = "operations", params(ListQuery),
    responses((status = 200, description = "One page", body = List<Operation>)))]
pub(super) async fn list_operations(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Operations, None)?;
    let query = params.list()?;
    let before = query
        .cursor::<Uuid>()?
        .map_or(Bound::Unbounded, Bound::Excluded);
    let list = allowed.core().read(|memory| {
        let all = memory.operations.range((Bound::Unbounded, before)).rev();
        let wanted = all.filter(|(_, operation)| is_wanted(&query, operation));
        page(&query, wanted.map(|(id, _)| id), |id| {
            memory.operations.get(id).cloned()
        })
    });
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

pub(super) fn no_operation(id: Uuid) -> ApiError {
    ApiError::not_found(format!(
        "there is no operation {id}; the last 10,000 are kept"
    ))
}

/// By the services and groups it concerns, its version, and who asked.
fn is_wanted(query: &ListQuery, operation: &Operation) -> bool {
    let mut texts: Vec<&str> = vec![
        &operation.by,
        operation.version.as_deref().unwrap_or_default(),
    ];
    for destination in &operation.destinations {
        texts.extend([destination.group.as_str(), destination.service.as_str()]);
    }
    query.matches(&BTreeMap::new(), &texts)
}
