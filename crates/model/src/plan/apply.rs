//! What documents ask for: the request of a declarative call, and what its plan must know.

mod planned;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

pub use planned::{Action, ApplyPlan, HubService, Resource, ResourceChange, TitledRegistry};

use super::World;
use crate::definition::{Definition, Sealed};
use crate::document::{Document, DocumentId};
use crate::group::Group;
use crate::limits::{DOCUMENTS_IN_CALL_MAX, KEPT_IN_CALL_MAX};
use crate::meta::{Meta, read_labels};
use crate::name::{Name, VersionNumber};
use crate::problem::Code;
use crate::walk::{At, Walk};

/// What a caller declares.
#[derive(Clone, Debug, Default)]
pub struct Apply {
    /// What shall be; in the body's order, which says nothing else.
    pub documents: Vec<Document>,
    /// What shall not be; none: what no document names stays as it is.
    pub prune: Option<Prune>,
}

/// Which resources go if no document names them: those that carry all these labels.
///
/// Groups and services of the hub have labels of their own, as the call leaves them. A published
/// service carries those of its service in the hub: who declares a service declares where it runs,
/// whoever owns the group. So a service of others in a group of one's own stays; and a group that
/// still has one is not deleted, nor one with an instance online. A registry has no labels, and what
/// has none is nobody's to prune: it goes with its group, and else stays.
///
/// A document of a registry or of a published service names its group too, and that of a published
/// service its service: what the call still uses never goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// At least one.
    pub labels: BTreeMap<String, String>,
    /// Resources that stay though the call has no document of them: the rest of what is declared,
    /// where it took more than one call.
    pub keep: BTreeSet<DocumentId>,
}

/// What a plan of documents needs to know beyond [`World`].
pub trait Catalogue: World {
    /// What people set of a group.
    fn group_as_set(&self, group: &Name) -> Option<Group>;
    /// Title, description and labels of a service in the hub.
    fn hub_meta(&self, service: &Name) -> Option<Meta>;
    /// The title of a group's registry; empty: none, or no such registry.
    fn registry_title(&self, group: &Name, registry: &Name) -> String;
    /// What a version number was used for.
    fn version(&self, service: &Name, version: &VersionNumber) -> Option<Arc<Sealed<Definition>>>;
    /// All groups.
    fn groups(&self) -> Vec<Name>;
    /// All services of the hub.
    fn services(&self) -> Vec<Name>;
    /// The registries of a group.
    fn registries_of(&self, group: &Name) -> Vec<Name>;
    /// The services published in a group.
    fn published_in(&self, group: &Name) -> Vec<Name>;
}

impl Apply {
    /// Reads the documents of a call.
    pub fn read_documents(walk: &mut Walk, value: &Value, at: &At<'_>) -> Vec<Document> {
        let Some(items) = walk.list(value, at, DOCUMENTS_IN_CALL_MAX) else {
            return Vec::new();
        };
        let mut documents = Vec::with_capacity(items.len());
        for (n, item) in items.iter().enumerate() {
            match Document::parse(item) {
                Ok(document) => documents.push(document),
                Err(problems) => walk.note_all(problems, &At::Item(at, n)),
            }
        }
        documents
    }
}

impl Prune {
    /// Reads `{labels, keep?}`.
    pub fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Option<Self> {
        let mut object = walk.object(value, at)?;
        let labels = object.need(walk, "labels")?;
        let place = object.field("labels");
        let labels = read_labels(walk, labels, place);
        if labels.is_empty() {
            let message = "is empty; name at least one label, so that not everything goes";
            walk.note(Code::Required, &object.field("labels"), message);
        }
        let keep = object.take("keep");
        let keep = keep.map_or_else(BTreeSet::new, |v| read_ids(walk, v, &object.field("keep")));
        object.finish(walk, &[]);
        Some(Self { labels, keep })
    }

    /// Whether a resource with these labels is among those that go.
    #[must_use]
    pub fn is_of(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    }
}

fn read_ids(walk: &mut Walk, value: &Value, at: &At<'_>) -> BTreeSet<DocumentId> {
    let items = walk.list(value, at, KEPT_IN_CALL_MAX).unwrap_or_default();
    let ids = items.iter().enumerate();
    ids.filter_map(|(n, item)| DocumentId::read(walk, item, At::Item(at, n)))
        .collect()
}
