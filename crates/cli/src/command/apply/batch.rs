//! What goes in one call, and what must go in several.
//!
//! All documents go in one call, and so in one transaction, where they fit. Where they don't, they
//! go in steps, in the order in which one thing needs the other. Each call has beside its own
//! documents those that they need (a published service its group, the registry of its binding and
//! the service), so that each can be planned by itself, before any of them is made: those beside
//! are as declared by then, and nothing happens to them again.

use std::collections::{BTreeMap, BTreeSet};

use ferryway_api::ResourceId;
use ferryway_model::limits::{BODY_BYTES_MAX, DOCUMENTS_IN_CALL_MAX};
use serde_json::Value;

/// The documents of one call, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// What it is, as people are told; none where it is all.
    pub(super) name: Option<String>,
    /// What the call is made for.
    pub(super) own: Vec<usize>,
    /// What those need, and another call is made for.
    pub(super) beside: Vec<usize>,
    /// Whether what is declared nowhere goes with it.
    pub(super) prunes: bool,
}

impl Batch {
    /// All documents, in the order in which they are sent.
    pub(super) fn sent(&self) -> impl Iterator<Item = usize> {
        self.own.iter().chain(&self.beside).copied()
    }
}

/// A document as far as it matters where it goes. What is wrong with it, the control plane says.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// Which resource it is of; none where it does not say so.
    pub(super) id: Option<ResourceId>,
    /// The registry that its binding names.
    registry: Option<String>,
    /// As it is sent.
    bytes: usize,
}

impl Declared {
    pub(super) fn of(document: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let kind = text(&document["kind"]);
        let is_published = kind.as_deref() == Some(PUBLISHED);
        let name = text(&document[if is_published { "service" } else { "name" }]);
        let id = kind.zip(name).map(|(kind, name)| ResourceId {
            group: (is_published || kind == REGISTRY)
                .then(|| text(&document["group"]).unwrap_or_default()),
            kind,
            name,
        });
        Self {
            id,
            registry: text(&document["binding"]["discovery"]["registry"]),
            bytes: document.to_string().len(),
        }
    }

    fn kind(&self) -> &str {
        self.id.as_ref().map_or("", |id| id.kind.as_str())
    }
}

/// Everything in one call, if that is not too long.
pub(super) fn whole(documents: &[Declared], prunes: bool) -> Option<Batch> {
    let bytes: usize = documents.iter().map(|it| it.bytes + 1).sum();
    let fits = documents.len() <= DOCUMENTS_IN_CALL_MAX && bytes <= BYTES_MAX;
    fits.then(|| Batch {
        name: None,
        own: (0..documents.len()).collect(),
        beside: Vec::new(),
        prunes,
    })
}

/// Everything in as many calls as it takes.
pub(super) fn steps(documents: &[Declared], prunes: bool) -> Vec<Batch> {
    let mut base = Vec::new();
    let mut services = Vec::new();
    let mut published: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (n, document) in documents.iter().enumerate() {
        match document.kind() {
            SERVICE => services.push(n),
            PUBLISHED => published.entry(group_of(document)).or_default().push(n),
            // Also what has no kind: the first call will say what is wrong with it.
            _ => base.push(n),
        }
    }
    let needs = Needs::of(documents);
    let mut steps = numbered("gateway groups and registries", needs.pack(&base));
    steps.extend(numbered("services", needs.pack(&services)));
    for (group, numbers) in published {
        let name = format!("published services in {group}");
        steps.extend(numbered(&name, needs.pack(&numbers)));
    }
    if prunes {
        steps.push(Batch {
            name: Some("what is declared nowhere".to_owned()),
            own: Vec::new(),
            beside: Vec::new(),
            prunes,
        });
    }
    steps
}

fn group_of(document: &Declared) -> &str {
    let group = document.id.as_ref().and_then(|id| id.group.as_deref());
    group.unwrap_or_default()
}

fn numbered(name: &str, parts: Vec<(Vec<usize>, Vec<usize>)>) -> Vec<Batch> {
    let all = parts.len();
    let parts = parts.into_iter().zip(1..);
    let batch = |((own, beside), n)| Batch {
        name: Some(if all == 1 {
            name.to_owned()
        } else {
            format!("{name} ({n} of {all})")
        }),
        own,
        beside,
        prunes: false,
    };
    parts.map(batch).collect()
}

/// What documents need of each other.
struct Needs<'a> {
    documents: &'a [Declared],
    numbers: BTreeMap<ResourceId, usize>,
}

impl<'a> Needs<'a> {
    fn of(documents: &'a [Declared]) -> Self {
        let numbers = documents.iter().enumerate();
        let numbers = numbers.filter_map(|(n, it)| Some((it.id.clone()?, n)));
        Self {
            documents,
            numbers: numbers.collect(),
        }
    }

