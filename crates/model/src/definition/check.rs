//! Checks: requests with expectations, which travel with the version.

use std::collections::BTreeMap;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::route::read_method;
use super::upstream::read_span_to;
use crate::host::HostName;
use crate::limits::{CHECK_HEADERS_MAX, PATH_BYTES_MAX, VALUE_BYTES_MAX};
use crate::name::Name;
use crate::normal::normal_path;
use crate::problem::Code;
use crate::span::Span;
use crate::walk::{At, Object, Walk};

/// A request that must be answered as expected before a changed service serves anyone.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Unique in the service.
    pub name: Name,
    /// GET or HEAD, unless the check is `unsafe`; default GET.
    pub method: Method,
    /// The client's path, `base_path` included, with the query if there is one.
    pub path: Box<str>,
    /// The host to ask for; none: the group's first, or 127.0.0.1.
    pub host: Option<HostName>,
    /// Headers to send.
    pub headers: BTreeMap<Box<str>, Box<str>>,
    /// Whether it may change something upstream.
    pub may_change: bool,
    /// What the answer must be.
    pub expect: Expect,
}

/// What a check's answer must be; each part that is none is not looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// The status; default 200.
    pub status: Option<u16>,
    /// Headers that must be there with these values.
    pub headers: BTreeMap<Box<str>, Box<str>>,
    /// A text that the body must contain.
    pub body_contains: Option<Box<str>>,
    /// Values that the body, as JSON, must have at these pointers (RFC 6901).
    pub json: BTreeMap<Box<str>, Value>,
    /// How long the answer may take; default 2 s.
    pub within: Span,
}

const STATUS_DEFAULT: u16 = 200;
const WITHIN_DEFAULT: Span = Span::from_secs(2);
/// All checks of a transaction together get ten seconds (product.md), so one can't have more.
const WITHIN_MAX: Span = Span::from_secs(10);

