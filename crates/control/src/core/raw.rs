//! JSON that is kept as its text.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// JSON that nobody looks into, as its text: as a [`Value`] it would take ten times the room.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Raw(Box<RawValue>);

impl Raw {
    /// What it says; none: null.
    pub(crate) fn there(&self) -> Option<&RawValue> {
        (self.0.get() != "null").then_some(&self.0)
    }
}

impl From<Value> for Raw {
    fn from(value: Value) -> Self {
        let text = serde_json::value::to_raw_value(&value);
        Self(text.expect("a value's keys are text, so JSON can hold it"))
    }
}

/// Equal if the texts are.
impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_kept_is_what_was_said() {
        for value in [
            json!({"b": [1.5, "ä\n"], "a": {}}),
            json!("null"),
            json!(null),
        ] {
            let raw = Raw::from(value.clone());
            let text = serde_json::to_vec(&raw).expect("is written");
            assert_eq!(
                serde_json::from_slice::<Value>(&text).ok(),
                Some(value.clone())
            );
            assert_eq!(serde_json::from_slice::<Raw>(&text).ok(), Some(raw.clone()));
            assert_eq!(raw.there().is_none(), value.is_null());
        }
    }
}
