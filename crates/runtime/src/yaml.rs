//! YAML whose fields know where they stand in the file, so that a problem that is found later, by
//! whoever knows what the fields mean, can still be shown at its line and column.
//!
//! JSON is YAML, too. What people write by hand is taken as they mean it: only `true` and `false`
//! are booleans (a header whose value is `no` stays a text), and `010` is a text and no number.
//! Tags, and numbers that JSON has not, are refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    at: Place,
    below: Places,
}

/// A place in a file, both numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// Why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Syntax {
    /// Where.
    pub at: Place,
    /// What is wrong there.
    pub what: String,
}

/// Most documents in one text.
pub const DOCUMENTS_MAX: usize = 100_000;
/// Most values (mappings, lists and scalars) in one text.
pub const VALUES_MAX: usize = 16_000_000;
/// Deepest nesting, that of aliases included. Reading takes some 40 KiB of stack for each level where
/// the compiler saves none, and threads have 2 MiB.
pub const DEPTH_MAX: usize = 40;

/// Reads all documents of a text; empty ones are left out. The caller bounds the text's length.
///
/// # Errors
///
/// The first place where it is no YAML, or more than the bounds of this module allow.
pub fn read(text: &str) -> Result<Vec<Document>, Syntax> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        emit_comments: false,
        budget: serde_saphyr::budget! {
            max_documents: DOCUMENTS_MAX,
            max_nodes: VALUES_MAX,
            max_events: 4 * VALUES_MAX,
            max_depth: DEPTH_MAX,
        },
    };
    let found = serde_saphyr::from_multiple_with_options::<Spanned<Node>>(text, options);
    let found = found.map_err(|error| Syntax::of(&error))?;
    Ok(found.into_iter().map(Document::from).collect())
}

impl Document {
    /// Where a field stands: its name for a field of a mapping, itself for an item of a list. For
    /// a path that leads nowhere, as that of a field that is missing, the last part that is there.
    ///
    /// `path` is as in `routes[3].paths[0]`; the empty one is the document.
    #[must_use]
    pub fn place(&self, path: &str) -> Place {
        self.below.find(path).unwrap_or(self.at)
    }
}

impl From<Spanned<Node>> for Document {
    fn from(found: Spanned<Node>) -> Self {
        let Node { value, below } = found.value;
        Self {
            value,
            at: found.referenced.into(),
            below,
        }
    }
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        Self {
            line: location.line().max(1),
            column: location.column().max(1),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Syntax {
    fn of(error: &serde_saphyr::Error) -> Self {
        let at = match error.location() {
            Some(location) => location.into(),
            None => Place { line: 1, column: 1 },
        };
        let what = error.without_snippet().render();
        // The place is said apart from the sentence, and not in it.
        let end = [" at line ", " (defined at"].map(|part| what.find(part).unwrap_or(what.len()));
        let what = &what[..end[0].min(end[1])];
        // The library speaks to programmers here.
        let what = if let Some(rest) = what.strip_prefix("duplicate mapping key: ") {
            let key = rest.split_once(", set ").map_or(rest, |(key, _)| key);
            format!("the key {key} is given twice")
        } else if what.starts_with("budget breached: Depth") || what == "recursion limit exceeded" {
            format!("nested deeper than {DEPTH_MAX} levels")
        } else if what.starts_with("budget breached: RecordedAnchor") {
            "its aliases repeat too much; write out what they stand for".to_owned()
        } else {
            what.to_owned()
        };
        Self { at, what }
    }
}

/// The places of what lies below a value.
#[derive(Clone, Debug)]
enum Places {
    None,
    Fields(BTreeMap<String, (Place, Self)>),
    Items(Vec<(Place, Self)>),
}

impl Places {
    fn find(&self, path: &str) -> Option<Place> {
        let (at, below, rest) = self.step(path)?;
        Some(below.find(rest).unwrap_or(at))
    }

    /// One step along a path: where it leads, and what of the path is left.
    fn step<'a>(&self, path: &'a str) -> Option<(Place, &Self, &'a str)> {
        match self {
            Self::None => None,
            Self::Items(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let (at, below) = items.get(index.parse::<usize>().ok()?)?;
                Some((*at, below, rest))
            }
            Self::Fields(fields) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                // Names may have dots and brackets in them themselves: the longest that fits.
                let ends = path.char_indices().filter(|(_, c)| matches!(c, '.' | '['));
                let ends = ends.map(|(end, _)| end).chain([path.len()]);
                let mut fits = ends.filter_map(|end| {
                    let (at, below) = fields.get(&path[..end])?;
                    Some((*at, below, &path[end..]))
                });
                fits.next_back()
            }
        }
    }
}

/// A value with the places of all that lies below it.
#[derive(Debug)]
struct Node {
    value: Value,
    below: Places,
}

impl Node {
    fn leaf(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            below: Places::None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has, too")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::leaf(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::leaf(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::leaf(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Node::leaf(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::leaf(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::leaf(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let (mut values, mut places) = (Vec::new(), Vec::new());
        while let Some(item) = list.next_element::<Spanned<Node>>()? {
            let Node { value, below } = item.value;
            values.push(value);
            places.push((item.referenced.into(), below));
        }
        Ok(Node {
            value: Value::Array(values),
            below: Places::Items(places),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let (mut values, mut places) = (Map::new(), BTreeMap::new());
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let Node { value, below } = map.next_value()?;
            places.insert(name.value.clone(), (name.referenced.into(), below));
            values.insert(name.value, value);
        }
        Ok(Node {
            value: Value::Object(values),
            below: Places::Fields(places),
        })
    }
}

#[cfg(test)]
mod tests;