impl Check {
    pub(super) fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Option<Self> {
        let mut object = walk.object(value, at)?;
        let name = object
            .need(walk, "name")
            .and_then(|v| walk.parsed(v, &object.field("name")));
        let method = object.take("method").map_or(Some(Method::GET), |v| {
            read_method(walk, v, &object.field("method"))
        });
        let path = object
            .need(walk, "path")
            .and_then(|v| read_path(walk, v, &object.field("path")));
        let host = object
            .take("host")
            .and_then(|v| walk.parsed(v, &object.field("host")));
        let headers = read_headers(walk, &mut object, &SET_BY_GATEWAY);
        let may_change = object
            .take("unsafe")
            .map_or(Some(false), |v| walk.flag(v, &object.field("unsafe")));
        let expect = object.need(walk, "expect");
        let expect = expect.and_then(|v| Expect::read(walk, v, object.field("expect")));
        if let Some(method) = &method
            && ![Method::GET, Method::HEAD].contains(method)
            && may_change == Some(false)
        {
            let message =
                format!("is {method}, but checks are GET or HEAD; say `unsafe: true` for others");
            walk.note(Code::Invalid, &object.field("method"), message);
        }
        object.finish(walk, &[]);
        let (name, method, path, may_change, expect) =
            (name?, method?, path?, may_change?, expect?);
        Some(Self {
            name,
            method,
            path,
            host,
            headers,
            may_change,
            expect,
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let Expect {
            status,
            headers,
            body_contains,
            json,
            within,
        } = &self.expect;
        json!({
            "name": self.name,
            "method": self.method.as_str(),
            "path": self.path,
            "host": self.host.as_ref().map(HostName::as_str),
            "headers": self.headers,
            "unsafe": self.may_change,
            "expect": {
                "status": status, "headers": headers, "body_contains": body_contains,
                "json": json, "within": within,
            },
        })
    }
}

impl Expect {
    fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Option<Self> {
        let mut object = walk.object(value, at)?;
        // A null status says "any"; a missing one says 200.
        let status = match object.take_nullable("status") {
            None => Some(STATUS_DEFAULT),
            Some(Value::Null) => None,
            Some(v) => walk
                .number(v, &object.field("status"), 200, 599)
                .and_then(|n| n.try_into().ok()),
        };
        let headers = read_headers(walk, &mut object, &NEVER_ANSWERED);
        let body_contains = object
            .take("body_contains")
            .and_then(|v| walk.text(v, &object.field("body_contains"), VALUE_BYTES_MAX))
            .map(Box::from);
        let json = object
            .take("json")
            .map_or_else(BTreeMap::new, |v| read_json(walk, v, object.field("json")));
        let within = read_span_to(walk, &mut object, "within", WITHIN_MAX);
        let within = within.unwrap_or(WITHIN_DEFAULT);
        object.finish(walk, &[]);
        Some(Self {
            status,
            headers,
            body_contains,
            json,
            within,
        })
    }
}

/// Reads the path a client would send: in normal form, with an optional query.
fn read_path(walk: &mut Walk, value: &Value, at: &At<'_>) -> Option<Box<str>> {
    let text = walk.text(value, at, PATH_BYTES_MAX)?;
    let (path, query) = text
        .split_once('?')
        .map_or((text, None), |(path, query)| (path, Some(query)));
    match normal_path(path) {
        Err(error) => walk.note(Code::Invalid, at, format!("{text:?} {error}")),
        Ok(normal) if normal != path => {
            walk.note(
                Code::Invalid,
                at,
                format!("is not in normal form; write {normal:?}"),
            );
        }
        Ok(_)
            if text.contains('#')
                || query.is_some_and(|q| q.bytes().any(|b| !b.is_ascii_graphic())) =>
        {
            walk.note(
                Code::Invalid,
                at,
                "has a '#', a space or a non-ASCII character; write it as an escape",
            );
        }
        Ok(_) => return Some(text.into()),
    }
    None
}

/// Reads `headers`: names in lower case, values as a header can have them; those of `refused` are
/// refused, with what is said of them.
fn read_headers(
    walk: &mut Walk,
    object: &mut Object<'_>,
    refused: &[(HeaderName, &str)],
) -> BTreeMap<Box<str>, Box<str>> {
    let mut headers = BTreeMap::new();
    let Some(value) = object.take("headers") else {
        return headers;
    };
    let at = object.field("headers");
    for (name, value) in fields(walk, value, &at, CHECK_HEADERS_MAX) {
        let at = At::Field(&at, name);
        let Some(text) = walk.text(value, &at, VALUE_BYTES_MAX) else {
            continue;
        };
        let value = HeaderValue::from_str(text).ok().filter(|_| text.is_ascii());
        let name = name.parse::<HeaderName>();
        let why = name.as_ref().ok().and_then(|name| {
            let refused = refused.iter().find(|(refused, _)| refused == name);
            refused.map(|(_, why)| *why)
        });
        match (name, value) {
            (Ok(_), Some(_)) if why.is_some() => {
                walk.note(Code::Invalid, &at, why.unwrap_or_default());
            }
            (Ok(name), Some(_)) => {
                let standing = headers.insert(Box::<str>::from(name.as_str()), text.into());
                if standing.is_some() {
                    let message = format!("names the header {name} again, in other letters");
                    walk.note(Code::Duplicate, &at, message);
                }
            }
            (Err(_), _) => walk.note(Code::Invalid, &at, "is no header name"),
            (_, None) => walk.note(
                Code::Invalid,
                &at,
                "is no header value: visible ASCII and spaces only",
            ),
        }
    }
    headers
}

/// What a check cannot send.
const SET_BY_GATEWAY: [(HeaderName, &str); 6] = [
    (
        HOST,
        "is set by the gateway itself; say it as the check's `host`",
    ),
    (CONTENT_LENGTH, OWN),
    (TRANSFER_ENCODING, OWN),
    (CONNECTION, OWN),
    (UPGRADE, OWN),
    (TE, OWN),
];
const OWN: &str = "is set by the gateway itself; leave it out";

/// What never arrives with an answer.
const NEVER_ANSWERED: [(HeaderName, &str); 3] =
    [(TRANSFER_ENCODING, HOP), (CONNECTION, HOP), (UPGRADE, HOP)];
const HOP: &str = "belongs to one connection, and is no part of the answer; leave it out";

fn read_json(walk: &mut Walk, value: &Value, at: At<'_>) -> BTreeMap<Box<str>, Value> {
    let mut json = BTreeMap::new();
    for (pointer, value) in fields(walk, value, &at, CHECK_HEADERS_MAX) {
        if is_pointer(pointer) {
            json.insert(pointer.as_str().into(), value.clone());
        } else {
            let message = "is no JSON pointer; it begins with '/', as in \"/headers/Host\", \
                           and has '~' as ~0 and '/' in a name as ~1";
            walk.note(Code::Invalid, &At::Field(&at, pointer), message);
        }
    }
    json
}

/// Whether a text is a JSON pointer (RFC 6901, 3). The whole body has the empty one.
fn is_pointer(text: &str) -> bool {
    let mut escapes = text.split('~').skip(1);
    (text.is_empty() || text.starts_with('/')) && escapes.all(|rest| rest.starts_with(['0', '1']))
}

/// The fields of an object whose names the caller chooses, at most `most`.
fn fields<'v>(
    walk: &mut Walk,
    value: &'v Value,
    at: &At<'_>,
    most: usize,
) -> impl Iterator<Item = (&'v String, &'v Value)> + use<'v> {
    let map: Option<&Map<String, Value>> = match value {
        Value::Object(map) if map.len() <= most => Some(map),
        Value::Object(map) => {
            let message = format!("has {} entries; at most {most} are allowed", map.len());
            walk.note(Code::LimitExceeded, at, message);
            None
        }
        _ => walk.wrong_type(at, "an object", value),
    };
    map.into_iter().flatten()
}
