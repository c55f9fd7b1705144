//! What the audit says of a declarative call.

use ferryway_model::document::{DocumentId, DocumentKind};
use ferryway_model::plan::{Action, ApplyPlan};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::Actor;
use super::super::records::AuditRecord;

/// One entry for the whole call; every resource that changes is in it, as it was and as it is.
pub(super) fn audit(plan: &ApplyPlan, actor: &Actor, now: Timestamp, id: Uuid) -> AuditRecord {
    let (mut before, mut after) = (Map::new(), Map::new());
    let mut targets = Vec::new();
    let changed = plan.resources.iter();
    for resource in changed.filter(|it| plan.action(it) != Action::Unchanged) {
        let path = path_of(&resource.id);
        let (was, is) = plan.sides(resource);
        before.insert(path.clone(), was);
        after.insert(path.clone(), is);
        targets.push(path);
    }
    AuditRecord {
        at: now,
        by: actor.name.clone(),
        from: actor.from.clone(),
        action: "apply".to_owned(),
        target: targets.join(" "),
        before: Value::Object(before).into(),
        after: Value::Object(after).into(),
        operation: Some(id),
    }
}

/// Where a resource lies in the API.
fn path_of(id: &DocumentId) -> String {
    let DocumentId { kind, group, name } = id;
    match (kind, group) {
        (DocumentKind::Registry, Some(group)) => {
            format!("gateway-groups/{group}/registries/{name}")
        }
        (DocumentKind::PublishedService, Some(group)) => {
            format!("gateway-groups/{group}/services/{name}")
        }
        (DocumentKind::GatewayGroup, _) => format!("gateway-groups/{name}"),
        _ => format!("services/{name}"),
    }
}
