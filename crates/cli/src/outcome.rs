//! How a change went, for people to read: `3/3 applied  12 ms   undo: ferryway rollback …`.

use ferryway_api::{
    DeliveryState, Destination, InstanceDelivery, Operation, OperationKind, OperationState,
};

use crate::binding;
use crate::exit::Exit;
use crate::plan::{self, count, version};
use crate::screen::{Paint, problem_line, visible};

/// The exit code for an operation as it stands when the command ends.
pub(crate) fn exit(operation: &Operation) -> Exit {
    exit_of(operation.state, plan::is_refused(operation))
}

/// The exit code for a state; whether a problem stops the change counts while it is only planned.
pub(crate) fn exit_of(state: OperationState, is_refused: bool) -> Exit {
    match state {
        OperationState::Planned if is_refused => Exit::Refused,
        OperationState::Planned | OperationState::Unchanged | OperationState::Succeeded => {
            Exit::Done
        }
        // Only where nobody wanted to wait, or a person has stopped it to look at it.
        OperationState::Progressing | OperationState::Paused => Exit::Done,
        OperationState::Failed | OperationState::Superseded | OperationState::Aborted => {
            Exit::Failed
        }
        OperationState::Halted | OperationState::RolledBack => Exit::Halted,
    }
}

/// The outcome of an operation.
pub(crate) fn text(operation: &Operation, paint: Paint) -> String {
    let several = operation.destinations.len() > 1;
    let mut text = String::new();
    for destination in &operation.destinations {
        if several {
            text.push_str(&format!(
                "{} in {}  ",
                destination.service, destination.group
            ));
        }
        text.push_str(&line(operation, destination, paint));
        for instance in &destination.instances {
            text.push_str(&said(instance, paint));
        }
    }
    // That nobody is there to apply it, and what instances say, the lines above have said.
    let instances = operation.destinations.iter().flat_map(|it| &it.instances);
    let said: Vec<_> = instances.filter_map(|it| it.code.as_deref()).collect();
    let problems = plan::all_problems(operation)
        .filter(|it| it.code != NO_INSTANCES && !said.contains(&it.code.as_str()));
    text.extend(problems.map(|problem| problem_line(problem, paint)));
    if !operation.state.is_final()
        && let Some(id) = operation.operation
    {
        text.push_str(&format!("it goes on: ferryway operation watch {id}\n"));
    }
    text
}

fn line(operation: &Operation, destination: &Destination, paint: Paint) -> String {
    let what = match destination.state {
        OperationState::Unchanged => {
            let runs = version(
                destination.version.as_deref(),
                destination.digest.as_deref(),
            );
            let Destination { group, service, .. } = destination;
            return format!("nothing to do: {service} is {runs} in {group} already\n");
        }
        OperationState::Planned => "planned".to_owned(),
        OperationState::Superseded => paint.warn("superseded by a later operation"),
        OperationState::Progressing
        | OperationState::Succeeded
        | OperationState::Failed
        | OperationState::Paused
        | OperationState::Halted
        | OperationState::RolledBack
        | OperationState::Aborted => counts(destination, paint),
    };
    let mut text = what;
    if let Some(took) = took(operation).filter(|_| !destination.instances.is_empty()) {
        text.push_str(&format!("  {took}"));
    }
    if let Some(undo) = undo(operation.kind, destination) {
        text.push_str(&format!("   {} {undo}", paint.dim("undo:")));
    }
    text + "\n"
}

/// `2/3 applied, 1 rejected`.
fn counts(destination: &Destination, paint: Paint) -> String {
    let instances = &destination.instances;
    if instances.is_empty() {
        return paint.warn("no instance online: it takes effect when one joins");
    }
    let of = |state| instances.iter().filter(|it| it.state == state).count();
    let (applied, all) = (of(DeliveryState::Applied), instances.len());
    let applied_text = format!("{applied}/{all} applied");
    let mut parts = vec![if applied == all {
        paint.good(&applied_text)
    } else {
        applied_text
    }];
    match of(DeliveryState::Rejected) {
        0 => {}
        n => parts.push(paint.bad(&format!("{n} rejected"))),
    }
    for (state, what) in [
        (DeliveryState::Offline, "offline"),
        (DeliveryState::Pending, "pending"),
    ] {
        match of(state) {
            0 => {}
            n => parts.push(paint.warn(&format!("{n} {what}"))),
        }
    }
    match destination.state {
        OperationState::Paused => parts.push(paint.warn("paused")),
        OperationState::Halted => parts.push(paint.bad("halted")),
        OperationState::RolledBack => parts.push(paint.bad("rolled back")),
        OperationState::Aborted => parts.push(paint.warn("aborted")),
        OperationState::Planned
        | OperationState::Unchanged
        | OperationState::Progressing
        | OperationState::Succeeded
        | OperationState::Failed
        | OperationState::Superseded => {}
    }
    parts.join(", ")
}

