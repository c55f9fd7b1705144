//! What documents would do. What groups run of services is an ordinary [`Plan`], made of the same
//! steps as publish, edit and set; beside it stand the plain resources. All of it is one change:
//! either every document comes true, or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::{Destination, Plan, Running};
use crate::definition::{Definition, Sealed};
use crate::diff::Difference;
use crate::digest::Digest;
use crate::document::DocumentId;
use crate::group::Group;
use crate::json;
use crate::meta::Meta;
use crate::name::Name;
use crate::registry::Registry;

/// What an [`Apply`](super::Apply) would do.
#[derive(Clone, Debug)]
pub struct ApplyPlan {
    /// What would become of what groups run, and everything that is wrong.
    pub plan: Plan,
    /// Every resource: the documents' in their order, then those that go.
    pub resources: Vec<Resource>,
    /// Services whose definition in the hub a new version is made of.
    pub from_hub: BTreeSet<Name>,
}

/// What would become of one resource.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Which.
    pub id: DocumentId,
    /// From what to what.
    pub change: ResourceChange,
}

/// A resource as it is, and as it would be; none where it isn't there.
#[derive(Clone, Debug)]
pub enum ResourceChange {
    /// Of a group.
    Group(Option<Group>, Option<Group>),
    /// Of a registry of a group.
    Registry(Option<TitledRegistry>, Option<TitledRegistry>),
    /// Of a service in the hub.
    Service(Option<HubService>, Option<HubService>),
    /// Of what a group runs: the destination of this number in the plan. None where a problem left
    /// nothing to plan.
    Published(Option<usize>),
}

/// A registry and what people call it.
#[derive(Clone, Debug)]
pub struct TitledRegistry {
    /// What is delivered.
    pub registry: Arc<Sealed<Registry>>,
    /// Its name for people.
    pub title: String,
}

/// A service in the hub.
#[derive(Clone, Debug)]
pub struct HubService {
    /// What a version is made of.
    pub definition: Arc<Sealed<Definition>>,
    /// Its title, description and labels.
    pub meta: Meta,
}

/// What happens to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It isn't there yet.
    Create,
    /// It is there, and says something else.
    Update,
    /// No document names it any more.
    Delete,
    /// It is as declared.
    Unchanged,
}

impl ApplyPlan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        let still = |resource: &Resource| self.action(resource) == Action::Unchanged;
        self.plan.is_unchanged() && self.resources.iter().all(still)
    }

    /// What happens to a resource of this plan.
    #[must_use]
    pub fn action(&self, resource: &Resource) -> Action {
        match &resource.change {
            ResourceChange::Group(before, after) => Action::of(before.as_ref(), after.as_ref()),
            ResourceChange::Registry(before, after) => Action::of(before.as_ref(), after.as_ref()),
            ResourceChange::Service(before, after) => Action::of(before.as_ref(), after.as_ref()),
            ResourceChange::Published(_) => {
                self.destination(resource).map_or(Action::Unchanged, |d| {
                    Action::of(d.before.as_ref(), d.after.as_ref())
                })
            }
        }
    }

    /// What would become of a published service.
    #[must_use]
    pub fn destination(&self, resource: &Resource) -> Option<&Destination> {
        match resource.change {
            ResourceChange::Published(number) => self.plan.destinations.get(number?),
            _ => None,
        }
    }

    /// A resource as it is and as it would be, as the audit and the answer show it: what people set,
    /// with definitions named by their digest.
    #[must_use]
    pub fn sides(&self, resource: &Resource) -> (Value, Value) {
        fn both<T>(before: Option<&T>, after: Option<&T>, show: fn(&T) -> Value) -> (Value, Value) {
            (
                before.map_or(Value::Null, show),
                after.map_or(Value::Null, show),
            )
        }
        match &resource.change {
            ResourceChange::Group(before, after) => {
                both(before.as_ref(), after.as_ref(), Group::to_value)
            }
            ResourceChange::Registry(before, after) => {
                both(before.as_ref(), after.as_ref(), TitledRegistry::to_value)
            }
            ResourceChange::Service(before, after) => {
                both(before.as_ref(), after.as_ref(), HubService::to_value)
            }
            ResourceChange::Published(_) => self
                .destination(resource)
                .map_or((Value::Null, Value::Null), |d| {
                    both(d.before.as_ref(), d.after.as_ref(), Running::to_value)
                }),
        }
    }

    /// The digest that a real call may name (`expect_plan`): as [`Plan::digest`], and over what
    /// becomes of every resource.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let resource = |resource: &Resource| {
            let DocumentId { kind, group, name } = &resource.id;
            let (before, after) = self.sides(resource);
            json!([kind, group, name, before, after])
        };
        let value = json!({
            "plan": self.plan.digest(),
            "resources": self.resources.iter().map(resource).collect::<Vec<_>>(),
        });
        Digest::of(&json::canonical(&value))
    }
}

impl Resource {
    /// What differs in a definition of the hub; none for other kinds, and where it stays.
    #[must_use]
    pub fn difference(&self) -> Option<Difference> {
        let ResourceChange::Service(before, after) = &self.change else {
            return None;
        };
        let sealed = |service: &'_ HubService| Arc::clone(&service.definition);
        let (before, after) = (before.as_ref().map(sealed), after.as_ref().map(sealed));
        let digest = |sealed: &Option<Arc<Sealed<Definition>>>| sealed.as_ref().map(|s| s.digest);
        (digest(&before) != digest(&after)).then(|| {
            Difference::of_definitions(
                before.as_deref().map(|sealed| &sealed.content),
                after.as_deref().map(|sealed| &sealed.content),
            )
        })
    }
}

impl Action {
    fn of<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> Self {
        match (before, after) {
            (None, Some(_)) => Self::Create,
            (Some(_), None) => Self::Delete,
            (Some(before), Some(after)) if before != after => Self::Update,
            _ => Self::Unchanged,
        }
    }
}

impl TitledRegistry {
    /// The registry as callers set it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let Self { registry, title } = self;
        let mut value = registry.content.to_value();
        value["title"] = json!(title);
        value
    }
}

/// Equal if content and title are.
impl PartialEq for TitledRegistry {
    fn eq(&self, other: &Self) -> bool {
        self.registry.digest == other.registry.digest && self.title == other.title
    }
}

impl HubService {
    fn to_value(&self) -> Value {
        let Self {
            definition,
            meta:
                Meta {
                    title,
                    description,
                    labels,
                },
        } = self;
        json!({
            "digest": definition.digest, "title": title, "description": description,
            "labels": labels,
        })
    }
}

/// Equal if content and what people wrote are.
impl PartialEq for HubService {
    fn eq(&self, other: &Self) -> bool {
        self.definition.digest == other.definition.digest && self.meta == other.meta
    }
}
