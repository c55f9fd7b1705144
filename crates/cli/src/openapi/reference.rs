//! `$ref`: what stands elsewhere in the same document.

use serde_json::{Map, Value};

use super::Reader;

/// Most references that are followed from one to the next.
const STEPS_MAX: usize = 16;

impl<'d> Reader<'d> {
    /// A path item with what it refers to, its own fields before those; none where it leads
    /// nowhere, which is noted.
    pub(super) fn resolved(&mut self, item: &'d Value, path: &str) -> Option<Map<String, Value>> {
        let mut fields = Map::new();
        let mut item = item;
        for _ in 0..STEPS_MAX {
            let Some(object) = item.as_object() else {
                self.note(path, "is no object; left out");
                return None;
            };
            for (key, value) in object.iter().filter(|(key, _)| *key != REFERENCE) {
                fields.entry(key.clone()).or_insert_with(|| value.clone());
            }
            let Some(reference) = object.get(REFERENCE) else {
                return Some(fields);
            };
            item = match self.target(reference) {
                Ok(target) => target,
                Err(why) => {
                    self.note(path, format!("refers to {reference}, {why}; left out"));
                    return None;
                }
            };
        }
        let message = format!("leads on over more than {STEPS_MAX} references; left out");
        self.note(path, message);
        None
    }

    fn target(&self, reference: &Value) -> Result<&'d Value, &'static str> {
        let Some(text) = reference.as_str() else {
            return Err("which is no text");
        };
        let Some(pointer) = text.strip_prefix('#') else {
            return Err("another file; bundle the document into one first");
        };
        // A fragment is escaped as in a URL, and a pointer in it once more.
        let pointer = unescaped(pointer).ok_or("which is no reference")?;
        self.root.pointer(&pointer).ok_or("which is not there")
    }
}

/// A text with its escapes of URLs decoded.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

const REFERENCE: &str = "$ref";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        for (text, expect) in [
            ("/paths/~1a", Some("/paths/~1a")),
            ("/paths/~1a%7Bid%7D", Some("/paths/~1a{id}")),
            ("/%C3%A9", Some("/é")),
            ("/%", None),
            ("/%zz", None),
            ("/%FF", None),
        ] {
            assert_eq!(unescaped(text).as_deref(), expect, "{text}");
        }
    }
}
