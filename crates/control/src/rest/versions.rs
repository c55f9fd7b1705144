//! `/services/{service}/versions`

use std::collections::BTreeMap;

use ferryway_api::{ApiError, List, Version};
use ferryway_model::{Digest, Name, VersionNumber};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, shown};
use super::page::page;
use super::query::{Params, PlainListQuery, bad_cursor};
use super::url::Url;
use crate::core::{Core, Group, Memory};

/// A [`Version`] with a definition that is written already.
#[derive(Debug, Serialize)]
struct Written<'m> {
    version: &'m str,
    digest: Digest,
    created_at: Timestamp,
    created_by: &'m str,
    running_in: Vec<&'m Name>,
    definition: &'m RawValue,
}

/// The versions of a service, newest first. They stay when the service leaves the hub.
#[utoipa::path(get, path = "/services/{service}/versions", tag = "hub", params(PlainListQuery),
    responses((status = 200, description = "One page", body = List<Version>)))]
pub(super) async fn list_versions(
    caller: Caller,
    Url(service): Url<Name>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Services, None)?;
    known(allowed.core(), &service)?;
    let query = params.plain_list()?;
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
    let version = allowed.core().read(|memory| {
        let version = show(memory, &service, &number)?;
        serde_json::value::to_raw_value(&version).ok()
    });
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

fn show<'m>(memory: &'m Memory, service: &Name, number: &VersionNumber) -> Option<Written<'m>> {
    let (number, version) = memory.versions.get(service)?.get_key_value(number)?;
    let runs = |group: &Group| {
        let entry = group.view.service(service);
        entry.is_some_and(|entry| entry.version.as_ref() == Some(number))
    };
    let groups = memory.groups.iter().filter(|(_, group)| runs(group));
    Some(Written {
        version: number.as_str(),
        digest: version.digest,
        created_at: version.created_at,
        created_by: &version.created_by,
        running_in: groups.map(|(name, _)| name).collect(),
        definition: memory.definition_json(version.digest)?,
    })
}
