//! Looks across groups: the matrix, the comparison, the audit.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::operation::Changes;

/// Which group runs what: a row for each service that is in the hub or in a group, a column for
/// each group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Matrix {
    /// The columns, by name.
    pub groups: Vec<String>,
    /// One page of rows, by the services' names.
    pub rows: Vec<MatrixRow>,
    /// What to give as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// What each group runs of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MatrixRow {
    /// The service.
    pub service: String,
    /// The hub's title of it; empty: none, or no longer in the hub.
    pub title: String,
    /// By group; one without the service has no cell.
    pub cells: BTreeMap<String, MatrixCell>,
}

/// What one group runs of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatrixCell {
    /// The version; null: No Version.
    pub version: Option<String>,
    /// The digest of the definition.
    pub digest: String,
    /// Whether it serves.
    pub enabled: bool,
    /// Online instances that run it as the view says.
    pub converged: u64,
    /// Online instances.
    pub online: u64,
    /// Online instances that hold it at earlier content.
    pub held: u64,
}

/// What differs between what two groups run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Compare {
    /// The one group.
    pub a: String,
    /// The other.
    pub b: String,
    /// One page of services, by name. Without `service` in the query, those that are the same in
    /// both are left out.
    pub items: Vec<ComparedService>,
    /// What to give as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// One service in two groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ComparedService {
    /// The service.
    pub service: String,
    /// How the two stand to each other. Each group has its own binding, so a binding that differs
    /// makes no difference here.
    pub state: ComparedState,
    /// What `a` runs; null: nothing.
    pub a: Option<ComparedSide>,
    /// What `b` runs; null: nothing.
    pub b: Option<ComparedSide>,
    /// What differs, read from `a` (before) to `b` (after), the bindings included.
    pub changes: Changes,
}

/// How a service in one group stands to the same service in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComparedState {
    /// Version, content and flag are equal.
    Same,
    /// Version, content or flag differ.
    Different,
    /// Published in `a` only.
    OnlyA,
    /// Published in `b` only.
    OnlyB,
}

/// What one of two compared groups runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ComparedSide {
    /// The version; null: No Version.
    pub version: Option<String>,
    /// The digest of the definition.
    pub digest: String,
    /// Whether it serves.
    pub enabled: bool,
    /// The group's binding.
    #[schema(value_type = Object)]
    pub binding: Value,
}

/// One thing that somebody did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// From where: the caller's address.
    pub from: String,
    /// What was done: an operation's kind, as `publish`, or a verb and a kind of resource, as
    /// `put group`.
    pub action: String,
    /// To what: paths below `/api/v1`, one or, of an operation on several services or groups, more,
    /// separated by spaces.
    pub target: String,
    /// How it was; null: it was not there.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// How it is since; null: it is gone.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// The operation that it was part of.
    pub operation: Option<Uuid>,
}
