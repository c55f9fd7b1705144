//! Declarative calls: what is made, what stays untouched, what is refused, what it leaves behind.

use ferryway_api::body::OptionsBody;
use ferryway_api::{Applied, ApplyBody, Operation, OperationKind, OperationState, ResourceAction};

use super::delivery::Puppet;
use super::*;

mod made;
mod pruned;
mod refused;
mod repeated;

fn group(name: &str) -> Value {
    json!({"kind": "gateway_group", "name": name})
}

fn registry(group: &str) -> Value {
    json!({"kind": "registry", "group": group, "name": "dns", "type": "dns", "title": "DNS"})
}

fn service(name: &str) -> Value {
    json!({"kind": "service", "name": name, "title": name, "labels": {"team": "core"},
        "routes": [{"name": "r", "paths": [format!("/{name}")]}]})
}

fn runs(group: &str, service: &str, version: &str) -> Value {
    json!({"kind": "published_service", "group": group, "service": service, "version": version,
        "binding": {"nodes": [{"host": "up.example", "port": 80}]}})
}

/// Everything of two groups, in an order in which nothing could be made one by one.
fn all() -> Vec<Value> {
    let found = json!({"discovery": {"registry": "dns", "service": "b.example"}});
    let mut discovered = runs("production", "b", "1");
    discovered["binding"] = found;
    vec![
        discovered,
        runs("test", "a", "1"),
        runs("test", "b", "1"),
        registry("production"),
        service("a"),
        service("b"),
        group("production"),
        group("test"),
    ]
}

fn body(resources: &[Value]) -> Value {
    json!({"resources": resources})
}

fn pruned(resources: &[Value]) -> Value {
    json!({"resources": resources, "prune": {"labels": {"team": "core"}}})
}

impl Api {
    async fn apply(&self, body: &Value) -> Applied {
        let reply = self.send("POST", "/apply", body.clone()).await;
        assert!(reply.status.is_success(), "{reply:?}");
        serde_json::from_value(reply.json()).expect("is an answer")
    }

    /// What the store holds of operations, audit entries and revisions.
    fn marks(&self) -> (usize, usize, Vec<u64>) {
        self.core.read(|memory| {
            let heads = memory.groups.values().map(|group| group.head.revision.0);
            (memory.operations.len(), memory.audit.len(), heads.collect())
        })
    }

    /// Everything, as documents, made of what the API shows: no test knows the memory better.
    async fn dump(&self) -> Vec<Value> {
        let items = async |path: &str| {
            let list = self.get(path).await.json();
            assert_eq!(list["next_cursor"], Value::Null, "one page is enough");
            list["items"].as_array().expect("is a list").clone()
        };
        let mut documents = Vec::new();
        for mut group in items("/gateway-groups").await {
            group["kind"] = json!("gateway_group");
            let name = group["name"].as_str().expect("has a name").to_owned();
            documents.push(group);
            for mut registry in items(&format!("/gateway-groups/{name}/registries")).await {
                registry["type"] = registry["kind"].take();
                registry["kind"] = json!("registry");
                registry["group"] = json!(name);
                documents.push(registry);
            }
            for mut published in items(&format!("/gateway-groups/{name}/services")).await {
                let service = published["service"].as_str().expect("has a name");
                let path = format!("/gateway-groups/{name}/services/{service}/definition");
                published["definition"] = self.get(&path).await.json();
                published["kind"] = json!("published_service");
                published["group"] = json!(name);
                documents.push(published);
            }
        }
        for mut service in items("/services").await {
            service["kind"] = json!("service");
            documents.push(service);
        }
        documents
    }

    /// The views' roots, by group.
    async fn roots(&self) -> Vec<(String, String)> {
        let groups = self.get("/gateway-groups").await.json();
        let groups = groups["items"].as_array().expect("is a list").clone();
        let text = |value: &Value| value.as_str().expect("is a text").to_owned();
        let roots = groups
            .iter()
            .map(|it| (text(&it["name"]), text(&it["root"])));
        roots.collect()
    }
}

/// What became of each resource, in lines: `create test/a`, `delete b`.
fn actions(applied: &Applied) -> Vec<String> {
    let lines = applied.resources.iter().map(|it| {
        let action = json!(it.action);
        let action = action.as_str().expect("is a text");
        match &it.group {
            Some(group) => format!("{action} {group}/{}", it.name),
            None => format!("{action} {}", it.name),
        }
    });
    lines.collect()
}
