//! What the instance counts beside its data plane, in Prometheus' text format.

use std::fmt::{Display, Write as _};

use ferryway_delivery::AgentStatus;
use ferryway_proto::Position;

use super::BUILD;
use crate::installer::Installer;

/// Delivery: what should run, what runs, and who says so.
pub(super) fn agent(agent: &AgentStatus, out: &mut String) {
    head(
        out,
        "ferryway_build_info",
        "gauge",
        "The build that runs; always 1.",
    );
    line(
        out,
        "ferryway_build_info",
        &format!("version=\"{BUILD}\""),
        1,
    );
    let name = "ferryway_revision";
    head(
        out,
        name,
        "gauge",
        "The revision that should run, and the one that runs.",
    );
    let mut revision = |kind: &str, position: Option<Position>| {
        if let Some(position) = position {
            line(out, name, &format!("kind=\"{kind}\""), position.revision.0);
        }
    };
    revision("desired", agent.desired);
    revision("effective", agent.effective);
    gauge(
        out,
        "ferryway_converged",
        "Whether what runs is what should run, with nothing held.",
        u8::from(agent.converged),
    );
    gauge(
        out,
        "ferryway_held_services",
        "Services and registries that are held at earlier content.",
        agent.held.len(),
    );
    gauge(
        out,
        "ferryway_control_connected",
        "Whether a control plane is connected.",
        u8::from(agent.connected),
    );
}

/// The installer and the upstreams of what is installed.
pub(super) fn installer(installer: &Installer, out: &mut String) {
    let name = "ferryway_apply_duration_seconds";
    head(
        out,
        name,
        "histogram",
        "From the offer of a change to its swap, checks included.",
    );
    installer.durations().render(name, out);
    let name = "ferryway_upstream_endpoints";
    head(
        out,
        name,
        "gauge",
        "Endpoints of a service's upstream, by state.",
    );
    for running in installer.services() {
        let Some(link) = &running.link else {
            continue;
        };
        let set = link.upstream.endpoints().load();
        let healthy = set.iter().filter(|it| it.state().healthy()).count();
        for (state, count) in [("healthy", healthy), ("unhealthy", set.len() - healthy)] {
            let labels = format!("service=\"{}\",state=\"{state}\"", running.name);
            line(out, name, &labels, count);
        }
    }
}

fn gauge(out: &mut String, name: &str, help: &str, value: impl Display) {
    head(out, name, "gauge", help);
    let _ = writeln!(out, "{name} {value}");
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(out: &mut String, name: &str, labels: &str, value: impl Display) {
    let _ = writeln!(out, "{name}{{{labels}}} {value}");
}
