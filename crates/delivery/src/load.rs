//! From an entry and its content to what can be installed. The same code as the control plane's
//! reads it; whatever it refuses becomes a fault with its place.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use ferryway_model::{
    Binding, Code, Definition, Digest, Entry, Key, Name, Problem, Registry, RegistryEntry, Sealed,
    ServiceEntry, Upstream, View,
};
use ferryway_proto::{Fault, Stage};

use crate::candidate::Service;
use crate::limits::CONTENT_BYTES_MAX;

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

/// What became of the reading of an entry's content.
pub(crate) type Read<'e> = (&'e Key, Result<Loaded, Vec<Fault>>);

/// Most threads that read.
const THREADS_MAX: usize = 8;
/// Fewer entries than this are not worth a thread.
const ENTRIES_OF_THREAD_MIN: usize = 32;

/// Reads the content of entries, in their order; of many, on several threads: a start reads all
/// that there is, and clients wait for it.
pub(crate) fn load_all<'e>(entries: &[(&'e Key, &'e Entry)], content: &Content) -> Vec<Read<'e>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = cores
        .min(THREADS_MAX)
        .min(entries.len() / ENTRIES_OF_THREAD_MIN);
    load_on(threads, entries, content)
}

fn load_on<'e>(
    threads: usize,
    entries: &[(&'e Key, &'e Entry)],
    content: &Content,
) -> Vec<Read<'e>> {
    let read = |part: &[(&'e Key, &'e Entry)]| -> Vec<Read<'e>> {
        let part = part.iter();
        part.map(|(key, entry)| (*key, load(key, entry, content)))
            .collect()
    };
    if threads < 2 || entries.is_empty() {
        return read(entries);
    }
    let parts = entries.chunks(entries.len().div_ceil(threads));
    thread::scope(|scope| {
        let reading = |part| {
            let thread = thread::Builder::new().name("load".to_owned());
            (part, thread.spawn_scoped(scope, move || read(part)))
        };
        let reading: Vec<_> = parts.map(reading).collect();
        let results = reading.into_iter().flat_map(|(part, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // There is no thread to be had: slower, and not worse.
            Err(_) => read(part),
        });
        results.collect()
    })
}

/// Reads an entry's content.
fn load(key: &Key, entry: &Entry, content: &Content) -> Result<Loaded, Vec<Fault>> {
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
        let message = format!(
            "there is no content for {digest}: the control plane has none that is whole, or all \
             that came with it is more than {CONTENT_BYTES_MAX} bytes"
        );
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Variant, view_of};

    /// However many threads read, each entry is read as it is alone, and they stay in order.
    #[track_caller]
    fn check(count: u8, threads: usize) {
        let names: Vec<String> = (0..count).map(|n| format!("s{n}")).collect();
        let variant = |n: u8| match n % 7 {
            3 => Variant::Unreadable(n),
            _ => Variant::Good(n),
        };
        let names = names.iter().map(String::as_str);
        let services: Vec<_> = names.zip((0..).map(variant)).collect();
        let (view, content) = view_of(&services);
        let entries: Vec<_> = view.entries().collect();
        let all = load_on(threads, &entries, &content);
        assert_eq!(all.len(), usize::from(count));
        for ((key, entry), (read_key, read)) in entries.into_iter().zip(all) {
            let alone = load(key, entry, &content);
            assert_eq!((key, format!("{alone:?}")), (read_key, format!("{read:?}")));
        }
    }

    #[test]
    fn threads_change_nothing() {
        for threads in [1, 2, 3, 8] {
            for count in [0, 1, 2, 7, 100] {
                check(count, threads);
            }
        }
    }
}
