//! Documents: resources as files declare them.
//!
//! One document is one resource, flat: its `kind`, where it lies, and beside these the body that
//! the REST API takes for it. `apply` sends them, `dump` writes them, `validate` reads them without
//! a server, and a gateway's `--static` takes a group's. All four read with [`Document::parse`], so
//! what one of them accepts, all do.
//!
//! | `kind` | beside it |
//! |---|---|
//! | `gateway_group` | the group's body, `name` included |
//! | `registry` | `group`, and the registry's body with `name`; what the body calls `kind` is `type` here (`type: dns`), since a document's `kind` says what the document is |
//! | `service` | the hub's definition with `name`, title, description and labels |
//! | `published_service` | `group`, `service`, and `version`, `definition`, `digest`, `binding`, `enabled` as [`Published`] has them |
//!
//! What an answer of the API adds by itself (digests, times, counts) is ignored, as in a PUT, so a
//! document may be made of an answer. Absent on purpose: where in which file a document stands. A
//! problem's place is relative to its document; who knows the file puts line and column to it.

mod published;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Value, json};

pub use published::Published;

use crate::definition::{Definition, Sealed};
use crate::group::Group;
use crate::meta::Meta;
use crate::name::Name;
use crate::problem::Problem;
use crate::registry::Registry;
use crate::walk::{At, Object, Walk, nearest, quoted};

/// One resource, as a file declares it.
#[derive(Clone, Debug)]
pub enum Document {
    /// A gateway group. What runs in it and its registries are documents of their own.
    GatewayGroup(Group),
    /// A registry of a group.
    Registry {
        /// The group.
        group: Name,
        /// What is delivered.
        registry: Arc<Sealed<Registry>>,
        /// Its name for people; empty: none.
        title: String,
    },
    /// A service in the hub.
    Service {
        /// What a version is made of.
        definition: Arc<Sealed<Definition>>,
        /// Its title, description and labels.
        meta: Meta,
    },
    /// What a group runs of a service.
    PublishedService(Published),
}

/// What a document is of. Ordered as one thing needs the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// A gateway group.
    GatewayGroup,
    /// A registry of a group.
    Registry,
    /// A service in the hub.
    Service,
    /// What a group runs of a service.
    PublishedService,
}

/// Which resource a document is of: two documents of one call never have the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId {
    /// What it is.
    pub kind: DocumentKind,
    /// The group that it lies in; none for groups and for services of the hub.
    pub group: Option<Name>,
    /// Its name; for a published service that of the service.
    pub name: Name,
}

/// A text that names no [`DocumentKind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidKind(String);

impl Document {
    /// Reads one document.
    ///
    /// # Errors
    /// All problems, each with its place in the document.
    pub fn parse(body: &Value) -> Result<Self, Vec<Problem>> {
        let mut walk = Walk::new();
        let read = walk
            .object(body, At::Root)
            .and_then(|object| Draft::read(&mut walk, object));
        walk.finish(read)?.sealed()
    }

    /// Which resource it is of.
    #[must_use]
    pub fn id(&self) -> DocumentId {
        let (kind, group, name) = match self {
            Self::GatewayGroup(group) => (DocumentKind::GatewayGroup, None, &group.name),
            Self::Registry {
                group, registry, ..
            } => (DocumentKind::Registry, Some(group), &registry.content.name),
            Self::Service { definition, .. } => {
                (DocumentKind::Service, None, &definition.content.name)
            }
            Self::PublishedService(published) => (
                DocumentKind::PublishedService,
                Some(&published.group),
                &published.service,
            ),
        };
        DocumentId {
            kind,
            group: group.cloned(),
            name: name.clone(),
        }
    }

    /// The document as it is written, with its defaults filled in. Read again it is the same.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = match self {
            Self::GatewayGroup(group) => group.to_value(),
            Self::Registry {
                group,
                registry,
                title,
            } => {
                let mut value = registry.content.to_value();
                value["type"] = value["kind"].take();
                value["group"] = json!(group);
                value["title"] = json!(title);
                value
            }
            Self::Service {
                definition,
                meta:
                    Meta {
                        title,
                        description,
                        labels,
                    },
            } => {
                let mut value = definition.content.to_value();
                value["title"] = json!(title);
                value["description"] = json!(description);
                value["labels"] = json!(labels);
                value
            }
            Self::PublishedService(published) => published.to_value(),
        };
        value["kind"] = json!(self.id().kind.as_str());
        value
    }
}

