//! What lies at the root: whether this process is well, its metrics, and what errors mean.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use ferryway_api::ApiError;
use ferryway_model::Name;
use ferryway_store::StoreError;

use super::access::{Caller, Resource, Verb};
use super::answer::Answer;
use super::count::Counters;
use super::query::Params;
use super::standing::Standing;
use super::url::Url;
use crate::core::{CommitCost, Memory};
use crate::settings::whole;

/// Whether the process is up.
#[utoipa::path(get, path = "/healthz", tag = "process", security(()),
    responses((status = 200, description = "Up", body = String, content_type = "text/plain")))]
pub(super) async fn healthz(caller: Caller, params: Params) -> Answer {
    caller.may(Verb::Read, Resource::Probe, None)?;
    params.none()?;
    Ok("ok\n".into_response())
}

/// Whether the process follows its store.
#[utoipa::path(get, path = "/readyz", tag = "process", security(()),
    responses((status = 200, description = "Ready", body = String, content_type = "text/plain")))]
pub(super) async fn readyz(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Probe, None)?;
    params.none()?;
    if let Some(why) = allowed.core().broken() {
        return Err(ApiError::StoreUnavailable(why).into());
    }
    if let Some(trouble) = allowed.core().trouble() {
        return Err(ApiError::StoreUnavailable(whole(&trouble)).into());
    }
    if allowed.stop().is_requested() {
        return Err(ApiError::StoreUnavailable("the process is stopping".to_owned()).into());
    }
    let mut text = "ready\n".to_owned();
    let others = allowed.core().read(|memory| memory.planes.clone());
    for (id, other) in others.iter().filter(|(_, other)| !other.is_followed) {
        let url = &other.record.url;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "control plane {id} at {url} can't be followed: what is said of its instances is old"
        );
    }
    Ok(text.into_response())
}

/// Metrics for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "process", security(()),
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(caller: Caller, params: Params) -> Answer {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    let allowed = caller.may(Verb::Read, Resource::Probe, None)?;
    params.none()?;
    let mut text = allowed.core().read(gauges);
    text.push_str(&counters(allowed.counters()));
    text.push_str(&commits(allowed.core().commit_cost()));
    text.push_str(&store(allowed.core().trouble().as_ref()));
    Ok(([(CONTENT_TYPE, TEXT)], text).into_response())
}

/// What a kind of error means: the page that `type` of an error names.
#[utoipa::path(get, path = "/problems/{code}", tag = "process", security(()),
    responses((status = 200, description = "In words", body = String, content_type = "text/plain")))]
pub(super) async fn explain(caller: Caller, Url(code): Url<String>, params: Params) -> Answer {
    caller.may(Verb::Read, Resource::Contract, None)?;
    let text = ferryway_api::explain(&code)
        .ok_or_else(|| ApiError::not_found("there is no such kind of error"))?;
    params.none()?;
    Ok(text.into_response())
}

/// One metric: a line for each of its labels.
fn metric(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    lines: impl Iterator<Item = (String, u64)>,
) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in lines {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

/// What the store's transactions have cost: the time that a write takes, and the disk's share of it.
fn commits(cost: CommitCost) -> String {
    let CommitCost { count, took, sync } = cost;
    let summary = |name: &str, help: &str, sum: std::time::Duration| {
        let sum = sum.as_secs_f64();
        format!(
            "# HELP {name} {help}\n# TYPE {name} summary\n{name}_sum {sum}\n{name}_count {count}\n"
        )
    };
    let took = summary(
        "ferryway_control_commit_seconds",
        "From a transaction's call to its answer.",
        took,
    );
    let sync = summary(
        "ferryway_control_commit_sync_seconds",
        "The share of it spent waiting for the disk.",
        sync,
    );
    took + &sync
}

/// Whether the store is well, and what is wrong with it where it isn't.
fn store(trouble: Option<&StoreError>) -> String {
    let mut text = String::new();
    metric(
        &mut text,
        "ferryway_control_store_up",
        "gauge",
        "Whether the store can be written and followed.",
        std::iter::once((String::new(), u64::from(trouble.is_none()))),
    );
    let kind = |trouble: &StoreError| match trouble {
        StoreError::Etcd { trouble, .. } => trouble.code(),
        _ => "file",
    };
    metric(
        &mut text,
        "ferryway_control_store_trouble",
        "gauge",
        "What is wrong with the store, by kind; nothing where all is well.",
        trouble
            .map(|trouble| (format!("{{kind=\"{}\"}}", kind(trouble)), 1))
            .into_iter(),
    );
    text
}

fn gauges(memory: &Memory) -> String {
    let mut text = String::new();
    let one =
        |count: usize| std::iter::once((String::new(), u64::try_from(count).unwrap_or(u64::MAX)));
    metric(
        &mut text,
        "ferryway_control_services",
        "gauge",
        "Services in the hub.",
        one(memory.hub.len()),
    );
    metric(
        &mut text,
        "ferryway_control_groups",
        "gauge",
        "Gateway groups.",
        one(memory.groups.len()),
    );
    let standings: BTreeMap<&Name, Standing> = memory
        .groups
        .keys()
        .map(|group| (group, Standing::of(memory, group)))
        .collect();
    // Names of groups need no escaping in a label.
    let instances = standings.iter().flat_map(|(group, standing)| {
        let counts = standing.counts();
        let states = [
            ("online", counts.online),
            ("offline", counts.offline),
            ("converged", counts.converged),
        ];
        states.map(|(state, count)| (format!("{{group=\"{group}\",state=\"{state}\"}}"), count))
    });
    metric(
        &mut text,
        "ferryway_control_instances",
        "gauge",
        "Instances by group and state; converged ones are online too.",
        instances,
    );
    let revisions = memory
        .groups
        .iter()
        .map(|(name, group)| (format!("{{group=\"{name}\"}}"), group.head.revision.0));
    metric(
        &mut text,
        "ferryway_control_revision",
        "gauge",
        "Revision of each group's view.",
        revisions,
    );
    let followed = memory.planes.values().filter(|other| other.is_followed);
    let followed = followed.count();
    let peers = [
        ("followed", followed),
        ("unfollowed", memory.planes.len() - followed),
    ];
    let peers = peers.map(|(state, count)| {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        (format!("{{state=\"{state}\"}}"), count)
    });
    metric(
        &mut text,
        "ferryway_control_peers",
        "gauge",
        "Other control planes on the same store, by whether this one knows how their instances stand.",
        peers.into_iter(),
    );
    let open = memory
        .operations
        .values()
        .filter(|operation| !operation.state.is_final())
        .count();
    metric(
        &mut text,
        "ferryway_control_open_operations",
        "gauge",
        "Operations whose delivery goes on.",
        one(open),
    );
    text
}

fn counters(counters: &Counters) -> String {
    let mut text = String::new();
    let lines = counters.all();
    let lines = lines.iter().map(|((method, code), count)| {
        (format!("{{method=\"{method}\",code=\"{code}\"}}"), *count)
    });
    metric(
        &mut text,
        "ferryway_control_requests_total",
        "counter",
        "Answers of the REST API by method and status.",
        lines,
    );
    text
}
