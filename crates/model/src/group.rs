//! Gateway groups.

use serde_json::{Value, json};

use crate::definition::read_name;
use crate::meta::Meta;
use crate::name::Name;
use crate::problem::Problem;
use crate::walk::{At, Object, Walk};

/// A gateway group, as callers set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group's name.
    pub name: Name,
    /// Title, description and labels.
    pub meta: Meta,
    /// Whether definitions come in by publishing and syncing only, not by editing in place.
    pub enforce_publishing: bool,
}

/// Fields that answers add by themselves and that are ignored when they are sent back.
const ADDED_BY_ANSWERS: &[&str] = &["revision", "root", "instances", "created_at", "updated_at"];

impl Group {
    /// Reads what a caller sent. `name` is the one in the URL, where there is one.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn parse(body: &Value, name: Option<&Name>) -> Result<Self, Vec<Problem>> {
        let mut walk = Walk::new();
        let read = walk
            .object(body, At::Root)
            .and_then(|object| Self::read(&mut walk, object, name));
        walk.finish(read)
    }

    /// Reads what is left of an object from which its first fields may have been taken.
    pub(crate) fn read(
        walk: &mut Walk,
        mut object: Object<'_>,
        name: Option<&Name>,
    ) -> Option<Self> {
        let name = read_name(walk, &mut object, name);
        let meta = Meta::read(walk, &mut object);
        let enforce = object.take("enforce_publishing");
        let enforce = enforce.and_then(|v| walk.flag(v, &object.field("enforce_publishing")));
        object.finish(walk, ADDED_BY_ANSWERS);
        Some(Self {
            name: name?,
            meta,
            enforce_publishing: enforce.unwrap_or(false),
        })
    }

    /// The group as callers set it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let Self {
            name,
            meta:
                Meta {
                    title,
                    description,
                    labels,
                },
            enforce_publishing,
        } = self;
        json!({
            "name": name, "title": title, "description": description, "labels": labels,
            "enforce_publishing": enforce_publishing,
        })
    }
}