    /// The documents that one needs, as far as there are any.
    fn beside(&self, number: usize) -> Vec<usize> {
        let document = &self.documents[number];
        let Some(id) = &document.id else {
            return Vec::new();
        };
        let named = |kind: &str, group: Option<&String>, name: &str| {
            let id = ResourceId {
                kind: kind.to_owned(),
                group: group.cloned(),
                name: name.to_owned(),
            };
            self.numbers.get(&id).copied()
        };
        let group = id.group.as_deref();
        let group = group.and_then(|group| named(GROUP, None, group));
        let service = (id.kind == PUBLISHED).then(|| named(SERVICE, None, &id.name));
        let registry = document.registry.as_ref();
        let registry = registry.and_then(|it| named(REGISTRY, id.group.as_ref(), it));
        [group, service.flatten(), registry]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Parts of these documents that each fit into a call, with what they need beside them.
    fn pack(&self, numbers: &[usize]) -> Vec<(Vec<usize>, Vec<usize>)> {
        let mut parts = Vec::new();
        let (mut own, mut sent, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
        for &number in numbers {
            let mut more: BTreeSet<usize> = self.beside(number).into_iter().collect();
            more.insert(number);
            let cost = |sent: &BTreeSet<usize>| -> usize {
                let new = more.difference(sent);
                new.map(|&n| self.documents[n].bytes + 1).sum()
            };
            let is_full = own.len() >= OWN_MAX || bytes + cost(&sent) > BYTES_MAX;
            if is_full && !own.is_empty() {
                parts.push((std::mem::take(&mut own), std::mem::take(&mut sent)));
                bytes = 0;
            }
            bytes += cost(&sent);
            sent.extend(more);
            own.push(number);
        }
        if !own.is_empty() {
            parts.push((own, sent));
        }
        let beside = |(own, sent): (Vec<usize>, BTreeSet<usize>)| {
            let beside = sent.into_iter().filter(|n| !own.contains(n)).collect();
            (own, beside)
        };
        parts.into_iter().map(beside).collect()
    }
}

const GROUP: &str = "gateway_group";
const REGISTRY: &str = "registry";
const SERVICE: &str = "service";
const PUBLISHED: &str = "published_service";
/// The documents of one call together, in bytes: what the API takes, less room for the rest.
const BYTES_MAX: usize = BODY_BYTES_MAX - 64 * 1024;
/// Documents that a step is made for. A published service may take one place in a transaction, and
/// its service another; a transaction has 128, and the call takes some itself.
const OWN_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn declared(documents: &[Value]) -> Vec<Declared> {
        documents.iter().map(Declared::of).collect()
    }

    fn estate(groups: usize, services: usize, bytes: usize) -> Vec<Value> {
        let text = "x".repeat(bytes);
        let mut all = Vec::new();
        for g in 0..groups {
            all.push(json!({"kind": "gateway_group", "name": format!("g{g}")}));
            all.push(json!({"kind": "registry", "group": format!("g{g}"), "name": "dns"}));
            for s in 0..services {
                let binding = json!({"discovery": {"registry": "dns"}});
                all.push(json!({
                    "kind": "published_service", "group": format!("g{g}"),
                    "service": format!("s{s}"), "binding": binding,
                }));
            }
        }
        for s in 0..services {
            all.push(json!({"kind": "service", "name": format!("s{s}"), "description": text}));
        }
        all
    }

    #[test]
    fn what_fits_is_one_call() {
        let documents = declared(&estate(2, 3, 10));
        let batch = whole(&documents, true).unwrap();
        assert_eq!(
            batch.sent().collect::<Vec<_>>(),
            (0..13).collect::<Vec<_>>()
        );
        assert!(whole(&declared(&estate(1, 3, 400_000)), false).is_none());
    }

    #[test]
    fn steps_have_names_and_an_order() {
        let documents = declared(&estate(2, 60, 10));
        let steps = steps(&documents, true);
        let names: Vec<_> = steps
            .iter()
            .map(|it| {
                format!(
                    "{} {}+{}",
                    it.name.as_deref().unwrap(),
                    it.own.len(),
                    it.beside.len()
                )
            })
            .collect();
        insta::assert_snapshot!(names.join("\n"), @"
            gateway groups and registries 4+0
            services (1 of 2) 40+0
            services (2 of 2) 20+0
            published services in g0 (1 of 2) 40+42
            published services in g0 (2 of 2) 20+22
            published services in g1 (1 of 2) 40+42
            published services in g1 (2 of 2) 20+22
            what is declared nowhere 0+0
        ");
    }

    #[test]
    fn a_document_that_says_nothing_goes_first() {
        let documents = declared(&[
            json!({"kind": "service", "name": "s"}),
            json!({"name": "x"}),
            json!(7),
        ]);
        let steps = steps(&documents, false);
        assert_eq!(steps[0].own, [1, 2]);
        assert_eq!(steps[1].own, [0]);
    }

    proptest! {
        /// Every document is some step's own, once; what it needs is in that step's call, and in
        /// an earlier step's own; and no call is too long that has more than one.
        #[test]
        fn steps_are_whole(groups in 0usize..4, services in 0usize..130, bytes in 0usize..60_000) {
            let mut documents = declared(&estate(groups, services, 0));
            let services = documents.iter_mut().filter(|it| it.kind() == SERVICE);
            services.for_each(|it| it.bytes += bytes);
            let needs = Needs::of(&documents);
            let mut done = BTreeSet::new();
            for step in steps(&documents, false) {
                let sent: BTreeSet<_> = step.sent().collect();
                let size: usize = sent.iter().map(|&n| documents[n].bytes + 1).sum();
                prop_assert!(size <= BYTES_MAX || step.own.len() == 1);
                prop_assert!(step.own.len() <= OWN_MAX);
                for &n in &step.own {
                    for needed in needs.beside(n) {
                        prop_assert!(sent.contains(&needed));
                        prop_assert!(done.contains(&needed) || step.own.contains(&needed));
                    }
                }
                for n in step.own {
                    prop_assert!(done.insert(n));
                }
            }
            prop_assert_eq!(done.len(), documents.len());
        }
    }
}
