//! `/gateway-groups/{group}/services`: what a group runs.

use std::collections::BTreeMap;

use ferryway_api::body::{ServiceBody, SetBody};
use ferryway_api::{ApiError, Call, HistoryEntry, List, Operation, PublishedService};
use ferryway_model::Name;
use ferryway_model::plan::{Request, World};
use uuid::Uuid;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, shown, tagged};
use super::groups::exists;
use super::moves::{Asked, perform};
use super::page::{after, page};
use super::precondition::Precondition;
use super::query::{ListQuery, OptionsQuery, Params, PlainListQuery, WaitQuery, bad_cursor};
use super::sent::Sent;
use super::standing::Standing;
use super::url::Url;
use crate::core::{Core, Memory, Ran};

/// What a group runs, by name. Labels and titles are those of the hub.
#[utoipa::path(get, path = "/gateway-groups/{group}/services", tag = "published",
    params(ListQuery),
    responses((status = 200, description = "One page", body = List<PublishedService>)))]
pub(super) async fn list_published(
    caller: Caller,
    Url(group): Url<Name>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Published, Some(&group))?;
    exists(allowed.core(), &group)?;
    let query = params.list()?;
    let last = query.cursor::<Name>()?;
    let list = allowed.core().read(|memory| {
        let standing = Standing::of(memory, &group);
        let group_of = memory.groups.get(&group).into_iter();
        let names =
            group_of.flat_map(|group| group.published.range::<Name, _>(after(last.as_ref())));
        let wanted = names.filter(|name| is_wanted(memory, &query, name));
        page(&query, wanted, |name| show(memory, &standing, &group, name))
    });
    Ok(shown(&list))
}

/// A service as a group runs it.
#[utoipa::path(get, path = "/gateway-groups/{group}/services/{service}", tag = "published",
    responses((status = 200, description = "The published service", body = PublishedService)))]
pub(super) async fn get_published(
    caller: Caller,
    Url((group, service)): Url<(Name, Name)>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Published, Some(&group))?;
    let found = allowed.core().read(|memory| {
        let standing = Standing::of(memory, &group);
        let published = show(memory, &standing, &group, &service)?;
        Some((published, memory.published_etag(&group, &service)?))
    });
    let (published, tag) = found.ok_or_else(|| not_published(&group, &service))?;
    params.none()?;
    tagged(&published, &tag)
}

/// Changes the binding, whole, or the flag, or both.
#[utoipa::path(patch, path = "/gateway-groups/{group}/services/{service}", tag = "published",
    params(WaitQuery, OptionsQuery),
    request_body(content = SetBody, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "Ended", body = Operation),
        (status = 202, description = "Under way", body = Operation)))]
pub(super) async fn patch_published(
    caller: Caller,
    Url((group, service)): Url<(Name, Name)>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Published, Some(&group))?;
    is_published(allowed.core(), &group, &service)?;
    let (wait, options) = params.wait_and_options()?;
    let precondition = Precondition::read(sent.headers())?;
    let body = sent.patch().await?;
    let call = Call::set(&body, &group, &service, options.into());
    perform(
        &allowed,
        Asked {
            call,
            precondition,
            idempotency: None,
            wait,
        },
    )
    .await
}

/// Takes the service out of the group. Its versions and its history stay.
#[utoipa::path(delete, path = "/gateway-groups/{group}/services/{service}", tag = "published",
    params(WaitQuery, OptionsQuery),
    responses(
        (status = 200, description = "Ended", body = Operation),
        (status = 202, description = "Under way", body = Operation)))]
pub(super) async fn unpublish(
    caller: Caller,
    Url((group, service)): Url<(Name, Name)>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Published, Some(&group))?;
    is_published(allowed.core(), &group, &service)?;
    let (wait, options) = params.wait_and_options()?;
    let precondition = Precondition::read(sent.headers())?;
    sent.nothing().await?;
    let call = Ok(Call {
        request: Request::Unpublish { group, service },
        options: options.into(),
    });
    perform(
        &allowed,
        Asked {
            call,
            precondition,
            idempotency: None,
            wait,
        },
    )
    .await
}

/// The definition that runs.
#[utoipa::path(get, path = "/gateway-groups/{group}/services/{service}/definition",
    tag = "published",
    responses((status = 200, description = "The definition", body = ServiceBody)))]
pub(super) async fn get_definition(
    caller: Caller,
    Url((group, service)): Url<(Name, Name)>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Published, Some(&group))?;
    let found = allowed.core().read(|memory| {
        let running = memory.running(&group, &service)?;
        Some((
            running.definition.content.to_value(),
            memory.published_etag(&group, &service)?,
        ))
    });
    let (definition, tag) = found.ok_or_else(|| not_published(&group, &service))?;
    params.none()?;
    tagged(&definition, &tag)
}

