//! `/matrix` and `/compare`: looks across groups.

use std::collections::{BTreeMap, BTreeSet};

use ferryway_api::{
    ApiError, Compare, ComparedService, ComparedSide, ComparedState, Matrix, MatrixCell, MatrixRow,
};
use ferryway_model::plan::{Running, World};
use ferryway_model::{Difference, Name, Side};

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, shown};
use super::groups::exists;
use super::page::page;
use super::published::is_wanted;
use super::query::{ListQuery, Params};
use super::standing::Standing;
use crate::core::Memory;

/// Which group runs what: a row for each service, a cell for each group that has it.
#[utoipa::path(get, path = "/matrix", tag = "overview", params(ListQuery),
    responses((status = 200, description = "One page of rows", body = Matrix)))]
pub(super) async fn matrix(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Published, None)?;
    let query = params.list()?;
    let after = query.cursor::<Name>()?;
    let (groups, rows) = allowed.core().read(|memory| {
        let standings: BTreeMap<&Name, Standing> = memory
            .groups
            .keys()
            .map(|group| (group, Standing::of(memory, group)))
            .collect();
        let wanted = services(memory, memory.groups.keys(), true)
            .into_iter()
            .filter(|service| {
                after.as_ref().is_none_or(|after| *service > after)
                    && is_wanted(memory, &query, service)
            });
        let rows = page(&query, wanted, |service| {
            Some(row(memory, &standings, service))
        });
        (
            memory
                .groups
                .keys()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            rows,
        )
    });
    // The same as `Matrix`, with rows that are written already.
    Ok(shown(&serde_json::json!({
        "groups": groups, "rows": rows.items, "next_cursor": rows.next_cursor,
    })))
}

/// What differs between what two groups run.
#[utoipa::path(get, path = "/compare", tag = "overview",
    params(
        ("a" = String, Query, description = "The one group"),
        ("b" = String, Query, description = "The other"),
        ("service" = Option<String>, Query, description = "Only this service, whether it differs or not"),
        ListQuery),
    responses((status = 200, description = "One page of differences", body = Compare)))]
pub(super) async fn compare(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Published, None)?;
    let (a, b, service, query) = params.compare::<Name>()?;
    allowed.also(Verb::Read, Resource::Published, Some(&a))?;
    allowed.also(Verb::Read, Resource::Published, Some(&b))?;
    let core = allowed.core();
    exists(core, &a)?;
    exists(core, &b)?;
    let after = query.cursor::<Name>()?;
    let page = core.read(|memory| {
        let wanted = services(memory, [&a, &b], false)
            .into_iter()
            .filter(|name| {
                service.as_ref().is_none_or(|service| service == *name)
                    && after.as_ref().is_none_or(|after| *name > after)
                    && is_wanted(memory, &query, name)
                    && (service.is_some() || differs(memory, &a, &b, name))
            });
        page(&query, wanted, |service| compared(memory, &a, &b, service))
    });
    if let Some(service) = service.filter(|_| page.items.is_empty() && query.cursor.is_none()) {
        let message = format!("{service} is published neither in {a} nor in {b}");
        return Err(ApiError::not_found(message).into());
    }
    // The same as `Compare`, with items that are written already.
    Ok(shown(&serde_json::json!({
        "a": a, "b": b, "items": page.items, "next_cursor": page.next_cursor,
    })))
}

/// The services that these groups run, and those of the hub if wanted, by name.
fn services<'m>(
    memory: &'m Memory,
    groups: impl IntoIterator<Item = &'m Name>,
    hub: bool,
) -> BTreeSet<&'m Name> {
    let groups = groups
        .into_iter()
        .filter_map(|group| memory.groups.get(group));
    let published = groups
        .flat_map(|group| group.view.services())
        .map(|(name, _)| name);
    published.chain(memory.hub.keys().filter(|_| hub)).collect()
}

fn row(memory: &Memory, standings: &BTreeMap<&Name, Standing>, service: &Name) -> MatrixRow {
    let cells = memory.groups.iter().filter_map(|(name, group)| {
        let entry = group.view.service(service)?;
        let standing = standings.get(name)?.with(service);
        let cell = MatrixCell {
            version: entry.version.as_ref().map(ToString::to_string),
            digest: entry.definition.to_string(),
            enabled: entry.enabled,
            converged: standing.converged,
            online: standing.online,
            held: standing.held,
        };
        Some((name.to_string(), cell))
    });
    MatrixRow {
        service: service.to_string(),
        title: memory
            .meta(service)
            .map(|meta| meta.title.clone())
            .unwrap_or_default(),
        cells: cells.collect(),
    }
}

/// Whether version, content or flag differ. The binding is each group's own.
fn differs(memory: &Memory, a: &Name, b: &Name, service: &Name) -> bool {
    let what = |group: &Name| {
        let entry = memory.groups.get(group)?.view.service(service)?;
        Some((entry.version.clone(), entry.definition, entry.enabled))
    };
    what(a) != what(b)
}

fn compared(memory: &Memory, a: &Name, b: &Name, service: &Name) -> Option<ComparedService> {
    let (left, right) = (memory.running(a, service), memory.running(b, service));
    let state = match (&left, &right) {
        (None, None) => return None,
        (Some(_), None) => ComparedState::OnlyA,
        (None, Some(_)) => ComparedState::OnlyB,
        (Some(_), Some(_)) if differs(memory, a, b, service) => ComparedState::Different,
        (Some(_), Some(_)) => ComparedState::Same,
    };
    let difference = Difference::between(left.as_ref().map(side), right.as_ref().map(side));
    Some(ComparedService {
        service: service.to_string(),
        state,
        a: left.as_ref().map(shown_side),
        b: right.as_ref().map(shown_side),
        changes: difference.into(),
    })
}

fn side(running: &Running) -> Side<'_> {
    Side {
        definition: &running.definition.content,
        binding: &running.binding.content,
        enabled: running.enabled,
    }
}

fn shown_side(running: &Running) -> ComparedSide {
    ComparedSide {
        version: running.version.as_ref().map(ToString::to_string),
        digest: running.definition.digest.to_string(),
        enabled: running.enabled,
        binding: running.binding.content.to_value(),
    }
}
