//! The plan: what a change would do, worked out without doing it.
//!
//! One pure function serves the dry run and the real call alike. It reads the world through
//! [`World`], which a control plane implements over its memory; it writes nothing.

mod apply;
mod request;
mod steps;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Value, json};

pub use apply::{
    Action, Apply, ApplyPlan, Catalogue, HubService, Prune, Resource, ResourceChange,
    TitledRegistry,
};
pub use request::{Request, RollbackTo, SyncForm, SyncService, Target};
pub use steps::{plan, plan_apply};

use crate::binding::Binding;
use crate::conflict::RouteIndex;
use crate::definition::{Definition, Sealed};
use crate::diff::{Difference, Side};
use crate::digest::Digest;
use crate::json;
use crate::name::{Name, VersionNumber};
use crate::problem::{Code, Problem};
use crate::registry::Registry;

/// What a plan needs to know of the world as it stands.
pub trait World {
    /// Whether the group is there, and whether it enforces publishing.
    fn group(&self, group: &Name) -> Option<GroupFacts>;
    /// The hub's definition of a service.
    fn hub(&self, service: &Name) -> Option<Arc<Sealed<Definition>>>;
    /// Whether a version number was ever used for a service.
    fn version_used(&self, service: &Name, version: &VersionNumber) -> bool;
    /// What a group runs of a service.
    fn running(&self, group: &Name, service: &Name) -> Option<Running>;
    /// A registry of a group.
    fn registry(&self, group: &Name, registry: &Name) -> Option<Arc<Sealed<Registry>>>;
    /// What ran of a service in a group and is meant; the latest of several. What every instance
    /// rejected did not run.
    fn past(&self, group: &Name, service: &Name, to: &RollbackTo) -> Option<Past>;
    /// The group's instances that are online.
    fn instances(&self, group: &Name) -> Vec<InstanceFacts>;
    /// The group's conflict index: its enabled services.
    fn with_routes<R>(&self, group: &Name, read: impl FnOnce(&RouteIndex) -> R) -> R;
}

/// A group, as far as a plan cares.
#[derive(Clone, Copy, Debug)]
pub struct GroupFacts {
    /// Whether definitions may not be edited in place.
    pub enforce_publishing: bool,
}

/// What a group runs of a service, or would run.
#[derive(Clone, Debug)]
pub struct Running {
    /// None: No Version.
    pub version: Option<VersionNumber>,
    /// The content.
    pub definition: Arc<Sealed<Definition>>,
    /// Where its upstream is in that group.
    pub binding: Arc<Sealed<Binding>>,
    /// Whether it serves.
    pub enabled: bool,
}

/// Content that ran in a group before.
#[derive(Clone, Debug)]
pub struct Past {
    /// Under which version; none: an edit in place.
    pub version: Option<VersionNumber>,
    /// The content.
    pub definition: Arc<Sealed<Definition>>,
    /// The binding of that time.
    pub binding: Arc<Sealed<Binding>>,
}

/// An instance that is online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceFacts {
    /// Its id.
    pub id: Box<str>,
    /// The host it runs on.
    pub hostname: Box<str>,
    /// Its build.
    pub build: Box<str>,
    /// Forms of definitions that it can load; none: it has not said so.
    pub schemas: Vec<u32>,
    /// Whether it has come to terms with the group's present revision: what it doesn't hold, it
    /// runs.
    pub current: bool,
    /// The services it holds at earlier content.
    pub held: Vec<Name>,
}

/// What sort of operation a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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

/// What a change would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What sort of operation it is.
    pub kind: OperationKind,
    /// One for each service in each group.
    pub destinations: Vec<Destination>,
    /// What concerns no single destination.
    pub problems: Vec<Problem>,
    /// Version numbers that the change uses up.
    pub new_versions: Vec<NewVersion>,
}

/// What a change would do to one service in one group.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The group.
    pub group: Name,
    /// The service.
    pub service: Name,
    /// The place in the body sent that names it; empty where the URL does.
    pub place: String,
    /// What runs there now.
    pub before: Option<Running>,
    /// What would run there. The same as `before` where a problem left nothing to plan.
    pub after: Option<Running>,
    /// What is wrong, or should be known.
    pub problems: Vec<Problem>,
    /// The instances that would change.
    pub instances: Vec<InstanceFacts>,
}

/// A version number that a change uses up.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Of which service.
    pub service: Name,
    /// The number.
    pub version: VersionNumber,
    /// What it names from then on.
    pub definition: Arc<Sealed<Definition>>,
}

impl Plan {
    /// Every problem, of the whole and of the destinations.
    pub fn all_problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .chain(self.destinations.iter().flat_map(|d| &d.problems))
    }

    /// Whether a problem stops the call.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.all_problems().any(Problem::is_error)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.new_versions.is_empty() && self.destinations.iter().all(Destination::is_unchanged)
    }

    /// The digest that a real call may name (`expect_plan`): over what changes from what to what,
    /// and the problems. Which instances there are is left out on purpose: one more makes the plan
    /// no other one. So is the problem that the plan is not the expected one: it says nothing of the
    /// plan itself.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let problems = self.all_problems().filter(|p| p.code != Code::PlanChanged);
        let problem = |p: &Problem| json!([p.code, p.path, p.group, p.service]);
        let destination = |d: &Destination| {
            json!([
                d.group,
                d.service,
                running(d.before.as_ref()),
                running(d.after.as_ref())
            ])
        };
        let value = json!({
            "kind": self.kind,
            "destinations": self.destinations.iter().map(destination).collect::<Vec<_>>(),
            "problems": problems.map(problem).collect::<Vec<_>>(),
            "versions": self.new_versions.iter().map(|v| json!([v.service, v.version])).collect::<Vec<_>>(),
        });
        Digest::of(&json::canonical(&value))
    }
}

impl Destination {
    /// Whether version, content, binding and flag stay as they are.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => before == after,
            (None, None) => true,
            _ => false,
        }
    }

    /// What differs, field by field.
    #[must_use]
    pub fn difference(&self) -> Difference {
        Difference::between(side(self.before.as_ref()), side(self.after.as_ref()))
    }
}

/// Equal if version, content, binding and flag are.
impl PartialEq for Running {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && self.definition.digest == other.definition.digest
            && self.binding.digest == other.binding.digest
            && self.enabled == other.enabled
    }
}

impl Running {
    /// What runs, as the audit and a plan of documents show it: the definition by its digest.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let Self {
            version,
            definition,
            binding,
            enabled,
        } = self;
        json!({
            "version": version, "digest": definition.digest,
            "binding": binding.content.to_value(), "enabled": enabled,
        })
    }
}

fn running(running: Option<&Running>) -> Value {
    running.map_or(Value::Null, |r| {
        json!([r.version, r.definition.digest, r.binding.digest, r.enabled])
    })
}

fn side(running: Option<&Running>) -> Option<Side<'_>> {
    running.map(|r| Side {
        definition: &r.definition.content,
        binding: &r.binding.content,
        enabled: r.enabled,
    })
}