/// Edits the definition in place: the service has no version there from then on.
#[utoipa::path(put, path = "/gateway-groups/{group}/services/{service}/definition",
    tag = "published", params(WaitQuery, OptionsQuery), request_body = ServiceBody,
    responses(
        (status = 200, description = "Ended", body = Operation),
        (status = 202, description = "Under way", body = Operation)))]
pub(super) async fn put_definition(
    caller: Caller,
    Url((group, service)): Url<(Name, Name)>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Published, Some(&group))?;
    is_published(allowed.core(), &group, &service)?;
    let (wait, options) = params.wait_and_options()?;
    let precondition = Precondition::read(sent.headers())?;
    let body = sent.json().await?;
    let call = Call::edit(&body, &group, &service, options.into());
    perform(
        &allowed,
        Asked {
            call,
            precondition,
            idempotency: None,
            wait,
        },
    )
    .await
}

/// What ran of the service in the group, newest first. It stays when the service is unpublished.
#[utoipa::path(get, path = "/gateway-groups/{group}/services/{service}/history",
    tag = "published", params(PlainListQuery),
    responses((status = 200, description = "One page", body = List<HistoryEntry>)))]
pub(super) async fn get_history(
    caller: Caller,
    Url((group, service)): Url<(Name, Name)>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Published, Some(&group))?;
    let core = allowed.core();
    exists(core, &group)?;
    let place = (group, service);
    if !core.read(|memory| memory.history.contains_key(&place)) {
        return Err(not_published(&place.0, &place.1).into());
    }
    let query = params.plain_list()?;
    let after = query.cursor::<Uuid>()?;
    let list = core.read(|memory| {
        let ran = memory
            .history
            .get(&place)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let end = match after {
            None => ran.len(),
            Some(after) => ran
                .iter()
                .position(|ran| ran.operation == after)
                .ok_or_else(bad_cursor)?,
        };
        let wanted = ran[..end].iter().rev().map(Entry).filter(|Entry(ran)| {
            let version = ran.record.version.as_ref().map(ToString::to_string);
            query.matches(
                &BTreeMap::new(),
                &[&version.unwrap_or_default(), &ran.record.by],
            )
        });
        Ok::<_, ApiError>(page(&query, wanted, |Entry(ran)| Some(past(memory, ran))))
    });
    Ok(shown(&list?))
}

/// An entry of the history, found again by its operation.
struct Entry<'a>(&'a Ran);

impl std::fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.operation.fmt(f)
    }
}

/// Whether the URL's service is published in the URL's group.
///
/// # Errors
/// It isn't, or there is no such group.
pub(super) fn is_published(core: &Core, group: &Name, service: &Name) -> Result<(), ApiError> {
    exists(core, group)?;
    let published = core.read(|memory| {
        memory
            .groups
            .get(group)
            .is_some_and(|group| group.view.service(service).is_some())
    });
    if published {
        Ok(())
    } else {
        Err(not_published(group, service))
    }
}

/// Whether a service is asked for, by its name and what the hub says of it.
pub(super) fn is_wanted(memory: &Memory, query: &ListQuery, service: &Name) -> bool {
    match memory.meta(service) {
        Some(meta) => query.matches(&meta.labels, &[service.as_str(), &meta.title]),
        None => query.matches(&BTreeMap::new(), &[service.as_str()]),
    }
}

fn not_published(group: &Name, service: &Name) -> ApiError {
    ApiError::not_found(format!("{service} is not published in {group}"))
}

fn show(
    memory: &Memory,
    standing: &Standing,
    group: &Name,
    service: &Name,
) -> Option<PublishedService> {
    // The definition is named and not read: a page of a thousand would read them all.
    let running = memory.groups.get(group)?.view.service(service)?;
    Some(PublishedService {
        service: service.to_string(),
        title: memory
            .meta(service)
            .map(|meta| meta.title.clone())
            .unwrap_or_default(),
        version: running.version.as_ref().map(ToString::to_string),
        digest: running.definition.to_string(),
        enabled: running.enabled,
        binding: memory.binding(running.binding)?.content.to_value(),
        rollout: None,
        convergence: standing.with(service),
    })
}

fn past(memory: &Memory, ran: &Ran) -> HistoryEntry {
    let Ran { record, operation } = ran;
    let binding = record.state.and_then(|state| memory.binding(state.binding));
    HistoryEntry {
        version: record.version.as_ref().map(ToString::to_string),
        digest: record.state.map(|state| state.definition.to_string()),
        binding: binding.map(|binding| binding.content.to_value()),
        enabled: record.state.is_some_and(|state| state.enabled),
        operation: *operation,
        kind: record.kind.into(),
        at: record.at,
        by: record.by.clone(),
    }
}
