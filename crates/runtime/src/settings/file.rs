//! The settings file: one YAML mapping of names to scalars or lists of scalars.
//!
//! Values are wanted as they are written: `join-token: 0123` must not become 123. serde gives the
//! text of a scalar only to who asks for text, and who asks for text gets an error for a list. So
//! the file is read twice: once to see which values are lists, once for the texts.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{FILE_BYTES_MAX, SettingsError};

/// One name of the file and what it says.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) name: String,
    /// From 1.
    pub(super) line: u64,
    pub(super) value: Value,
}

#[derive(Debug, PartialEq)]
pub(super) enum Value {
    One(String),
    Many(Vec<String>),
}

/// Reads the whole file; settings in the file's order.
pub(super) fn read(path: &Path) -> Result<Vec<Setting>, SettingsError> {
    let text = text(path)?;
    parse(&text).map_err(|source| SettingsError::Syntax {
        path: path.to_owned(),
        source,
    })
}

fn text(path: &Path) -> Result<String, SettingsError> {
    let read = |text: &mut String| {
        File::open(path)?
            .take(FILE_BYTES_MAX + 1)
            .read_to_string(text)?;
        Ok(())
    };
    let mut text = String::new();
    read(&mut text).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(SettingsError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

fn parse(text: &str) -> Result<Vec<Setting>, Box<serde_saphyr::Error>> {
    let Shapes(shapes) = serde_saphyr::from_str(text)?;
    serde_saphyr::with_deserializer_from_str(text, |yaml| yaml.deserialize_map(Settings { shapes }))
        .map_err(Box::new)
}

/// Whether each value of the mapping is one scalar or a list; the file's order.
#[derive(Debug, Default)]
struct Shapes(Vec<Shape>);

#[derive(Clone, Copy, Debug)]
enum Shape {
    One,
    Many,
}

impl<'de> Deserialize<'de> for Shapes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Shapes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names to values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shapes, A::Error> {
                let mut shapes = Vec::new();
                while let Some(IgnoredAny) = map.next_key()? {
                    shapes.push(map.next_value()?);
                }
                Ok(Shapes(shapes))
            }
            fn visit_unit<E>(self) -> Result<Shapes, E> {
                Ok(Shapes::default())
            }
        }
        deserializer.deserialize_map(Names)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape::One)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape::One)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
                Ok(Shape::One)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
                Ok(Shape::One)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
                Ok(Shape::One)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape::One)
            }
            fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
                Ok(Shape::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                while let Some(IgnoredAny) = list.next_element()? {}
                Ok(Shape::Many)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Reads the texts, knowing the shapes.
struct Settings {
    shapes: Vec<Shape>,
}

impl<'de> Visitor<'de> for Settings {
    type Value = Vec<Setting>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of names to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut settings = Vec::new();
        for shape in self.shapes {
            let Some(name) = map.next_key::<Spanned<String>>()? else {
                break;
            };
            let value = map.next_value_seed(shape)?;
            settings.push(Setting {
                line: name.referenced.line(),
                name: name.value,
                value,
            });
        }
        // The end of the mapping must be taken, too.
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(settings)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self {
            Self::One => String::deserialize(deserializer).map(Value::One),
            Self::Many => Vec::deserialize(deserializer).map(Value::Many),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Value {
        Value::One(text.to_owned())
    }

    #[track_caller]
    fn check(text: &str, expect: &[(u64, &str, Value)]) {
        let settings = parse(text).unwrap();
        let got: Vec<_> = settings
            .iter()
            .map(|s| (s.line, s.name.as_str(), &s.value))
            .collect();
        let expect: Vec<_> = expect
            .iter()
            .map(|(line, name, value)| (*line, *name, value))
            .collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn values_are_taken_as_written() {
        check(
            "# comment\nworkers: 4\njoin-token: 0123\nratio: 1.50\ndev: true\n\nhttp: 0.0.0.0:9080\n",
            &[
                (2, "workers", one("4")),
                (3, "join-token", one("0123")),
                (4, "ratio", one("1.50")),
                (5, "dev", one("true")),
                (7, "http", one("0.0.0.0:9080")),
            ],
        );
    }

    #[test]
    fn lists_come_in_both_spellings() {
        let list = || Value::Many(vec![String::from("10.0.0.1:53"), String::from("2")]);
        check(
            "dns-server:\n  - 10.0.0.1:53\n  - 2\nother: [10.0.0.1:53, 2]\nnone: []\n",
            &[
                (1, "dns-server", list()),
                (4, "other", list()),
                (5, "none", Value::Many(vec![])),
            ],
        );
    }

    #[test]
    fn an_empty_file_says_nothing() {
        check("", &[]);
        check("# only a comment\n", &[]);
        check("{}\n", &[]);
    }

    #[test]
    fn what_is_no_mapping_of_values_is_refused_with_its_place() {
        for text in [
            "- a\n",
            "text",
            "a: {b: c}\n",
            "a: [[b]]\n",
            "a: 1\na: 2\n",
            "a:\n",
            "a: [\n",
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.to_string().contains("line 1") || error.location().is_some(),
                "{error}"
            );
        }
    }
}
