//! A service's portable definition: what a version is a snapshot of.
//!
//! One walk reads a definition wherever it comes from (the REST API, a file, the wire, the disk),
//! so whatever the control plane accepts, a gateway can load. Its canonical bytes, unchanged, are
//! what is stored, sent, kept on disk and digested.

mod check;
mod route;
#[cfg(test)]
mod tests;
mod upstream;

use serde_json::{Value, json};

pub use check::{Check, Expect};
pub use route::{Route, RouteTimeout};
pub(crate) use upstream::read_span;
pub use upstream::{
    HostHeader, Keepalive, LoadBalancing, Retry, RetryOn, Scheme, Timeouts, UpstreamPolicy,
};

use crate::digest::Digest;
use crate::host::HostPattern;
use crate::json;
use crate::limits::{
    CHECKS_MAX, DEFINITION_BYTES_MAX, HOSTS_MAX, PATHS_OF_SERVICE_MAX, REGEXES_OF_SERVICE_MAX,
    ROUTES_MAX,
};
use crate::meta::Meta;
use crate::name::Name;
use crate::path::BasePath;
use crate::problem::{Code, Problem};
use crate::walk::{At, Object, Walk};

/// The number of the form that definitions have; a newer one is refused, not guessed at.
pub const SCHEMA: i64 = 1;

/// A service's portable definition, parsed, with its defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The service's name.
    pub name: Name,
    /// Hosts that it is served under; none means any.
    pub hosts: Vec<HostPattern>,
    /// Put before each path for matching, and taken off before the request goes upstream.
    pub base_path: BasePath,
    /// The portable half of the upstream.
    pub upstream: UpstreamPolicy,
    /// What requests are matched against; at least one, names unique.
    pub routes: Vec<Route>,
    /// Requests that gate a changed service; names unique.
    pub checks: Vec<Check>,
}

/// A definition as it is stored and sent: its canonical bytes, their digest, and what they say.
#[derive(Clone, Debug)]
pub struct Sealed<T> {
    /// What the bytes say.
    pub content: T,
    /// The canonical JSON.
    pub bytes: Box<[u8]>,
    /// The digest of the bytes.
    pub digest: Digest,
}

/// Fields that answers add by themselves and that are ignored when they are sent back.
const ADDED_BY_ANSWERS: &[&str] = &[
    "schema",
    "digest",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "versions",
    "running_in",
];

