//! Each control plane is killed and stopped, each member of etcd too, the leader moves and the past
//! is compacted: no request fails, no answered write is lost or done twice, no revision falls, and
//! everybody agrees within seconds of the healing.

use std::net::SocketAddr;

use ferryway_testkit::{START_TIME_MAX, curl, eventually};
use serde_json::Value;

use super::fleet::{COUNT, Fleet, GROUP};
use super::pressure::{Pressure, written_by};
use crate::caller::Caller;

#[test]
fn control_planes_and_members_of_etcd_are_lost_and_nobody_notices() {
    let mut fleet = Fleet::start();
    let pressure = Pressure::on(&fleet);
    for round in 0..COUNT {
        let took = fleet.lose(round, &pressure);
        println!("round {round}: healed within {took:?}");
    }
    pressure.goes_on();
    let written = pressure.end();
    fleet.agree(&[0, 1, 2], START_TIME_MAX);
    let count: usize = written.iter().map(Vec::len).sum();
    println!("{count} writes");
    for api in fleet.apis() {
        // The service of the requests was published before.
        assert_eq!(revision(api), 1 + count as u64, "each write is there once");
        for (writer, written) in written.iter().enumerate() {
            assert_eq!(&history(api, &written_by(writer)), written);
        }
    }
    for control in &mut fleet.controls {
        let said = control.program().stderr();
        assert!(!said.contains("panicked"), "{said}");
        let ready = format!("{}/readyz", control.origin());
        eventually(START_TIME_MAX, "each follows the others", || {
            let said = curl([ready.clone()]);
            (said.text() == "ready\n").then_some(())
        });
    }
}

fn revision(api: SocketAddr) -> u64 {
    let mut caller = Caller::connect(api).expect("it runs");
    let group = caller.get(&format!("/gateway-groups/{GROUP}"));
    let group = group.expect("it answers").json_of(200);
    group["revision"].as_u64().expect("it has a revision")
}

/// The versions that a service had in the group, oldest first.
fn history(api: SocketAddr, service: &str) -> Vec<String> {
    let mut caller = Caller::connect(api).expect("it runs");
    let path = format!("/gateway-groups/{GROUP}/services/{service}/history");
    let version = |entry: &Value| entry["version"].as_str().map(str::to_owned);
    let versions: Option<Vec<_>> = caller.list(&path).iter().rev().map(version).collect();
    versions.expect("all have versions")
}
