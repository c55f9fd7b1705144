//! Publish, sync and rollback; and how every change of what groups run is performed and answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use ferryway_api::body::{PublishBody, RollbackBody, SyncGroupBody, SyncServiceBody};
use ferryway_api::{BadCall, Call, Operation, OperationState};
use ferryway_model::Name;
use ferryway_model::plan::{Plan, Request};

use super::access::{Allowed, Caller, Resource, Verb};
use super::answer::{Answer, operation};
use super::groups;
use super::precondition::Precondition;
use super::published::is_published;
use super::query::{Params, WaitQuery};
use super::sent::Sent;
use super::services;
use super::url::Url;
use crate::core::Idempotency;

/// Makes a version of the hub's definition and runs it in groups.
#[utoipa::path(post, path = "/services/{service}/publish", tag = "operations",
    params(WaitQuery), request_body = PublishBody,
    responses(
        (status = 200, description = "Ended", body = Operation),
        (status = 202, description = "Under way", body = Operation)))]
pub(super) async fn publish(
    caller: Caller,
    Url(service): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Services, None)?;
    services::exists(allowed.core(), &service)?;
    let wait = params.wait()?;
    let (body, idempotency) = sent.keyed_json(&allowed.actor).await?;
    let call = Call::publish(&body, &service);
    perform(&allowed, Asked::post(call, idempotency, wait)).await
}

/// Runs in other groups what a group runs now of one service.
#[utoipa::path(post, path = "/gateway-groups/{group}/services/{service}/sync",
    tag = "operations", params(WaitQuery), request_body = SyncServiceBody,
    responses(
        (status = 200, description = "Ended", body = Operation),
        (status = 202, description = "Under way", body = Operation)))]
pub(super) async fn sync_service(
    caller: Caller,
    Url((group, service)): Url<(Name, Name)>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Published, Some(&group))?;
    // Which groups it writes to the body says; who may write to none needn't send it.
    allowed.also(Verb::Write, Resource::Published, None)?;
    is_published(allowed.core(), &group, &service)?;
    let wait = params.wait()?;
    let (body, idempotency) = sent.keyed_json(&allowed.actor).await?;
    let call = Call::sync_service(&body, &group, &service);
    perform(&allowed, Asked::post(call, idempotency, wait)).await
}

/// Runs in other groups what a group runs now of several services.
#[utoipa::path(post, path = "/gateway-groups/{group}/sync", tag = "operations",
    params(WaitQuery), request_body = SyncGroupBody,
    responses(
        (status = 200, description = "Ended", body = Operation),
        (status = 202, description = "Under way", body = Operation)))]
pub(super) async fn sync_group(
    caller: Caller,
    Url(group): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Published, Some(&group))?;
    allowed.also(Verb::Write, Resource::Published, None)?;
    groups::exists(allowed.core(), &group)?;
    let wait = params.wait()?;
    let (body, idempotency) = sent.keyed_json(&allowed.actor).await?;
    let call = Call::sync_group(&body, &group);
    perform(&allowed, Asked::post(call, idempotency, wait)).await
}

/// Runs in a group what ran there before.
#[utoipa::path(post, path = "/gateway-groups/{group}/services/{service}/rollback",
    tag = "operations", params(WaitQuery), request_body = RollbackBody,
    responses(
        (status = 200, description = "Ended", body = Operation),
        (status = 202, description = "Under way", body = Operation)))]
pub(super) async fn rollback(
    caller: Caller,
    Url((group, service)): Url<(Name, Name)>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Published, Some(&group))?;
    is_published(allowed.core(), &group, &service)?;
    let wait = params.wait()?;
    let (body, idempotency) = sent.keyed_json(&allowed.actor).await?;
    let call = Call::rollback(&body, &group, &service);
    perform(&allowed, Asked::post(call, idempotency, wait)).await
}

/// A change that a handler has read from a request.
pub(super) struct Asked {
    pub(super) call: Result<Call, BadCall>,
    pub(super) precondition: Precondition,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) wait: WaitQuery,
}

impl Asked {
    fn post(
        call: Result<Call, BadCall>,
        idempotency: Option<Idempotency>,
        wait: WaitQuery,
    ) -> Self {
        Self {
            call,
            precondition: Precondition::None,
            idempotency,
            wait,
        }
    }
}

/// Makes a change, or plans it, and answers with the operation.
pub(super) async fn perform(allowed: &Allowed, asked: Asked) -> Answer {
    let Asked {
        call,
        precondition,
        idempotency,
        wait,
    } = asked;
    let Call { request, options } = match call {
        Ok(call) => call,
        Err(bad) if bad.options.dry_run && bad.is_readable() => {
            return operation(allowed, Arc::new(planned(allowed, bad)), wait).await;
        }
        Err(bad) => return Err(bad.problems.into()),
    };
    for group in written(&request) {
        allowed.also(Verb::Write, Resource::Published, Some(group))?;
    }
    let if_match = precondition.for_core();
    let core = allowed.core();
    let made = core
        .change(
            &allowed.actor,
            &request,
            &options,
            &if_match,
            idempotency.as_ref(),
        )
        .await?;
    operation(allowed, made, wait).await
}

/// The groups that a request changes.
fn written(request: &Request) -> BTreeSet<&Name> {
    match request {
        Request::Publish { groups, .. } => groups.iter().map(|target| &target.group).collect(),
        // A source in No Version state gets the new version too.
        Request::Sync {
            source,
            to,
            services,
            ..
        } => {
            let source = services
                .iter()
                .any(|s| s.version.is_some())
                .then_some(source);
            to.iter()
                .map(|target| &target.group)
                .chain(source)
                .collect()
        }
        Request::Rollback { group, .. }
        | Request::Set { group, .. }
        | Request::Edit { group, .. }
        | Request::Unpublish { group, .. } => [group].into(),
    }
}

/// The answer to a dry run of a call that can be read but has mistakes in its content: the plan of
/// nothing, with the mistakes inside.
pub(super) fn planned(allowed: &Allowed, bad: BadCall) -> Operation {
    let BadCall {
        kind,
        problems,
        options: _,
    } = bad;
    let plan = Plan {
        kind,
        destinations: Vec::new(),
        problems,
        new_versions: Vec::new(),
    };
    let now = allowed.clock().now();
    Operation {
        operation: None,
        kind: kind.into(),
        by: allowed.actor.name.clone(),
        created_at: now,
        ended_at: Some(now),
        state: OperationState::Planned,
        service: None,
        version: None,
        digest: None,
        plan: plan.digest().to_string(),
        problems: plan.problems.iter().map(Into::into).collect(),
        destinations: Vec::new(),
        resources: Vec::new(),
    }
}
