//! OpenAPI 3.0 and 3.1 documents as service definitions: one route for each operation, by a name
//! that stays the same when the document grows; hosts and base path from `servers`; and whatever
//! of our own stands in `x-ferryway-…`.
//!
//! What OpenAPI can say and a definition cannot is not lost in silence: each is a [`Finding`] with
//! its place. Left out without a word, because they are no matter of routing: bodies, answers,
//! examples, tags, and parameters (but for those of the path, whose place is the path itself);
//! webhooks and callbacks, which are calls that the API makes. Absent on purpose: routes by header
//! or query, which OpenAPI describes and doesn't match by.

mod names;
mod operations;
mod paths;
mod reference;
mod servers;

use std::collections::{BTreeMap, BTreeSet};

use ferryway_api::{Problem, Severity};
use ferryway_model::Name;
use ferryway_model::limits::{DESCRIPTION_BYTES_MAX, TITLE_BYTES_MAX};
use serde::Serialize;
use serde_json::Value;

/// What became of a document.
#[derive(Debug)]
pub(crate) struct Import {
    /// The service.
    pub(crate) service: Service,
    /// The place in the document that each route comes from.
    pub(crate) origins: Vec<String>,
    /// What could not be taken over as it stands, or at all.
    pub(crate) findings: Vec<Finding>,
}

/// Something that a definition cannot say as the document does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The place in the document, as `paths./pets/{petId}.get`.
    pub(crate) path: String,
    /// What it is, and what was made of it.
    pub(crate) message: String,
}

impl Finding {
    /// As it is shown.
    pub(crate) fn problem(&self, severity: Severity) -> Problem {
        Problem {
            severity,
            code: "openapi".to_owned(),
            path: self.path.clone(),
            message: self.message.clone(),
            group: None,
            service: None,
        }
    }
}

/// A service definition, its fields in the order in which people look for them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Service {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    base_path: String,
    routes: Vec<Route>,
    /// What stood in `x-ferryway-…` beyond these.
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

/// A route of it.
#[derive(Clone, Debug, Serialize)]
struct Route {
    name: String,
    paths: Vec<String>,
    methods: Vec<String>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

/// Makes a service of a document, under this name or one made of its title.
///
/// # Errors
///
/// What keeps it from being read at all.
pub(crate) fn import(document: &Value, name: Option<&Name>) -> Result<Import, Finding> {
    check_version(document)?;
    let mut reader = Reader {
        root: document,
        findings: BTreeSet::new(),
    };
    let own = reader.extensions(document, "", SERVICE_FIELDS);
    let (routes, origins) = reader.routes()?;
    let mut service = reader.service(name, own)?;
    service.routes = routes;
    reader.note_security();
    Ok(Import {
        service,
        origins,
        findings: reader.findings.into_iter().collect(),
    })
}

fn check_version(document: &Value) -> Result<(), Finding> {
    let refused = |path: &str, message: String| {
        Err(Finding {
            path: path.to_owned(),
            message,
        })
    };
    if let Some(version) = document.get("swagger") {
        let message = format!("is Swagger {version}; convert the document to OpenAPI 3 first");
        return refused("swagger", message);
    }
    match document.get("openapi").map(Value::as_str) {
        Some(Some(version)) if version == "3" || version.starts_with("3.") => Ok(()),
        Some(_) => refused("openapi", "is no version 3 of OpenAPI".to_owned()),
        None => refused(
            "",
            "this is no OpenAPI document: it has no field `openapi`".to_owned(),
        ),
    }
}

/// Reads a document, and collects what could not be taken over.
struct Reader<'d> {
    root: &'d Value,
    findings: BTreeSet<Finding>,
}

impl Reader<'_> {
    fn note(&mut self, path: &str, message: impl Into<String>) {
        self.findings.insert(Finding {
            path: path.to_owned(),
            message: message.into(),
        });
    }

    /// What the document says beside its routes. What stands in `x-ferryway-…` goes before it.
    fn service(
        &mut self,
        name: Option<&Name>,
        mut own: BTreeMap<String, Value>,
    ) -> Result<Service, Finding> {
        let root = self.root;
        let info = &root["info"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let own_name = own.remove("name");
        let name = match (name, own_name) {
            (Some(name), _) => name.to_string(),
            (None, Some(own)) => text(&own),
            (None, None) => names::slug(&text(&info["title"])).ok_or_else(|| Finding {
                path: "info.title".to_owned(),
                message: "gives the service no name; give it with --name".to_owned(),
            })?,
        };
        let description = match &info["description"] {
            Value::String(text) => text.clone(),
            _ => text(&info["summary"]),
        };
        let title = self.fitting("title", &text(&info["title"]), TITLE_BYTES_MAX, &mut own);
        let description =
            self.fitting("description", &description, DESCRIPTION_BYTES_MAX, &mut own);
        let served = self.servers();
        let hosts = match own.remove("hosts") {
            Some(hosts) => hosts.as_array().into_iter().flatten().map(text).collect(),
            None => served.hosts,
        };
        let base_path = own.remove("base_path").map(|it| text(&it));
        Ok(Service {
            name,
            title,
            description,
            hosts,
            base_path: base_path.unwrap_or(served.base_path),
            routes: Vec::new(),
            more: own,
        })
    }

    /// A text of `info`, as long as ours may be, without what a terminal would take for its own.
    fn fitting(
        &mut self,
        field: &str,
        found: &str,
        bytes_max: usize,
        own: &mut BTreeMap<String, Value>,
    ) -> String {
        if let Some(own) = own.remove(field) {
            return own.as_str().unwrap_or_default().to_owned();
        }
        let mut text = found.replace("\r\n", "\n");
        text.retain(|c| !c.is_control() || c == '\n' || c == '\t');
        if text.len() > bytes_max {
            self.note(
                &format!("info.{field}"),
                format!(
                    "is longer than a service's {field} may be; it is cut at {bytes_max} bytes"
                ),
            );
            text.truncate(text.floor_char_boundary(bytes_max));
        }
        text
    }

    /// The fields below `x-ferryway-…` of an object that are ours to set there.
    fn extensions(
        &mut self,
        object: &Value,
        path: &str,
        known: &[&str],
    ) -> BTreeMap<String, Value> {
        let mut fields = BTreeMap::new();
        for (key, value) in object.as_object().into_iter().flatten() {
            let Some(name) = key.strip_prefix(EXTENSION) else {
                continue;
            };
            let field = name.replace('-', "_");
            if known.contains(&field.as_str()) {
                fields.insert(field, value.clone());
            } else {
                let known: Vec<_> = known.iter().map(|it| it.replace('_', "-")).collect();
                let message = format!("is nothing that is set here: {}", known.join(", "));
                self.note(&below(path, key), message);
            }
        }
        fields
    }

    fn note_security(&mut self) {
        let schemes = &self.root["components"]["securitySchemes"];
        if schemes
            .as_object()
            .is_some_and(|schemes| !schemes.is_empty())
        {
            self.note(
                "components.securitySchemes",
                "who may call is not taken over: the gateway passes every call on, and the \
                 upstream must check",
            );
        }
    }
}

/// A field's place below another one's.
fn below(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

/// What our own fields begin with.
const EXTENSION: &str = "x-ferryway-";
/// What may be set of a service.
const SERVICE_FIELDS: &[&str] = &[
    "name",
    "title",
    "description",
    "labels",
    "hosts",
    "base_path",
    "upstream",
    "plugins",
    "checks",
];

#[cfg(test)]
mod tests;
