//! The house of ARCHITECTURE.md, held: crates depend strictly downwards, and each is described.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::sh::Failure;
use crate::tidy::report;
use crate::workspace;

/// Checks the workspace as it is.
pub(crate) fn check() -> Result<(), Failure> {
    let metadata = workspace::metadata()?;
    let architecture = fs::read_to_string(workspace::root().join("ARCHITECTURE.md"))
        .map_err(|error| Failure::Other(format!("cannot read ARCHITECTURE.md: {error}")))?;
    let mut findings = upward_edges(&metadata);
    findings.extend(undescribed(&metadata, &architecture));
    report(&findings)
}

/// The levels, lowest first. Crates of one level never meet.
const LEVELS: &[&[&str]] = &[
    &["ferryway-model", "ferryway-runtime", "ferryway-tls"],
    &[
        "ferryway-router",
        "ferryway-balance",
        "ferryway-proto",
        "ferryway-api",
        "ferryway-sandbox",
    ],
    &[
        "ferryway-store",
        "ferryway-discovery",
        "ferryway-delivery",
        "ferryway-proxy",
    ],
    &["ferryway-gateway", "ferryway-control"],
    &["ferryway-cli"],
];

/// May use any crate, and no crate on a level may use them but in its tests.
const DEVELOPMENT: &[&str] = &[
    "ferryway-testkit",
    "ferryway-tests",
    "ferryway-bench",
    "ferryway-fuzz",
    "ferryway-xtask",
];

/// Edges that do not go strictly down, and crates that stand on no level. Dependencies of tests
/// alone may go anywhere.
fn upward_edges(metadata: &Value) -> Vec<String> {
    let level: BTreeMap<&str, usize> = LEVELS
        .iter()
        .enumerate()
        .flat_map(|(level, names)| names.iter().map(move |name| (*name, level)))
        .collect();
    let mut findings = Vec::new();
    for (name, package) in packages(metadata) {
        if DEVELOPMENT.contains(&name) {
            continue;
        }
        let Some(own) = level.get(name) else {
            findings.push(format!(
                "{name} stands on no level: add it to xtask/src/layers.rs"
            ));
            continue;
        };
        for used in used(package) {
            match level.get(used) {
                Some(other) if other >= own => findings.push(format!(
                    "{name} (level {own}) must not depend on {used} (level {other}): edges go \
                     strictly down"
                )),
                None if DEVELOPMENT.contains(&used) => findings.push(format!(
                    "{name} (level {own}) must not depend on {used}, which is for development: \
                     make it a dev-dependency"
                )),
                _ => {}
            }
        }
    }
    findings
}

/// Crates that ARCHITECTURE.md does not name, as `crates/NAME` or `NAME` in code marks.
fn undescribed(metadata: &Value, architecture: &str) -> Vec<String> {
    packages(metadata)
        .map(|(name, _)| name.strip_prefix("ferryway-").unwrap_or(name))
        .filter(|name| {
            let forms = [
                format!("`{name}`"),
                format!("`{name}/`"),
                format!("crates/{name}"),
            ];
            !forms.iter().any(|form| architecture.contains(form))
        })
        .map(|name| format!("ARCHITECTURE.md does not say what `{name}` is for"))
        .collect()
}

fn packages(metadata: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages.filter_map(|package| Some((package["name"].as_str()?, package)))
}

/// What the package's library, programs and build script depend on.
fn used(package: &Value) -> impl Iterator<Item = &str> {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    dependencies
        .filter(|used| used["kind"] != "dev")
        .filter_map(|used| used["name"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace_of(name: &str, uses: &str, kind: Option<&str>) -> Value {
        json!({"packages": [{"name": name, "dependencies": [{"name": uses, "kind": kind}]}]})
    }

    #[test]
    fn crates_depend_downwards_only() {
        let findings = upward_edges(&workspace::metadata().unwrap());
        assert_eq!(findings, [""; 0]);
    }

    #[test]
    fn an_upward_edge_is_named() {
        for (name, uses, kind, finding) in [
            ("ferryway-proxy", "ferryway-router", None, None),
            ("ferryway-proxy", "hyper", None, None),
            ("ferryway-proxy", "ferryway-gateway", Some("dev"), None),
            ("ferryway-tests", "ferryway-cli", None, None),
            (
                "ferryway-proxy",
                "ferryway-delivery",
                None,
                Some("must not depend on"),
            ),
            (
                "ferryway-model",
                "ferryway-runtime",
                Some("build"),
                Some("strictly down"),
            ),
            (
                "ferryway-cli",
                "ferryway-testkit",
                None,
                Some("make it a dev-dependency"),
            ),
            ("ferryway-utils", "hyper", None, Some("stands on no level")),
        ] {
            let findings = upward_edges(&workspace_of(name, uses, kind));
            match finding {
                None => assert_eq!(findings, [""; 0]),
                Some(part) => {
                    assert_eq!(findings.len(), 1, "{findings:?}");
                    assert!(
                        findings[0].contains(name) && findings[0].contains(part),
                        "{findings:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn crates_are_described_by_name() {
        let workspace = workspace_of("ferryway-model", "hyper", None);
        for text in [
            "| 0 | `model` | words |",
            "see [it](crates/model/src/lib.rs)",
            "`model/`",
        ] {
            assert_eq!(undescribed(&workspace, text), [""; 0], "{text}");
        }
        let found = undescribed(&workspace, "a model of a house");
        assert_eq!(found, ["ARCHITECTURE.md does not say what `model` is for"]);
    }
}
