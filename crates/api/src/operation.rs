//! Operations: who asked for what, what changes, and how delivery goes, instance by instance.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::apply::AppliedResource;
use crate::problem::Problem;

/// One publish, sync, rollback, enable, disable, unpublish, edit, binding change or apply. This is
/// also the form in which the control plane stores it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// The operation's id; null in the answer to a dry run, which makes none.
    pub operation: Option<Uuid>,
    /// What sort of change it is.
    pub kind: OperationKind,
    /// Who asked for it.
    pub by: String,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its state became final.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// How it stands.
    pub state: OperationState,
    /// The service; null where there are several.
    pub service: Option<String>,
    /// The version; null for No Version, and where there are several.
    pub version: Option<String>,
    /// The definition's digest; null where there are several, or none is left.
    pub digest: Option<String>,
    /// The plan's digest, which a later call can name as `expect_plan`.
    pub plan: String,
    /// Problems that concern no single destination.
    pub problems: Vec<Problem>,
    /// One for each service in each group.
    pub destinations: Vec<Destination>,
    /// For an apply, what becomes of each resource; empty, and left out, for all other kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<AppliedResource>,
}

/// What happens to one service in one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Destination {
    /// The group.
    pub group: String,
    /// The service.
    pub service: String,
    /// How it stands there.
    pub state: OperationState,
    /// The version it had; null for No Version or none.
    pub from_version: Option<String>,
    /// The digest it had; null for none.
    pub from_digest: Option<String>,
    /// The version it gets; null for No Version or none.
    pub version: Option<String>,
    /// The digest it gets; null where it is unpublished.
    pub digest: Option<String>,
    /// The group's revision that brings the change; null where nothing changes or was only planned.
    pub revision: Option<u64>,
    /// What differs.
    pub changes: Changes,
    /// What is wrong, or should be known.
    pub problems: Vec<Problem>,
    /// How delivery goes, by instance.
    pub instances: Vec<InstanceDelivery>,
}

/// How delivery goes on one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstanceDelivery {
    /// The instance's id.
    pub id: String,
    /// The host it runs on.
    pub hostname: String,
    /// How it stands.
    pub state: DeliveryState,
    /// Why it was rejected, or what it warns of, for scripts.
    pub code: Option<String>,
    /// Why it was rejected, or what it warns of, for people.
    pub detail: Option<String>,
    /// What was seen: for a failing check the request and the answer.
    pub evidence: Option<Value>,
    /// From the commit to the answer of the instance, as `3ms`.
    pub took: Option<String>,
}

/// What sort of change an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A new version of the hub's definition.
    Publish,
    /// What a source group runs.
    Sync,
    /// What ran there before.
    Rollback,
    /// Serve again.
    Enable,
    /// Answer as if not there.
    Disable,
    /// Take out of the group.
    Unpublish,
    /// A definition edited in its group.
    Edit,
    /// Another binding.
    Binding,
    /// What documents declare.
    Apply,
}

/// How an operation, or one destination of it, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// A dry run: nothing was done.
    Planned,
    /// There was nothing to do.
    Unchanged,
    /// Delivery goes on.
    Progressing,
    /// Every instance that was online, and still is, has applied it.
    Succeeded,
    /// All have answered, and at least one rejected it.
    Failed,
    /// A later operation changed that service in that group first.
    Superseded,
    /// A rollout waits for a person.
    Paused,
    /// A rollout stopped on a failure.
    Halted,
    /// A rollout went back to the old content.
    RolledBack,
    /// A person ended a rollout.
    Aborted,
}

/// How one instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// No answer yet.
    Pending,
    /// It runs the change.
    Applied,
    /// It refused the change and runs its last good content.
    Rejected,
    /// It went away before it answered.
    Offline,
}

/// What differs between before and after. Parts without a difference are empty or null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Changes {
    /// Routes by name.
    pub routes: RouteChanges,
    /// Plugins by name.
    pub plugins: NameChanges,
    /// The upstream policy.
    pub upstream: Option<BeforeAfter>,
    /// The hosts as the binding leaves them.
    pub hosts: Option<BeforeAfter>,
    /// The base path.
    pub base_path: Option<BeforeAfter>,
    /// Checks by name.
    pub checks: Option<NameChanges>,
    /// The group's own binding.
    pub binding: Option<BeforeAfter>,
    /// Whether it serves.
    pub enabled: Option<BeforeAfter>,
}

/// A value as it is and as it will be; null where there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BeforeAfter {
    /// As it is.
    pub before: Value,
    /// As it will be.
    pub after: Value,
}

/// Names that come, go and change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NameChanges {
    /// New ones.
    pub added: Vec<String>,
    /// Ones that are gone.
    pub removed: Vec<String>,
    /// Ones that say something else.
    pub changed: Vec<String>,
}

/// Routes that come, go and change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteChanges {
    /// New ones.
    pub added: Vec<String>,
    /// Ones that are gone.
    pub removed: Vec<String>,
    /// Ones that say something else, each with what.
    pub changed: Vec<RouteChange>,
}

/// What changes in one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteChange {
    /// The route's name.
    pub route: String,
    /// Its fields, as `priority 0 → 5; timeout.read null → "10s"`.
    pub diff: String,
}

impl OperationState {
    /// Whether it will not change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Progressing | Self::Paused | Self::Halted => false,
            Self::Planned
            | Self::Unchanged
            | Self::Succeeded
            | Self::Failed
            | Self::Superseded
            | Self::RolledBack
            | Self::Aborted => true,
        }
    }
}

impl From<ferryway_model::plan::OperationKind> for OperationKind {
    fn from(kind: ferryway_model::plan::OperationKind) -> Self {
        use ferryway_model::plan::OperationKind as Kind;
        match kind {
            Kind::Publish => Self::Publish,
            Kind::Sync => Self::Sync,
            Kind::Rollback => Self::Rollback,
            Kind::Enable => Self::Enable,
            Kind::Disable => Self::Disable,
            Kind::Unpublish => Self::Unpublish,
            Kind::Edit => Self::Edit,
            Kind::Binding => Self::Binding,
            Kind::Apply => Self::Apply,
        }
    }
}

impl From<ferryway_model::Difference> for Changes {
    fn from(difference: ferryway_model::Difference) -> Self {
        let ferryway_model::Difference {
            routes,
            plugins,
            upstream,
            hosts,
            base_path,
            checks,
            binding,
            enabled,
        } = difference;
        let ferryway_model::RouteChanges {
            added,
            removed,
            changed,
        } = routes;
        let changed = changed
            .into_iter()
            .map(|c| RouteChange {
                route: c.route,
                diff: c.diff,
            })
            .collect();
        Self {
            routes: RouteChanges {
                added,
                removed,
                changed,
            },
            plugins: plugins.into(),
            upstream: upstream.map(Into::into),
            hosts: hosts.map(Into::into),
            base_path: base_path.map(Into::into),
            checks: checks.map(Into::into),
            binding: binding.map(Into::into),
            enabled: enabled.map(Into::into),
        }
    }
}

impl From<ferryway_model::NameChanges> for NameChanges {
    fn from(changes: ferryway_model::NameChanges) -> Self {
        let ferryway_model::NameChanges {
            added,
            removed,
            changed,
        } = changes;
        Self {
            added,
            removed,
            changed,
        }
    }
}

impl From<ferryway_model::BeforeAfter> for BeforeAfter {
    fn from(change: ferryway_model::BeforeAfter) -> Self {
        let ferryway_model::BeforeAfter { before, after } = change;
        Self { before, after }
    }
}
