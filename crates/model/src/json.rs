//! JSON at the border: read strictly, written canonically.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits::JSON_DEPTH_MAX;
use crate::problem::{Code, Problem};
use crate::walk::quoted;

/// Reads JSON, refusing what other readers might read differently: a key given twice, and nesting
/// deeper than [`JSON_DEPTH_MAX`].
///
/// # Errors
/// A problem with the code `unreadable` that names line and column.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let unreadable = |error: &serde_json::Error| {
        Problem::new(
            Code::Unreadable,
            "",
            format!("the body is not readable as JSON: {error}"),
        )
    };
    if bytes.starts_with(BYTE_ORDER_MARK) {
        let message = "the body begins with a byte order mark; send UTF-8 without it";
        return Err(Problem::new(Code::Unreadable, "", message));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }
        .deserialize(&mut reader)
        .map_err(|e| unreadable(&e))?;
    reader.end().map_err(|e| unreadable(&e))?;
    Ok(value)
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The canonical bytes of a value: keys sorted, no spaces, everything else as serde_json writes it.
#[must_use]
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            // Sorted here, and not left to the map: its order depends on a feature of serde_json
            // that any dependency may turn on.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push(b'{');
            for (n, (key, value)) in entries.into_iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                string(key, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::String(text) => string(text, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            out.extend_from_slice(value.to_string().as_bytes());
        }
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a string is written to memory without an error");
}

/// Reads one value at a depth.
struct Strict {
    depth: usize,
}

impl Strict {
    fn inner<E: Error>(&self) -> Result<Self, E> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(E::custom(format_args!(
                "nested deeper than {JSON_DEPTH_MAX} levels"
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.inner()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(self.inner()?)?;
            if entries.contains_key(&key) {
                return Err(A::Error::custom(format_args!(
                    "the key {} is given twice",
                    quoted(&key)
                )));
            }
            entries.insert(key, value);
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &str>) {
        let got = parse(text.as_bytes())
            .map(|value| String::from_utf8(canonical(&value)).expect("JSON is UTF-8"))
            .map_err(|problem| problem.message);
        match (got, expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect),
            (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
            (got, expect) => panic!("{text}: got {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn canonical_form() {
        check(
            r#" {"b": [1, 2.5, "é\n"], "a": null, "B": true} "#,
            Ok(r#"{"B":true,"a":null,"b":[1,2.5,"é\n"]}"#),
        );
        check("18446744073709551615", Ok("18446744073709551615"));
        // Digits that a hasty reader gets wrong in the last place: what is stored must read as itself.
        for digits in ["31.245270191439438", "123456.78901234567", "5e-324"] {
            check(digits, Ok(digits));
        }
    }

    #[test]
    fn refusals() {
        check("", Err("line 1 column 0"));
        check("{", Err("EOF"));
        check("{} x", Err("trailing"));
        check(r#"{"a": 1, "a": 2}"#, Err("given twice"));
        check(r#"{"a": 01}"#, Err("invalid number"));
        check("\"\u{1}\"", Err("control character"));
        check(&"[".repeat(100_000), Err("deeper than 32"));
        check(
            &format!("{}{}", "[".repeat(32), "]".repeat(32)),
            Ok(&format!("{}{}", "[".repeat(32), "]".repeat(32))),
        );
        check(
            &format!("{}{}", "[".repeat(33), "]".repeat(33)),
            Err("deeper than 32"),
        );
        check("1e999", Err("out of range"));
        check("\u{feff}{}", Err("byte order mark"));
    }
}
