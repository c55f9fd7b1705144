//! Services: in the hub, as versions, and published in a group.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::operation::OperationKind;

/// A service of the hub: its own title, description and labels, and its definition's fields beside
/// them. A PUT takes it back unchanged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Its name for people; empty: none.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Labels to list and prune by.
    pub labels: BTreeMap<String, String>,
    /// The digest of the definition.
    pub digest: String,
    /// When it came into the hub.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// How many versions it has.
    pub versions: u64,
    /// The groups that it is published in.
    pub running_in: Vec<String>,
    /// The definition with its defaults filled in: `schema`, `name`, `hosts`, `base_path`,
    /// `upstream`, `routes`, `plugins`, `checks`.
    #[serde(flatten)]
    pub definition: Map<String, Value>,
}

/// A version of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Its number, used once for that service.
    pub version: String,
    /// The digest of its definition.
    pub digest: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// The groups that run it now.
    pub running_in: Vec<String>,
    /// What it holds.
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// A service as a group runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PublishedService {
    /// The service.
    pub service: String,
    /// The hub's title of it; empty: none, or no longer in the hub.
    pub title: String,
    /// The version that runs; null: No Version.
    pub version: Option<String>,
    /// The digest of the definition that runs.
    pub digest: String,
    /// Whether it serves.
    pub enabled: bool,
    /// Where its upstream is in this group, and under which names it is served.
    #[schema(value_type = Object)]
    pub binding: Value,
    /// The rollout under way; null: none.
    #[schema(value_type = Option<Object>)]
    pub rollout: Option<Value>,
    /// How far the group's instances are.
    pub convergence: Convergence,
}

/// How many of a group's online instances run what they should run of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Convergence {
    /// Instances online.
    pub online: u64,
    /// Those of them that run it as the view says.
    pub converged: u64,
    /// Those of them that hold it at earlier content.
    pub held: u64,
}

/// What ran of a service in a group, from one operation to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// The version; null: No Version, or taken out of the group.
    pub version: Option<String>,
    /// The digest of the definition; null: taken out of the group.
    pub digest: Option<String>,
    /// The binding; null: taken out of the group.
    #[schema(value_type = Option<Object>)]
    pub binding: Option<Value>,
    /// Whether it served.
    pub enabled: bool,
    /// The operation that brought it.
    pub operation: Uuid,
    /// What sort of operation it was.
    pub kind: OperationKind,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
}
