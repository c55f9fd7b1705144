//! What files would do, or did, for people to read:
//!
//! ```text
//! - registry old in production
//! + gateway group staging
//! ~ service httpbin   title "" → "httpbin API"
//!   ~ route user   timeout.read "60s" → "10s"
//! httpbin  1.0.0 → 1.0.1   production, 3 instances
//!   ~ route user   timeout.read "60s" → "10s"
//! 1 to create, 2 to change, 1 to delete, 7 unchanged
//! no problems
//! ```

use ferryway_api::{
    Applied, AppliedResource, Destination, Operation, Problem, ResourceAction, Severity,
};
use serde_json::Value;

use crate::outcome;
use crate::plan::{self, Background};
use crate::screen::Paint;

/// Whether one of the problems stops the change.
pub(crate) fn is_refused(applied: &Applied) -> bool {
    let mut problems = applied.problems.iter();
    problems.any(|problem| problem.severity == Severity::Error)
}

/// Whether anything would be otherwise.
pub(crate) fn changes_anything(applied: &Applied) -> bool {
    let mut resources = applied.resources.iter();
    resources.any(|resource| resource.action != ResourceAction::Unchanged)
}

/// How many resources something happens to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    create: usize,
    update: usize,
    delete: usize,
    unchanged: usize,
}

impl Counts {
    /// Counts these.
    pub(crate) fn of<'a>(resources: impl IntoIterator<Item = &'a AppliedResource>) -> Self {
        let mut counts = Self::default();
        for resource in resources {
            *match resource.action {
                ResourceAction::Create => &mut counts.create,
                ResourceAction::Update => &mut counts.update,
                ResourceAction::Delete => &mut counts.delete,
                ResourceAction::Unchanged => &mut counts.unchanged,
            } += 1;
        }
        counts
    }

    /// Whether nothing happens to any of them.
    pub(crate) fn is_nothing(self) -> bool {
        self.create + self.update + self.delete == 0
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            create: self.create + other.create,
            update: self.update + other.update,
            delete: self.delete + other.delete,
            unchanged: self.unchanged + other.unchanged,
        }
    }

    /// `1 to create, 7 unchanged`.
    pub(crate) fn planned(self) -> String {
        self.text(["to create", "to change", "to delete"])
    }

    /// `1 created, 7 unchanged`.
    pub(crate) fn done(self) -> String {
        self.text(["created", "changed", "deleted"])
    }

    fn text(self, [create, update, delete]: [&str; 3]) -> String {
        let parts = [
            (self.create, create),
            (self.update, update),
            (self.delete, delete),
            (self.unchanged, "unchanged"),
        ];
        let parts = parts.into_iter().filter(|(number, _)| *number > 0);
        let parts: Vec<_> = parts
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        if parts.is_empty() {
            "nothing".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

/// What happens to the resources of which `own` says yes: what goes first, and a service in a
/// group in full.
pub(crate) fn plan_text(
    applied: &Applied,
    own: impl Fn(&AppliedResource) -> bool,
    background: &Background,
    paint: Paint,
) -> String {
    let changing =
        |resource: &&AppliedResource| own(resource) && resource.action != ResourceAction::Unchanged;
    let (gone, other): (Vec<_>, Vec<_>) = applied
        .resources
        .iter()
        .filter(changing)
        .partition(|resource| resource.action == ResourceAction::Delete);
    let mut text: String = gone.iter().map(|it| line(it, background, paint)).collect();
    for resource in other {
        text.push_str(&match destination(applied.operation.as_ref(), resource) {
            Some(destination) => plan::destination_text(destination, background, paint),
            None => line(resource, background, paint),
        });
    }
    text
}

/// What became of it, once its delivery has ended.
pub(crate) fn outcome_text(applied: &Applied, paint: Paint) -> String {
    let counts = Counts::of(&applied.resources);
    let mut text = format!("{}\n", counts.done());
    if let Some(operation) = &applied.operation {
        text.push_str(&outcome::text(operation, paint));
    }
    text
}

/// The problems with their places in files: a path below `resources[3]` is one in the document
/// that `located` finds for 3.
pub(crate) fn located(
    problems: Vec<Problem>,
    located: impl Fn(usize, Problem) -> Problem,
) -> Vec<Problem> {
    let problem = |problem: Problem| {
        let index = problem.path.strip_prefix("resources[").and_then(|rest| {
            let (index, rest) = rest.split_once(']')?;
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            Some((index.parse().ok()?, rest.to_owned()))
        });
        let message = mentioned(&problem, &located);
        let problem = Problem { message, ..problem };
        match index {
            Some((index, path)) => located(index, Problem { path, ..problem }),
            None => problem,
        }
    };
    problems.into_iter().map(problem).collect()
}

/// A problem's message with the documents that it mentions by their files, too.
fn mentioned(problem: &Problem, located: impl Fn(usize, Problem) -> Problem) -> String {
    const START: &str = "resources[";
    let mut parts = problem.message.split(START);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let number = part.split_once(']');
        match number.and_then(|(number, rest)| Some((number.parse().ok()?, rest))) {
            Some((index, rest)) => {
                let path = String::new();
                let whole = located(
                    index,
                    Problem {
                        path,
                        ..problem.clone()
                    },
                );
                text.push_str(whole.path.trim_end());
                text.push_str(rest);
            }
            None => text.push_str(&format!("{START}{part}")),
        }
    }
    text
}

/// What the plan says of a published service in a group.
fn destination<'a>(
    operation: Option<&'a Operation>,
    resource: &AppliedResource,
) -> Option<&'a Destination> {
    if resource.kind != PUBLISHED {
        return None;
    }
    let mut destinations = operation?.destinations.iter();
    destinations
        .find(|it| Some(&it.group) == resource.group.as_ref() && it.service == resource.name)
}

/// A resource that is told in a line, and a service of the hub with what differs in it.
fn line(resource: &AppliedResource, background: &Background, paint: Paint) -> String {
    let AppliedResource {
        kind,
        group,
        name,
        action,
        before,
        after,
        changes,
    } = resource;
    let mut what = format!("{} {name}", kind.replace('_', " "));
    if let Some(group) = group {
        what.push_str(&format!(" in {group}"));
    }
    let mut how = String::new();
    let marked = match action {
        ResourceAction::Create => paint.good(&format!("+ {what}")),
        ResourceAction::Delete => paint.bad(&format!("- {what}")),
        ResourceAction::Unchanged => paint.dim(&format!("= {what}")),
        ResourceAction::Update => {
            // What a digest stands for is told below it.
            let fields = plan::differences(&plain(before), &plain(after));
            how = fields.join("; ");
            paint.warn(&format!("~ {what}"))
        }
    };
    let mut text = format!("{marked}   {how}").trim_end().to_owned() + "\n";
    if let (Some(changes), ResourceAction::Update) = (changes, action) {
        text.push_str(&plan::changes_text(changes, name, background, paint));
    }
    text
}

fn plain(side: &Option<Value>) -> Value {
    let mut value = side.clone().unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("digest");
    }
    value
}

const PUBLISHED: &str = "published_service";

#[cfg(test)]
mod tests;
