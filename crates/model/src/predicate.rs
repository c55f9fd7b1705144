//! Predicates: what a route asks of a request beyond path and method.

use std::collections::BTreeSet;
use std::fmt;

use http::HeaderName;
use serde_json::{Value, json};

use crate::limits::{
    PREDICATE_VALUES_MAX, REGEX_BYTES_MAX, REGEX_COMPILED_BYTES_MAX, VALUE_BYTES_MAX,
};
use crate::problem::Code;
use crate::walk::{At, Object, Walk, quoted};

/// One condition on a header, a query parameter or a cookie.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    /// Where the value is looked for.
    pub source: Source,
    /// What must hold of it.
    pub op: Op,
}

/// Where a predicate looks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A header. One that comes several times has several values.
    Header(HeaderName),
    /// A query parameter, its name and value decoded.
    Query(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
}

/// What must hold of the values found. A positive condition holds if one value fulfils it.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A value is this text.
    Equals(Box<str>),
    /// No value is this text (also if there is no value).
    NotEquals(Box<str>),
    /// A value is one of these.
    In(BTreeSet<Box<str>>),
    /// The expression is found in a value (anchor it with `^` and `$` for the whole).
    Regex(Pattern),
    /// There is a value.
    Exists,
    /// There is none.
    Absent,
    /// A value begins with this text.
    Prefix(Box<str>),
}

/// A compiled regular expression, equal to another of the same source.
#[derive(Clone, Debug)]
pub struct Pattern(regex::Regex);

impl Op {
    /// Whether it holds of these values.
    pub fn holds<'v>(&self, mut values: impl Iterator<Item = &'v str>) -> bool {
        match self {
            Self::Equals(text) => values.any(|value| value == &**text),
            Self::NotEquals(text) => !values.any(|value| value == &**text),
            Self::In(texts) => values.any(|value| texts.contains(value)),
            Self::Regex(pattern) => values.any(|value| pattern.0.is_match(value)),
            Self::Exists => values.next().is_some(),
            Self::Absent => values.next().is_none(),
            Self::Prefix(text) => values.any(|value| value.starts_with(&**text)),
        }
    }

    /// Whether it looks for control characters.
    fn wants_controls(&self) -> bool {
        let has = |text: &str| text.chars().any(char::is_control);
        match self {
            Self::Equals(text) | Self::NotEquals(text) | Self::Prefix(text) => has(text),
            Self::In(texts) => texts.iter().any(|text| has(text)),
            // A pattern may say what it does not want.
            Self::Regex(_) | Self::Exists | Self::Absent => false,
        }
    }

    /// Whether it holds only where there is a value.
    fn needs_value(&self) -> bool {
        match self {
            Self::Equals(_) | Self::In(_) | Self::Regex(_) | Self::Exists | Self::Prefix(_) => true,
            Self::NotEquals(_) | Self::Absent => false,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Equals(_) => "equals",
            Self::NotEquals(_) => "not_equals",
            Self::In(_) => "in",
            Self::Regex(_) => "regex",
            Self::Exists => "exists",
            Self::Absent => "absent",
            Self::Prefix(_) => "prefix",
        }
    }
}

impl Predicate {
    /// Whether this and `other` can't both hold of one request, by api.md's rule: of the same
    /// source, values to equal that have none in common, or `exists` against `absent`.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        if self.source != other.source {
            return false;
        }
        let disjoint = |text: &str, texts: &BTreeSet<Box<str>>| !texts.contains(text);
        match (&self.op, &other.op) {
            (Op::Equals(a), Op::Equals(b)) => a != b,
            (Op::Equals(a), Op::In(b)) | (Op::In(b), Op::Equals(a)) => disjoint(a, b),
            (Op::In(a), Op::In(b)) => a.is_disjoint(b),
            (Op::Exists, Op::Absent) | (Op::Absent, Op::Exists) => true,
            _ => false,
        }
    }

    /// Whether no request fulfils both, whatever values it has: one wants none, the other some.
    /// (Two that want different values may each find its own, where a field is sent twice.)
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        let (a, b) = (&self.op, &other.op);
        let opposite = |a: &Op, b: &Op| *a == Op::Absent && b.needs_value();
        self.source == other.source && (opposite(a, b) || opposite(b, a))
    }

    /// The predicate as in the definition.
    pub(crate) fn to_value(&self) -> Value {
        let (kind, name) = match &self.source {
            Source::Header(name) => ("header", name.as_str()),
            Source::Query(name) => ("query", &**name),
            Source::Cookie(name) => ("cookie", &**name),
        };
        let mut value = json!({ kind: name, "op": self.op.name() });
        match &self.op {
            Op::Equals(text) | Op::NotEquals(text) | Op::Prefix(text) => {
                value["value"] = json!(text)
            }
            Op::In(texts) => value["value"] = json!(texts),
            Op::Regex(pattern) => value["value"] = json!(pattern.0.as_str()),
            Op::Exists | Op::Absent => {}
        }
        value
    }

    pub(crate) fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Option<Self> {
        let mut object = walk.object(value, at)?;
        let source = source(walk, &mut object);
        let op = object.need(walk, "op");
        let op = op.and_then(|op| walk.text(op, &object.field("op"), VALUE_BYTES_MAX));
        let value = object.take("value");
        let op = op.and_then(|op| read_op(walk, op, value, &object));
        if let Some(Source::Header(_) | Source::Cookie(_)) = &source
            && op.as_ref().is_some_and(Op::wants_controls)
        {
            let message = "has a line feed or a tab, which no such field holds: it could never \
                           be seen";
            walk.note(Code::Invalid, &object.field("value"), message);
        }
        object.finish(walk, &[]);
        Some(Self {
            source: source?,
            op: op?,
        })
    }
}

