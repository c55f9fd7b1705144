//! The lines that resources have in lists.

use ferryway_api::{
    AuditEntry, Group, HistoryEntry, Instance, InstanceState, JoinToken, Operation, OperationKind,
    OperationState, PublishedService, Registry, Service, Token, Version,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::binding;
use crate::plan::version;
use crate::screen::Paint;
use crate::table::Row;

impl Row for Group {
    const COLUMNS: &'static [&'static str] = &["NAME", "TITLE", "REVISION", "INSTANCES"];

    fn cells(&self, paint: Paint) -> Vec<String> {
        let counts = self.instances;
        let mut instances = format!("{}/{}", counts.converged, counts.online);
        instances = match counts {
            counts if counts.online == 0 => paint.dim("none online"),
            counts if counts.converged == counts.online => {
                format!("{instances} {}", paint.good("ok"))
            }
            _ => format!("{instances} {}", paint.warn("behind")),
        };
        if counts.offline > 0 {
            instances.push_str(&paint.dim(&format!(", {} offline", counts.offline)));
        }
        vec![
            self.name.clone(),
            self.title.clone(),
            self.revision.to_string(),
            instances,
        ]
    }
}

impl Row for Instance {
    const COLUMNS: &'static [&'static str] = &[
        "ID",
        "HOST",
        "BUILD",
        "STATE",
        "SINCE",
        "REVISION",
        "CONVERGED",
        "HELD",
    ];

    fn cells(&self, paint: Paint) -> Vec<String> {
        let state = match self.state {
            InstanceState::Online => paint.good("online"),
            InstanceState::Offline => paint.bad("offline"),
        };
        let revision = self
            .effective
            .as_ref()
            .map_or_else(|| "-".to_owned(), |at| at.revision.to_string());
        let converged = if self.converged {
            paint.good("yes")
        } else {
            paint.warn("no")
        };
        let held: Vec<_> = self.held.iter().map(|held| held.service.as_str()).collect();
        vec![
            self.id.clone(),
            self.hostname.clone(),
            self.build.clone(),
            state,
            time(self.since),
            revision,
            converged,
            paint.bad(&held.join(",")),
        ]
    }
}

impl Row for Token {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "SCOPE", "EXPIRES", "MADE", "MADE BY"];

    fn cells(&self, _: Paint) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.scope.to_string(),
            self.expires_at.map_or_else(|| "never".to_owned(), time),
            time(self.created_at),
            self.created_by.clone(),
        ]
    }
}

impl Row for JoinToken {
    const COLUMNS: &'static [&'static str] =
        &["ID", "FOR", "EXPIRES", "USES", "USED BY", "MADE", "MADE BY"];

    fn cells(&self, _: Paint) -> Vec<String> {
        let used_by = self.used_by.map_or_else(String::new, |id| id.to_string());
        vec![
            self.id.to_string(),
            if self.reusable { "many" } else { "one" }.to_owned(),
            time(self.expires_at),
            self.uses.to_string(),
            used_by,
            time(self.created_at),
            self.created_by.clone(),
        ]
    }
}

impl Row for Service {
    const COLUMNS: &'static [&'static str] = &[
        "NAME",
        "TITLE",
        "ROUTES",
        "VERSIONS",
        "RUNNING IN",
        "CHANGED",
    ];

    fn cells(&self, _: Paint) -> Vec<String> {
        let routes = self
            .definition
            .get("routes")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let name = self
            .definition
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        vec![
            name.to_owned(),
            self.title.clone(),
            routes.to_string(),
            self.versions.to_string(),
            self.running_in.join(","),
            time(self.updated_at),
        ]
    }
}

impl Row for PublishedService {
    const COLUMNS: &'static [&'static str] =
        &["SERVICE", "VERSION", "ENABLED", "INSTANCES", "BINDING"];

    fn cells(&self, paint: Paint) -> Vec<String> {
        let counts = self.convergence;
        vec![
            self.service.clone(),
            version(self.version.as_deref(), Some(&self.digest)).to_owned(),
            if self.enabled {
                "yes".to_owned()
            } else {
                paint.warn("no")
            },
            super::status::instances(counts.converged, counts.online, counts.held, paint),
            binding::text(&self.binding),
        ]
    }
}

