//! The REST API, as api.md describes it.
//!
//! One registration makes both the route and its entry in the OpenAPI document, so the two cannot
//! drift. A handler reads from top to bottom as the rules of precedence say: may the caller
//! ([`Caller::may`], the only way to the core) → does the URL name something → query and headers →
//! body → the core → the answer.
//!
//! This module must not know: the store, how changes are planned and committed, how instances are
//! reached.

mod access;
mod answer;
mod apply;
mod attempts;
mod audit;
mod authority;
mod contract;
mod count;
mod events;
mod failure;
mod groups;
mod instances;
mod join_tokens;
mod loopback;
mod moves;
mod operations;
mod overview;
mod page;
mod panics;
mod patch;
mod precondition;
mod probes;
mod published;
mod query;
mod registries;
mod revision;
mod sent;
mod serve;
mod services;
mod standing;
#[cfg(test)]
mod tests;
mod tokens;
mod url;
mod versions;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use ferryway_model::limits::BODY_BYTES_MAX;
use ferryway_runtime::{Clock, Stop};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use access::Access;
pub(crate) use serve::serve;

use crate::core::Core;
use crate::identity::Identity;
use access::Door;
use count::Counters;

/// The whole API, root paths included. `stop` ends the answers that wait and the event streams.
fn router(state: (Core, Identity), access: Access, clock: Clock, stop: Stop) -> Router {
    let (router, document) = registrations().split_for_parts();
    let contract = contract::text(&document, matches!(access, Access::Dev));
    let counters = Counters::default();
    let revision = middleware::from_fn_with_state(state.0.clone(), revision::follow);
    let door = Door::new(state, access, clock, stop, contract, counters.clone());
    router
        .fallback(failure::no_such_path)
        .method_not_allowed_fallback(failure::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(revision)
        .layer(middleware::from_fn(panics::answer))
        .layer(middleware::from_fn_with_state(counters, count::count))
        .with_state(door)
}

/// Where the API lies.
const BASE: &str = "/api/v1";

fn registrations() -> OpenApiRouter<Door> {
    let api = OpenApiRouter::new()
        .routes(routes!(groups::list_groups, groups::create_group))
        .routes(routes!(
            groups::get_group,
            groups::put_group,
            groups::patch_group,
            groups::delete_group
        ))
        .routes(routes!(groups::confirm_shrink))
        .routes(routes!(instances::list_instances))
        .routes(routes!(instances::get_instance, instances::delete_instance))
        .routes(routes!(
            join_tokens::list_join_tokens,
            join_tokens::create_join_token
        ))
        .routes(routes!(join_tokens::delete_join_token))
        .routes(routes!(registries::list_registries))
        .routes(routes!(
            registries::get_registry,
            registries::put_registry,
            registries::delete_registry
        ))
        .routes(routes!(services::list_services, services::create_service))
        .routes(routes!(
            services::get_service,
            services::put_service,
            services::patch_service,
            services::delete_service
        ))
        .routes(routes!(versions::list_versions))
        .routes(routes!(versions::get_version))
        .routes(routes!(moves::publish))
        .routes(routes!(published::list_published))
        .routes(routes!(
            published::get_published,
            published::patch_published,
            published::unpublish
        ))
        .routes(routes!(
            published::get_definition,
            published::put_definition
        ))
        .routes(routes!(published::get_history))
        .routes(routes!(moves::sync_service))
        .routes(routes!(moves::sync_group))
        .routes(routes!(moves::rollback))
        .routes(routes!(apply::apply))
        .routes(routes!(operations::list_operations))
        .routes(routes!(operations::get_operation))
        .routes(routes!(events::get_events))
        .routes(routes!(operations::pause))
        .routes(routes!(operations::resume))
        .routes(routes!(operations::abort))
        .routes(routes!(overview::compare))
        .routes(routes!(overview::matrix))
        .routes(routes!(audit::list_audit))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::delete_token))
        .routes(routes!(authority::get_authority))
        .routes(routes!(authority::rotate_authority))
        .routes(routes!(authority::drop_authority))
        .routes(routes!(contract::get_contract));
    OpenApiRouter::with_openapi(contract::frame())
        .nest(BASE, api)
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
        .routes(routes!(probes::explain))
}