/// From the request to the end of delivery.
fn took(operation: &Operation) -> Option<String> {
    let span = operation.ended_at?.duration_since(operation.created_at);
    let millis = span.as_millis().max(0);
    Some(if millis < 10_000 {
        format!("{millis} ms")
    } else {
        format!("{} s", millis / 1_000)
    })
}

/// Why an instance rejected it, or what it warns of, with what it saw.
fn said(instance: &InstanceDelivery, paint: Paint) -> String {
    let what = match instance.state {
        DeliveryState::Rejected => paint.bad("rejected by"),
        DeliveryState::Applied if instance.code.is_some() => paint.warn("applied, but warned by"),
        DeliveryState::Applied | DeliveryState::Pending | DeliveryState::Offline => {
            return String::new();
        }
    };
    let InstanceDelivery {
        id,
        hostname,
        code,
        detail,
        evidence,
        ..
    } = instance;
    let mut text = format!(
        "  {what} {hostname} ({id}): {}",
        visible(detail.as_deref().unwrap_or("it does not say why")),
    );
    if let Some(code) = code {
        text.push_str(&format!("  {}", paint.dim(&format!("({code})"))));
    }
    text.push('\n');
    if let Some(evidence) = evidence {
        let yaml = crate::screen::yaml(evidence).unwrap_or_else(|_| evidence.to_string());
        for line in visible(&yaml).lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

/// The command that brings back what was there before; none where there is no single one.
pub(crate) fn undo(kind: OperationKind, destination: &Destination) -> Option<String> {
    let place = format!("{} --in {}", destination.service, destination.group);
    match kind {
        OperationKind::Enable => Some(format!("ferryway disable {place}")),
        OperationKind::Disable => Some(format!("ferryway enable {place}")),
        OperationKind::Binding => rebind(&place, destination),
        // It would have to be published again, with a new number, or synced from elsewhere.
        OperationKind::Unpublish => None,
        // The files of before, applied, bring all of it back at once.
        OperationKind::Apply => None,
        OperationKind::Publish
        | OperationKind::Sync
        | OperationKind::Rollback
        | OperationKind::Edit => match &destination.from_digest {
            None => Some(format!("ferryway unpublish {place}")),
            // A rollback finds the latest entry of a version, which has the new binding.
            Some(_) if runs_the_same(destination) => rebind(&place, destination),
            Some(digest) => Some(roll_back(&place, digest, destination)),
        },
    }
}

fn runs_the_same(destination: &Destination) -> bool {
    let Destination {
        from_version,
        from_digest,
        version,
        digest,
        ..
    } = destination;
    (from_version, from_digest) == (version, digest)
}

fn roll_back(place: &str, digest: &str, destination: &Destination) -> String {
    let to = destination.from_version.as_deref().unwrap_or(digest);
    let with_binding = match &destination.changes.binding {
        Some(_) => " --with-binding",
        None => "",
    };
    format!("ferryway rollback {place} --to {to}{with_binding}")
}

fn rebind(place: &str, destination: &Destination) -> Option<String> {
    let flags = binding::flags(&destination.changes.binding.as_ref()?.before)?;
    Some(format!("ferryway bind {place} {flags}"))
}

/// How many instances have answered, for a line that is written over.
pub(crate) fn answered(operation: &Operation) -> String {
    let instances = || operation.destinations.iter().flat_map(|it| &it.instances);
    let pending = instances()
        .filter(|it| it.state == DeliveryState::Pending)
        .count();
    let all = instances().count();
    format!("{}/{} answered", all - pending, count(all, "instance"))
}

/// The code of the warning that a group has no instance online.
const NO_INSTANCES: &str = "no_instances";

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