fn source(walk: &mut Walk, object: &mut Object<'_>) -> Option<Source> {
    const KINDS: [&str; 3] = ["header", "query", "cookie"];
    let mut given = KINDS
        .into_iter()
        .filter_map(|kind| object.take(kind).map(|name| (kind, name)));
    let (first, second) = (given.next(), given.next());
    drop(given);
    let (Some((kind, name)), None) = (first, second) else {
        walk.note(
            Code::Invalid,
            object.at(),
            "needs exactly one of header, query and cookie",
        );
        return None;
    };
    let at = object.field(kind);
    match kind {
        "header" => {
            let text = walk.text(name, &at, VALUE_BYTES_MAX)?;
            let name = text.parse().ok();
            if name.is_none() {
                let message = format!(
                    "{} is no header name: letters, digits and '-'",
                    quoted(text)
                );
                walk.note(Code::Invalid, &at, message);
            }
            name.map(Source::Header)
        }
        "query" => nonempty(walk, name, &at).map(Source::Query),
        _ => {
            let name: Box<str> = nonempty(walk, name, &at)?;
            if name
                .bytes()
                .any(|b| !b.is_ascii_graphic() || b"=;,\"".contains(&b))
            {
                walk.note(
                    Code::Invalid,
                    &at,
                    "is no cookie name: visible ASCII without '=', ';', ',' and '\"'",
                );
                return None;
            }
            Some(Source::Cookie(name))
        }
    }
}

fn nonempty(walk: &mut Walk, value: &Value, at: &At<'_>) -> Option<Box<str>> {
    let text = walk.text(value, at, VALUE_BYTES_MAX)?;
    if text.is_empty() {
        walk.note(Code::Invalid, at, "is empty; name what is to be looked at");
        return None;
    }
    Some(text.into())
}

fn read_op(walk: &mut Walk, op: &str, value: Option<&Value>, object: &Object<'_>) -> Option<Op> {
    let at = object.field("value");
    if let "exists" | "absent" = op {
        if value.is_some() {
            walk.note(
                Code::Invalid,
                &at,
                format!("has no place beside the op {op:?}; leave it out"),
            );
        }
        return Some(if op == "exists" {
            Op::Exists
        } else {
            Op::Absent
        });
    }
    if !["equals", "not_equals", "in", "regex", "prefix"].contains(&op) {
        let message = format!(
            "{op:?} is no op; known are equals, not_equals, in, regex, exists, absent, prefix"
        );
        walk.note(Code::Invalid, &object.field("op"), message);
        return None;
    }
    let Some(value) = value else {
        walk.note(
            Code::Required,
            &at,
            format!("is missing; the op {op:?} needs it"),
        );
        return None;
    };
    let mut text = |most| walk.text(value, &at, most).map(Box::<str>::from);
    match op {
        "equals" => text(VALUE_BYTES_MAX).map(Op::Equals),
        "not_equals" => text(VALUE_BYTES_MAX).map(Op::NotEquals),
        "prefix" => text(VALUE_BYTES_MAX).map(Op::Prefix),
        "regex" => {
            let source = text(REGEX_BYTES_MAX)?;
            match Pattern::new(&source) {
                Ok(pattern) => Some(Op::Regex(pattern)),
                Err(error) => {
                    walk.note(
                        Code::Invalid,
                        &at,
                        format!("is no regular expression that can be used: {error}"),
                    );
                    None
                }
            }
        }
        _ => {
            let items = walk.list(value, &at, PREDICATE_VALUES_MAX)?;
            if items.is_empty() {
                walk.note(
                    Code::Invalid,
                    &at,
                    "is empty, so the route could never match",
                );
            }
            let texts = items.iter().enumerate();
            let texts =
                texts.filter_map(|(n, item)| walk.text(item, &At::Item(&at, n), VALUE_BYTES_MAX));
            Some(Op::In(texts.map(Box::from).collect()))
        }
    }
}

impl Pattern {
    /// Compiles an expression, in bounded time and memory. The engine is linear in the input.
    fn new(source: &str) -> Result<Self, String> {
        regex::RegexBuilder::new(source)
            .size_limit(REGEX_COMPILED_BYTES_MAX)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(limit) => {
                    format!("it compiles to more than {limit} bytes")
                }
                // The crate's own text draws the place over several lines; the last one says why.
                other => other
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or("syntax")
                    .trim()
                    .to_owned(),
            })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
