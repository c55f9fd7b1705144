//! What differs between two states of a published service, for people and for the plan's digest.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::binding::Binding;
use crate::definition::{Check, Definition, Route};
use crate::host::HostPattern;
use crate::name::Name;

/// What a change would do to one published service. Parts without a difference are empty or null.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Routes by name.
    pub routes: RouteChanges,
    /// Plugins by name. Always empty until plugins exist.
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

/// A value as it is and as it would be; null where there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BeforeAfter {
    /// As it is.
    pub before: Value,
    /// As it would be.
    pub after: Value,
}

/// Names that come, go and change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NameChanges {
    /// New ones.
    pub added: Vec<String>,
    /// Ones that are gone.
    pub removed: Vec<String>,
    /// Ones that say something else.
    pub changed: Vec<String>,
}

/// Routes that come, go and change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouteChanges {
    /// New ones.
    pub added: Vec<String>,
    /// Ones that are gone.
    pub removed: Vec<String>,
    /// Ones that say something else, each with what.
    pub changed: Vec<RouteChange>,
}

/// What changes in one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteChange {
    /// The route's name.
    pub route: String,
    /// Its fields, as `timeout.read null → "10s"`, separated by `; `.
    pub diff: String,
}

/// One side of a difference.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What runs.
    pub definition: &'a Definition,
    /// Where its upstream is.
    pub binding: &'a Binding,
    /// Whether it serves.
    pub enabled: bool,
}

impl Difference {
    /// What differs from one side to the other. A side that is none has nothing.
    #[must_use]
    pub fn between(before: Option<Side<'_>>, after: Option<Side<'_>>) -> Self {
        let whole = |f: fn(&Side<'_>) -> Value| {
            let value = |side: Option<Side<'_>>| side.as_ref().map_or(Value::Null, f);
            changed(value(before), value(after))
        };
        Self {
            hosts: whole(|side| shown(side.binding.effective_hosts(side.definition))),
            binding: whole(|side| side.binding.to_value()),
            enabled: whole(|side| json!(side.enabled)),
            ..Self::of_definitions(before.map(|s| s.definition), after.map(|s| s.definition))
        }
    }

