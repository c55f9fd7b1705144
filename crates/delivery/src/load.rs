//! From an entry and its content to what can be installed. The same code as the control plane's
//! reads it; whatever it refuses becomes a fault with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ferryway_model::{
    Binding, Code, Definition, Digest, Entry, Key, Name, Problem, Registry, RegistryEntry, Sealed,
    ServiceEntry, Upstream, View,
};
use ferryway_proto::{Fault, Stage};

use crate::candidate::Service;

/// The content of an entry, parsed and checked.
#[derive(Debug)]
pub(crate) enum Loaded {
    Service(Arc<Service>),
    Registry(Arc<Sealed<Registry>>),
}

/// Content by its digest.
pub type Content = BTreeMap<Digest, Bytes>;

/// Most faults that one entry gives rise to.
const FAULTS_PER_ENTRY_MAX: usize = 8;

/// Reads an entry's content.
pub(crate) fn load(key: &Key, entry: &Entry, content: &Content) -> Result<Loaded, Vec<Fault>> {
    let loaded = match entry {
        Entry::Registry(RegistryEntry { content: digest }) => {
            load_registry(&key.name, *digest, content).map(Loaded::Registry)
        }
        Entry::Service(service) => load_service(&key.name, service, content).map(Loaded::Service),
    };
    loaded.map_err(|problems| {
        let problems = problems.into_iter().take(FAULTS_PER_ENTRY_MAX);
        problems.map(|problem| fault(key, entry, problem)).collect()
    })
}

/// A fault where a service's binding names a registry that `target` does not have.
pub(crate) fn dangling(key: &Key, loaded: &Loaded, entry: &Entry, target: &View) -> Option<Fault> {
    let Loaded::Service(service) = loaded else {
        return None;
    };
    let Upstream::Discovery(discovery) = &service.binding.content.upstream else {
        return None;
    };
    let registry = &discovery.registry;
    if target.get(&Key::registry(registry)).is_some() {
        return None;
    }
    let message = format!("names the registry {registry}, which this instance does not have");
    let problem = Problem::new(Code::RegistryMissing, "binding.discovery.registry", message);
    Some(Fault {
        stage: Stage::Reference,
        ..fault(key, entry, problem)
    })
}

fn load_registry(
    name: &Name,
    digest: Digest,
    content: &Content,
) -> Result<Arc<Sealed<Registry>>, Vec<Problem>> {
    let sealed = Registry::from_canonical(bytes(digest, content)?)?;
    require_name(name, &sealed.content.name)?;
    Ok(Arc::new(sealed))
}

fn load_service(
    name: &Name,
    entry: &ServiceEntry,
    content: &Content,
) -> Result<Arc<Service>, Vec<Problem>> {
    let ServiceEntry {
        version,
        definition,
        binding,
        enabled,
        candidate: _, // Refused where an entry comes from the wire.
        rollout: _,
    } = entry;
    let definition = bytes(*definition, content).and_then(Definition::from_canonical);
    let below = |problems: Vec<Problem>| {
        let problems = problems.into_iter();
        problems
            .map(|problem| problem.below("binding"))
            .collect::<Vec<_>>()
    };
    let binding = bytes(*binding, content)
        .and_then(Binding::from_canonical)
        .map_err(below);
    let (definition, binding) = match (definition, binding) {
        (Ok(definition), Ok(binding)) => (definition, binding),
        (Err(mut problems), Err(more)) => {
            problems.extend(more);
            return Err(problems);
        }
        (Err(problems), Ok(_)) | (Ok(_), Err(problems)) => return Err(problems),
    };
    require_name(name, &definition.content.name)?;
    Ok(Arc::new(Service {
        version: version.clone(),
        enabled: *enabled,
        definition: Arc::new(definition),
        binding: Arc::new(binding),
    }))
}

fn bytes(digest: Digest, content: &Content) -> Result<&[u8], Vec<Problem>> {
    content.get(&digest).map(|bytes| &**bytes).ok_or_else(|| {
        let message = format!("the control plane has no content for {digest}");
        vec![Problem::new(Code::Invalid, "", message)]
    })
}

fn require_name(entry: &Name, content: &Name) -> Result<(), Vec<Problem>> {
    if entry == content {
        return Ok(());
    }
    let message = format!("is {content:?}, but the entry is of {entry:?}");
    Err(vec![Problem::new(Code::NameMismatch, "name", message)])
}

fn fault(key: &Key, entry: &Entry, problem: Problem) -> Fault {
    let stage = match problem.code {
        Code::LimitExceeded => Stage::Limit,
        Code::Unsupported => Stage::Schema,
        _ => Stage::Decode,
    };
    let fault = Fault {
        key: key.clone(),
        digest: Some(entry.digest()),
        stage,
        code: problem.code.as_str().to_owned(),
        path: problem.path,
        detail: problem.message,
        evidence: None,
    };
    fault.clipped()
}
