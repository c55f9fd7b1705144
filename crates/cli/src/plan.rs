//! What a change would do, for people to read:
//!
//! ```text
//! httpbin  1.0.0 → 1.0.1   production, 3 instances
//!   ~ route user       timeout.read "60s" → "10s"
//!   + route anything   /anything/*
//!   = binding          httpbin.org:80 weight 100 (production's own)
//! no problems
//! ```

use std::collections::BTreeMap;

use ferryway_api::{BeforeAfter, Changes, Destination, NameChanges, Operation, Problem, Severity};
use serde_json::{Map, Value};

use crate::binding;
use crate::screen::{Paint, problem_line};
use crate::table::{pad, shown_width};

/// What the plan's answer leaves out, because it is no part of the difference. Whatever is not
/// known is not shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Background {
    /// The paths of routes, by service and route.
    pub(crate) paths: BTreeMap<(String, String), Vec<String>>,
    /// The bindings that groups have now, by group and service.
    pub(crate) bindings: BTreeMap<(String, String), Value>,
}

impl Background {
    /// Notes the paths of a definition's routes.
    pub(crate) fn learn_routes(&mut self, service: &str, definition: &Value) {
        for route in definition["routes"].as_array().into_iter().flatten() {
            let paths = route["paths"].as_array().into_iter().flatten();
            let paths = paths.filter_map(Value::as_str).map(str::to_owned).collect();
            if let Some(name) = route["name"].as_str() {
                self.paths
                    .insert((service.to_owned(), name.to_owned()), paths);
            }
        }
    }

    fn paths_of(&self, service: &str, route: &str) -> String {
        let paths = self.paths.get(&(service.to_owned(), route.to_owned()));
        paths.map_or_else(String::new, |paths| paths.join(" "))
    }
}

/// The plan in an operation.
pub(crate) fn text(operation: &Operation, background: &Background, paint: Paint) -> String {
    let destinations = operation.destinations.iter();
    let mut text: String = destinations
        .map(|destination| destination_text(destination, background, paint))
        .collect();
    text.push_str(&problems_text(all_problems(operation), paint));
    text
}

/// What happens to one service in one group.
pub(crate) fn destination_text(
    destination: &Destination,
    background: &Background,
    paint: Paint,
) -> String {
    title(destination, paint) + &lines(&rows(destination, background), paint)
}

/// How many problems there are, and each in a line.
pub(crate) fn problems_text<'a>(
    problems: impl IntoIterator<Item = &'a Problem>,
    paint: Paint,
) -> String {
    let problems: Vec<_> = problems.into_iter().collect();
    let mut text = String::new();
    if problems.is_empty() {
        text.push_str("no problems\n");
    } else {
        text.push_str(&format!("{}:\n", count(problems.len(), "problem")));
    }
    for problem in problems {
        text.push_str(&problem_line(problem, paint));
    }
    text
}

/// Every problem of an operation, of the whole and of its destinations.
pub(crate) fn all_problems(operation: &Operation) -> impl Iterator<Item = &Problem> {
    let of_destinations = operation.destinations.iter().flat_map(|it| &it.problems);
    operation.problems.iter().chain(of_destinations)
}

/// Whether one of the problems stops the change.
pub(crate) fn is_refused(operation: &Operation) -> bool {
    all_problems(operation).any(|problem| problem.severity == Severity::Error)
}

/// What differs, in lines: for comparisons, where no plan is.
pub(crate) fn changes_text(
    changes: &Changes,
    service: &str,
    background: &Background,
    paint: Paint,
) -> String {
    let mut rows = Vec::new();
    collect(&mut rows, changes, service, background);
    lines(&rows, paint)
}

/// A version for people: that of a digest without a number is No Version.
pub(crate) fn version<'a>(version: Option<&'a str>, digest: Option<&str>) -> &'a str {
    match (version, digest) {
        (Some(version), _) => version,
        (None, Some(_)) => "No Version",
        (None, None) => "none",
    }
}

/// `1 instance`, `3 instances`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn title(destination: &Destination, paint: Paint) -> String {
    let from = version(
        destination.from_version.as_deref(),
        destination.from_digest.as_deref(),
    );
    let to = version(
        destination.version.as_deref(),
        destination.digest.as_deref(),
    );
    let same = from == to && destination.from_digest == destination.digest;
    let versions = if same {
        to.to_owned()
    } else {
        format!("{from} → {to}")
    };
    format!(
        "{}  {versions}   {}, {}\n",
        paint.bold(&destination.service),
        destination.group,
        count(destination.instances.len(), "instance"),
    )
}

/// One line: what happens (`+`, `-`, `~`, `=`), to what, and how.
#[derive(Debug)]
struct Row {
    mark: char,
    what: String,
    how: String,
}