impl Row for Version {
    const COLUMNS: &'static [&'static str] = &["VERSION", "CREATED", "BY", "RUNNING IN", "DIGEST"];

    fn cells(&self, paint: Paint) -> Vec<String> {
        vec![
            self.version.clone(),
            time(self.created_at),
            self.created_by.clone(),
            self.running_in.join(","),
            paint.dim(short(&self.digest)),
        ]
    }
}

impl Row for HistoryEntry {
    const COLUMNS: &'static [&'static str] = &[
        "AT", "BY", "WHAT", "VERSION", "ENABLED", "BINDING", "DIGEST",
    ];

    fn cells(&self, paint: Paint) -> Vec<String> {
        vec![
            time(self.at),
            self.by.clone(),
            kind(self.kind).to_owned(),
            version(self.version.as_deref(), self.digest.as_deref()).to_owned(),
            if self.enabled {
                "yes".to_owned()
            } else {
                paint.warn("no")
            },
            self.binding
                .as_ref()
                .map_or_else(String::new, binding::text),
            paint.dim(self.digest.as_deref().map_or("", short)),
        ]
    }
}

impl Row for Registry {
    const COLUMNS: &'static [&'static str] = &["NAME", "KIND", "TITLE", "ENDPOINTS"];

    fn cells(&self, _: Paint) -> Vec<String> {
        let text = |name: &str| {
            let value = self.settings.get(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let endpoints = self.settings.get("endpoints").and_then(Value::as_array);
        let endpoints: Vec<_> = endpoints
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let endpoints = if endpoints.is_empty() {
            "the gateway's own".to_owned()
        } else {
            endpoints.join(",")
        };
        vec![text("name"), text("kind"), self.title.clone(), endpoints]
    }
}

impl Row for Operation {
    const COLUMNS: &'static [&'static str] = &[
        "OPERATION",
        "AT",
        "BY",
        "WHAT",
        "SERVICE",
        "VERSION",
        "GROUPS",
        "STATE",
    ];

    fn cells(&self, paint: Paint) -> Vec<String> {
        let mut services: Vec<_> = self
            .destinations
            .iter()
            .map(|it| it.service.as_str())
            .collect();
        services.sort_unstable();
        services.dedup();
        let mut groups: Vec<_> = self
            .destinations
            .iter()
            .map(|it| it.group.as_str())
            .collect();
        groups.sort_unstable();
        groups.dedup();
        vec![
            self.operation.map_or_else(String::new, |id| id.to_string()),
            time(self.created_at),
            self.by.clone(),
            kind(self.kind).to_owned(),
            services.join(","),
            self.version.clone().unwrap_or_default(),
            groups.join(","),
            state(self.state, paint),
        ]
    }
}

impl Row for AuditEntry {
    const COLUMNS: &'static [&'static str] = &["AT", "BY", "FROM", "ACTION", "TARGET", "OPERATION"];

    fn cells(&self, paint: Paint) -> Vec<String> {
        let operation = self.operation.map_or_else(String::new, |id| id.to_string());
        vec![
            time(self.at),
            self.by.clone(),
            self.from.clone(),
            self.action.clone(),
            self.target.clone(),
            paint.dim(&operation),
        ]
    }
}

/// To the second: what a person looks for. `-o json` has the rest.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The beginning of a digest, as much as tells two apart.
fn short(digest: &str) -> &str {
    digest.get(.."blake3:".len() + 12).unwrap_or(digest)
}

fn kind(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Publish => "publish",
        OperationKind::Sync => "sync",
        OperationKind::Rollback => "rollback",
        OperationKind::Enable => "enable",
        OperationKind::Disable => "disable",
        OperationKind::Unpublish => "unpublish",
        OperationKind::Edit => "edit",
        OperationKind::Binding => "binding",
        OperationKind::Apply => "apply",
    }
}

fn state(state: OperationState, paint: Paint) -> String {
    match state {
        OperationState::Planned => "planned".to_owned(),
        OperationState::Unchanged => "unchanged".to_owned(),
        OperationState::Progressing => paint.warn("progressing"),
        OperationState::Succeeded => paint.good("succeeded"),
        OperationState::Failed => paint.bad("failed"),
        OperationState::Superseded => paint.warn("superseded"),
        OperationState::Paused => paint.warn("paused"),
        OperationState::Halted => paint.bad("halted"),
        OperationState::RolledBack => paint.bad("rolled back"),
        OperationState::Aborted => paint.warn("aborted"),
    }
}

#[cfg(test)]
mod tests;