    /// What differs from one definition to the other, whatever binding they run with. One that is
    /// none has nothing.
    #[must_use]
    pub fn of_definitions(before: Option<&Definition>, after: Option<&Definition>) -> Self {
        let part = |f: fn(&Definition) -> Value| {
            changed(before.map_or(Value::Null, f), after.map_or(Value::Null, f))
        };
        let checks = names(&checks(before), &checks(after), |check| {
            check.name.to_string()
        });
        Self {
            routes: RouteChanges::between(routes(before), routes(after)),
            plugins: NameChanges::default(),
            upstream: part(|d| d.upstream.to_value()),
            hosts: part(|d| shown(&d.hosts)),
            base_path: part(|d| json!(d.base_path.as_str())).filter(|change| {
                ![&change.before, &change.after]
                    .iter()
                    .all(|v| v.is_null() || **v == json!(""))
            }),
            checks: (checks != NameChanges::default()).then_some(checks),
            binding: None,
            enabled: None,
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RouteChanges {
    fn between(before: &[Route], after: &[Route]) -> Self {
        let (old, new) = (by_name(before), by_name(after));
        let missing_in = |routes: &BTreeMap<&Name, &Route>, others: &[Route]| {
            let names = others.iter().map(|route| &route.name);
            let missing = names.filter(|name| !routes.contains_key(name));
            missing.map(Name::to_string).collect()
        };
        let changed = after.iter().filter_map(|route| {
            let old = *old.get(&route.name)?;
            (old != route).then(|| RouteChange {
                route: route.name.to_string(),
                diff: fields(&old.to_value(), &route.to_value()),
            })
        });
        Self {
            changed: changed.collect(),
            added: missing_in(&old, after),
            removed: missing_in(&new, before),
        }
    }
}

/// A service may have a thousand routes: they are not searched one by one for each other.
fn by_name(routes: &[Route]) -> BTreeMap<&Name, &Route> {
    routes.iter().map(|route| (&route.name, route)).collect()
}

fn routes(definition: Option<&Definition>) -> &[Route] {
    definition.map_or(&[], |definition| &definition.routes)
}

fn checks(definition: Option<&Definition>) -> Vec<&Check> {
    definition.map_or_else(Vec::new, |definition| definition.checks.iter().collect())
}

fn shown(hosts: &[HostPattern]) -> Value {
    hosts.iter().map(|host| json!(host.to_string())).collect()
}

fn names<T: PartialEq>(before: &[T], after: &[T], name: impl Fn(&T) -> String) -> NameChanges {
    let find = |items: &[T], wanted: &T| items.iter().position(|item| name(item) == name(wanted));
    let missing_in = |items: &[T], others: &[T]| {
        items
            .iter()
            .filter(|item| find(others, item).is_none())
            .map(&name)
            .collect()
    };
    let changed = after
        .iter()
        .filter(|item| find(before, item).is_some_and(|n| before[n] != **item));
    NameChanges {
        added: missing_in(after, before),
        removed: missing_in(before, after),
        changed: changed.map(&name).collect(),
    }
}

fn changed(before: Value, after: Value) -> Option<BeforeAfter> {
    (before != after).then_some(BeforeAfter { before, after })
}

/// The fields that differ, as `priority 0 → 5; timeout.read null → "10s"`.
fn fields(before: &Value, after: &Value) -> String {
    let mut lines = Vec::new();
    collect(before, after, "", &mut lines);
    lines.join("; ")
}

fn collect(before: &Value, after: &Value, path: &str, lines: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let part = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or_default()
                };
                collect(&part(a), &part(b), &path, lines);
            }
        }
        (Value::Object(_), _) if after.is_null() => collect(before, &json!({}), path, lines),
        (_, Value::Object(_)) if before.is_null() => collect(&json!({}), after, path, lines),
        _ if before == after => {}
        _ => lines.push(format!("{path} {before} → {after}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(routes: &Value, more: &Value) -> Definition {
        let mut body = json!({"name": "s", "routes": routes});
        body.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        Definition::parse(&body, None)
            .unwrap_or_else(|p| panic!("{p:?}"))
            .content
    }

    #[test]
    fn what_differs_is_said_field_by_field() {
        let before = definition(
            &json!([{"name": "a", "paths": ["/a"]}, {"name": "b", "paths": ["/b"]}]),
            &json!({"checks": [{"name": "c", "path": "/a", "expect": {}}]}),
        );
        let after = definition(
            &json!([{"name": "b", "paths": ["/b"], "priority": 5, "timeout": {"read": "10s"}}, {"name": "n", "paths": ["/n"]}]),
            &json!({"hosts": ["x.io"]}),
        );
        let binding = Binding::parse(&json!({"nodes": [{"host": "n"}]}))
            .expect("is a binding")
            .content;
        let side = |definition| {
            Some(Side {
                definition,
                binding: &binding,
                enabled: true,
            })
        };
        let got = Difference::between(side(&before), side(&after));
        assert_eq!(
            got.routes,
            RouteChanges {
                added: vec!["n".into()],
                removed: vec!["a".into()],
                changed: vec![RouteChange {
                    route: "b".into(),
                    diff: "priority 0 → 5; timeout.read null → \"10s\"".into()
                }],
            }
        );
        assert_eq!(
            got.hosts,
            Some(BeforeAfter {
                before: json!([]),
                after: json!(["x.io"])
            })
        );
        assert_eq!(got.checks.map(|c| c.removed), Some(vec!["c".into()]));
        assert_eq!(
            (got.upstream, got.binding, got.enabled, got.base_path),
            (None, None, None, None)
        );
        assert!(Difference::between(side(&before), side(&before)).is_empty());
        assert_eq!(
            Difference::between(None, side(&after)).routes.added,
            ["b", "n"]
        );
        assert_eq!(
            Difference::of_definitions(Some(&before), Some(&after)),
            Difference::between(side(&before), side(&after)),
            "the binding is the same, and says nothing of hosts"
        );
    }
}
