//! `/services`: the hub.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferryway_api::body::ServiceBody;
use ferryway_api::{ApiError, List, Service};
use ferryway_model::plan::HubService;
use ferryway_model::{Definition, Digest, Name};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, created, gone, shown, tagged};
use super::failure::Failure;
use super::page::{after, page};
use super::patch::patched;
use super::precondition::Precondition;
use super::query::{ListQuery, Params};
use super::sent::Sent;
use super::url::Url;
use crate::core::{Core, CoreError, IfMatch, Made, Memory};

/// A [`Service`] with a definition whose fields are written already.
#[derive(Debug, Serialize)]
struct Written<'m> {
    title: &'m str,
    description: &'m str,
    labels: &'m BTreeMap<String, String>,
    digest: Digest,
    created_at: Timestamp,
    updated_at: Timestamp,
    versions: usize,
    running_in: Vec<Name>,
    #[serde(flatten)]
    definition: BTreeMap<&'m str, &'m RawValue>,
}

/// The services of the hub, by name.
#[utoipa::path(get, path = "/services", tag = "hub", params(ListQuery),
    responses((status = 200, description = "One page", body = List<Service>)))]
pub(super) async fn list_services(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Services, None)?;
    let query = params.list()?;
    let last = query.cursor::<Name>()?;
    let list = allowed.core().read(|memory| {
        let services = memory.hub.range::<Name, _>(after(last.as_ref()));
        let services = services.filter(|(name, hub)| {
            let meta = &hub.record.meta;
            query.matches(&meta.labels, &[name.as_str(), &meta.title])
        });
        page(&query, services.map(|(name, _)| name), |name| {
            show(memory, name)
        })
    });
    Ok(shown(&list))
}

/// Makes a service. It serves nothing until it is published.
#[utoipa::path(post, path = "/services", tag = "hub", request_body = ServiceBody,
    responses((status = 201, description = "Made", body = Service)))]
pub(super) async fn create_service(caller: Caller, params: Params, sent: Sent) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Services, None)?;
    params.none()?;
    let (body, idempotency) = sent.keyed_json(&allowed.actor).await?;
    let (definition, meta) = Definition::parse_service(&body, None)?;
    let (core, actor) = (allowed.core(), &allowed.actor);
    let name = definition.content.name.clone();
    let service = HubService {
        definition: Arc::new(definition),
        meta,
    };
    let wanted = || Ok((service.clone(), IfMatch::Absent));
    let made = core.put_hub(actor, &name, wanted, idempotency.as_ref());
    answer(core, &name, made.await?)
}

/// One service of the hub.
#[utoipa::path(get, path = "/services/{service}", tag = "hub",
    responses((status = 200, description = "The service", body = Service)))]
pub(super) async fn get_service(caller: Caller, Url(name): Url<Name>, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Services, None)?;
    let (service, tag) = read(allowed.core(), &name)?;
    params.none()?;
    tagged(&service, &tag)
}

/// Makes or replaces a service of the hub.
#[utoipa::path(put, path = "/services/{service}", tag = "hub", request_body = ServiceBody,
    responses(
        (status = 200, description = "Replaced", body = Service),
        (status = 201, description = "Made", body = Service)))]
pub(super) async fn put_service(
    caller: Caller,
    Url(name): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Services, None)?;
    params.none()?;
    let precondition = Precondition::read(sent.headers())?;
    let body = sent.json().await?;
    let (definition, meta) = Definition::parse_service(&body, Some(&name))?;
    let core = allowed.core();
    let before = core.read(|memory| memory.hub_etag(&name));
    precondition.check(before.as_deref())?;
    let service = HubService {
        definition: Arc::new(definition),
        meta,
    };
    let wanted = || Ok((service.clone(), precondition.for_core()));
    let made = core.put_hub(&allowed.actor, &name, wanted, None);
    answer(core, &name, made.await?)
}

/// Changes some fields of a service of the hub.
#[utoipa::path(patch, path = "/services/{service}", tag = "hub",
    request_body(content = ServiceBody, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "Changed", body = Service)))]
pub(super) async fn patch_service(
    caller: Caller,
    Url(name): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Services, None)?;
    let core = allowed.core();
    exists(core, &name)?;
    params.none()?;
    let precondition = Precondition::read(sent.headers())?;
    let patch = sent.patch().await?;
    let wanted = || {
        let there = core.read(|memory| Some((settable(memory, &name)?, memory.hub_etag(&name)?)));
        let (value, tag) = there.ok_or_else(|| CoreError::not_found(missing(&name)))?;
        precondition.for_core().check(Some(&tag))?;
        let parse = |value: &Value| Definition::parse_service(value, Some(&name));
        let (definition, meta) = patched(value, &patch, parse).map_err(CoreError::Refused)?;
        let definition = Arc::new(definition);
        Ok((HubService { definition, meta }, IfMatch::Still(tag)))
    };
    let made = core.put_hub(&allowed.actor, &name, wanted, None);
    answer(core, &name, made.await?)
}

/// Deletes a service that no group has. Its version numbers stay used.
#[utoipa::path(delete, path = "/services/{service}", tag = "hub",
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete_service(
    caller: Caller,
    Url(name): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Services, None)?;
    exists(allowed.core(), &name)?;
    params.none()?;
    let precondition = Precondition::read(sent.headers())?;
    sent.nothing().await?;
    allowed
        .core()
        .delete_hub(&allowed.actor, &name, &precondition.for_core())
        .await?;
    Ok(gone())
}

/// Whether the URL's service is in the hub.
///
/// # Errors
/// It isn't.
pub(super) fn exists(core: &Core, name: &Name) -> Result<(), ApiError> {
    let there = core.read(|memory| memory.hub.contains_key(name));
    if there { Ok(()) } else { Err(no_service(name)) }
}

fn no_service(name: &Name) -> ApiError {
    ApiError::not_found(missing(name))
}

fn missing(name: &Name) -> String {
    format!("there is no service {name:?} in the hub")
}

/// 201 for a service that this call, or the first of its key, made; else the service as it is.
fn answer(core: &Core, name: &Name, made: Made) -> Answer {
    if let Made::New(answered) = made {
        return created(&answered);
    }
    let (service, tag) = read(core, name)?;
    tagged(&service, &tag)
}

fn read(core: &Core, name: &Name) -> Result<(Box<RawValue>, String), Failure> {
    let found = core.read(|memory| {
        let written = serde_json::value::to_raw_value(&show(memory, name)?).ok()?;
        Some((written, memory.hub_etag(name)?))
    });
    found.ok_or_else(|| no_service(name).into())
}

/// The service as callers set it.
fn settable(memory: &Memory, name: &Name) -> Option<Value> {
    let record = &memory.hub.get(name)?.record;
    let mut value: Value =
        serde_json::from_str(memory.definition_json(record.digest)?.get()).ok()?;
    value["title"] = json!(record.meta.title);
    value["description"] = json!(record.meta.description);
    value["labels"] = json!(record.meta.labels);
    Some(value)
}

fn show<'m>(memory: &'m Memory, name: &Name) -> Option<Written<'m>> {
    let record = &memory.hub.get(name)?.record;
    Some(Written {
        title: &record.meta.title,
        description: &record.meta.description,
        labels: &record.meta.labels,
        digest: record.digest,
        created_at: record.created_at,
        updated_at: record.updated_at,
        versions: memory.versions.get(name).map_or(0, BTreeMap::len),
        running_in: memory.groups_of(name),
        definition: serde_json::from_str(memory.definition_json(record.digest)?.get()).ok()?,
    })
}
