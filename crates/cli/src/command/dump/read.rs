//! What is, read from the control plane as documents.
//!
//! It takes several calls, and things change in between. So the groups' revisions are read before
//! and after: if one has grown, it is read again.

use std::collections::BTreeMap;

use ferryway_api::client::escape;
use ferryway_api::{Group, PublishedService, Registry, Service};
use ferryway_model::Name;
use serde_json::{Map, Value, json};

use crate::exit::Failure;
use crate::session::Session;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Dumped {
    /// What should be known of it, for people.
    pub(super) said: Vec<String>,
    /// In the order in which one needs the other.
    pub(super) documents: Vec<Value>,
}

/// A group's view: the group, its registries, and what it runs, each with its whole definition.
pub(super) async fn view(session: &Session, group: &Name) -> Result<Dumped, Failure> {
    let path = format!("/gateway-groups/{group}");
    for _ in 0..TRIES_MAX {
        let before: Group = session.client.get(&path).await?;
        let mut documents = vec![group_document(&before)];
        documents.extend(registries(session, group.as_str()).await?);
        for published in published(session, group.as_str()).await? {
            let definition = definition(session, group.as_str(), &published.service).await?;
            documents.push(published_document(
                group.as_str(),
                &published,
                Some(definition),
            ));
        }
        let after: Group = session.client.get(&path).await?;
        if same(&before, &after) {
            let said = format!(
                "{group} at revision {}, root {}",
                after.revision, after.root
            );
            return Ok(Dumped {
                said: vec![said],
                documents,
            });
        }
    }
    Err(moving())
}

/// Everything: groups, registries, the hub, and what groups run.
pub(super) async fn all(session: &Session) -> Result<Dumped, Failure> {
    for _ in 0..TRIES_MAX {
        let before: Vec<Group> = session.client.all("/gateway-groups").await?;
        let hub: Vec<Service> = session.client.all("/services").await?;
        let hub: BTreeMap<String, Service> = hub
            .into_iter()
            .filter_map(|it| Some((it.definition.get("name")?.as_str()?.to_owned(), it)))
            .collect();
        let mut documents: Vec<_> = before.iter().map(group_document).collect();
        for group in &before {
            documents.extend(registries(session, &group.name).await?);
        }
        documents.extend(hub.values().map(service_document));
        for group in &before {
            for published in published(session, &group.name).await? {
                let from_hub = hub.get(&published.service);
                let is_hubs = from_hub.is_some_and(|it| it.digest == published.digest);
                // The hub's document says it already; the digest holds it to that.
                let definition = if is_hubs && published.version.is_some() {
                    None
                } else {
                    Some(definition(session, &group.name, &published.service).await?)
                };
                documents.push(published_document(&group.name, &published, definition));
            }
        }
        let after: Vec<Group> = session.client.all("/gateway-groups").await?;
        let is_same = before.len() == after.len()
            && before
                .iter()
                .zip(&after)
                .all(|(before, after)| same(before, after));
        if is_same {
            return Ok(Dumped {
                said: Vec::new(),
                documents,
            });
        }
    }
    Err(moving())
}

fn same(before: &Group, after: &Group) -> bool {
    (&before.name, before.revision, &before.root) == (&after.name, after.revision, &after.root)
}

fn moving() -> Failure {
    Failure::Other(format!(
        "it changed while it was read, {TRIES_MAX} times in a row; try again when less goes on"
    ))
}

async fn registries(session: &Session, group: &str) -> Result<Vec<Value>, Failure> {
    let path = format!("/gateway-groups/{group}/registries");
    let registries: Vec<Registry> = session.client.all(&path).await?;
    Ok(registries
        .iter()
        .map(|it| registry_document(group, it))
        .collect())
}

async fn published(session: &Session, group: &str) -> Result<Vec<PublishedService>, Failure> {
    let path = format!("/gateway-groups/{group}/services");
    Ok(session.client.all(&path).await?)
}

async fn definition(session: &Session, group: &str, service: &str) -> Result<Value, Failure> {
    let path = format!(
        "/gateway-groups/{group}/services/{}/definition",
        escape(service)
    );
    let mut found: Map<String, Value> = session.client.get(&path).await?;
    found.retain(|name, _| !ADDED.contains(&name.as_str()));
    Ok(found.into())
}

fn group_document(group: &Group) -> Value {
    let Group {
        name,
        title,
        description,
        labels,
        enforce_publishing,
        revision: _,
        root: _,
        instances: _,
    } = group;
    json!({
        "kind": "gateway_group", "name": name, "title": title, "description": description,
        "labels": labels, "enforce_publishing": enforce_publishing,
    })
}

