//! Answers of the API, as tests of what is made of them need them.

use ferryway_api::{
    Changes, DeliveryState, Destination, InstanceDelivery, Operation, OperationKind,
    OperationState, Problem, Severity,
};
use serde_json::json;

/// A sync of httpbin 1.0.1 to production, where 1.0.0 runs, and which all three instances applied.
pub(crate) fn operation() -> Operation {
    Operation {
        operation: Some("01973a5e-0000-7000-8000-000000000000".parse().unwrap()),
        kind: OperationKind::Sync,
        by: "admin".to_owned(),
        created_at: "2026-11-24T08:00:00Z".parse().unwrap(),
        ended_at: Some("2026-11-24T08:00:00.012Z".parse().unwrap()),
        state: OperationState::Succeeded,
        service: Some("httpbin".to_owned()),
        version: Some("1.0.1".to_owned()),
        digest: Some(digest('b')),
        plan: digest('c'),
        problems: Vec::new(),
        destinations: vec![Destination {
            group: "production".to_owned(),
            service: "httpbin".to_owned(),
            state: OperationState::Succeeded,
            from_version: Some("1.0.0".to_owned()),
            from_digest: Some(digest('a')),
            version: Some("1.0.1".to_owned()),
            digest: Some(digest('b')),
            revision: Some(42),
            changes: changes(),
            problems: Vec::new(),
            instances: ["gw-1", "gw-2", "gw-3"]
                .map(|host| instance(host, DeliveryState::Applied))
                .to_vec(),
        }],
        resources: Vec::new(),
    }
}

/// What differs between 1.0.0 and 1.0.1.
pub(crate) fn changes() -> Changes {
    let changes = json!({
        "routes": {
            "added": ["anything"], "removed": ["old"],
            "changed": [{"route": "user", "diff": "timeout.read \"60s\" → \"10s\""}],
        },
        "plugins": {"added": [], "removed": [], "changed": []},
        "upstream": null, "hosts": null, "base_path": null, "checks": null, "binding": null,
        "enabled": null,
    });
    serde_json::from_value(changes).unwrap()
}

/// An instance of this host in this state.
pub(crate) fn instance(host: &str, state: DeliveryState) -> InstanceDelivery {
    InstanceDelivery {
        id: format!("id-of-{host}"),
        hostname: host.to_owned(),
        state,
        code: None,
        detail: None,
        evidence: None,
        took: (state != DeliveryState::Pending).then(|| "3ms".to_owned()),
    }
}

/// A problem of this severity, about httpbin in production.
pub(crate) fn problem(severity: Severity, code: &str, message: &str) -> Problem {
    Problem {
        severity,
        code: code.to_owned(),
        path: "to[0]".to_owned(),
        message: message.to_owned(),
        group: Some("production".to_owned()),
        service: None,
    }
}

/// A digest of 64 times this digit.
pub(crate) fn digest(digit: char) -> String {
    format!("blake3:{}", String::from(digit).repeat(64))
}
