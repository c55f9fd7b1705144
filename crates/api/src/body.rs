//! Bodies that callers send, as types: for clients that write them, and for the OpenAPI document.
//! The server reads with [`Call`](crate::Call) and the model's own readers, which name the place of
//! every mistake; a test holds the two together.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::token::Scope;

/// A new group, or what shall replace one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupBody {
    /// The name; may be left out where the URL has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Labels to list by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether definitions may come in by publishing and syncing only; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_publishing: Option<bool>,
}

/// A new API token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenBody {
    /// The name of who will use it, as operations and audit entries will say it.
    pub name: String,
    /// How much it may do.
    pub scope: Scope,
    /// From when on it is refused (RFC 3339); left out or null: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// A new join token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct JoinTokenBody {
    /// Whether any number of instances may join with it; default false: one may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reusable: Option<bool>,
    /// From when on it is refused (RFC 3339); left out or null: a day later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// A registry of kind `dns`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RegistryBody {
    /// The name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `dns`.
    pub kind: String,
    /// DNS servers as `IP:PORT`; none: the gateway's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    /// For how long it must have said "none" before it is believed; default 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_after: Option<String>,
    /// An answer is not asked again sooner; default 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ttl: Option<String>,
    /// An answer is asked again at the latest; default 5m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ttl: Option<String>,
}

/// A service's definition: `name` and `routes` are required.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ServiceBody {
    /// The name; may be left out where the URL has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What requests are matched against; at least one.
    #[schema(value_type = Vec<Object>)]
    pub routes: Vec<Value>,
    /// `title`, `description`, `labels` (in the hub only), `hosts`, `base_path`, `upstream`,
    /// `plugins`, `checks`.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a publish asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct PublishBody {
    /// The new version number, never used before for that service.
    pub version: String,
    /// Where to run it: 1 to 32 groups.
    pub groups: Vec<TargetBody>,
    /// The hub's digest that the caller saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_digest: Option<String>,
    /// The options that all such calls share.
    #[serde(flatten)]
    pub options: OptionsBody,
}

/// What a sync of one service asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SyncServiceBody {
    /// Where to run it: 1 to 32 groups.
    pub to: Vec<TargetBody>,
    /// A new number, only for a source in No Version state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The version that the caller saw in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_version: Option<String>,
    /// The digest that the caller saw in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_digest: Option<String>,
    /// The options that all such calls share.
    #[serde(flatten)]
    pub options: OptionsBody,
}

/// What a sync of several services asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SyncGroupBody {
    /// What to sync: 1 to 64 services of the source.
    pub services: Vec<SyncItemBody>,
    /// Where to run them: 1 to 32 groups.
    pub to: Vec<GroupTargetBody>,
    /// The options that all such calls share.
    #[serde(flatten)]
    pub options: OptionsBody,
}

/// One service of a sync of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SyncItemBody {
    /// The service.
    pub service: String,
    /// A new number, only for a source in No Version state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The version that the caller saw in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_version: Option<String>,
    /// The digest that the caller saw in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_digest: Option<String>,
}

/// A destination of a call about one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct TargetBody {
    /// The group.
    pub group: String,
    /// The binding; left out: a group that has the service keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub binding: Option<Value>,
}

/// A destination of a call about several services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct GroupTargetBody {
    /// The group.
    pub group: String,
    /// Bindings by service, for those that shall not keep their own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Object>)]
    pub bindings: BTreeMap<String, Value>,
}

/// What a rollback asks for: exactly one of `version` and `digest`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct RollbackBody {
    /// The latest content that ran there under this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The content of this digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether the binding of that time comes back too; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_binding: Option<bool>,
    /// The options that all such calls share.
    #[serde(flatten)]
    pub options: OptionsBody,
}

/// What shall change in a published service: at least one of the two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SetBody {
    /// The new binding, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub binding: Option<Value>,
    /// Whether it shall serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// The options that publish, sync and rollback share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct OptionsBody {
    /// `{"waves": ["100%"]}`, which is what leaving it out means: this build delivers all at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub rollout: Option<Value>,
    /// False: there are no rollouts to supersede in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersede: Option<bool>,
    /// Only say what the call would do; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// The digest of the plan that the caller saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_plan: Option<String>,
}
