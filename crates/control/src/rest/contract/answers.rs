//! What each operation can be answered, errors included, and the headers that go with it.

use axum::http::StatusCode;
use ferryway_api::{ProblemDetails, codes_of};
use serde_json::{Map, Value, json};
use utoipa::ToSchema as _;

use super::push;
use crate::rest::failure::PROBLEM_JSON;

/// The operations whose answer carries an entity tag.
const TAGGED: &[&str] = &[
    "create_group",
    "get_group",
    "put_group",
    "patch_group",
    "confirm_shrink",
    "get_registry",
    "put_registry",
    "create_service",
    "get_service",
    "put_service",
    "patch_service",
    "get_published",
    "get_definition",
];

/// The operations that take `If-Match`.
const CONDITIONAL: &[&str] = &[
    "put_group",
    "patch_group",
    "delete_group",
    "put_registry",
    "delete_registry",
    "put_service",
    "patch_service",
    "delete_service",
    "patch_published",
    "unpublish",
    "put_definition",
];

/// The operations that make what isn't there, and take `If-None-Match`.
const MAKING: &[&str] = &["put_group", "put_registry", "put_service"];

/// Every status that an error can have.
const ERRORS: &[u16] = &[400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 500, 503];

/// One answer for each status of an error, with all codes that it can have.
pub(super) fn components() -> Value {
    let answers = ERRORS.iter().map(|status| {
        let codes = codes_of(*status);
        let types: Vec<_> = codes
            .iter()
            .map(|code| format!("/problems/{code}"))
            .collect();
        let reason = StatusCode::from_u16(*status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let details = format!("#/components/schemas/{}", ProblemDetails::name());
        let narrowed = json!({
            "type": "object",
            "properties": {"type": {"enum": types}, "status": {"const": status}},
        });
        let mut answer = json!({
            "description": format!("{reason}. One of: {}", codes.join(", ")),
            "content": {PROBLEM_JSON: {"schema": {"allOf": [{"$ref": details}, narrowed]}}},
        });
        let header = match status {
            401 => Some(("WWW-Authenticate", json!({"type": "string"}))),
            429 | 503 => Some(("Retry-After", json!({"type": "integer", "minimum": 0}))),
            _ => None,
        };
        if let Some((name, schema)) = header {
            answer["headers"] = json!({name: {"schema": schema, "required": true}});
        }
        (component(*status), answer)
    });
    Value::Object(answers.collect())
}

/// Adds to an operation what it takes in headers and can be answered.
pub(super) fn complete(path: &str, method: &str, operation: &mut Value) {
    let id = operation["operationId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    add_parameters(&id, method, operation);
    let statuses = errors(&id, path, method, operation);
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    add_headers(&id, responses);
    for status in statuses {
        let reference = format!("#/components/responses/{}", component(status));
        responses.insert(status.to_string(), json!({"$ref": reference}));
    }
}

fn component(status: u16) -> String {
    format!("Error{status}")
}

fn add_parameters(id: &str, method: &str, operation: &mut Value) {
    // `Ferryway-Revision` is absent on purpose: any call may have it, so it is said of all of them at
    // once, in the document's description.
    let mut add = |name: &str, description: &str, schema: Value| {
        let parameter = json!({
            "name": name, "in": "header", "required": false,
            "description": description, "schema": schema,
        });
        push(operation, "parameters", parameter);
    };
    if CONDITIONAL.contains(&id) {
        let description = "The ETag that the resource was read with; if it has another, 412";
        add(
            "If-Match",
            description,
            json!({"type": "string", "minLength": 1}),
        );
    }
    if MAKING.contains(&id) {
        let description = "`*`: make it, and replace nothing; if it is there, 412";
        add(
            "If-None-Match",
            description,
            json!({"type": "string", "enum": ["*"]}),
        );
    }
    if method == "post" {
        let description = "For 24 h a call with the same key and body is answered as the first was";
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 255});
        add("Idempotency-Key", description, schema);
    }
    if id == "get_events" {
        let description = "The id of the last event that was read; the stream goes on after it";
        add(
            "Last-Event-ID",
            description,
            json!({"type": "integer", "minimum": 0}),
        );
    }
}

/// The statuses of the errors that an operation can end with.
fn errors(id: &str, path: &str, method: &str, operation: &Value) -> Vec<u16> {
    let is_write = method != "get";
    let is_deletion = method == "delete" && id != "unpublish";
    let is_open = operation["security"].is_array();
    let mut errors = vec![400];
    let mut add = |statuses: &[u16], when: bool| {
        if when {
            errors.extend(statuses);
        }
    };
    add(&[401, 403, 429], !is_open);
    add(&[404], path.contains('{'));
    // A call that repeats one whose resource is gone by now.
    add(&[404], method == "post" || id == "compare");
    add(&[409, 413, 500, 503], is_write);
    add(&[412], CONDITIONAL.contains(&id));
    add(&[415], ["post", "put", "patch"].contains(&method));
    add(&[422], is_write && !is_deletion);
    // What it asks for by `Ferryway-Revision` may not come.
    add(&[503], id == "readyz" || (!is_write && !is_open));
    errors
}

/// Says which headers good answers have.
fn add_headers(id: &str, responses: &mut Map<String, Value>) {
    let text = json!({"schema": {"type": "string"}, "required": true});
    for (status, response) in responses {
        let mut headers = Map::new();
        let number = json!({"schema": {"type": "integer"}, "required": true});
        headers.insert("Ferryway-Revision".to_owned(), number);
        if TAGGED.contains(&id) {
            headers.insert("ETag".to_owned(), text.clone());
        }
        if ["201", "202"].contains(&status.as_str()) {
            headers.insert("Location".to_owned(), text.clone());
        }
        response["headers"] = Value::Object(headers);
    }
}
