//! `paths`: one route for each operation.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{EXTENSION, Finding, Reader, Route, below, names, paths};

impl<'d> Reader<'d> {
    /// The routes, and the place that each comes from.
    pub(super) fn routes(&mut self) -> Result<(Vec<Route>, Vec<String>), Finding> {
        let root = self.root;
        let Some(items) = root["paths"].as_object() else {
            return Err(Finding {
                path: "paths".to_owned(),
                message: "there are none: nothing to make a route of".to_owned(),
            });
        };
        let mut made = Made::default();
        for (template, item) in items {
            let place = format!("paths.{template}");
            if template.starts_with("x-") {
                continue;
            }
            let Some(item) = self.resolved(item, &place) else {
                continue;
            };
            match paths::pattern(template) {
                Ok(mapped) => {
                    if let Some(remark) = mapped.remark {
                        self.note(&place, remark);
                    }
                    let from = From {
                        template,
                        place: &place,
                        pattern: &mapped.pattern,
                    };
                    self.operations(&from, &item, &mut made);
                }
                Err(why) => {
                    let operations: Vec<_> = METHODS
                        .iter()
                        .filter(|method| item.contains_key(**method))
                        .map(|method| method.to_uppercase())
                        .collect();
                    let message = format!("{why}; {} left out", operations.join(", "));
                    self.note(&place, message);
                }
            }
        }
        let Made { routes, places, .. } = made;
        if routes.is_empty() {
            return Err(self.findings.first().cloned().unwrap_or_else(|| Finding {
                path: "paths".to_owned(),
                message: "no operation is in it: nothing to make a route of".to_owned(),
            }));
        }
        Ok((routes, places))
    }

    fn operations(&mut self, from: &From<'_>, item: &Map<String, Value>, made: &mut Made) {
        for key in item.keys() {
            let known = METHODS.contains(&key.as_str()) || ITEM_FIELDS.contains(&key.as_str());
            if !known && !key.starts_with("x-") {
                let message = "is no operation that OpenAPI knows; left out";
                self.note(&below(from.place, key), message);
            }
        }
        self.note_servers(from.place, item.get("servers"));
        let shared = self.extensions(&Value::Object(item.clone()), from.place, SHARED_FIELDS);
        for method in METHODS {
            let Some(operation) = item.get(*method) else {
                continue;
            };
            let place = below(from.place, method);
            if !operation.is_object() {
                self.note(&place, "is no object; left out");
                continue;
            }
            self.note_servers(&place, operation.get("servers"));
            let mut more = shared.clone();
            more.extend(self.extensions(operation, &place, ROUTE_FIELDS));
            let name = self.name(
                from,
                method,
                operation,
                more.remove("name").as_ref(),
                &made.names,
            );
            made.names.insert(name.clone());
            made.routes.push(Route {
                name,
                paths: vec![from.pattern.to_owned()],
                methods: vec![method.to_uppercase()],
                more,
            });
            made.places.push(place);
        }
    }

    /// The route's name: its own, the operation's id, or method and path.
    fn name(
        &mut self,
        from: &From<'_>,
        method: &str,
        operation: &Value,
        own: Option<&Value>,
        taken: &BTreeSet<String>,
    ) -> String {
        let own = own.and_then(Value::as_str).map(str::to_owned);
        let id = || names::slug(operation["operationId"].as_str()?);
        let described = || names::slug(&format!("{method} {}", from.template));
        let name = own.or_else(id).or_else(described);
        let name = name.unwrap_or_else(|| method.to_owned());
        if !taken.contains(&name) {
            return name;
        }
        let free = (2..).map(|n| {
            let number = format!("-{n}");
            let most = ferryway_model::limits::NAME_CHARS_MAX - number.len();
            let begin = name[..name.len().min(most)].trim_end_matches('-');
            format!("{begin}{number}")
        });
        let mut free = free.filter(|name| !taken.contains(name));
        let unique = free.next().expect("there are more numbers than routes");
        let message = format!(
            "has the name of another operation, {name}; its route is {unique}. A name that stays \
             is given by operationId or {EXTENSION}name"
        );
        self.note(&below(from.place, method), message);
        unique
    }

    fn note_servers(&mut self, place: &str, servers: Option<&Value>) {
        if servers
            .and_then(Value::as_array)
            .is_some_and(|it| !it.is_empty())
        {
            let message = "a service has its hosts and its base path for all of its routes: the \
                           servers here are left out";
            self.note(&below(place, "servers"), message);
        }
    }
}

/// The path that operations are of.
struct From<'a> {
    template: &'a str,
    place: &'a str,
    pattern: &'a str,
}

/// Routes so far.
#[derive(Default)]
struct Made {
    routes: Vec<Route>,
    places: Vec<String>,
    names: BTreeSet<String>,
}

/// What operations are called in a path item, in the order in which routes are made.
const METHODS: &[&str] = &[
    "get", "head", "post", "put", "patch", "delete", "options", "trace", "query",
];
/// What else stands in a path item.
const ITEM_FIELDS: &[&str] = &["summary", "description", "servers", "parameters"];
/// What may be set of all routes of a path.
const SHARED_FIELDS: &[&str] = &["priority", "match", "timeout", "plugins"];
/// What may be set of a route.
const ROUTE_FIELDS: &[&str] = &["name", "priority", "match", "timeout", "plugins"];
