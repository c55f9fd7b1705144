//! Whether what is there is what was asked: nothing answered is lost, nothing is there by half,
//! nothing twice, and nothing that nobody asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::{Audit, Brings, Call, Effect, Entry, Outcome, Place, Seen, Touch, version};

/// Everything that is wrong, in sentences. `calls` are in each writer's order, and no mark is used
/// twice.
pub(in super::super) fn check(calls: &[Call], seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    halves(seen, &mut wrong);
    asked(calls, seen, &mut wrong);
    order(seen, &mut wrong);
    brought(calls, seen, &mut wrong);
    counts(calls, seen, &mut wrong);
    wrong
}

/// An operation, its places' history and its audit entry are there together or not at all.
fn halves(seen: &Seen, wrong: &mut Vec<String>) {
    let mut entries: BTreeMap<(&str, &Place), Vec<&Entry>> = BTreeMap::new();
    for (place, history) in &seen.history {
        for entry in history {
            let key = (entry.operation.as_str(), place);
            entries.entry(key).or_default().push(entry);
        }
    }
    let mut audit: BTreeMap<&str, Vec<&Audit>> = BTreeMap::new();
    for entry in &seen.audit {
        if let Some(operation) = &entry.operation {
            audit.entry(operation).or_default().push(entry);
        }
    }
    for (id, (kind, touches)) in &seen.operations {
        for touch in touches {
            let there = entries.remove(&(id.as_str(), &touch.place));
            let is_same =
                |entry: &Entry| (&entry.version, entry.mark) == (&touch.version, touch.mark);
            match there.as_deref() {
                Some([entry]) if is_same(entry) => {}
                other => wrong.push(format!(
                    "half: operation {id} ({touch:?}) has this history: {other:?}"
                )),
            }
        }
        match audit.remove(id.as_str()).as_deref() {
            Some([entry]) if entry.action == *kind && entry.target == targets(touches) => {}
            other => wrong.push(format!(
                "half: operation {id} ({kind}, {touches:?}) has this audit: {other:?}"
            )),
        }
    }
    for ((id, place), _) in entries {
        wrong.push(format!(
            "half: history of {place:?} without its operation {id}"
        ));
    }
    for id in audit.keys() {
        wrong.push(format!("half: an audit entry without its operation {id}"));
    }
}

fn targets(touches: &[Touch]) -> String {
    let target = |touch: &Touch| {
        let (group, service) = &touch.place;
        format!("gateway-groups/{group}/services/{service}")
    };
    let targets: BTreeSet<_> = touches.iter().map(target).collect();
    targets.into_iter().collect::<Vec<_>>().join(" ")
}

/// An operation: its id, its kind, and what it did.
type Made<'a> = (&'a str, &'a str, &'a [Touch]);

/// What was answered is there once; what was cut off is there once or not at all; and there is
/// nothing else.
fn asked(calls: &[Call], seen: &Seen, wrong: &mut Vec<String>) {
    let mut operations: BTreeMap<u32, Vec<Made<'_>>> = BTreeMap::new();
    for (id, (kind, touches)) in &seen.operations {
        let marks: BTreeSet<u32> = touches.iter().map(|touch| touch.mark).collect();
        for mark in marks {
            operations
                .entry(mark)
                .or_default()
                .push((id, kind, touches));
        }
    }
    let mut plain: BTreeMap<u32, Vec<&Audit>> = BTreeMap::new();
    for entry in seen.audit.iter().filter(|entry| entry.operation.is_none()) {
        plain
            .entry(entry.mark.unwrap_or_default())
            .or_default()
            .push(entry);
    }
    for call in calls {
        let made = operations.remove(&call.mark).unwrap_or_default();
        let noted = plain.remove(&call.mark).unwrap_or_default();
        let count = made.len() + noted.len();
        match (&call.outcome, count) {
            (Outcome::Answered(_), 0) => wrong.push(format!("lost: {call:?}")),
            (_, 0 | 1) => {}
            _ => wrong.push(format!("doubled: {call:?} made {made:?} and {noted:?}")),
        }
        let is_as_asked = match &call.effect {
            Effect::Operation { kind, places, .. } => made.iter().all(|(_, was, touches)| {
                let touched: BTreeSet<_> = touches.iter().map(|it| it.place.clone()).collect();
                was == kind && touched == *places
            }),
            Effect::Plain { action, target, .. } => noted
                .iter()
                .all(|it| it.action == *action && it.target == *target),
        };
        let is_told = match &call.outcome {
            Outcome::Answered(Some(told)) => made.iter().all(|(id, ..)| id == told),
            Outcome::Answered(None) => made.is_empty(),
            Outcome::Cut => true,
        };
        if !is_as_asked || !is_told {
            wrong.push(format!("other: {call:?} made {made:?} and {noted:?}"));
        }
    }
    for (mark, made) in operations {
        wrong.push(format!("unasked: mark {mark} of {made:?}"));
    }
    for (mark, noted) in plain {
        wrong.push(format!("unasked: mark {mark} of {noted:?}"));
    }
}