/// A document that was read, before its contents get their bytes and digests.
enum Draft {
    GatewayGroup(Group),
    Registry(Name, Registry, String),
    Service(Definition, Meta),
    PublishedService(published::Draft),
}

impl Draft {
    fn read(walk: &mut Walk, mut object: Object<'_>) -> Option<Self> {
        let kind = object.need(walk, "kind")?;
        // Without its kind nothing can be said of the rest.
        let kind = walk.parsed(kind, &object.field("kind"))?;
        match kind {
            DocumentKind::GatewayGroup => Group::read(walk, object, None).map(Self::GatewayGroup),
            DocumentKind::Registry => {
                let group = read_needed(walk, &mut object, "group");
                let (registry, title) = Registry::read(walk, object, None, "type")?;
                Some(Self::Registry(group?, registry, title))
            }
            DocumentKind::Service => {
                let (definition, meta) = Definition::read_service(walk, object, None)?;
                Some(Self::Service(definition, meta))
            }
            DocumentKind::PublishedService => {
                published::Draft::read(walk, object).map(Self::PublishedService)
            }
        }
    }

    fn sealed(self) -> Result<Document, Vec<Problem>> {
        Ok(match self {
            Self::GatewayGroup(group) => Document::GatewayGroup(group),
            Self::Registry(group, registry, title) => Document::Registry {
                group,
                registry: Arc::new(registry.seal()),
                title,
            },
            Self::Service(definition, meta) => Document::Service {
                definition: Arc::new(definition.sealed()?),
                meta,
            },
            Self::PublishedService(draft) => Document::PublishedService(draft.sealed()?),
        })
    }
}

/// Takes a field that must be there and parse.
fn read_needed<T>(walk: &mut Walk, object: &mut Object<'_>, name: &'static str) -> Option<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let value = object.need(walk, name)?;
    walk.parsed(value, &object.field(name))
}

impl DocumentId {
    /// Reads `{kind, group?, name}`.
    pub(crate) fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Option<Self> {
        let mut object = walk.object(value, at)?;
        let kind: Option<DocumentKind> = read_needed(walk, &mut object, "kind");
        let group = kind
            .is_some_and(DocumentKind::is_in_group)
            .then(|| read_needed(walk, &mut object, "group"));
        let name = read_needed(walk, &mut object, "name");
        object.finish(walk, &[]);
        Some(Self {
            kind: kind?,
            group: match group {
                Some(group) => Some(group?),
                None => None,
            },
            name: name?,
        })
    }
}

impl DocumentKind {
    /// Every kind there is.
    pub const ALL: &[Self] = &[
        Self::GatewayGroup,
        Self::Registry,
        Self::Service,
        Self::PublishedService,
    ];

    /// The kind as documents write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GatewayGroup => "gateway_group",
            Self::Registry => "registry",
            Self::Service => "service",
            Self::PublishedService => "published_service",
        }
    }

    /// Whether a resource of this kind lies in a group.
    #[must_use]
    pub const fn is_in_group(self) -> bool {
        match self {
            Self::GatewayGroup | Self::Service => false,
            Self::Registry | Self::PublishedService => true,
        }
    }
}

impl FromStr for DocumentKind {
    type Err = InvalidKind;

    fn from_str(text: &str) -> Result<Self, InvalidKind> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == text);
        found.copied().ok_or_else(|| {
            let names = || Self::ALL.iter().map(|kind| kind.as_str());
            let known = names().collect::<Vec<_>>().join(", ");
            InvalidKind(match nearest(text, names()) {
                Some(near) => format!("is no kind of document; did you mean {}?", quoted(near)),
                None => format!("is no kind of document; known are {known}"),
            })
        })
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for DocumentKind {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// As people write it: `service httpbin`, `registry dns in production`.
impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, group, name } = self;
        let kind = kind.as_str().replace('_', " ");
        match group {
            None => write!(f, "{kind} {name}"),
            Some(group) => write!(f, "{kind} {name} in {group}"),
        }
    }
}
