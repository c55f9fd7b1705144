//! The walk over a JSON body: reads every field once, and collects every problem with its place.
//!
//! Parsing yields a value *and* problems: a field that is wrong is noted and replaced by a harmless
//! one, so that the walk goes on and finds the rest. The result counts only if no error was noted.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::problem::{Code, Problem};
use crate::text::{hidden, shown};

/// Collects the problems of one body.
#[derive(Debug, Default)]
pub struct Walk {
    problems: Vec<Problem>,
    /// Problems beyond [`PROBLEMS_MAX`], which are counted only.
    more: usize,
}

/// A place in the body: a chain of fields and indexes, written only when it is needed.
#[derive(Clone, Copy, Debug)]
pub enum At<'a> {
    /// The body itself.
    Root,
    /// A field of an object.
    Field(&'a Self, &'a str),
    /// An item of a list.
    Item(&'a Self, usize),
}

/// Most problems of one body that are answered with their places; one more says how many are not.
pub const PROBLEMS_MAX: usize = 100;

impl Walk {
    /// A walk with nothing noted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a problem at a place. Beyond [`PROBLEMS_MAX`] problems are counted only.
    pub fn note(&mut self, code: Code, at: &At<'_>, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem::new(code, at, message));
        } else {
            self.more += 1;
        }
    }

    /// Notes what another walk found in a part of this body. `at` is the part's place.
    pub fn note_all(&mut self, problems: Vec<Problem>, at: &At<'_>) {
        let place = at.to_string();
        let room = PROBLEMS_MAX - self.problems.len();
        self.more += problems.len().saturating_sub(room);
        let problems = problems.into_iter().take(room);
        self.problems.extend(problems.map(|p| p.below(&place)));
    }

    /// The value, if nothing was noted that stops the call.
    ///
    /// # Errors
    /// All problems found.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Vec<Problem>> {
        if self.more > 0 {
            let message = format!(
                "{} more problems are not listed; mend these first",
                self.more
            );
            self.problems
                .push(Problem::new(Code::LimitExceeded, "", message));
        }
        match value {
            Some(value) if !self.problems.iter().any(Problem::is_error) => Ok(value),
            _ if self.problems.is_empty() => Err(vec![Problem::new(
                Code::Invalid,
                "",
                "the body holds nothing usable",
            )]),
            _ => Err(self.problems),
        }
    }

    /// Reads an object; notes if it isn't one.
    pub fn object<'v>(&mut self, value: &'v Value, at: At<'v>) -> Option<Object<'v>> {
        match value {
            Value::Object(map) => Some(Object {
                map,
                at,
                seen: Vec::with_capacity(map.len()),
            }),
            _ => self.wrong_type(&at, "an object", value),
        }
    }

    /// Reads a list of at most `most` items; notes if it isn't one, or longer.
    pub fn list<'v>(&mut self, value: &'v Value, at: &At<'_>, most: usize) -> Option<&'v [Value]> {
        match value {
            Value::Array(items) if items.len() <= most => Some(items),
            Value::Array(items) => {
                let message = format!("has {} items; at most {most} are allowed", items.len());
                self.note(Code::LimitExceeded, at, message);
                None
            }
            _ => self.wrong_type(at, "a list", value),
        }
    }

    /// Reads a string of at most `most` bytes without characters that are not seen: control
    /// characters but for line feed and tab, and those that turn the direction of writing.
    pub fn text<'v>(&mut self, value: &'v Value, at: &At<'_>, most: usize) -> Option<&'v str> {
        match value {
            Value::String(text) if text.len() > most => {
                let message = format!("is {} bytes long; at most {most} are allowed", text.len());
                self.note(Code::LimitExceeded, at, message);
                None
            }
            Value::String(text) => match hidden(text) {
                None => Some(text),
                Some(what) => {
                    self.note(Code::Invalid, at, format!("holds {what}; leave them out"));
                    None
                }
            },
            _ => self.wrong_type(at, "a string", value),
        }
    }

    /// Reads a string of one line, without any control characters: what is shown in a list.
    pub fn line<'v>(&mut self, value: &'v Value, at: &At<'_>, most: usize) -> Option<&'v str> {
        let text = self.text(value, at, most)?;
        if text.chars().any(char::is_control) {
            let message = "is more than one line, or has a tab; write it on one, with spaces";
            self.note(Code::Invalid, at, message);
            return None;
        }
        Some(text)
    }

    /// Reads a string that parses as a `T`.
    pub fn parsed<T>(&mut self, value: &Value, at: &At<'_>) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let Value::String(text) = value else {
            return self.wrong_type(at, "a string", value);
        };
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.note(Code::Invalid, at, format!("{} {error}", quoted(text)));
                None
            }
        }
    }

    /// Reads a whole number within bounds.
    pub fn number(&mut self, value: &Value, at: &At<'_>, least: i64, most: i64) -> Option<i64> {
        let Value::Number(number) = value else {
            return self.wrong_type(at, "a number", value);
        };
        if number.is_f64() {
            self.note(
                Code::WrongType,
                at,
                format!("must be a whole number, not {number}"),
            );
            return None;
        }
        match number.as_i64() {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.note(
                    Code::Invalid,
                    at,
                    format!("is {number}; must be {least} to {most}"),
                );
                None
            }
        }
    }

    /// Reads `true` or `false`.
    pub fn flag(&mut self, value: &Value, at: &At<'_>) -> Option<bool> {
        match value {
            Value::Bool(flag) => Some(*flag),
            _ => self.wrong_type(at, "true or false", value),
        }
    }

    /// Notes that a value has the wrong JSON type.
    pub fn wrong_type<T>(&mut self, at: &At<'_>, expected: &str, got: &Value) -> Option<T> {
        let got = match got {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.note(
            Code::WrongType,
            at,
            format!("must be {expected}, not {got}"),
        );
        None
    }

    /// Notes that this build has no function for what was asked.
    pub fn unsupported(&mut self, at: &At<'_>, what: &str) {
        self.note(
            Code::Unsupported,
            at,
            format!("this build of Ferryway has no {what} yet; leave it out"),
        );
    }
}

