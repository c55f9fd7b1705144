//! `/audit`: who did what.

use std::collections::BTreeMap;
use std::ops::Bound;

use ferryway_api::{AuditEntry, List};
use serde_json::Value;
use uuid::Uuid;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, shown};
use super::page::page;
use super::query::{ListQuery, Params};
use crate::core::AuditRecord;

/// Everything that was changed in the last 90 days, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(ListQuery),
    responses((status = 200, description = "One page", body = List<AuditEntry>)))]
pub(super) async fn list_audit(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Audit, None)?;
    let query = params.list()?;
    let before = query
        .cursor::<Uuid>()?
        .map_or(Bound::Unbounded, Bound::Excluded);
    let list = allowed.core().read(|memory| {
        let all = memory.audit.range((Bound::Unbounded, before)).rev();
        let wanted = all.filter(|(_, entry)| {
            query.matches(&BTreeMap::new(), &[&entry.by, &entry.action, &entry.target])
        });
        page(&query, wanted.map(|(id, _)| id), |id| {
            memory.audit.get(id).map(|entry| show(entry))
        })
    });
    Ok(shown(&list))
}

fn show(entry: &AuditRecord) -> AuditEntry {
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
    let there = |value: &Value| (!value.is_null()).then(|| value.clone());
    AuditEntry {
        at: *at,
        by: by.clone(),
        from: from.clone(),
        action: action.clone(),
        target: target.clone(),
        before: there(before),
        after: there(after),
        operation: *operation,
    }
}
