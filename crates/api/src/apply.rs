//! Declarative calls: documents in, what they did out.
//!
//! `POST /apply` takes what files declare and makes all of it true in one transaction. The server
//! reads with [`ApplyCall`]; the other types are for those who ask, and for the OpenAPI document.

use std::collections::BTreeMap;

use ferryway_model::document::DocumentId;
use ferryway_model::plan::{Action, Apply, ApplyPlan, OperationKind, Prune, Resource};
use ferryway_model::{At, Code, Walk};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::body::OptionsBody;
use crate::call::{BadCall, CallOptions, read_options};
use crate::client::{Client, ClientError};
use crate::operation::{Changes, Operation, OperationState};
use crate::problem::Problem;

/// What a declarative call asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ApplyBody {
    /// Documents: each has a `kind` (`gateway_group`, `registry`, `service`, `published_service`)
    /// and beside it what that resource is. Their order says nothing.
    #[schema(value_type = Vec<Object>)]
    pub resources: Vec<Value>,
    /// What goes if no document names it; left out or null: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<PruneBody>,
    /// The options that such calls share.
    #[serde(flatten)]
    pub options: OptionsBody,
}

/// Resources that go if the call doesn't name them: those that carry all these labels. A registry
/// carries those of its group, a published service those of its service in the hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PruneBody {
    /// At least one.
    pub labels: BTreeMap<String, String>,
    /// Resources that stay though the call has no document of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<ResourceId>,
}

/// Which resource is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct ResourceId {
    /// `gateway_group`, `registry`, `service` or `published_service`.
    pub kind: String,
    /// The group that it lies in; left out for groups and for services of the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its name; for a published service that of the service.
    pub name: String,
}

/// What a declarative call did, or would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// The plan's digest, which a later call can name as `expect_plan`.
    pub plan: String,
    /// `planned` for a dry run, `unchanged` where everything is as declared, else the operation's.
    pub state: OperationState,
    /// What becomes of each resource: the documents' in their order, then those that go.
    pub resources: Vec<AppliedResource>,
    /// Everything that is wrong, or should be known; `path` begins with `resources[3]`, or with
    /// `prune`.
    pub problems: Vec<Problem>,
    /// The operation, with what changes in each group and how delivery goes; for a dry run one
    /// without an id. Null where nothing had to be done.
    pub operation: Option<Operation>,
}

/// What becomes of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppliedResource {
    /// `gateway_group`, `registry`, `service` or `published_service`.
    pub kind: String,
    /// The group that it lies in; left out for groups and for services of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its name; for a published service that of the service.
    pub name: String,
    /// What happens to it.
    pub action: ResourceAction,
    /// It as it was, definitions named by their `digest`; null where it wasn't there, and where it
    /// stays as it is.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// It as it is then; null where it is gone, and where it stays as it was.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// For a service of the hub, what differs in its definition; null where nothing does. What
    /// differs in a group, the operation's destinations say.
    #[serde(default)]
    pub changes: Option<Changes>,
}

/// What happens to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceAction {
    /// It wasn't there.
    Create,
    /// It said something else.
    Update,
    /// No document named it any more.
    Delete,
    /// It was as declared.
    Unchanged,
}

/// A declarative call that was read.
#[derive(Clone, Debug)]
pub struct ApplyCall {
    /// What the caller declares.
    pub apply: Apply,
    /// How it shall be done.
    pub options: CallOptions,
}

impl ApplyCall {
    /// Reads the body of a declarative call: `{resources: [document], prune?: {labels, keep?},
    /// rollout?, supersede?, dry_run?, expect_plan?}`.
    ///
    /// # Errors
    /// All problems of all documents, each with its place.
    pub fn read(body: &Value) -> Result<Self, BadCall> {
        let mut walk = Walk::new();
        let mut options = CallOptions::default();
        let apply = walk.object(body, At::Root).map(|mut object| {
            let resources = object.need(&mut walk, "resources");
            let place = object.field("resources");
            let documents = resources.map(|v| Apply::read_documents(&mut walk, v, &place));
            let prune = object.take("prune");
            let is_pruning = prune.is_some();
            let prune = prune.and_then(|v| Prune::read(&mut walk, v, object.field("prune")));
            if !is_pruning
                && resources
                    .and_then(Value::as_array)
                    .is_some_and(Vec::is_empty)
            {
                let message = "is empty; name at least one document, or prune";
                walk.note(Code::Required, &object.field("resources"), message);
            }
            options = read_options(&mut walk, &mut object);
            object.finish(&mut walk, &[]);
            Apply {
                documents: documents.unwrap_or_default(),
                prune,
            }
        });
        match walk.finish(apply) {
            Ok(apply) => Ok(Self { apply, options }),
            Err(problems) => Err(BadCall {
                kind: OperationKind::Apply,
                problems,
                options,
            }),
        }
    }
}

