//! What the bodies of several calls share: targets, services, options.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ferryway_model::limits::{GROUPS_IN_CALL_MAX, SERVICES_IN_CALL_MAX};
use ferryway_model::plan::{SyncService, Target};
use ferryway_model::{At, Binding, Code, Name, Object, Walk};
use serde_json::{Value, json};

use super::CallOptions;

/// Reads the list of groups that a call goes to; each item by `item`.
pub(super) fn read_targets<'v>(
    walk: &mut Walk,
    object: &mut Object<'v>,
    field: &'static str,
    item: impl Fn(&mut Walk, &mut Object<'_>) -> Option<Target>,
) -> Option<Vec<Target>> {
    let value = object.need(walk, field)?;
    let at = object.field(field);
    read_list(walk, value, &at, GROUPS_IN_CALL_MAX, "group", item)
}

/// Reads the services of a sync.
pub(super) fn read_services(walk: &mut Walk, object: &mut Object<'_>) -> Option<Vec<SyncService>> {
    let value = object.need(walk, "services")?;
    let at = object.field("services");
    read_list(
        walk,
        value,
        &at,
        SERVICES_IN_CALL_MAX,
        "service",
        |walk, item| {
            let service = item.need(walk, "service");
            let service = service.and_then(|v| walk.parsed(v, &item.field("service")));
            let version = read_parsed(walk, item, "version");
            let expect_version = read_parsed(walk, item, "expect_version");
            let expect_digest = read_parsed(walk, item, "expect_digest");
            Some(SyncService {
                service: service?,
                version,
                expect_version,
                expect_digest,
            })
        },
    )
}

/// Reads a target of a call about one service: the group, and the binding it shall have.
pub(super) fn read_binding(
    walk: &mut Walk,
    target: &mut Object<'_>,
    service: &Name,
) -> Option<Target> {
    let group = read_group(walk, target);
    let binding = target.take("binding");
    let binding = binding.map(|v| Binding::read(walk, v, target.field("binding")));
    let mut bindings = BTreeMap::new();
    if let Some(read) = binding {
        bindings.insert(service.clone(), Arc::new(read?.seal()));
    }
    Some(Target {
        group: group?,
        bindings,
    })
}

pub(super) fn read_group(walk: &mut Walk, target: &mut Object<'_>) -> Option<Name> {
    let group = target.need(walk, "group")?;
    walk.parsed(group, &target.field("group"))
}

/// Reads a text that may be left out.
pub(super) fn read_parsed<T>(
    walk: &mut Walk,
    object: &mut Object<'_>,
    name: &'static str,
) -> Option<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let value = object.take(name)?;
    walk.parsed(value, &object.field(name))
}

/// Reads a flag that is false where it is left out.
pub(super) fn read_flag(walk: &mut Walk, object: &mut Object<'_>, name: &'static str) -> bool {
    let value = object.take(name);
    value
        .and_then(|v| walk.flag(v, &object.field(name)))
        .unwrap_or(false)
}

/// Reads the fields that all calls share. This build delivers all at once: a rollout in waves, and
/// superseding one, are refused.
pub(crate) fn read_options(walk: &mut Walk, object: &mut Object<'_>) -> CallOptions {
    if let Some(rollout) = object.take("rollout") {
        read_rollout(walk, rollout, object.field("rollout"));
    }
    if read_flag(walk, object, "supersede") {
        walk.unsupported(&object.field("supersede"), "superseding of rollouts");
    }
    CallOptions {
        dry_run: read_flag(walk, object, "dry_run"),
        expect_plan: read_parsed(walk, object, "expect_plan"),
    }
}

fn read_rollout(walk: &mut Walk, value: &Value, at: At<'_>) {
    const ALL_AT_ONCE: &str = "this build delivers all at once; leave it out";
    let Some(mut rollout) = walk.object(value, at) else {
        return;
    };
    if let Some(waves) = rollout.need(walk, "waves") {
        let place = rollout.field("waves");
        if !waves.is_array() {
            walk.wrong_type::<()>(&place, "a list of waves", waves);
        } else if *waves != json!(["100%"]) {
            walk.note(Code::RolloutUnsupported, &place, ALL_AT_ONCE);
        }
    }
    for field in ["bake", "on_failure"] {
        if let Some(value) = rollout.take(field) {
            let place = rollout.field(field);
            if value.is_string() {
                walk.note(Code::RolloutUnsupported, &place, ALL_AT_ONCE);
            } else {
                walk.wrong_type::<()>(&place, "a string", value);
            }
        }
    }
    rollout.finish(walk, &[]);
}

/// Reads a list of at least one and at most `most` objects.
fn read_list<T>(
    walk: &mut Walk,
    value: &Value,
    at: &At<'_>,
    most: usize,
    what: &str,
    read: impl Fn(&mut Walk, &mut Object<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let items = walk.list(value, at, most)?;
    if items.is_empty() {
        walk.note(
            Code::Required,
            at,
            format!("is empty; name at least one {what}"),
        );
        return None;
    }
    let mut all = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        let Some(mut object) = walk.object(item, At::Item(at, n)) else {
            continue;
        };
        let one = read(walk, &mut object);
        object.finish(walk, &[]);
        all.extend(one);
    }
    Some(all)
}
