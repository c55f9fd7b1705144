//! What people write about a resource: title, description, labels. It changes no digest.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::limits::{DESCRIPTION_BYTES_MAX, LABEL_BYTES_MAX, LABELS_MAX, TITLE_BYTES_MAX};
use crate::problem::Code;
use crate::walk::{At, Object, Walk};

/// Title, description and labels of a group or of a service in the hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Meta {
    /// The name for people ("Production Group"); empty: none.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Labels to list and prune by.
    pub labels: BTreeMap<String, String>,
}

impl Meta {
    pub(crate) fn read(walk: &mut Walk, object: &mut Object<'_>) -> Self {
        let title = read_title(walk, object);
        let description = object.take("description").and_then(|value| {
            walk.text(value, &object.field("description"), DESCRIPTION_BYTES_MAX)
        });
        let labels = object.take("labels");
        let labels = labels.map_or_else(BTreeMap::new, |v| {
            read_labels(walk, v, object.field("labels"))
        });
        Self {
            title,
            description: description.unwrap_or_default().to_owned(),
            labels,
        }
    }
}

/// Reads a title, as every resource that people name may have one; empty: none.
pub(crate) fn read_title(walk: &mut Walk, object: &mut Object<'_>) -> String {
    let title = object
        .take("title")
        .and_then(|value| walk.line(value, &object.field("title"), TITLE_BYTES_MAX));
    title.unwrap_or_default().to_owned()
}

/// Reads labels, as resources and a prune have them.
pub(crate) fn read_labels(walk: &mut Walk, value: &Value, at: At<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Value::Object(map) = value else {
        walk.wrong_type::<()>(&at, "an object", value);
        return labels;
    };
    if map.len() > LABELS_MAX {
        walk.note(
            Code::LimitExceeded,
            &at,
            format!("has {} labels; at most {LABELS_MAX} are allowed", map.len()),
        );
        return labels;
    }
    for (key, value) in map {
        let place = At::Field(&at, key);
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
        if key.is_empty() || key.len() > LABEL_BYTES_MAX || !key.bytes().all(inner) {
            let message = "is no label key: 1 to 128 of letters, digits, '-', '_', '.' and '/'";
            walk.note(Code::Invalid, &place, message);
        } else if let Some(text) = walk.line(value, &place, LABEL_BYTES_MAX) {
            labels.insert(key.clone(), text.to_owned());
        }
    }
    labels
}