fn registry_document(group: &str, registry: &Registry) -> Value {
    let Registry { title, settings } = registry;
    let mut document = settings.clone();
    let kind = document.insert("kind".to_owned(), "registry".into());
    document.insert("type".to_owned(), kind.unwrap_or_default());
    document.insert("group".to_owned(), group.into());
    document.insert("title".to_owned(), title.as_str().into());
    document.retain(|name, _| !ADDED.contains(&name.as_str()));
    document.into()
}

fn service_document(service: &Service) -> Value {
    let Service {
        title,
        description,
        labels,
        digest: _,
        created_at: _,
        updated_at: _,
        versions: _,
        running_in: _,
        definition,
    } = service;
    let mut document = definition.clone();
    document.retain(|name, _| !ADDED.contains(&name.as_str()));
    for (field, value) in [
        ("kind", json!("service")),
        ("title", json!(title)),
        ("description", json!(description)),
        ("labels", json!(labels)),
    ] {
        document.insert(field.to_owned(), value);
    }
    document.into()
}

fn published_document(
    group: &str,
    published: &PublishedService,
    definition: Option<Value>,
) -> Value {
    let PublishedService {
        service,
        title: _,
        version,
        digest,
        enabled,
        binding,
        rollout: _,
        convergence: _,
    } = published;
    let mut document = json!({
        "kind": "published_service", "group": group, "service": service, "version": version,
        "digest": digest, "enabled": enabled, "binding": binding,
    });
    if let Some(definition) = definition {
        document["definition"] = definition;
    }
    document
}

/// Fields that answers add by themselves.
const ADDED: &[&str] = &[
    "schema",
    "digest",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "versions",
    "running_in",
];
/// How often something is read that changes meanwhile.
const TRIES_MAX: usize = 5;

#[cfg(test)]
pub(super) mod tests {
    use ferryway_model::document::Document;

    use super::*;

    fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    /// Documents made of answers as the API gives them.
    pub(in super::super) fn documents() -> Vec<Value> {
        let digest = "blake3:0000000000000000000000000000000000000000000000000000000000000000";
        let group: Group = of(json!({
            "name": "production", "title": "Production Group", "description": "",
            "labels": {"team": "core"}, "enforce_publishing": true, "revision": 42, "root": digest,
            "instances": {"online": 1, "offline": 0, "converged": 1},
        }));
        let registry: Registry = of(json!({
            "title": "Names", "name": "dns", "kind": "dns", "endpoints": ["10.0.0.1:53"],
            "auth": null, "empty_after": "30s", "min_ttl": "1s", "max_ttl": "5m",
        }));
        let definition = json!({
            "name": "httpbin", "hosts": ["api.example"], "base_path": "",
            "routes": [{
                "name": "user", "paths": ["/users/{id}"], "methods": ["GET"], "priority": 0,
                "match": [], "timeout": null, "plugins": {},
            }],
            "plugins": {}, "checks": [],
        });
        let mut service = definition.clone();
        for (field, value) in [
            ("title", json!("httpbin API")),
            ("description", json!("")),
            ("labels", json!({})),
            ("digest", json!(digest)),
            ("created_at", json!("2026-11-24T08:00:00Z")),
            ("updated_at", json!("2026-11-24T08:00:00Z")),
            ("versions", json!(1)),
            ("running_in", json!(["production"])),
            ("schema", json!(1)),
            ("created_by", json!("admin")),
        ] {
            service[field] = value;
        }
        let service: Service = of(service);
        let published = |version: Value| -> PublishedService {
            of(json!({
                "service": "httpbin", "title": "httpbin API", "version": version, "digest": digest,
                "enabled": true, "rollout": null,
                "binding": {"nodes": [{"host": "a", "port": 80, "weight": 100, "priority": 0}],
                            "hosts": null, "scheme": null},
                "convergence": {"online": 1, "converged": 1, "held": 0},
            }))
        };
        let mut documents = vec![
            group_document(&group),
            registry_document("production", &registry),
            service_document(&service),
            published_document("production", &published(json!("1.0.0")), None),
        ];
        let mut edited = published_document("test", &published(Value::Null), Some(definition));
        // No digest is that of a definition without its defaults.
        edited.as_object_mut().unwrap().remove("digest");
        documents.push(edited);
        documents
    }

    #[test]
    fn answers_become_documents() {
        for document in documents() {
            if let Err(problems) = Document::parse(&document) {
                panic!("{document:#}: {problems:?}");
            }
        }
    }
}
