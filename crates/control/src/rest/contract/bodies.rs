//! What bodies may exactly say.
//!
//! Types describe them loosely: their open parts are read by the model's walk, not by serde. The
//! exact form of those parts is `bodies.json`, and a test holds it together with what the model
//! writes. What no schema can say (that names are unique, that a path is in normal form) is left to
//! the answer.

use ferryway_model::limits::{NAME_CHARS_MAX, VERSION_CHARS_MAX};
use serde_json::{Map, Value, json};

/// Schemas that are added, or stand in place of those made from types.
const EXACT: &str = include_str!("bodies.json");

/// Bodies made from types, each with what callers may send back as answers had it: it is ignored.
const BODIES: &[(&str, &[&str])] = &[
    (
        "GroupBody",
        &["revision", "root", "instances", "created_at", "updated_at"],
    ),
    ("TokenBody", &["id", "created_at", "created_by"]),
    (
        "JoinTokenBody",
        &["id", "created_at", "created_by", "uses", "used_by"],
    ),
    ("PublishBody", &[]),
    ("SyncServiceBody", &[]),
    ("SyncGroupBody", &[]),
    ("SyncItemBody", &[]),
    ("TargetBody", &[]),
    ("GroupTargetBody", &[]),
    ("RollbackBody", &[]),
    ("SetBody", &[]),
    ("ApplyBody", &[]),
    ("PruneBody", &[]),
    ("ResourceId", &[]),
];

/// Fields of bodies whose type says too little, by the name that they have in every body.
const FIELDS: &[(&str, &str)] = &[
    ("name", "Name"),
    ("group", "Name"),
    ("service", "Name"),
    ("version", "VersionNumber"),
    ("expect_version", "VersionNumber"),
    ("digest", "Digest"),
    ("expect_digest", "Digest"),
    ("expect_plan", "Digest"),
    ("labels", "Labels"),
    ("title", "Title"),
    ("description", "Description"),
    ("binding", "Binding"),
    ("rollout", "RolloutBody"),
];

