//! Documents as a view.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferryway_delivery::{Content, Export};
use ferryway_model::document::{Document, DocumentId, Published};
use ferryway_model::{
    Binding, Changes, Claimant, Code, Definition, Entry, Key, Name, Problem, Registry,
    RegistryEntry, RouteConflict, RouteIndex, Sealed, ServiceEntry, Upstream, View,
};
use ferryway_runtime::yaml;

/// A problem of a document, by the document's number.
type Found = (usize, Problem);

/// Reads a text, and makes the view of this group of it, or of the only one that is in it.
///
/// # Errors
///
/// All problems, as `LINE:COLUMN: …`.
pub(super) fn read(text: &str, group: Option<&Name>) -> Result<Export, Vec<String>> {
    let documents = yaml::read(text).map_err(|error| {
        vec![format!(
            "{}: not readable as YAML or JSON: {error}",
            error.at
        )]
    })?;
    let parsed = parse(&documents).map_err(|found| shown(&documents, found))?;
    let group = match group {
        Some(group) => group.clone(),
        None => only_group(&parsed).map_err(|what| vec![format!("1:1: {what}")])?,
    };
    let draft = Draft::of(&parsed, &group);
    let (services, mut found) = draft.services();
    found.extend(draft.conflicts(&services));
    if draft.is_nothing() {
        return Err(vec![format!(
            "1:1: nothing here is of the gateway group {group}"
        )]);
    }
    if found.is_empty() {
        Ok(draft.export(group, &services))
    } else {
        Err(shown(&documents, found))
    }
}

/// The problems from top to bottom, each with its place.
fn shown(documents: &[yaml::Document], mut found: Vec<Found>) -> Vec<String> {
    let place = |(n, problem): &Found| documents[*n].place(&problem.path);
    found.sort_by_key(place);
    let show = |one: &Found| format!("{}: {}", place(one), one.1);
    found.iter().map(show).collect()
}

fn parse(documents: &[yaml::Document]) -> Result<Vec<Document>, Vec<Found>> {
    let (mut parsed, mut found) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<DocumentId, usize> = BTreeMap::new();
    for (n, document) in documents.iter().enumerate() {
        match Document::parse(&document.value) {
            Ok(document) => {
                let id = document.id();
                if let Some(first) = seen.get(&id) {
                    let first = documents[*first].place("");
                    let what = format!("declares {id} again, after {first}");
                    found.push((n, Problem::new(Code::Duplicate, "", what)));
                }
                seen.entry(id).or_insert(n);
                parsed.push(document);
            }
            Err(problems) => found.extend(problems.into_iter().map(|problem| (n, problem))),
        }
    }
    if found.is_empty() {
        Ok(parsed)
    } else {
        Err(found)
    }
}

/// The group that all is of.
fn only_group(documents: &[Document]) -> Result<Name, String> {
    let groups: BTreeSet<&Name> = documents.iter().filter_map(group_of).collect();
    let mut names = groups.iter();
    match (names.next(), names.next()) {
        (Some(only), None) => Ok((*only).clone()),
        (None, _) => Err("no document is of a gateway group".to_owned()),
        (Some(_), Some(_)) => {
            let names: Vec<_> = groups.iter().map(|name| name.as_str()).collect();
            let names = names.join(", ");
            Err(format!(
                "here are several gateway groups ({names}); say with --group which one this \
                 instance belongs to"
            ))
        }
    }
}

fn group_of(document: &Document) -> Option<&Name> {
    match document {
        Document::GatewayGroup(group) => Some(&group.name),
        Document::Registry { group, .. } => Some(group),
        Document::PublishedService(published) => Some(&published.group),
        Document::Service { .. } => None,
    }
}

/// What of the documents is one group's, by the document's number.
#[derive(Default)]
struct Draft<'a> {
    /// Whether the group itself has a document.
    is_declared: bool,
    registries: BTreeMap<&'a Name, &'a Sealed<Registry>>,
    published: Vec<(usize, &'a Published)>,
    /// The hub's services: content for what is published from them.
    hub: BTreeMap<&'a Name, &'a Arc<Sealed<Definition>>>,
}

/// A service as the view has it.
struct Service<'a> {
    number: usize,
    published: &'a Published,
    definition: &'a Arc<Sealed<Definition>>,
    binding: &'a Sealed<Binding>,
}

