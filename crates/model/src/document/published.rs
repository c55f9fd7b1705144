//! What a document says of a service in a group.

use std::sync::Arc;

use serde_json::{Value, json};

use super::read_needed;
use crate::binding::Binding;
use crate::definition::{Definition, Sealed};
use crate::digest::Digest;
use crate::name::{Name, VersionNumber};
use crate::problem::{Code, Problem};
use crate::walk::{Object, Walk};

/// A service as a group shall run it.
#[derive(Clone, Debug)]
pub struct Published {
    /// The group.
    pub group: Name,
    /// The service.
    pub service: Name,
    /// The version. One that exists is what runs; one that doesn't is made, of `definition`, else of
    /// the service's document in the same call, else of the hub. None: No Version, which needs
    /// `definition`.
    pub version: Option<VersionNumber>,
    /// The content.
    pub definition: Option<Arc<Sealed<Definition>>>,
    /// The digest that the content must have. Where `definition` is given it was compared already.
    pub digest: Option<Digest>,
    /// Where the upstream is in that group; none: the group keeps its own.
    pub binding: Option<Arc<Sealed<Binding>>>,
    /// Whether it serves; none: as it is, and a new one does.
    pub enabled: Option<bool>,
}

/// Fields that answers add by themselves and that are ignored when they are sent back.
const ADDED_BY_ANSWERS: &[&str] = &["title", "convergence"];

impl Published {
    pub(super) fn to_value(&self) -> Value {
        let Self {
            group,
            service,
            version,
            definition,
            digest,
            binding,
            enabled,
        } = self;
        let mut value = json!({"group": group, "service": service, "version": version});
        if let Some(definition) = definition {
            value["definition"] = definition.content.to_value();
        }
        if let Some(digest) = digest {
            value["digest"] = json!(digest);
        }
        if let Some(binding) = binding {
            value["binding"] = binding.content.to_value();
        }
        if let Some(enabled) = enabled {
            value["enabled"] = json!(enabled);
        }
        value
    }
}

/// The same, before its contents get their bytes and digests.
pub(super) struct Draft {
    group: Name,
    service: Name,
    version: Option<VersionNumber>,
    definition: Option<Definition>,
    digest: Option<Digest>,
    binding: Option<Binding>,
    enabled: Option<bool>,
}

impl Draft {
    pub(super) fn read(walk: &mut Walk, mut object: Object<'_>) -> Option<Self> {
        let group = read_needed(walk, &mut object, "group");
        let service: Option<Name> = read_needed(walk, &mut object, "service");
        let version = object.take("version");
        let is_versioned = version.is_some();
        let version = version.and_then(|v| walk.parsed(v, &object.field("version")));
        let definition = object.take("definition");
        if !is_versioned && definition.is_none() {
            let message = "is missing; without a version it says what the group shall run";
            walk.note(Code::Required, &object.field("definition"), message);
        }
        let definition = definition.and_then(|v| {
            let inner = walk.object(v, object.field("definition"))?;
            Definition::read_portable(walk, inner, service.as_ref())
        });
        let digest = object.take("digest");
        let digest = digest.and_then(|v| walk.parsed(v, &object.field("digest")));
        let binding = object.take("binding");
        let binding = binding.and_then(|v| Binding::read(walk, v, object.field("binding")));
        let enabled = object.take("enabled");
        let enabled = enabled.and_then(|v| walk.flag(v, &object.field("enabled")));
        object.only_default(walk, "rollout", &Value::Null, "rollouts");
        object.finish(walk, ADDED_BY_ANSWERS);
        Some(Self {
            group: group?,
            service: service?,
            version,
            definition,
            digest,
            binding,
            enabled,
        })
    }

    pub(super) fn sealed(self) -> Result<Published, Vec<Problem>> {
        let Self {
            group,
            service,
            version,
            definition,
            digest,
            binding,
            enabled,
        } = self;
        let definition = definition
            .map(|definition| definition.sealed().map_err(below_definition))
            .transpose()?;
        if let (Some(definition), Some(expected)) = (&definition, digest)
            && definition.digest != expected
        {
            let message = format!(
                "is not the digest of the definition, which is {}; leave it out, or mend the definition",
                definition.digest
            );
            return Err(vec![Problem::new(Code::Invalid, "digest", message)]);
        }
        Ok(Published {
            group,
            service,
            version,
            definition: definition.map(Arc::new),
            digest,
            binding: binding.map(|binding| Arc::new(binding.seal())),
            enabled,
        })
    }
}

fn below_definition(problems: Vec<Problem>) -> Vec<Problem> {
    let moved = problems.into_iter().map(|p| p.below("definition"));
    moved.collect()
}