impl Definition {
    /// Reads what a caller sent as a hub's service: the definition, and the service's own title,
    /// description and labels. `name` is the one in the URL, where there is one.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn parse_service(
        body: &Value,
        name: Option<&Name>,
    ) -> Result<(Sealed<Self>, Meta), Vec<Problem>> {
        let mut walk = Walk::new();
        let read = walk
            .object(body, At::Root)
            .and_then(|object| Self::read_service(&mut walk, object, name));
        let (definition, meta) = walk.finish(read)?;
        Ok((definition.sealed()?, meta))
    }

    /// Reads what a caller sent as a published service's definition, or what a version holds:
    /// without title, description and labels, which belong to the service in the hub.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn parse(body: &Value, name: Option<&Name>) -> Result<Sealed<Self>, Vec<Problem>> {
        let mut walk = Walk::new();
        let read = walk
            .object(body, At::Root)
            .and_then(|object| Self::read_portable(&mut walk, object, name));
        walk.finish(read)?.sealed()
    }

    /// Reads what is left of an object, from which its first fields may have been taken, as the
    /// hub's service.
    pub(crate) fn read_service(
        walk: &mut Walk,
        mut object: Object<'_>,
        name: Option<&Name>,
    ) -> Option<(Self, Meta)> {
        let meta = Meta::read(walk, &mut object);
        let definition = Self::read(walk, &mut object, name);
        object.finish(walk, ADDED_BY_ANSWERS);
        Some((definition?, meta))
    }

    /// Reads an object as what a group runs: a definition and nothing of the hub's.
    pub(crate) fn read_portable(
        walk: &mut Walk,
        mut object: Object<'_>,
        name: Option<&Name>,
    ) -> Option<Self> {
        for field in ["title", "description", "labels"] {
            if object.has(field) {
                let message = "belongs to the service in the hub; a published definition has none";
                object.take(field);
                walk.note(Code::UnknownField, &object.field(field), message);
            }
        }
        let definition = Self::read(walk, &mut object, name);
        object.finish(walk, ADDED_BY_ANSWERS);
        definition
    }

    /// Reads canonical bytes, as they come from the store, the wire or the disk. Stricter than
    /// [`parse`](Self::parse): the schema must be one this build knows, and the bytes canonical.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn from_canonical(bytes: &[u8]) -> Result<Sealed<Self>, Vec<Problem>> {
        let body = json::parse(bytes).map_err(|problem| vec![problem])?;
        match body.get("schema").and_then(Value::as_i64) {
            Some(SCHEMA) => {}
            other => {
                let other = other.map_or_else(|| "none".to_owned(), |n| n.to_string());
                let message = format!("is {other}; this build knows schema {SCHEMA}");
                return Err(vec![Problem::new(Code::Unsupported, "schema", message)]);
            }
        }
        let sealed = Self::parse(&body, None)?;
        sealed.made_of(bytes, "definition")
    }

    /// The definition as JSON, with its defaults filled in.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "schema": SCHEMA,
            "name": self.name,
            "hosts": self.hosts.iter().map(HostPattern::to_string).collect::<Vec<_>>(),
            "base_path": self.base_path.as_str(),
            "plugins": {},
        });
        // Moved in: `json!` copies what it is given, and of routes there may be a thousand.
        value["upstream"] = self.upstream.to_value();
        value["routes"] = self.routes.iter().map(Route::to_value).collect();
        value["checks"] = self.checks.iter().map(Check::to_value).collect();
        value
    }

    /// The definition with its canonical bytes and digest.
    ///
    /// # Errors
    /// It is too large with its defaults filled in.
    pub(crate) fn sealed(self) -> Result<Sealed<Self>, Vec<Problem>> {
        let sealed = Sealed::new(self, Self::to_value);
        if sealed.bytes.len() <= DEFINITION_BYTES_MAX {
            return Ok(sealed);
        }
        let message = format!(
            "the definition is {} bytes with its defaults filled in; at most {DEFINITION_BYTES_MAX} are allowed",
            sealed.bytes.len()
        );
        Err(vec![Problem::new(Code::LimitExceeded, "", message)])
    }

    fn read(walk: &mut Walk, object: &mut Object<'_>, name: Option<&Name>) -> Option<Self> {
        let name = read_name(walk, object, name);
        let hosts = object
            .take("hosts")
            .map_or_else(Vec::new, |v| read_hosts(walk, v, &object.field("hosts")));
        let base_path = object
            .take("base_path")
            .map(|v| walk.parsed(v, &object.field("base_path")));
        let policy = match object.take("upstream") {
            Some(value) => UpstreamPolicy::read(walk, value, object.field("upstream")),
            None => UpstreamPolicy::default(),
        };
        let routes = object.need(walk, "routes");
        let routes = routes.map(|v| read_routes(walk, v, &object.field("routes")));
        object.only_default(walk, "plugins", &json!({}), "plugins");
        let checks = object
            .take("checks")
            .map_or_else(Vec::new, |v| read_checks(walk, v, &object.field("checks")));
        let base_path = base_path.unwrap_or_else(|| Some(BasePath::default()));
        Some(Self {
            name: name?,
            hosts,
            base_path: base_path?,
            upstream: policy,
            routes: routes?,
            checks,
        })
    }
}

impl<T> Sealed<T> {
    pub(crate) fn new(content: T, to_value: impl FnOnce(&T) -> Value) -> Self {
        let bytes = json::canonical(&to_value(&content)).into_boxed_slice();
        let digest = Digest::of(&bytes);
        Self {
            content,
            bytes,
            digest,
        }
    }

    /// The same, if it was read from these bytes and they are canonical.
    pub(crate) fn made_of(self, bytes: &[u8], what: &str) -> Result<Self, Vec<Problem>> {
        if *self.bytes == *bytes {
            return Ok(self);
        }
        let message = format!("the {what} is not in canonical form");
        Err(vec![Problem::new(Code::Invalid, "", message)])
    }
}

