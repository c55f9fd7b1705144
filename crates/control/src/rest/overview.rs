//! `/matrix` and `/compare`: looks across groups.

use std::collections::BTreeMap;

use ferryway_api::{
    ApiError, Compare, ComparedService, ComparedSide, ComparedState, Matrix, MatrixCell, MatrixRow,
};
use ferryway_model::plan::{Running, World};
use ferryway_model::{Difference, Name, Side};
use serde::Serialize;
use serde_json::value::RawValue;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, shown};
use super::groups::exists;
use super::page::{after, merged, page};
use super::published::is_wanted;
use super::query::{ListQuery, Params};
use super::standing::Standing;
use crate::core::Memory;

/// A [`Matrix`] with rows that are written already.
#[derive(Debug, Serialize)]
struct WrittenMatrix {
    groups: Vec<String>,
    rows: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// A [`Compare`] with items that are written already.
#[derive(Debug, Serialize)]
struct WrittenCompare {
    a: Name,
    b: Name,
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// Which group runs what: a row for each service, a cell for each group that has it.
#[utoipa::path(get, path = "/matrix", tag = "overview", params(ListQuery),
    responses((status = 200, description = "One page of rows", body = Matrix)))]
pub(super) async fn matrix(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Published, None)?;
    let query = params.list()?;
    let last = query.cursor::<Name>()?;
    let (groups, page) = allowed.core().read(|memory| {
        let standings: BTreeMap<&Name, Standing> = memory
            .groups
            .keys()
            .map(|group| (group, Standing::of(memory, group)))
            .collect();
        let rest = after(last.as_ref());
        let published = memory
            .groups
            .values()
            .map(|group| group.published.range::<Name, _>(rest));
        // The hub's names and the groups' come from iterators of two kinds.
        let hub = memory.hub.range::<Name, _>(rest).map(|(name, _)| name);
        let both: [Box<dyn Iterator<Item = &Name>>; 2] =
            [Box::new(hub), Box::new(merged(published))];
        let wanted = merged(both).filter(|name| is_wanted(memory, &query, name));
        let page = page(&query, wanted, |service| {
            Some(row(memory, &standings, service))
        });
        let groups = memory.groups.keys().map(ToString::to_string).collect();
        (groups, page)
    });
    Ok(shown(&WrittenMatrix {
        groups,
        rows: page.items,
        next_cursor: page.next_cursor,
    }))
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
    let last = query.cursor::<Name>()?;
    let page = core.read(|memory| {
        let groups = [&a, &b]
            .into_iter()
            .filter_map(|name| memory.groups.get(name));
        let names =
            merged(groups.map(|group| group.published.range::<Name, _>(after(last.as_ref()))));
        let wanted = names.filter(|name| {
            service.as_ref().is_none_or(|service| service == *name)
                && is_wanted(memory, &query, name)
                && (service.is_some() || differs(memory, &a, &b, name))
        });
        page(&query, wanted, |service| compared(memory, &a, &b, service))
    });
    if let Some(service) = service.filter(|_| page.items.is_empty() && query.cursor.is_none()) {
        let message = format!("{service} is published neither in {a} nor in {b}");
        return Err(ApiError::not_found(message).into());
    }
    Ok(shown(&WrittenCompare {
        a,
        b,
        items: page.items,
        next_cursor: page.next_cursor,
    }))
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
