//! `/services/{service}/versions`

use std::collections::BTreeMap;

use ferryway_api::{ApiError, List, Version};
use ferryway_model::{Name, VersionNumber};

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, shown};
use super::page::page;
use super::query::{ListQuery, Params, bad_cursor};
use super::url::Url;
use crate::core::{Core, Memory};

/// The versions of a service, newest first. They stay when the service leaves the hub.
#[utoipa::path(get, path = "/services/{service}/versions", tag = "hub", params(ListQuery),
    responses((status = 200, description = "One page", body = List<Version>)))]
pub(super) async fn list_versions(
    caller: Caller,
    Url(service): Url<Name>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Services, None)?;
    known(allowed.core(), &service)?;
    let query = params.list()?;
    let after = query.cursor::<VersionNumber>()?;
    let list = allowed.core().read(|memory| {
        let mut all: Vec<_> = memory
            .versions
            .get(&service)
            .into_iter()
            .flatten()
            .collect();
        all.sort_by_key(|(number, version)| (std::cmp::Reverse(version.created_at), *number));
        let skip = match &after {
            None => 0,
            Some(after) => {
                1 + all
                    .iter()
                    .position(|(number, _)| *number == after)
                    .ok_or_else(bad_cursor)?
            }
        };
        let wanted = all.into_iter().skip(skip).map(|(number, _)| number);
        let wanted = wanted.filter(|number| query.matches(&BTreeMap::new(), &[number.as_str()]));
        Ok::<_, ApiError>(page(&query, wanted, |number| {
            show(memory, &service, number)
        }))
    });
    Ok(shown(&list?))
}

/// One version.
#[utoipa::path(get, path = "/services/{service}/versions/{version}", tag = "hub",
    responses((status = 200, description = "The version", body = Version)))]
pub(super) async fn get_version(
    caller: Caller,
    Url((service, number)): Url<(Name, VersionNumber)>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Services, None)?;
    let version = allowed
        .core()
        .read(|memory| show(memory, &service, &number));
    let version = version
        .ok_or_else(|| ApiError::not_found(format!("{service} has no version {number:?}")))?;
    params.none()?;
    Ok(shown(&version))
}

/// Whether the service is, or ever was, there.
fn known(core: &Core, service: &Name) -> Result<(), ApiError> {
    let known = core
        .read(|memory| memory.hub.contains_key(service) || memory.versions.contains_key(service));
    let message = || ApiError::not_found(format!("there is no service {service:?}"));
    if known { Ok(()) } else { Err(message()) }
}

fn show(memory: &Memory, service: &Name, number: &VersionNumber) -> Option<Version> {
    let version = memory.versions.get(service)?.get(number)?;
    let runs = |group: &Name| {
        let entry = memory
            .groups
            .get(group)
            .and_then(|group| group.view.service(service));
        entry.is_some_and(|entry| entry.version.as_ref() == Some(number))
    };
    let groups = memory.groups.keys().filter(|group| runs(group));
    Some(Version {
        version: number.to_string(),
        digest: version.digest.to_string(),
        created_at: version.created_at,
        created_by: version.created_by.clone(),
        running_in: groups.map(ToString::to_string).collect(),
        definition: memory.definition_fields(version.digest)?.into(),
    })
}
