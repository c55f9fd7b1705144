//! What a group ran, served from a file when there is no control plane any more.

use std::process::Command;

use ferryway_testkit::{Program, START_TIME_MAX, binary, curl, ports};
use serde_json::json;
use tempfile::TempDir;

use super::finding::Way;
use super::stage::{Stage, UPSTREAM};

#[test]
fn found_by_nodes() {
    check(&Way::nodes());
}

#[test]
fn found_by_service_records() {
    check(&Way::service_records());
}

#[track_caller]
fn check(way: &Way) {
    let mut stage = Stage::set();
    way.take(&stage);
    stage.expect_headers("production", UPSTREAM);
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("production.yaml");
    let server = stage.cluster.control().origin();
    let mut dump = Command::new(binary("ferryway"));
    dump.args(["dump", "--group", "production", "--server", &server]);
    let dumped = dump.output().expect("it can be run");
    assert!(dumped.status.success(), "{dumped:?}");
    std::fs::write(&file, dumped.stdout).expect("a file can be written");

    // Nothing is left of the cluster; DNS and the upstream go on.
    let Stage {
        cluster,
        dns,
        tests_own: _,
        productions_own,
    } = stage;
    drop(cluster);
    let [http, https, status] = ports::free();
    let mut command = Command::new(binary("ferryway-gateway"));
    command.arg("--static").arg(&file);
    command.args(["--dns-server", &dns.address().to_string()]);
    for (flag, port) in [("--http", http), ("--https", https), ("--status", status)] {
        command.arg(flag).arg(format!("127.0.0.1:{port}"));
    }
    let mut gateway = Program::start("ferryway-gateway --static", command);
    let at_status = |path: &str| format!("http://127.0.0.1:{status}{path}");
    gateway.wait_for_http(&at_status("/readyz"), START_TIME_MAX);

    let seen = curl([format!("http://127.0.0.1:{http}/headers")]).json_of(200);
    assert_eq!(seen["headers"]["Host"], UPSTREAM, "{seen}");
    assert_eq!(seen["headers"]["X-Forwarded-Host"], "127.0.0.1", "{seen}");
    productions_own.expect_served("/headers", 2);
    let missing = curl([format!("http://127.0.0.1:{http}/nowhere-at-all")]);
    assert_eq!(missing.status, 404);

    let said = curl([at_status("/status")]).json_of(200);
    assert_eq!(said["group"], "production");
    assert_eq!(said["source"], "disk");
    assert_eq!(said["static"], json!(file.display().to_string()));
    assert_eq!(said["converged"], true, "{said:#}");
    assert_eq!(said["control"]["connected"], false);
    let services = curl([at_status("/status/services")]).json_of(200);
    assert_eq!(services["items"][0]["version"], "1.0.0", "{services:#}");
}
