//! `/gateway-groups/{group}/instances`

use std::collections::BTreeMap;

use ferryway_api::{ApiError, Held, Instance, InstanceState, List, ViewAt};
use ferryway_model::{Digest, Name};
use jiff::Timestamp;
use uuid::Uuid;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, gone, shown};
use super::groups::exists;
use super::page::{after, page};
use super::query::{Params, PlainListQuery};
use super::sent::Sent;
use super::url::Url;
use crate::core::{Core, Instance as Seen, Memory, Position};

/// The instances of a group, by id.
#[utoipa::path(get, path = "/gateway-groups/{group}/instances", tag = "groups", params(PlainListQuery),
    responses((status = 200, description = "One page", body = List<Instance>)))]
pub(super) async fn list_instances(
    caller: Caller,
    Url(group): Url<Name>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Instances, Some(&group))?;
    exists(allowed.core(), &group)?;
    let query = params.plain_list()?;
    let last = query.cursor::<Uuid>()?.map(|id| id.to_string());
    let rest = after(last.as_deref());
    let now = allowed.core().now();
    let list = allowed.core().read(|memory| {
        let root = root(memory, &group);
        let seen = memory.instances.get(&group).into_iter();
        let seen = seen.flat_map(|seen| seen.range::<str, _>(rest));
        let seen =
            seen.filter(|(id, seen)| query.matches(&BTreeMap::new(), &[id, &seen.record.hostname]));
        page(&query, seen.map(|(id, _)| id), |id| {
            Some(show(memory.instances.get(&group)?.get(*id)?, root, now))
        })
    });
    Ok(shown(&list))
}

/// One instance.
#[utoipa::path(get, path = "/gateway-groups/{group}/instances/{id}", tag = "groups",
    responses((status = 200, description = "The instance", body = Instance)))]
pub(super) async fn get_instance(
    caller: Caller,
    Url((group, id)): Url<(Name, String)>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Instances, Some(&group))?;
    let instance = read(allowed.core(), &group, &id)?;
    params.none()?;
    Ok(shown(&instance))
}

/// Forgets an instance that is offline.
#[utoipa::path(delete, path = "/gateway-groups/{group}/instances/{id}", tag = "groups",
    responses((status = 204, description = "Forgotten")))]
pub(super) async fn delete_instance(
    caller: Caller,
    Url((group, id)): Url<(Name, String)>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Instances, Some(&group))?;
    read(allowed.core(), &group, &id)?;
    params.none()?;
    sent.nothing().await?;
    allowed
        .core()
        .delete_instance(&allowed.actor, &group, &id)
        .await?;
    Ok(gone())
}

fn read(core: &Core, group: &Name, id: &str) -> Result<Instance, ApiError> {
    exists(core, group)?;
    let found = core.read(|memory| {
        Some(show(
            memory.instances.get(group)?.get(id)?,
            root(memory, group),
            core.now(),
        ))
    });
    found.ok_or_else(|| ApiError::not_found(format!("{group} has no instance {id:?}")))
}

fn root(memory: &Memory, group: &Name) -> Option<Digest> {
    memory.groups.get(group).map(|group| group.head.root)
}

fn show(seen: &Seen, root: Option<Digest>, now: Timestamp) -> Instance {
    let view = |position: Position| ViewAt {
        revision: position.revision.0,
        root: position.root.to_string(),
    };
    let held = seen.held.iter().map(|(service, held)| Held {
        service: service.to_string(),
        code: held.code.clone(),
        message: held.message.clone(),
    });
    Instance {
        id: seen.id.clone(),
        hostname: seen.record.hostname.clone(),
        build: seen.record.build.clone(),
        state: if seen.is_online() {
            InstanceState::Online
        } else {
            InstanceState::Offline
        },
        since: seen.since,
        addresses: seen.record.addresses.clone(),
        desired: seen.desired.map(view),
        effective: seen.effective.map(view),
        converged: seen.is_converged(root),
        held: held.collect(),
        conflict: seen.conflict(now).map(|from| {
            format!(
                "another process with this instance's identity, on {from}, was started earlier and \
                 is turned away; is the data folder in use twice?"
            )
        }),
    }
}