/// One object of the body. Fields are taken by name; what nobody took is unknown.
#[derive(Debug)]
pub struct Object<'v> {
    map: &'v Map<String, Value>,
    at: At<'v>,
    seen: Vec<&'static str>,
}

impl<'v> Object<'v> {
    /// The object's own place.
    #[must_use]
    pub fn at(&self) -> &At<'v> {
        &self.at
    }

    /// The place of one of its fields.
    #[must_use]
    pub fn field<'b>(&'b self, name: &'b str) -> At<'b> {
        At::Field(&self.at, name)
    }

    /// Takes a field that may be missing. `null` counts as missing.
    pub fn take(&mut self, name: &'static str) -> Option<&'v Value> {
        self.take_nullable(name).filter(|value| !value.is_null())
    }

    /// Takes a field of which `null` says something else than its absence.
    pub fn take_nullable(&mut self, name: &'static str) -> Option<&'v Value> {
        self.seen.push(name);
        self.map.get(name)
    }

    /// Takes a field that must be there; notes if it isn't.
    pub fn need(&mut self, walk: &mut Walk, name: &'static str) -> Option<&'v Value> {
        let value = self.take(name);
        if value.is_none() {
            walk.note(Code::Required, &self.field(name), "is missing");
        }
        value
    }

    /// Whether the object has the field, `null` included.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Notes a field that must be an object and that this build supports only in its default form,
    /// left out or as `default`, if it says anything else.
    pub fn only_default(
        &mut self,
        walk: &mut Walk,
        name: &'static str,
        default: &Value,
        what: &str,
    ) {
        match self.take(name) {
            None => {}
            Some(value) if value == default => {}
            Some(Value::Object(_)) => walk.unsupported(&self.field(name), what),
            Some(value) => {
                walk.wrong_type::<()>(&self.field(name), "an object", value);
            }
        }
    }

    /// Notes every field that nobody took. `ignored` are those that answers add by themselves.
    pub fn finish(self, walk: &mut Walk, ignored: &[&str]) {
        for name in self.map.keys() {
            if self.seen.contains(&name.as_str()) || ignored.contains(&name.as_str()) {
                continue;
            }
            let at = At::Field(&self.at, name);
            walk.note(Code::UnknownField, &at, self.unknown(name));
        }
    }

    /// What to say of an unknown field.
    fn unknown(&self, name: &str) -> String {
        match nearest(name, self.seen.iter().copied()) {
            Some(near) => format!("is no field here; did you mean {near:?}?"),
            None if self.seen.is_empty() => "is no field here".to_owned(),
            None => format!("is no field here; known are {}", self.seen.join(", ")),
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(&shown(name)),
            Self::Field(parent, name) => write!(f, "{parent}.{}", shown(name)),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A text in quotes for a message, cut to a readable length.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// The candidate that differs from `name` by at most two edits, if there is one.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    const EDITS_MAX: usize = 2;
    candidates
        .map(|candidate| (edits(name, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= EDITS_MAX && *edits < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, bounded by the length of the field names it is used for.
fn edits(a: &str, b: &str) -> usize {
    const COMPARED_BYTES_MAX: usize = 64;
    if a.len() > COMPARED_BYTES_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_problems_at_once_each_with_its_place() {
        let body = json!({"nme": "x", "list": [1, "a", 2.5], "count": 70_000});
        let mut walk = Walk::new();
        let mut object = walk.object(&body, At::Root).expect("is an object");
        assert_eq!(object.need(&mut walk, "name"), None);
        if let Some(items) = object
            .take("list")
            .and_then(|v| walk.list(v, &At::Field(&At::Root, "list"), 3))
        {
            let list = At::Field(&At::Root, "list");
            for (n, item) in items.iter().enumerate() {
                walk.number(item, &At::Item(&list, n), 0, 9);
            }
        }
        let count = object.take("count").expect("is there");
        walk.number(count, &object.field("count"), 0, 65_535);
        object.finish(&mut walk, &[]);
        let problems = walk.finish(Some(())).expect_err("there are problems");
        let lines: Vec<_> = problems.iter().map(|p| format!("{} {p}", p.code)).collect();
        assert_eq!(
            lines,
            [
                "required name: is missing",
                "wrong_type list[1]: must be a number, not a string",
                "wrong_type list[2]: must be a whole number, not 2.5",
                "invalid count: is 70000; must be 0 to 65535",
                "unknown_field nme: is no field here; did you mean \"name\"?",
            ]
        );
    }

    #[test]
    fn what_is_not_listed_is_counted_and_still_stops_the_call() {
        let mut walk = Walk::new();
        let all: Vec<_> = (0..PROBLEMS_MAX + 7).collect();
        for n in &all {
            walk.note(Code::Invalid, &At::Item(&At::Root, *n), "is wrong");
        }
        let problems = walk.finish(Some(())).expect_err("there are problems");
        assert_eq!(problems.len(), PROBLEMS_MAX + 1);
        assert!(problems[PROBLEMS_MAX].message.starts_with("7 more"));
    }

    #[test]
    fn nearest_names() {
        let known = ["paths", "methods", "name"];
        assert_eq!(nearest("path", known.into_iter()), Some("paths"));
        assert_eq!(nearest("method", known.into_iter()), Some("methods"));
        assert_eq!(nearest("completely", known.into_iter()), None);
    }
}
