//! `/audit`: who did what.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use ferryway_api::{AuditEntry, List};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, shown};
use super::page::page;
use super::query::{Params, PlainListQuery};
use crate::core::AuditRecord;

/// An [`AuditEntry`] with sides that are written already.
#[derive(Debug, Serialize)]
struct Written<'a> {
    at: Timestamp,
    by: &'a str,
    from: &'a str,
    action: &'a str,
    target: &'a str,
    before: Option<&'a RawValue>,
    after: Option<&'a RawValue>,
    operation: Option<Uuid>,
}

/// Everything that was changed in the last 90 days, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(PlainListQuery),
    responses((status = 200, description = "One page", body = List<AuditEntry>)))]
pub(super) async fn list_audit(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Audit, None)?;
    let query = params.plain_list()?;
    let before = query
        .cursor::<Uuid>()?
        .map_or(Bound::Unbounded, Bound::Excluded);
    // Written when memory is free again: a page may have megabytes.
    let entries: BTreeMap<Uuid, Arc<AuditRecord>> = allowed.core().read(|memory| {
        let all = memory.audit.range((Bound::Unbounded, before)).rev();
        let wanted = all.filter(|(_, entry)| {
            query.matches(&BTreeMap::new(), &[&entry.by, &entry.action, &entry.target])
        });
        let one_more = wanted.take(query.limit + 1);
        one_more.map(|(id, entry)| (*id, entry.clone())).collect()
    });
    let list = page(&query, entries.keys().rev(), |id| {
        entries.get(id).map(|it| show(it))
    });
    Ok(shown(&list))
}

fn show(entry: &AuditRecord) -> Written<'_> {
    let AuditRecord {
        at,
        by,
        from,
        action,
        target,
        before,
        after,
        operation,
    } = entry;
    Written {
        at: *at,
        by,
        from,
        action,
        target,
        before: before.there(),
        after: after.there(),
        operation: *operation,
    }
}
