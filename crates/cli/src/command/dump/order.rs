//! Fields in the order in which people look for them.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

/// A value whose objects begin with what says which one it is; the rest follows by name.
#[derive(Debug)]
pub(super) struct Ordered<'a>(pub(super) &'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for name in FIRST {
                    if let Some(value) = fields.get(*name) {
                        map.serialize_entry(name, &Ordered(value))?;
                    }
                }
                let mut rest: Vec<_> = fields.iter().collect();
                rest.retain(|(name, _)| !FIRST.contains(&name.as_str()));
                rest.sort_unstable_by_key(|(name, _)| name.as_str());
                for (name, value) in rest {
                    map.serialize_entry(name, &Ordered(value))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Ordered(item))?;
                }
                list.end()
            }
            other => other.serialize(serializer),
        }
    }
}

const FIRST: &[&str] = &[
    "kind",
    "group",
    "name",
    "service",
    "type",
    "version",
    "title",
    "description",
    "labels",
    "enabled",
    "digest",
    "binding",
    "host",
    "hosts",
    "base_path",
    "paths",
    "methods",
    "upstream",
    "routes",
];
