//! `/services`: the hub.

use std::collections::BTreeMap;

use ferryway_api::body::ServiceBody;
use ferryway_api::{ApiError, List, Service};
use ferryway_model::{Definition, Name};
use serde_json::{Map, Value, json};

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, created, gone, shown, tagged};
use super::failure::Failure;
use super::groups::PATCH_TRIES_MAX;
use super::page::{after, page};
use super::patch::merge;
use super::precondition::Precondition;
use super::query::{ListQuery, Params};
use super::sent::Sent;
use super::url::Url;
use crate::core::{Core, CoreError, IfMatch, Memory};

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
    let (body, idempotency) = sent.keyed_json().await?;
    let (definition, meta) = Definition::parse_service(&body, None)?;
    let (core, actor) = (allowed.core(), &allowed.actor);
    core.put_hub(
        actor,
        &definition,
        &meta,
        &IfMatch::Absent,
        idempotency.as_ref(),
    )
    .await?;
    let name = &definition.content.name;
    let (answer, tag) = read(core, name)?;
    created(&answer, &tag, &path(name))
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
    let if_match = precondition.for_core();
    core.put_hub(&allowed.actor, &definition, &meta, &if_match, None)
        .await?;
    let (answer, tag) = read(core, &name)?;
    match before {
        Some(_) => tagged(&answer, &tag),
        None => created(&answer, &tag, &path(&name)),
    }
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
    for _ in 0..PATCH_TRIES_MAX {
        let (mut value, tag) = core
            .read(|memory| Some((settable(memory, &name)?, memory.hub_etag(&name)?)))
            .ok_or_else(|| no_service(&name))?;
        precondition.check(Some(&tag))?;
        merge(&mut value, &patch);
        let (definition, meta) = Definition::parse_service(&value, Some(&name))?;
        let if_match = IfMatch::Tags(vec![tag]);
        match core
            .put_hub(&allowed.actor, &definition, &meta, &if_match, None)
            .await
        {
            Err(CoreError::Stale) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {
                let (answer, tag) = read(core, &name)?;
                return tagged(&answer, &tag);
            }
        }
    }
    Err(ApiError::Contended.into())
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
    ApiError::not_found(format!("there is no service {name:?} in the hub"))
}

fn path(name: &Name) -> String {
    format!("/services/{name}")
}

fn read(core: &Core, name: &Name) -> Result<(Service, String), Failure> {
    let found = core.read(|memory| Some((show(memory, name)?, memory.hub_etag(name)?)));
    found.ok_or_else(|| no_service(name).into())
}

/// The service as callers set it.
fn settable(memory: &Memory, name: &Name) -> Option<Value> {
    let (mut fields, record) = (definition(memory, name)?, &memory.hub.get(name)?.record);
    fields.insert("title".to_owned(), json!(record.meta.title));
    fields.insert("description".to_owned(), json!(record.meta.description));
    fields.insert("labels".to_owned(), json!(record.meta.labels));
    Some(Value::Object(fields))
}

fn definition(memory: &Memory, name: &Name) -> Option<Map<String, Value>> {
    memory.definition_fields(memory.hub.get(name)?.record.digest)
}

fn show(memory: &Memory, name: &Name) -> Option<Service> {
    let record = &memory.hub.get(name)?.record;
    let versions = memory.versions.get(name).map_or(0, BTreeMap::len);
    Some(Service {
        title: record.meta.title.clone(),
        description: record.meta.description.clone(),
        labels: record.meta.labels.clone(),
        digest: record.digest.to_string(),
        created_at: record.created_at,
        updated_at: record.updated_at,
        versions: u64::try_from(versions).unwrap_or(u64::MAX),
        running_in: memory
            .groups_of(name)
            .iter()
            .map(ToString::to_string)
            .collect(),
        definition: definition(memory, name)?,
    })
}
