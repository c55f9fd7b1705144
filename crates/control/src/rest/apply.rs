//! `POST /apply`: what files declare, made true in one transaction.

use std::sync::Arc;

use ferryway_api::{Applied, ApplyBody, ApplyCall};
use ferryway_model::document::DocumentKind;
use ferryway_model::plan::Apply;

use super::access::{Allowed, Caller, Resource, Verb};
use super::answer::{Answer, applied};
use super::failure::Failure;
use super::moves::planned;
use super::query::{Params, WaitQuery};
use super::sent::Sent;

/// Makes documents true: groups, registries, services of the hub and what groups run of them, all
/// in one transaction, and one revision for each group. What is as declared stays untouched.
#[utoipa::path(post, path = "/apply", tag = "operations",
    params(WaitQuery), request_body = ApplyBody,
    responses(
        (status = 200, description = "Ended, planned, or nothing to do", body = Applied),
        (status = 202, description = "Under way", body = Applied)))]
pub(super) async fn apply(caller: Caller, params: Params, sent: Sent) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Published, None)?;
    let wait = params.wait()?;
    let (body, idempotency) = sent.keyed_json(&allowed.actor).await?;
    let ApplyCall { apply, options } = match ApplyCall::read(&body) {
        Ok(call) => call,
        Err(bad) if bad.options.dry_run && bad.is_readable() => {
            return applied(&allowed, Arc::new(planned(&allowed, bad)), wait).await;
        }
        Err(bad) => return Err(bad.problems.into()),
    };
    may_all(&allowed, &apply)?;
    let (core, actor) = (allowed.core(), &allowed.actor);
    let made = core
        .apply(actor, &apply, &options, idempotency.as_ref())
        .await?;
    applied(&allowed, made, wait).await
}

/// Whether the caller may write every resource that the documents are of; and, where they prune,
/// any at all, since labels say what goes.
fn may_all(allowed: &Allowed, apply: &Apply) -> Result<(), Failure> {
    for document in &apply.documents {
        let id = document.id();
        let group = match id.kind {
            DocumentKind::GatewayGroup => Some(&id.name),
            _ => id.group.as_ref(),
        };
        allowed.also(Verb::Write, resource(id.kind), group)?;
    }
    if apply.prune.is_some() {
        for kind in DocumentKind::ALL {
            allowed.also(Verb::Write, resource(*kind), None)?;
        }
    }
    Ok(())
}

fn resource(kind: DocumentKind) -> Resource {
    match kind {
        DocumentKind::GatewayGroup => Resource::Groups,
        DocumentKind::Registry => Resource::Registries,
        DocumentKind::Service => Resource::Services,
        DocumentKind::PublishedService => Resource::Published,
    }
}
