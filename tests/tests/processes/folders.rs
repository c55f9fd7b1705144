//! A data folder has one owner.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ferryway_testkit::{Control, Program, START_TIME_MAX, ports};
use tempfile::TempDir;

use super::run::{REFUSAL_TIME_MAX, check_refused, start};
use crate::site::make_group;

/// A gateway of this group on this folder, and its status address.
#[track_caller]
fn gateway(control: &Control, group: &str, data: &Path) -> (Program, String) {
    let [http, https, status] = ports::free();
    let url = control.delivery_url();
    let args = format!(
        "--control {url} --group {group} --data-dir DATA --http 127.0.0.1:{http} \
         --https 127.0.0.1:{https} --status 127.0.0.1:{status}"
    );
    let program = start("ferryway-gateway", &args, data);
    (program, format!("http://127.0.0.1:{status}"))
}

#[track_caller]
fn ends_saying(mut program: Program, says: &[&str]) {
    let exit = program.wait_exit(REFUSAL_TIME_MAX);
    let errors = program.stderr();
    assert_eq!(exit.code(), Some(1), "{errors}");
    for word in says {
        assert!(errors.contains(word), "{word}: {errors}");
    }
}

#[test]
fn a_gateways_folder_belongs_to_its_group_and_to_one_process() {
    let control = Control::start();
    for group in ["test", "production"] {
        make_group(&control.api(), group);
    }
    let data = TempDir::new().expect("a temporary folder can be made");
    let (mut first, status) = gateway(&control, "test", data.path());
    first.wait_for_http(&format!("{status}/readyz"), START_TIME_MAX);

    let (second, _) = gateway(&control, "test", data.path());
    ends_saying(second, &[&data.path().display().to_string()]);
    first.kill();
    let (other, _) = gateway(&control, "production", data.path());
    ends_saying(other, &["test", "production"]);
    // Its own group is welcome.
    let (mut again, status) = gateway(&control, "test", data.path());
    again.wait_for_http(&format!("{status}/readyz"), START_TIME_MAX);
}

#[test]
fn a_control_planes_folder_belongs_to_one_process() {
    let data = TempDir::new().expect("a temporary folder can be made");
    let control = |api: u16, delivery: u16| {
        let args =
            format!("--dev --api 127.0.0.1:{api} --delivery 127.0.0.1:{delivery} --data-dir DATA");
        start("ferryway-control", &args, data.path())
    };
    let [api, delivery, other_api, other_delivery] = ports::free();
    let mut first = control(api, delivery);
    let ready = format!("http://127.0.0.1:{api}/readyz");
    first.wait_for_http(&ready, START_TIME_MAX);
    ends_saying(
        control(other_api, other_delivery),
        &[&data.path().display().to_string()],
    );
    first.kill();
    let mut again = control(api, delivery);
    again.wait_for_http(&ready, START_TIME_MAX);
}

#[test]
fn a_folder_that_cannot_be_one_is_said() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("a-file");
    fs::write(&file, "").expect("it can be written");
    let path = file.display().to_string();
    let args = format!("--dev --api 127.0.0.1:PORT --delivery 127.0.0.1:PORT --data-dir {path}");
    check_refused("ferryway-control", &args, 1, &[&path]);
    let args = format!(
        "--control http://127.0.0.1:7943 --group test --http 127.0.0.1:PORT \
         --https 127.0.0.1:PORT --status 127.0.0.1:PORT --data-dir {path}"
    );
    check_refused("ferryway-gateway", &args, 1, &[&path]);
}

#[test]
fn what_is_kept_is_for_its_owner_alone() {
    let control = Control::start();
    make_group(&control.api(), "test");
    let data = TempDir::new().expect("a temporary folder can be made");
    let folder = data.path().join("gateway");
    let (mut program, status) = gateway(&control, "test", &folder);
    program.wait_for_http(&format!("{status}/readyz"), START_TIME_MAX);
    let entries = fs::read_dir(&folder).expect("the gateway made it");
    let mut files = 0;
    for entry in entries {
        let entry = entry.expect("a folder can be listed");
        let mode = entry.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:o} of {:?}", mode, entry.path());
        files += 1;
    }
    assert!(files > 0);
}
