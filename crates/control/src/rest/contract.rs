//! The OpenAPI document: what the registrations say, and what holds for all of them alike.
//!
//! The registrations name the good answers. Which errors an operation can have follows from what it
//! is ([`answers`]), and what a body may exactly say from the model's readers ([`bodies`]).

mod answers;
mod bodies;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use ferryway_api::ProblemDetails;
use serde_json::{Value, json};
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::access::{Caller, Resource, Verb};
use super::answer::Answer;
use super::query::Params;

/// The name of the only way to show who one is.
const BEARER: &str = "bearer";

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "process", security(()),
    responses((status = 200, description = "The OpenAPI document of this API", body = Object)))]
pub(super) async fn get_contract(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Contract, None)?;
    params.none()?;
    let text = allowed.contract().to_owned();
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

/// The document before the registrations.
pub(super) fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Ferryway")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Moves service versions between gateway groups.\n\nEach answer has the header \
             `Ferryway-Revision`: how new it is. A request that has it, with the number of an \
             earlier answer, is answered when this control plane has come so far, with 503 if it \
             does not within ten seconds, and with 400 if the number is none that an answer had.",
        ))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = ComponentsBuilder::new()
        .schema(ProblemDetails::name(), ProblemDetails::schema())
        .schema(
            ferryway_api::Problem::name(),
            ferryway_api::Problem::schema(),
        )
        .schema(
            ferryway_api::Severity::name(),
            ferryway_api::Severity::schema(),
        )
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(
            BEARER,
            Vec::<String>::new(),
        )]))
        .build()
}

/// The whole document as JSON. `open`: a caller need not show who they are.
pub(super) fn text(document: &OpenApi, open: bool) -> String {
    let mut document = serde_json::to_value(document)
        .expect("the document has text keys only, so JSON can hold it");
    if open {
        document["security"] = json!([{}, {BEARER: []}]);
    }
    let schemas = document["components"]["schemas"].as_object_mut();
    schemas.into_iter().for_each(bodies::make_exact);
    document["components"]["responses"] = answers::components();
    let paths = document["paths"].as_object_mut();
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            name_path_parts(path, operation);
            sharpen_query(path, operation);
            bodies::need_names(operation);
            answers::complete(path, method, operation);
        }
    }
    document.to_string()
}

/// Every `{part}` of the path is required, and has the form of what it names.
fn name_path_parts(path: &str, operation: &mut Value) {
    let parts = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    for part in parts {
        let schema = match part {
            "version" => bodies::version(),
            "id" if !path.contains("/instances/") => json!({"type": "string", "format": "uuid"}),
            "id" | "code" | "fingerprint" => json!({"type": "string", "minLength": 1}),
            _ => bodies::name(),
        };
        let parameter = json!({"name": part, "in": "path", "required": true, "schema": schema});
        push(operation, "parameters", parameter);
    }
}

/// Gives the parameters of queries the form of what they name.
fn sharpen_query(path: &str, operation: &mut Value) {
    let parameters = operation.get_mut("parameters");
    let parameters = parameters.and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["in"] != "query" {
            continue;
        }
        match parameter["name"].as_str() {
            Some("a" | "b" | "service") => parameter["schema"] = bodies::name(),
            Some("cursor") => parameter["schema"] = cursor(path),
            Some("label") => parameter["schema"]["items"]["pattern"] = json!("="),
            Some("wait") => parameter["schema"] = bodies::reference("Span"),
            Some("expect_plan") => parameter["schema"] = bodies::reference("Digest"),
            _ => {}
        }
    }
}

/// What the cursors of the list at this path are.
fn cursor(path: &str) -> Value {
    match path.rsplit('/').next() {
        Some("operations" | "audit" | "tokens" | "join-tokens" | "history") => {
            json!({"type": "string", "format": "uuid"})
        }
        Some("instances") => json!({"type": "string"}),
        Some("versions") => bodies::version(),
        _ => bodies::name(),
    }
}

/// Appends to a list that may not be there yet.
fn push(object: &mut Value, list: &str, item: Value) {
    match &mut object[list] {
        Value::Array(items) => items.push(item),
        other => *other = json!([item]),
    }
}
