//! JSON merge patch (RFC 7396).

use ferryway_model::{Code, Problem};
use serde_json::{Map, Value};

/// What a resource becomes by a patch. A null that removes nothing does nothing; where it stands for
/// a field that no resource of the kind has, it is refused like any unknown field: whoever writes
/// `hots` for `hosts` is told so, whatever the value.
///
/// # Errors
/// What `parse` says of the patched resource, and the unknown fields.
pub(super) fn patched<T>(
    mut resource: Value,
    patch: &Value,
    parse: impl Fn(&Value) -> Result<T, Vec<Problem>>,
) -> Result<T, Vec<Problem>> {
    let mut with_nulls = resource.clone();
    merge(&mut resource, patch);
    let parsed = parse(&resource);
    if !merge_and(&mut with_nulls, patch, AbsentNull::Keep) {
        return parsed;
    }
    let said = parse(&with_nulls).err().unwrap_or_default();
    let is_unknown = |problem: &Problem| problem.code == Code::UnknownField;
    let unknown: Vec<_> = said.into_iter().filter(is_unknown).collect();
    if unknown.is_empty() {
        return parsed;
    }
    let other = parsed.err().unwrap_or_default().into_iter();
    let other = other.filter(|problem| !is_unknown(problem));
    Err(unknown.into_iter().chain(other).collect())
}

/// Changes `target` as `patch` says: objects are merged, null removes, everything else replaces.
fn merge(target: &mut Value, patch: &Value) {
    merge_and(target, patch, AbsentNull::Drop);
}

/// What becomes of a null where there is nothing to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AbsentNull {
    Drop,
    Keep,
}

/// Merges, and says whether there was a null with nothing to remove. Recursion is bounded by the
/// depth that JSON is read with.
fn merge_and(target: &mut Value, patch: &Value, absent: AbsentNull) -> bool {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return false;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return false;
    };
    let mut found = false;
    for (key, value) in patch {
        if !value.is_null() {
            let place = target.entry(key.clone()).or_insert(Value::Null);
            found |= merge_and(place, value, absent);
        } else if target.remove(key).is_none() {
            found = true;
            if absent == AbsentNull::Keep {
                target.insert(key.clone(), Value::Null);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn examples_of_the_rfc() {
        for (original, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            let mut value = read(original);
            merge(&mut value, &read(patch));
            assert_eq!(value, read(result), "{original} + {patch}");
        }
    }
}