/// Each place and each plain resource is as its newest change left it, and the changes are in the
/// order in which they were asked.
fn order(seen: &Seen, wrong: &mut Vec<String>) {
    for (place, history) in &seen.history {
        let newest = history.first().map(|it| (it.version.clone(), it.mark));
        let runs = seen.running.get(place).cloned();
        if newest != runs {
            wrong.push(format!(
                "state: {place:?} runs {runs:?}, last was {newest:?}"
            ));
        }
        // A place has one writer.
        let falls = |pair: &[Entry]| pair[0].mark > pair[1].mark;
        if !history.windows(2).all(falls) {
            wrong.push(format!("order: the history of {place:?} is {history:?}"));
        }
    }
    let mut newest: BTreeMap<&str, u32> = BTreeMap::new();
    for entry in seen.audit.iter().rev().filter(|it| it.operation.is_none()) {
        let mark = entry.mark.unwrap_or_default();
        let before = newest.insert(&entry.target, mark);
        if before.is_some_and(|before| before >= mark) {
            wrong.push(format!("order: {entry:?} came after {before:?}"));
        }
    }
    for (path, mark) in &seen.titles {
        if newest.remove(path.as_str()) != Some(*mark) {
            wrong.push(format!(
                "state: {path} is {mark}, which the audit's last is not"
            ));
        }
    }
    for (path, mark) in newest {
        wrong.push(format!("state: {path} is gone, last was {mark}"));
    }
}

/// Every operation brought the version that its call asks for.
fn brought(calls: &[Call], seen: &Seen, wrong: &mut Vec<String>) {
    for call in calls {
        let Effect::Operation { places, brings, .. } = &call.effect else {
            continue;
        };
        for place in places {
            let history = seen.history.get(place).map_or(&[][..], Vec::as_slice);
            let Some(entry) = history.iter().find(|entry| entry.mark == call.mark) else {
                continue;
            };
            let before = |place: &Place| {
                let history = seen.history.get(place)?.iter();
                let mut earlier = history.filter(|entry| entry.mark < call.mark);
                Some(earlier.next()?.version.clone())
            };
            let expect = match brings {
                Brings::Own => Some(version(call.mark)),
                Brings::Of(source) => before(source),
                Brings::Kept => before(place),
            };
            if Some(&entry.version) != expect.as_ref() {
                wrong.push(format!(
                    "version: {call:?} brought {entry:?}, not {expect:?}"
                ));
            }
        }
    }
}

/// A group's revision is the number of its changes, each of which had a revision of its own; and no
/// version number is used up without a publish, or by two.
fn counts(calls: &[Call], seen: &Seen, wrong: &mut Vec<String>) {
    let mut moves: BTreeMap<&str, u64> = BTreeMap::new();
    let mut revisions: BTreeMap<&str, BTreeMap<u64, &str>> = BTreeMap::new();
    let mut published: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (id, (kind, touches)) in &seen.operations {
        let groups: BTreeMap<&str, u64> = touches
            .iter()
            .map(|touch| (touch.place.0.as_str(), touch.revision))
            .collect();
        for (group, revision) in groups {
            *moves.entry(group).or_default() += 1;
            let taken = revisions.entry(group).or_default();
            if let Some(other) = taken.insert(revision, id) {
                wrong.push(format!(
                    "revision: {id} and {other} are both {revision} of {group}"
                ));
            }
        }
        for touch in touches.iter().filter(|_| kind == "publish") {
            let versions = published.entry(&touch.place.1).or_default();
            versions.insert(touch.version.clone());
        }
    }
    for call in calls {
        let Effect::Plain {
            moves: Some(group), ..
        } = &call.effect
        else {
            continue;
        };
        let is_there = |it: &&Audit| it.operation.is_none() && it.mark == Some(call.mark);
        if seen.audit.iter().any(|it| is_there(&it)) {
            *moves.entry(group).or_default() += 1;
        }
    }
    for (group, revision) in &seen.revisions {
        let moved = moves.get(group.as_str()).copied().unwrap_or_default();
        if moved != *revision {
            wrong.push(format!(
                "revision: {group} is at {revision} after {moved} changes"
            ));
        }
    }
    for (service, used) in &seen.versions {
        let published = published.remove(service.as_str()).unwrap_or_default();
        if published != *used {
            let differ: Vec<_> = published.symmetric_difference(used).collect();
            wrong.push(format!("version: {service} differs by {differ:?}"));
        }
    }
}

#[cfg(test)]
mod tests;
