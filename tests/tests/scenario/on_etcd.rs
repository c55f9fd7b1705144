//! The scenario with the store in etcd: it is the same one, whatever becomes of etcd meanwhile.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use ferryway_testkit::{Deadline, START_TIME_MAX, Signal, binary, curl, eventually, try_curl};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::finding::Way;
use super::stage::{Stage, UPSTREAM};

/// How long a write may take to be refused.
const REFUSED_WITHIN: Duration = Duration::from_secs(20);

/// How long a gateway may take to be as the group should be.
const CONVERGED_WITHIN: Duration = Duration::from_secs(30);

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
    let mut stage = Stage::set_on_etcd(true);
    way.take(&stage);
    stage.expect_headers("production", UPSTREAM);
    let before = (stage.published("production"), stage.revision("production"));
    stage.cluster.control().start_again();
    let after = (stage.published("production"), stage.revision("production"));
    assert_eq!(without_instances(before), without_instances(after));
    stage.publish("1.0.1", None);
    stage.sync(None);
    stage.expect_headers("production", UPSTREAM);
}

/// What is shown of a service beside its instances, whose state comes and goes.
fn without_instances((mut published, revision): (Value, Value)) -> (Value, Value) {
    for key in ["instances", "convergence"] {
        published[key].take();
    }
    (published, revision)
}

/// `/readyz` as it answers.
fn ready(stage: &mut Stage) -> Option<(u16, String)> {
    let url = format!("{}/readyz", stage.cluster.control().origin());
    let answer = try_curl([url]).ok()?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    Some((answer.status, text))
}

#[test]
fn without_etcd_writes_are_refused_and_everything_else_goes_on() {
    let mut stage = Stage::set_on_etcd(true);
    Way::nodes().take(&stage);
    let rounds = [(true, "1.0.0", "1.0.1"), (false, "1.0.1", "1.0.2")];
    for (is_frozen, running, next) in rounds {
        if is_frozen {
            stage.cluster.etcd().freeze(0, true);
        } else {
            stage.cluster.etcd().program(0).kill();
        }
        let group = json!({"name": "new"});
        let deadline = Deadline::after(REFUSED_WITHIN);
        let refused = stage.api().post("/gateway-groups", &group).json_of(503);
        assert!(!deadline.is_over(), "it was refused in time");
        let problem = &refused["problems"][0];
        assert_eq!(problem["code"], "store_unavailable", "{refused}");
        let said = eventually(START_TIME_MAX, "it is not ready", || {
            ready(&mut stage).filter(|(status, _)| *status == 503)
        });
        assert!(said.1.contains("check"), "{}", said.1);
        let metrics = format!("{}/metrics", stage.cluster.control().origin());
        let metrics = curl([metrics]).body;
        let metrics = String::from_utf8_lossy(&metrics);
        assert!(metrics.contains("ferryway_control_store_up 0"), "{metrics}");
        assert!(metrics.contains("store_trouble{kind="), "{metrics}");
        assert_eq!(stage.published("production")["version"], running);
        stage.expect_headers("production", UPSTREAM);

        if is_frozen {
            stage.cluster.etcd().freeze(0, false);
        } else {
            stage.cluster.etcd().start_again(0);
        }
        eventually(START_TIME_MAX, "it is ready again", || {
            ready(&mut stage).filter(|(status, _)| *status == 200)
        });
        stage.publish(next, None);
        stage.sync(None);
        stage.expect_headers("production", UPSTREAM);
    }
}

fn store_command(args: &[&str]) -> Output {
    let mut command = Command::new(binary("ferryway-control"));
    command.arg("store").args(args);
    command.output().expect("it can be run")
}

#[track_caller]
fn done(args: &[&str]) -> String {
    let output = store_command(args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn not_done(args: &[&str]) -> String {
    let output = store_command(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The content goes from etcd to a folder and back by a backup, and the gateways follow, each time
/// in a new epoch, without a request that fails.
#[test]
fn a_store_moves_under_gateways_that_serve() {
    let mut stage = Stage::set_on_etcd(true);
    Way::nodes().take(&stage);
    let url = stage.cluster.etcd().url();
    let folder = TempDir::new().expect("a temporary folder can be made");
    let text = |path: &Path| path.to_str().expect("it is text").to_owned();
    let backup = text(&folder.path().join("backup"));
    let told = done(&["backup", &backup, "--store", &url]);
    assert!(told.contains("entries"), "{told}");
    assert!(not_done(&["backup", &backup, "--store", &url]).contains("is there already"));

    // To a folder, by a copy.
    stop(&mut stage);
    let data = text(stage.cluster.control().data_dir());
    let copied = done(&["copy", "--from", &url, "--to", &data]);
    assert!(copied.contains("copied"), "{copied}");
    assert!(not_done(&["copy", "--from", &url, "--to", &data]).contains("is a store already"));
    stage.cluster.control().set_further(&[]);
    stage.cluster.control().start_again();
    goes_on(&stage, "1.1.0");
    let busy = not_done(&[
        "backup",
        &text(&folder.path().join("b")),
        "--data-dir",
        &data,
    ]);
    assert!(busy.contains("in use by another process"), "{busy}");

    // To another prefix of etcd, by the backup: production goes back to what it was then.
    stop(&mut stage);
    let flags = ["--store", &url, "--store-prefix", "/again/"];
    done(&[&["restore", &backup][..], &flags].concat());
    stage.cluster.control().set_further(&flags);
    stage.cluster.control().start_again();
    assert_eq!(stage.published("production")["version"], "1.0.0");
    goes_on(&stage, "1.2.0");
}

/// Stops the control plane. The gateways serve on.
fn stop(stage: &mut Stage) {
    let program = stage.cluster.control().program();
    program.signal(Signal::TERM);
    program.wait_exit(START_TIME_MAX);
    stage.expect_headers("production", UPSTREAM);
}

/// All instances come to what the groups should be, serve meanwhile, and take what comes next.
#[track_caller]
fn goes_on(stage: &Stage, version: &str) {
    eventually(CONVERGED_WITHIN, "all instances converge", || {
        stage.expect_headers("production", UPSTREAM);
        let converged = ["test", "production"].iter().all(|name| {
            let group = stage.api().get(&format!("/gateway-groups/{name}"));
            group.json_of(200)["instances"]["converged"] == 1
        });
        converged.then_some(())
    });
    stage.publish(version, None);
    stage.sync(None);
    assert_eq!(stage.published("production")["version"], version);
    stage.expect_headers("production", UPSTREAM);
}
