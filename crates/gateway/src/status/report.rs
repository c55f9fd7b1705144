//! What `/status` and the pages below it say, as JSON.

use std::sync::Arc;

use ferryway_balance::Member;
use ferryway_delivery::{AgentStatus, Hold, InstanceDisk};
use ferryway_discovery::{Source, Status};
use ferryway_model::{HostPattern, Key, Kind, VersionNumber};
use ferryway_proto::Position;
use serde_json::{Value, json};

use super::{BUILD, Who};
use crate::installer::{Link, Running};
use crate::phase::Phase;

/// The instance: who it is, what it should run and what it runs.
pub(super) fn instance(
    who: &Who,
    phase: Phase,
    agent: &AgentStatus,
    disk: Option<&InstanceDisk>,
) -> Value {
    let Who {
        instance,
        group,
        http,
        https,
        file,
    } = who;
    json!({
        "instance": instance.to_string(),
        "group": group,
        "build": BUILD,
        "state": match phase {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Draining => "draining",
        },
        "control": {"connected": agent.connected, "address": agent.address},
        "desired": agent.desired.as_ref().map(position),
        "effective": agent.effective.as_ref().map(position),
        "converged": agent.converged,
        "held": agent.held.iter().map(|(key, hold)| held(key, hold)).collect::<Vec<_>>(),
        // The file of `--static` is on the disk too; which one it is, `static` says.
        "source": if agent.confirmed { "control" } else { "disk" },
        "static": file.as_ref().map(|file| file.display().to_string()),
        "disk": disk.map(|disk| {
            let trouble = disk.trouble();
            json!({"writable": trouble.is_none(), "error": trouble})
        }),
        "listeners": {
            "http": {"address": http.to_string(), "open": phase != Phase::Starting},
            "https": {
                "address": https.to_string(),
                "open": false,
                "reason": "the group has no certificate",
            },
        },
    })
}

/// What is installed, by name.
pub(super) fn services(services: &[Arc<Running>]) -> Value {
    let one = |running: &Arc<Running>| {
        json!({
            "service": running.name,
            "version": running.version.as_ref().map(VersionNumber::as_str),
            "enabled": running.enabled,
            "digest": running.definition,
            "binding_digest": running.binding.digest,
            "hosts": running.hosts.iter().map(HostPattern::to_string).collect::<Vec<_>>(),
            "routes": running.routes,
        })
    };
    json!({"items": services.iter().map(one).collect::<Vec<_>>()})
}

/// Where the requests of each service go; disabled ones have no upstream.
pub(super) fn upstreams(services: &[Arc<Running>]) -> Value {
    let one = |running: &Arc<Running>| {
        let link = running.link.as_deref()?;
        Some(upstream(running, link))
    };
    json!({"items": services.iter().filter_map(one).collect::<Vec<_>>()})
}

fn upstream(running: &Running, link: &Link) -> Value {
    let Status {
        endpoints: _, // They follow one by one.
        changes,
        source,
        ready,
        stale_since,
        last_error,
    } = link.followed.status();
    let endpoints = link.upstream.endpoints().load();
    json!({
        "service": running.name,
        "scheme": link.scheme().as_str(),
        "registry": running.binding.content.registry(),
        "source": match source {
            Source::Fresh => "fresh",
            Source::Kept => "kept",
            Source::None => "none",
        },
        "ready": ready,
        "changes": changes,
        "stale_since": stale_since.map(|at| at.to_string()),
        "last_error": last_error,
        "idle_connections": link.upstream.idle(),
        "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

fn endpoint(member: &Member) -> Value {
    let (endpoint, state) = (member.endpoint(), member.state());
    json!({
        "name": &*endpoint.name,
        "address": endpoint.address.to_string(),
        "weight": endpoint.weight,
        "priority": endpoint.priority,
        "healthy": state.healthy(),
        "connect_failures": state.connect_failures(),
        "in_flight": state.in_flight(),
    })
}

fn position(position: &Position) -> Value {
    json!({"revision": position.revision, "root": position.root})
}

fn held(key: &Key, hold: &Hold) -> Value {
    let kind = match key.kind {
        Kind::Service => "service",
        Kind::Registry => "registry",
    };
    json!({kind: key.name, "code": hold.code, "message": hold.message})
}