/// The form of names.
pub(super) fn name() -> Value {
    json!({
        "type": "string", "maxLength": NAME_CHARS_MAX,
        "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    })
}

/// The form of version numbers.
pub(super) fn version() -> Value {
    json!({
        "type": "string", "maxLength": VERSION_CHARS_MAX,
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._+-]*$",
    })
}

/// Makes the schemas of all bodies exact.
pub(super) fn make_exact(schemas: &mut Map<String, Value>) {
    schemas.extend(exact());
    for (body, ignored) in BODIES {
        let Some(schema) = schemas.get(*body).cloned() else {
            continue;
        };
        let mut schema = merged(schema, schemas);
        for (field, exact) in FIELDS {
            if let Some(property) = schema["properties"].get_mut(*field) {
                sharpen(property, exact);
            }
        }
        if let Some(bindings) = schema["properties"].get_mut("bindings") {
            *bindings = json!({
                "type": "object", "propertyNames": reference("Name"),
                "additionalProperties": reference("Binding"),
            });
        }
        for field in *ignored {
            schema["properties"][field] = json!({"description": "Ignored: answers add it."});
        }
        schema["additionalProperties"] = json!(false);
        schemas.insert((*body).to_owned(), schema);
    }
}

/// Where no URL has the name, the body must.
pub(super) fn need_names(operation: &mut Value) {
    if !["create_group", "create_service"]
        .contains(&operation["operationId"].as_str().unwrap_or_default())
    {
        return;
    }
    let content = operation.pointer_mut("/requestBody/content/application~1json");
    if let Some(content) = content {
        let named = json!({"required": ["name"], "properties": {"name": reference("Name")}});
        content["schema"] = json!({"allOf": [content["schema"].clone(), named]});
    }
}

/// The schemas of `bodies.json`, and the forms of names and numbers that it refers to.
fn exact() -> Map<String, Value> {
    let mut exact: Map<String, Value> =
        serde_json::from_str(EXACT).expect("the file is JSON; a test reads it");
    exact.insert("Name".to_owned(), name());
    exact.insert("VersionNumber".to_owned(), version());
    exact
}

/// An object that is written as several which all hold, as one.
fn merged(schema: Value, schemas: &Map<String, Value>) -> Value {
    let Some(parts) = schema["allOf"].as_array() else {
        return schema;
    };
    let mut one = json!({"type": "object", "properties": {}, "required": []});
    one["description"] = schema["description"].clone();
    for part in parts {
        let target = part["$ref"].as_str().and_then(|it| it.rsplit('/').next());
        let part = target.and_then(|it| schemas.get(it)).unwrap_or(part);
        for (name, property) in part["properties"].as_object().into_iter().flatten() {
            one["properties"][name] = property.clone();
        }
        for name in part["required"].as_array().into_iter().flatten() {
            super::push(&mut one, "required", name.clone());
        }
    }
    one
}

/// Gives a field its exact form; its description and whether it may be null stay.
fn sharpen(property: &mut Value, exact: &str) {
    let may_be_null = property["type"]
        .as_array()
        .is_some_and(|types| types.iter().any(|it| it == "null"));
    let mut sharp = match may_be_null {
        true => json!({"anyOf": [reference(exact), {"type": "null"}]}),
        false => json!({"allOf": [reference(exact)]}),
    };
    if let Some(description) = property.get("description") {
        sharp["description"] = description.clone();
    }
    *property = sharp;
}

pub(super) fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ferryway_model::{Binding, Definition, Registry};

    use super::*;

    /// The fields that a schema knows.
    fn known(schema: &str) -> BTreeSet<String> {
        let fields = &exact()[schema]["properties"];
        let fields = fields.as_object().expect("it is an object");
        fields.keys().cloned().collect()
    }

    #[track_caller]
    fn check(schema: &str, written: &Value, beside: &[&str]) {
        let written = written.as_object().expect("is an object");
        let mut expect: BTreeSet<String> = written.keys().cloned().collect();
        expect.extend(beside.iter().map(|&field| field.to_owned()));
        assert_eq!(known(schema), expect, "{schema}");
    }

    /// What the model writes has the fields of the schemas, no more and no fewer.
    #[test]
    fn schemas_know_what_the_model_writes() {
        let body = json!({
            "name": "a",
            "upstream": {"host_header": {"mode": "rewrite", "value": "b"},
                "load_balancing": {"policy": "round_robin"}},
            "routes": [{"name": "r", "paths": ["/"], "timeout": {"read": "1s"},
                "match": [{"header": "h", "op": "exists"}]}],
            "checks": [{"name": "c", "path": "/", "expect": {}}],
        });
        let definition = Definition::parse(&body, None).expect("is a definition");
        let written = definition.content.to_value();
        check(
            "ServiceBody",
            &written,
            &[
                "title",
                "description",
                "labels",
                "digest",
                "created_at",
                "created_by",
                "updated_at",
                "updated_by",
                "versions",
                "running_in",
            ],
        );
        check("Route", &written["routes"][0], &[]);
        check("RouteTimeout", &written["routes"][0]["timeout"], &[]);
        check(
            "Predicate",
            &written["routes"][0]["match"][0],
            &["query", "cookie", "value"],
        );
        check("Check", &written["checks"][0], &[]);
        check("Expectation", &written["checks"][0]["expect"], &[]);
        let upstream = &written["upstream"];
        check("UpstreamPolicy", upstream, &[]);
        check("HostHeader", &upstream["host_header"], &[]);
        check("LoadBalancing", &upstream["load_balancing"], &["key"]);
        check("Timeouts", &upstream["timeout"], &[]);
        check("Retry", &upstream["retry"], &[]);
        check("Keepalive", &upstream["keepalive"], &[]);

        let nodes = json!({"nodes": [{"host": "a"}]});
        let nodes = Binding::parse(&nodes)
            .expect("is a binding")
            .content
            .to_value();
        check("Binding", &nodes, &["discovery", "digest"]);
        check("Node", &nodes["nodes"][0], &[]);
        let discovery = json!({"discovery": {"registry": "r", "service": "s"}});
        let discovery = Binding::parse(&discovery).expect("is a binding");
        check("Discovery", &discovery.content.to_value()["discovery"], &[]);

        let registry = json!({"name": "r", "kind": "dns"});
        let (registry, _) = Registry::parse(&registry, None).expect("is a registry");
        check(
            "RegistryBody",
            &registry.content.to_value(),
            &["title", "digest"],
        );
    }
}