/// Reads a resource's name: the body's, or where the body has none the one that stands outside of
/// it already, in the URL or in the document around it.
pub(crate) fn read_name(
    walk: &mut Walk,
    object: &mut Object<'_>,
    outside: Option<&Name>,
) -> Option<Name> {
    let Some(outside) = outside else {
        let value = object.need(walk, "name")?;
        return walk.parsed(value, &object.field("name"));
    };
    if let Some(value) = object.take("name")
        && let Some(name) = walk.parsed::<Name>(value, &object.field("name"))
        && name != *outside
    {
        let message =
            format!("is {name:?}, but this is about {outside:?}; leave it out or make them equal");
        walk.note(Code::NameMismatch, &object.field("name"), message);
    }
    Some(outside.clone())
}

/// Reads a list of hosts, as definitions and bindings have it.
pub(crate) fn read_hosts(walk: &mut Walk, value: &Value, at: &At<'_>) -> Vec<HostPattern> {
    let mut hosts = Vec::new();
    for (n, item) in walk
        .list(value, at, HOSTS_MAX)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let at = At::Item(at, n);
        let Some(host) = walk.parsed::<HostPattern>(item, &at) else {
            continue;
        };
        if hosts.contains(&host) {
            walk.note(Code::Duplicate, &at, format!("names the host {host} again"));
        }
        hosts.push(host);
    }
    hosts
}

fn read_routes(walk: &mut Walk, value: &Value, at: &At<'_>) -> Vec<Route> {
    let Some(items) = walk.list(value, at, ROUTES_MAX) else {
        return Vec::new();
    };
    if items.is_empty() {
        walk.note(
            Code::Required,
            at,
            "is empty; a service needs at least one route",
        );
    }
    if !are_sums_bounded(walk, at, items) {
        return Vec::new();
    }
    let routes = items.iter().enumerate();
    let routes: Vec<_> = routes
        .filter_map(|(n, item)| Route::read(walk, item, At::Item(at, n)))
        .collect();
    note_duplicates(walk, at, items, "route");
    routes
}

/// Whether all routes together have few enough paths and expressions; counted before any of them is
/// read, since reading an expression compiles it.
fn are_sums_bounded(walk: &mut Walk, at: &At<'_>, items: &[Value]) -> bool {
    let lists = |field| items.iter().filter_map(move |i| i.get(field)?.as_array());
    let is_regex = |p: &&Value| p.get("op").and_then(Value::as_str) == Some("regex");
    let sums = [
        (
            "paths",
            lists("paths").map(Vec::len).sum(),
            PATHS_OF_SERVICE_MAX,
        ),
        (
            "regular expressions",
            lists("match").flatten().filter(is_regex).count(),
            REGEXES_OF_SERVICE_MAX,
        ),
    ];
    for (what, sum, most) in sums {
        if sum > most {
            let message = format!("have {sum} {what} together; at most {most} are allowed");
            walk.note(Code::LimitExceeded, at, message);
        }
    }
    sums.iter().all(|(_, sum, most)| sum <= most)
}

fn read_checks(walk: &mut Walk, value: &Value, at: &At<'_>) -> Vec<Check> {
    let Some(items) = walk.list(value, at, CHECKS_MAX) else {
        return Vec::new();
    };
    let checks = items.iter().enumerate();
    let checks: Vec<_> = checks
        .filter_map(|(n, item)| Check::read(walk, item, At::Item(at, n)))
        .collect();
    note_duplicates(walk, at, items, "check");
    checks
}

/// Notes every item whose name an earlier one has.
fn note_duplicates(walk: &mut Walk, at: &At<'_>, items: &[Value], what: &str) {
    let mut seen = std::collections::BTreeMap::new();
    for (n, item) in items.iter().enumerate() {
        let Some(name) = item.get("name").and_then(Value::as_str) else {
            continue;
        };
        if let Some(first) = seen.insert(name, n) {
            let item = At::Item(at, n);
            let message =
                format!("is the name of {what} {first} too; names are unique in a service");
            walk.note(Code::Duplicate, &At::Field(&item, "name"), message);
        }
    }
}
