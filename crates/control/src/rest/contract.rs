//! The OpenAPI document: what the registrations say, and what holds for all of them alike.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use ferryway_api::ProblemDetails;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::access::{Caller, Resource, Verb};
use super::answer::Answer;
use super::failure::PROBLEM_JSON;
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
        .description(Some("Moves service versions between gateway groups."))
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

/// The whole document as JSON.
pub(super) fn text(mut document: OpenApi) -> String {
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            name_path_parts(path, operation);
            say_errors(operation);
        }
    }
    document
        .to_json()
        .expect("the document has text keys only, so JSON can hold it")
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Every `{part}` of the path is a required text.
fn name_path_parts(path: &str, operation: &mut Operation) {
    let parts = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parts = parts.map(|part| RefOr::T(path_part(part)));
    operation.parameters.get_or_insert_default().extend(parts);
}

fn path_part(name: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

/// Every operation may be answered with an error, and all errors have one form.
fn say_errors(operation: &mut Operation) {
    let schema = Ref::from_schema_name(ProblemDetails::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new()
        .description("An error: `type` names its kind, `problems` everything that is wrong")
        .content(PROBLEM_JSON, content)
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), RefOr::T(response));
}
