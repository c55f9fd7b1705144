//! `/gateway-groups/{group}/registries`

use std::collections::BTreeMap;

use ferryway_api::body::RegistryBody;
use ferryway_api::{ApiError, List, Registry};
use ferryway_model::{Name, Registry as Draft};
use serde_json::Value;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, created, gone, shown, tagged};
use super::failure::Failure;
use super::groups::exists;
use super::page::{after, page};
use super::precondition::Precondition;
use super::query::{Params, PlainListQuery};
use super::sent::Sent;
use super::url::Url;
use crate::core::{Core, Made, Memory};

/// The registries of a group, by name.
#[utoipa::path(get, path = "/gateway-groups/{group}/registries", tag = "registries",
    params(PlainListQuery),
    responses((status = 200, description = "One page", body = List<Registry>)))]
pub(super) async fn list_registries(
    caller: Caller,
    Url(group): Url<Name>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Registries, Some(&group))?;
    exists(allowed.core(), &group)?;
    let query = params.plain_list()?;
    let last = query.cursor::<Name>()?;
    let list = allowed.core().read(|memory| {
        let group_of = memory.groups.get(&group).into_iter();
        let all =
            group_of.flat_map(|group| group.registries.range::<Name, _>(after(last.as_ref())));
        let names = all.filter(|(name, titled)| {
            query.matches(&BTreeMap::new(), &[name.as_str(), &titled.record.title])
        });
        page(&query, names.map(|(name, _)| name), |name| {
            show(memory, &group, name)
        })
    });
    Ok(shown(&list))
}

/// One registry.
#[utoipa::path(get, path = "/gateway-groups/{group}/registries/{registry}", tag = "registries",
    responses((status = 200, description = "The registry", body = Registry)))]
pub(super) async fn get_registry(
    caller: Caller,
    Url((group, name)): Url<(Name, Name)>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Registries, Some(&group))?;
    let (registry, tag) = read(allowed.core(), &group, &name)?;
    params.none()?;
    tagged(&registry, &tag)
}

/// Makes or replaces a registry. It is delivered to the group's instances.
#[utoipa::path(put, path = "/gateway-groups/{group}/registries/{registry}", tag = "registries",
    request_body = RegistryBody,
    responses(
        (status = 200, description = "Replaced", body = Registry),
        (status = 201, description = "Made", body = Registry)))]
pub(super) async fn put_registry(
    caller: Caller,
    Url((group, name)): Url<(Name, Name)>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Registries, Some(&group))?;
    let core = allowed.core();
    exists(core, &group)?;
    params.none()?;
    let precondition = Precondition::read(sent.headers())?;
    let body = sent.json().await?;
    let (registry, title) = Draft::parse(&body, Some(&name))?;
    let before = core.read(|memory| memory.registry_etag(&group, &name));
    precondition.check(before.as_deref())?;
    let if_match = precondition.for_core();
    let made = core.put_registry(&allowed.actor, &group, &registry, &title, &if_match, None);
    if let Made::New(answered) = made.await? {
        return created(&answered);
    }
    let (answer, tag) = read(core, &group, &name)?;
    tagged(&answer, &tag)
}

/// Deletes a registry that no binding of the group names.
#[utoipa::path(delete, path = "/gateway-groups/{group}/registries/{registry}", tag = "registries",
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete_registry(
    caller: Caller,
    Url((group, name)): Url<(Name, Name)>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Registries, Some(&group))?;
    let core = allowed.core();
    read(core, &group, &name)?;
    params.none()?;
    let precondition = Precondition::read(sent.headers())?;
    sent.nothing().await?;
    core.delete_registry(&allowed.actor, &group, &name, &precondition.for_core())
        .await?;
    Ok(gone())
}

fn read(core: &Core, group: &Name, name: &Name) -> Result<(Registry, String), Failure> {
    exists(core, group)?;
    let found = core.read(|memory| {
        Some((
            show(memory, group, name)?,
            memory.registry_etag(group, name)?,
        ))
    });
    found.ok_or_else(|| ApiError::not_found(format!("{group} has no registry {name:?}")).into())
}

fn show(memory: &Memory, group: &Name, name: &Name) -> Option<Registry> {
    let (registry, title) = memory.registry(group, name)?;
    let Value::Object(settings) = registry.content.to_value() else {
        return None;
    };
    Some(Registry {
        title: title.to_owned(),
        settings,
    })
}