impl Row {
    fn new(mark: char, what: impl Into<String>, how: impl Into<String>) -> Self {
        Self {
            mark,
            what: what.into(),
            how: how.into(),
        }
    }
}

fn rows(destination: &Destination, background: &Background) -> Vec<Row> {
    let Destination {
        group,
        service,
        changes,
        ..
    } = destination;
    let mut rows = Vec::new();
    collect(&mut rows, changes, service, background);
    let present = background.bindings.get(&(group.clone(), service.clone()));
    if let (None, Some(present)) = (&changes.binding, present) {
        let how = format!("{} ({group}'s own)", binding::text(present));
        rows.push(Row::new('=', "binding", how));
    }
    rows
}

fn collect(rows: &mut Vec<Row>, changes: &Changes, service: &str, background: &Background) {
    let Changes {
        routes,
        plugins,
        upstream,
        hosts,
        base_path,
        checks,
        binding,
        enabled,
    } = changes;
    let of_route = |name: &String| format!("route {name}");
    for route in &routes.changed {
        rows.push(Row::new('~', of_route(&route.route), route.diff.as_str()));
    }
    for route in &routes.added {
        rows.push(Row::new(
            '+',
            of_route(route),
            background.paths_of(service, route),
        ));
    }
    for route in &routes.removed {
        rows.push(Row::new('-', of_route(route), ""));
    }
    named(rows, "plugin", plugins);
    if let Some(checks) = checks {
        named(rows, "check", checks);
    }
    differing(rows, upstream.as_ref(), "upstream", |change| {
        fields(change).join("; ")
    });
    differing(rows, hosts.as_ref(), "hosts", |change| {
        arrow(change, hosts_text)
    });
    differing(rows, base_path.as_ref(), "base path", |change| {
        arrow(change, plain)
    });
    differing(rows, enabled.as_ref(), "enabled", |change| {
        arrow(change, plain)
    });
    if let Some(change) = binding {
        rows.push(match (change.before.is_null(), change.after.is_null()) {
            (true, _) => Row::new('+', "binding", binding::text(&change.after)),
            (_, true) => Row::new('-', "binding", binding::text(&change.before)),
            _ => Row::new('~', "binding", arrow(change, binding::text)),
        });
    }
}

fn named(rows: &mut Vec<Row>, what: &str, names: &NameChanges) {
    let NameChanges {
        added,
        removed,
        changed,
    } = names;
    for (mark, names) in [('~', changed), ('+', added), ('-', removed)] {
        rows.extend(
            names
                .iter()
                .map(|name| Row::new(mark, format!("{what} {name}"), "")),
        );
    }
}

/// A part that both sides have. What comes or goes with the whole service is not spelled out, but
/// for its routes, plugins, checks and binding.
fn differing(
    rows: &mut Vec<Row>,
    change: Option<&BeforeAfter>,
    what: &str,
    how: impl Fn(&BeforeAfter) -> String,
) {
    if let Some(change) = change
        && !change.before.is_null()
        && !change.after.is_null()
    {
        rows.push(Row::new('~', what, how(change)));
    }
}

fn arrow(change: &BeforeAfter, text: impl Fn(&Value) -> String) -> String {
    format!("{} → {}", text(&change.before), text(&change.after))
}

fn plain(value: &Value) -> String {
    match value.as_str() {
        Some("") => "none".to_owned(),
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

fn hosts_text(value: &Value) -> String {
    let hosts = value.as_array().into_iter().flatten();
    let hosts: Vec<_> = hosts.filter_map(Value::as_str).map(str::to_owned).collect();
    binding::hosts_text(&hosts)
}

/// The fields that differ, as `timeout.read "60s" → "10s"`.
fn fields(change: &BeforeAfter) -> Vec<String> {
    differences(&change.before, &change.after)
}

/// The fields in which two values differ, as `timeout.read "60s" → "10s"`.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differing_fields(before, after, "", &mut found);
    found
}

fn differing_fields(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    let none = Map::new();
    let (a, b) = match (before, after) {
        (Value::Object(a), Value::Object(b)) => (a, b),
        (Value::Object(a), Value::Null) => (a, &none),
        (Value::Null, Value::Object(b)) => (&none, b),
        _ if before == after => return,
        _ => return found.push(format!("{path} {before} → {after}")),
    };
    let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    for key in keys {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        differing_fields(&side(a), &side(b), &path, found);
    }
}

fn lines(rows: &[Row], paint: Paint) -> String {
    let width = rows
        .iter()
        .map(|row| shown_width(&row.what))
        .max()
        .unwrap_or_default();
    let line = |row: &Row| {
        let Row { mark, what, how } = row;
        let text = format!("{mark} {}", pad(what, width));
        let text = match mark {
            '+' => paint.good(&text),
            '-' => paint.bad(&text),
            '~' => paint.warn(&text),
            _ => paint.dim(&text),
        };
        format!("  {text}   {how}").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
