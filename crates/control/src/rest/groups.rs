//! `/gateway-groups`

use ferryway_api::body::GroupBody;
use ferryway_api::{ApiError, Group, List};
use ferryway_model::{Group as Draft, Name};

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, created, gone, shown, tagged};
use super::failure::Failure;
use super::page::{after, page};
use super::patch::patched;
use super::precondition::Precondition;
use super::query::{ListQuery, Params};
use super::sent::Sent;
use super::standing::Standing;
use super::url::Url;
use crate::core::{Core, CoreError, IfMatch, Made, Memory};

/// All groups, by name.
#[utoipa::path(get, path = "/gateway-groups", tag = "groups", params(ListQuery),
    responses((status = 200, description = "One page", body = List<Group>)))]
pub(super) async fn list_groups(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Groups, None)?;
    let query = params.list()?;
    let last = query.cursor::<Name>()?;
    let list = allowed.core().read(|memory| {
        let groups = memory.groups.range::<Name, _>(after(last.as_ref()));
        let groups = groups.filter(|(name, group)| {
            let meta = &group.record.meta;
            query.matches(&meta.labels, &[name.as_str(), &meta.title])
        });
        page(&query, groups.map(|(name, _)| name), |name| {
            show(memory, name)
        })
    });
    Ok(shown(&list))
}

/// Makes a group.
#[utoipa::path(post, path = "/gateway-groups", tag = "groups", request_body = GroupBody,
    responses((status = 201, description = "Made", body = Group)))]
pub(super) async fn create_group(caller: Caller, params: Params, sent: Sent) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Groups, None)?;
    params.none()?;
    let (body, idempotency) = sent.keyed_json(&allowed.actor).await?;
    let group = Draft::parse(&body, None)?;
    let core = allowed.core();
    let wanted = || Ok((group.clone(), IfMatch::Absent));
    let made = core.put_group(&allowed.actor, &group.name, wanted, idempotency.as_ref());
    answer(core, &group.name, made.await?)
}

/// One group.
#[utoipa::path(get, path = "/gateway-groups/{group}", tag = "groups",
    responses((status = 200, description = "The group", body = Group)))]
pub(super) async fn get_group(caller: Caller, Url(name): Url<Name>, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Groups, Some(&name))?;
    let (group, tag) = read(allowed.core(), &name)?;
    params.none()?;
    tagged(&group, &tag)
}

/// Makes a group, or replaces what people set of it.
#[utoipa::path(put, path = "/gateway-groups/{group}", tag = "groups", request_body = GroupBody,
    responses(
        (status = 200, description = "Replaced", body = Group),
        (status = 201, description = "Made", body = Group)))]
pub(super) async fn put_group(
    caller: Caller,
    Url(name): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Groups, Some(&name))?;
    params.none()?;
    let precondition = Precondition::read(sent.headers())?;
    let body = sent.json().await?;
    let group = Draft::parse(&body, Some(&name))?;
    let core = allowed.core();
    let before = core.read(|memory| memory.group_etag(&name));
    precondition.check(before.as_deref())?;
    let wanted = || Ok((group.clone(), precondition.for_core()));
    let made = core.put_group(&allowed.actor, &name, wanted, None);
    answer(core, &name, made.await?)
}

/// Changes some of what people set of a group.
#[utoipa::path(patch, path = "/gateway-groups/{group}", tag = "groups",
    request_body(content = GroupBody, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "Changed", body = Group)))]
pub(super) async fn patch_group(
    caller: Caller,
    Url(name): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Groups, Some(&name))?;
    let core = allowed.core();
    exists(core, &name)?;
    params.none()?;
    let precondition = Precondition::read(sent.headers())?;
    let patch = sent.patch().await?;
    let wanted = || {
        let there = core.read(|memory| Some((settable(memory, &name)?, memory.group_etag(&name)?)));
        let (value, tag) = there.ok_or_else(|| CoreError::not_found(missing(&name)))?;
        precondition.for_core().check(Some(&tag))?;
        let group = patched(value, &patch, |value| Draft::parse(value, Some(&name)));
        Ok((group.map_err(CoreError::Refused)?, IfMatch::Still(tag)))
    };
    let made = core.put_group(&allowed.actor, &name, wanted, None);
    answer(core, &name, made.await?)
}

/// Deletes a group that has no published service and no instance online.
#[utoipa::path(delete, path = "/gateway-groups/{group}", tag = "groups",
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete_group(
    caller: Caller,
    Url(name): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Groups, Some(&name))?;
    exists(allowed.core(), &name)?;
    params.none()?;
    let precondition = Precondition::read(sent.headers())?;
    sent.nothing().await?;
    allowed
        .core()
        .delete_group(&allowed.actor, &name, &precondition.for_core())
        .await?;
    Ok(gone())
}

/// An operator's word that a view which shrank without a transaction that says so is meant. Wanted
/// when an instance of the group holds services with the code `shrink_unconfirmed`: it learnt by
/// comparison, after a restore say, that much of what it runs is gone, and keeps it.
#[utoipa::path(post, path = "/gateway-groups/{group}/confirm-shrink", tag = "groups",
    responses((status = 200, description = "Confirmed", body = Group)))]
pub(super) async fn confirm_shrink(
    caller: Caller,
    Url(name): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Groups, Some(&name))?;
    let core = allowed.core();
    exists(core, &name)?;
    params.none()?;
    let idempotency = sent.keyed_nothing(&allowed.actor).await?;
    core.confirm_shrink(&allowed.actor, &name, idempotency.as_ref())
        .await?;
    let (answer, tag) = read(core, &name)?;
    tagged(&answer, &tag)
}

/// Whether the URL's group is there.
///
/// # Errors
/// It isn't.
pub(super) fn exists(core: &Core, name: &Name) -> Result<(), ApiError> {
    let there = core.read(|memory| memory.groups.contains_key(name));
    if there { Ok(()) } else { Err(no_group(name)) }
}

pub(super) fn no_group(name: &Name) -> ApiError {
    ApiError::not_found(missing(name))
}

fn missing(name: &Name) -> String {
    format!("there is no gateway group {name:?}")
}

/// 201 for a group that this call, or the first of its key, made; else the group as it is.
fn answer(core: &Core, name: &Name, made: Made) -> Answer {
    if let Made::New(answered) = made {
        return created(&answered);
    }
    let (group, tag) = read(core, name)?;
    tagged(&group, &tag)
}

fn read(core: &Core, name: &Name) -> Result<(Group, String), Failure> {
    let found = core.read(|memory| Some((show(memory, name)?, memory.group_etag(name)?)));
    found.ok_or_else(|| no_group(name).into())
}

/// The group as callers set it.
fn settable(memory: &Memory, name: &Name) -> Option<serde_json::Value> {
    let record = &memory.groups.get(name)?.record;
    let group = Draft {
        name: name.clone(),
        meta: record.meta.clone(),
        enforce_publishing: record.enforce_publishing,
    };
    Some(group.to_value())
}

fn show(memory: &Memory, name: &Name) -> Option<Group> {
    let group = memory.groups.get(name)?;
    let counts = Standing::of(memory, name).counts();
    Some(group.record.shown(name, &group.head, counts))
}