impl AppliedResource {
    /// What a plan says of one of its resources.
    #[must_use]
    pub fn of(plan: &ApplyPlan, resource: &Resource) -> Self {
        let DocumentId { kind, group, name } = &resource.id;
        let action = plan.action(resource);
        let (before, after) = match action {
            Action::Unchanged => (Value::Null, Value::Null),
            Action::Create | Action::Update | Action::Delete => plan.sides(resource),
        };
        let shown = |side: Value| Some(side).filter(|side| !side.is_null());
        Self {
            kind: kind.to_string(),
            group: group.as_ref().map(ToString::to_string),
            name: name.to_string(),
            action: action.into(),
            before: shown(before),
            after: shown(after),
            changes: resource.difference().map(Into::into),
        }
    }
}

impl From<Action> for ResourceAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Create => Self::Create,
            Action::Update => Self::Update,
            Action::Delete => Self::Delete,
            Action::Unchanged => Self::Unchanged,
        }
    }
}

impl Applied {
    /// What an operation of kind `apply` says.
    #[must_use]
    pub fn of(operation: Operation) -> Self {
        let own = operation.problems.iter();
        let theirs = operation.destinations.iter().flat_map(|d| &d.problems);
        let is_done = operation.operation.is_some() || operation.state == OperationState::Planned;
        Self {
            plan: operation.plan.clone(),
            state: operation.state,
            resources: operation.resources.clone(),
            problems: own.chain(theirs).cloned().collect(),
            operation: is_done.then_some(operation),
        }
    }
}

impl Client {
    /// Makes documents true, or says what that would do. The answer comes when the change is
    /// committed; its delivery is followed by the operation's events.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn apply(&self, body: &ApplyBody) -> Result<Applied, ClientError> {
        self.post("/apply", body).await
    }
}

#[cfg(test)]
mod tests {
    use ferryway_model::document::DocumentKind;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn bad(body: &Value, is_readable: bool, expect: &[&str]) {
        let bad = ApplyCall::read(body).expect_err("there are problems");
        let got: Vec<_> = bad
            .problems
            .iter()
            .map(|p| format!("{} {}", p.code, p.path))
            .collect();
        assert_eq!(got, expect, "{:?}", bad.problems);
        assert_eq!(bad.is_readable(), is_readable);
    }

    #[test]
    fn all_problems_of_all_documents() {
        bad(&json!([]), false, &["wrong_type "]);
        bad(&json!({}), true, &["required resources"]);
        bad(&json!({"resources": []}), true, &["required resources"]);
        bad(&json!({"resources": {}}), false, &["wrong_type resources"]);
        bad(
            &json!({"resources": [
                {"kind": "gateway_group", "name": "A"},
                {"kind": "gateway_group", "name": "a"},
                7,
                {"kind": "service", "name": "s", "routes": [{"name": "r", "paths": ["/a", "b"]}]},
            ], "prune": {"labels": {}, "keep": [{"kind": "registry", "name": "x"}, {"kind": "service", "group": "g"}]},
            "rollout": {"waves": ["1"]}, "expect_plan": "x", "wait": 1}),
            false,
            &[
                "invalid resources[0].name",
                "wrong_type resources[2]",
                "invalid resources[3].routes[0].paths[1]",
                "required prune.labels",
                "required prune.keep[0].group",
                "required prune.keep[1].name",
                "unknown_field prune.keep[1].group",
                "rollout_unsupported rollout.waves",
                "invalid expect_plan",
                "unknown_field wait",
            ],
        );
    }

    #[test]
    fn what_a_client_writes_is_read() {
        let body = ApplyBody {
            resources: vec![json!({"kind": "gateway_group", "name": "test"})],
            prune: Some(PruneBody {
                labels: [("team".to_owned(), "core".to_owned())].into(),
                keep: vec![ResourceId {
                    kind: "published_service".to_owned(),
                    group: Some("test".to_owned()),
                    name: "httpbin".to_owned(),
                }],
            }),
            options: OptionsBody {
                dry_run: Some(true),
                ..OptionsBody::default()
            },
        };
        let ApplyCall { apply, options } = ApplyCall::read(&json!(body)).expect("is a call");
        assert_eq!(apply.documents.len(), 1);
        assert!(options.dry_run);
        let prune = apply.prune.expect("was given");
        let kept: Vec<_> = prune.keep.iter().collect();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].kind, DocumentKind::PublishedService);
        assert_eq!(kept[0].to_string(), "published service httpbin in test");
        let null = json!({"resources": body.resources, "prune": null});
        let call = ApplyCall::read(&null).expect("is a call");
        assert_eq!(call.apply.prune, None);
    }
}
