//! The API keeps to its own OpenAPI document. A stranger's tool, schemathesis, reads the document
//! and asks for everything in it: what it allows, what it forbids, and one thing after another.

use std::fs;
use std::path::Path;
use std::process::Command;

use ferryway_testkit::{Control, venv};
use serde_json::json;
use tempfile::TempDir;

use crate::calls::{define, publish, service, succeeded};
use crate::site::make_group;

/// All checks but one: no schema can say all that a definition must be (that names are unique, that
/// a path is in normal form), so what it allows may still be refused with a sentence.
const NOT_CHECKED: &str = "positive_data_acceptance";

#[track_caller]
fn check(control: &Control, folder: &Path, further: &[&str]) {
    let document = format!("{}/api/v1/openapi.json", control.origin());
    let output = Command::new(venv().join("bin/schemathesis"))
        .args(["run", &document, "--no-shrink"])
        .args([
            "--generation-deterministic",
            "--exclude-checks",
            NOT_CHECKED,
        ])
        // How well the tool makes its cases is its own concern.
        .args(["--suppress-health-check", "all"])
        .args(["--warnings", "off", "--no-color"])
        .args(further)
        .current_dir(folder)
        .output()
        .expect("schemathesis can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("Test cases:"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        control.api().get("/gateway-groups").status,
        200,
        "it runs on"
    );
}

/// On an empty control plane, with names of the tool's own.
#[test]
fn the_api_is_what_its_document_says() {
    let control = Control::start();
    let folder = TempDir::new().expect("a temporary folder can be made");
    // The cases that cover the document are some thousand; these come on top, for each operation.
    check(&control, folder.path(), &["--max-examples", "2"]);
}

/// Where the URLs name what is there, so that what lies behind a 404 is asked for too.
#[test]
fn the_api_is_what_its_document_says_of_what_is_there() {
    let control = Control::start();
    let api = control.api();
    make_group(&api, "test");
    make_group(&api, "production");
    let registry = json!({"kind": "dns"});
    api.put("/gateway-groups/test/registries/dns", &registry)
        .json_of(201);
    define(&api, &service("httpbin", &[("all", "/*")]));
    let binding = json!({"nodes": [{"host": "127.0.0.1", "port": 9}]});
    let groups = [("test", Some(&binding)), ("production", Some(&binding))];
    succeeded(&publish(&api, "httpbin", "1.0.0", &groups));

    let folder = TempDir::new().expect("a temporary folder can be made");
    let names = "[parameters]\n\
        group = \"test\"\nservice = \"httpbin\"\nregistry = \"dns\"\nversion = \"1.0.0\"\n\
        a = \"test\"\nb = \"production\"\n";
    fs::write(folder.path().join("schemathesis.toml"), names).expect("a file can be written");
    // Nothing that takes away what the names stand for.
    let mut further = vec!["--phases", "fuzzing", "--exclude-method", "DELETE"];
    further.extend(["--max-examples", "10"]);
    check(&control, folder.path(), &further);
}
