//! Routes: what a request is matched against.

use http::Method;
use serde_json::{Value, json};

use super::upstream::{read_span, span_value};
use crate::limits::{METHODS_MAX, PATHS_MAX, PREDICATES_MAX};
use crate::name::Name;
use crate::path::PathPattern;
use crate::predicate::Predicate;
use crate::problem::Code;
use crate::span::Span;
use crate::walk::{At, Object, Walk};

/// Paths, methods and predicates of a service that a request is matched against.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Unique in the service.
    pub name: Name,
    /// At least one.
    pub paths: Vec<PathPattern>,
    /// None means all. GET does not imply HEAD.
    pub methods: Vec<Method>,
    /// Of equally specific paths the higher goes first; default 0.
    pub priority: i32,
    /// All must hold.
    pub predicates: Vec<Predicate>,
    /// What replaces the upstream policy's timeouts on this route.
    pub timeout: RouteTimeout,
}

/// Timeouts of a route; each that is none is the upstream policy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteTimeout {
    /// To open a connection.
    pub connect: Option<Span>,
    /// Between two reads from the upstream.
    pub read: Option<Span>,
    /// Between two writes to the upstream.
    pub send: Option<Span>,
}

const METHOD_CHARS_MAX: usize = 32;

impl Route {
    pub(super) fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Option<Self> {
        let mut object = walk.object(value, at)?;
        let name = object
            .need(walk, "name")
            .and_then(|v| walk.parsed(v, &object.field("name")));
        let paths = object
            .need(walk, "paths")
            .map(|v| read_paths(walk, v, &object.field("paths")));
        let methods = object.take("methods").map_or_else(Vec::new, |v| {
            read_methods(walk, v, &object.field("methods"))
        });
        let priority = object.take("priority").map_or(Some(0), |v| {
            walk.number(
                v,
                &object.field("priority"),
                i32::MIN.into(),
                i32::MAX.into(),
            )
        });
        let predicates = object.take("match").map_or_else(Vec::new, |v| {
            read_predicates(walk, v, &object.field("match"))
        });
        let timeout = match object.take("timeout") {
            Some(value) => RouteTimeout::read(walk, value, object.field("timeout")),
            None => RouteTimeout::default(),
        };
        object.only_default(walk, "plugins", &json!({}), "plugins");
        object.finish(walk, &[]);
        let priority = priority.and_then(|n| i32::try_from(n).ok());
        Some(Self {
            name: name?,
            paths: paths?,
            methods,
            priority: priority?,
            predicates,
            timeout,
        })
    }

    pub(crate) fn to_value(&self) -> Value {
        json!({
            "name": self.name,
            "paths": self.paths.iter().map(PathPattern::to_string).collect::<Vec<_>>(),
            "methods": self.methods.iter().map(Method::as_str).collect::<Vec<_>>(),
            "priority": self.priority,
            "match": self.predicates.iter().map(Predicate::to_value).collect::<Vec<_>>(),
            "timeout": self.timeout.to_value(),
            "plugins": {},
        })
    }
}

impl RouteTimeout {
    fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Self {
        let Some(mut object) = walk.object(value, at) else {
            return Self::default();
        };
        let mut span = |object: &mut Object<'_>, name| read_span(walk, object, name);
        let connect = span(&mut object, "connect");
        let read = span(&mut object, "read");
        let send = span(&mut object, "send");
        object.finish(walk, &[]);
        Self {
            connect,
            read,
            send,
        }
    }

    fn to_value(self) -> Value {
        let Self {
            connect,
            read,
            send,
        } = self;
        if self == Self::default() {
            return Value::Null;
        }
        json!({"connect": span_value(connect), "read": span_value(read), "send": span_value(send)})
    }
}

fn read_paths(walk: &mut Walk, value: &Value, at: &At<'_>) -> Vec<PathPattern> {
    let Some(items) = walk.list(value, at, PATHS_MAX) else {
        return Vec::new();
    };
    if items.is_empty() {
        walk.note(
            Code::Required,
            at,
            "is empty; a route needs at least one path (\"/*\" is all)",
        );
    }
    let mut paths = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        let at = At::Item(at, n);
        let Some(path) = walk.parsed::<PathPattern>(item, &at) else {
            continue;
        };
        if paths.contains(&path) {
            walk.note(Code::Duplicate, &at, format!("names the path {path} again"));
        }
        paths.push(path);
    }
    paths
}

fn read_methods(walk: &mut Walk, value: &Value, at: &At<'_>) -> Vec<Method> {
    let mut methods = Vec::new();
    for (n, item) in walk
        .list(value, at, METHODS_MAX)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let at = At::Item(at, n);
        let Some(method) = read_method(walk, item, &at) else {
            continue;
        };
        if methods.contains(&method) {
            walk.note(
                Code::Duplicate,
                &at,
                format!("names the method {method} again"),
            );
        }
        methods.push(method);
    }
    methods
}

/// Reads a method: letters in capitals, digits, `-` and `_`. CONNECT is none that a route can have.
pub(super) fn read_method(walk: &mut Walk, value: &Value, at: &At<'_>) -> Option<Method> {
    let text = walk.text(value, at, METHOD_CHARS_MAX)?;
    let inner = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let method = Method::from_bytes(text.as_bytes())
        .ok()
        .filter(|_| text.bytes().all(inner));
    match method {
        Some(Method::CONNECT) => {
            walk.note(
                Code::Invalid,
                at,
                "CONNECT opens tunnels, which Ferryway doesn't serve",
            );
            None
        }
        None => {
            walk.note(
                Code::Invalid,
                at,
                "is no method; write it in capitals, as in \"GET\"",
            );
            None
        }
        method => method,
    }
}

fn read_predicates(walk: &mut Walk, value: &Value, at: &At<'_>) -> Vec<Predicate> {
    let items = walk
        .list(value, at, PREDICATES_MAX)
        .unwrap_or_default()
        .iter()
        .enumerate();
    let mut read: Vec<(usize, Predicate)> = Vec::with_capacity(items.len());
    for (n, item) in items {
        let Some(predicate) = Predicate::read(walk, item, At::Item(at, n)) else {
            continue;
        };
        if let Some((other, _)) = read.iter().find(|(_, it)| it.contradicts(&predicate)) {
            let message =
                format!("and match[{other}] can never both hold, so the route would never match");
            walk.note(Code::Invalid, &At::Item(at, n), message);
        }
        read.push((n, predicate));
    }
    read.into_iter().map(|(_, predicate)| predicate).collect()
}