impl<'a> Draft<'a> {
    fn of(documents: &'a [Document], group: &Name) -> Self {
        let mut draft = Self::default();
        for (n, document) in documents.iter().enumerate() {
            let is_ours = group_of(document) == Some(group);
            match document {
                Document::Service { definition, .. } => {
                    draft.hub.insert(&definition.content.name, definition);
                }
                Document::GatewayGroup(_) => draft.is_declared |= is_ours,
                Document::Registry { registry, .. } if is_ours => {
                    draft.registries.insert(&registry.content.name, registry);
                }
                Document::PublishedService(published) if is_ours => {
                    draft.published.push((n, published));
                }
                Document::Registry { .. } | Document::PublishedService(_) => {}
            }
        }
        draft
    }

    fn is_nothing(&self) -> bool {
        !self.is_declared && self.registries.is_empty() && self.published.is_empty()
    }

    /// The services, and what is missing for others.
    fn services(&self) -> (Vec<Service<'a>>, Vec<Found>) {
        let (mut services, mut found) = (Vec::new(), Vec::new());
        for &(number, published) in &self.published {
            let mut note = |code, path: &str, what: String| {
                found.push((number, Problem::new(code, path, what)));
            };
            let name = &published.service;
            let hub = self.hub.get(name).copied();
            let definition = published.definition.as_ref().or(hub);
            if definition.is_none() {
                let what = "is missing, and without a control plane nobody else has it: write the \
                            whole definition, as `ferryway dump --group` does";
                note(Code::Required, "definition", what.to_owned());
            }
            if let (Some(definition), Some(expected)) = (definition, published.digest)
                && definition.digest != expected
            {
                let what = format!(
                    "is not the digest of {name}, which is {}",
                    definition.digest
                );
                note(Code::Invalid, "digest", what);
            }
            if published.binding.is_none() {
                let what = "is missing, and without a control plane there is none that is kept";
                note(Code::BindingRequired, "binding", what.to_owned());
            }
            let binding = published.binding.as_deref();
            if let Some(Upstream::Discovery(discovery)) = binding.map(|it| &it.content.upstream)
                && !self.registries.contains_key(&discovery.registry)
            {
                let registry = &discovery.registry;
                let group = &published.group;
                let what = format!("names the registry {registry}, and {group} has none here");
                note(Code::RegistryMissing, "binding.discovery.registry", what);
            }
            if let (Some(definition), Some(binding)) = (definition, binding) {
                services.push(Service {
                    number,
                    published,
                    definition,
                    binding,
                });
            }
        }
        (services, found)
    }

    /// Routes of enabled services that nothing would tell apart.
    fn conflicts(&self, services: &[Service<'_>]) -> Vec<Found> {
        let claims = services.iter().map(|service| {
            let claim = || Claimant::of(service.definition, &service.binding.content);
            (
                service.published.service.clone(),
                service.is_enabled().then(claim),
            )
        });
        let conflicts = RouteIndex::default().conflicts(&claims.collect(), |_| None);
        let found = conflicts.iter().filter_map(|conflict| {
            let RouteConflict {
                service,
                route,
                path,
                host,
                other_service,
                other_route,
            } = conflict;
            let number = services
                .iter()
                .find(|it| it.published.service == *service)?
                .number;
            let host = host
                .as_ref()
                .map_or_else(String::new, |host| format!(" at {host}"));
            let what = format!(
                "answers the same requests{host} as the route {other_route} of {other_service}, \
                 and no rule says which goes first"
            );
            let place = format!("definition.routes[{route}].paths[{path}]");
            Some((number, Problem::new(Code::RouteConflict, place, what)))
        });
        found.collect()
    }

    fn export(&self, group: Name, services: &[Service<'_>]) -> Export {
        let (mut changes, mut content) = (Changes::default(), Content::new());
        for (name, registry) in &self.registries {
            content.insert(registry.digest, registry.bytes.to_vec().into());
            let entry = RegistryEntry {
                content: registry.digest,
            };
            let key = Key::registry(name);
            changes.upserts.insert(key, Entry::Registry(entry));
        }
        for service in services {
            let Service {
                number: _,
                published,
                definition,
                binding,
            } = service;
            content.insert(definition.digest, definition.bytes.to_vec().into());
            content.insert(binding.digest, binding.bytes.to_vec().into());
            let entry = ServiceEntry {
                version: published.version.clone(),
                definition: definition.digest,
                binding: binding.digest,
                enabled: service.is_enabled(),
                candidate: None,
                rollout: None,
            };
            let key = Key::service(&published.service);
            changes.upserts.insert(key, Entry::Service(entry));
        }
        Export {
            group,
            position: None,
            view: View::empty().with(&changes),
            content,
        }
    }
}

impl Service<'_> {
    fn is_enabled(&self) -> bool {
        self.published.enabled.unwrap_or(true)
    }
}
