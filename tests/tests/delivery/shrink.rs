//! A view that shrank by comparison waits for an operator's word, and the word is kept.

use std::fs;
use std::path::Path;

use ferryway_testkit::{START_TIME_MAX, eventually};
use serde_json::{Value, json};

use super::absence::{RECONNECT_TIME_MAX, wait_connected};
use crate::calls::{items, refused, service};
use crate::site::{GROUP, Site};

/// More than may go without a word: three entries.
const SERVICES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn confirm(site: &Site) -> ferryway_testkit::Answer {
    let path = format!("/gateway-groups/{GROUP}/confirm-shrink");
    site.api().post(&path, &json!({}))
}

#[track_caller]
fn answers(site: &Site, status: u16) {
    for service in SERVICES {
        assert_eq!(site.get(&format!("/{service}")).status, status, "{service}");
    }
}

/// The codes of what the group's one instance holds, once the control plane knows it.
fn held(site: &Site) -> Option<Vec<Value>> {
    let path = format!("/gateway-groups/{GROUP}/instances");
    let held = items(&site.api().get(&path)).first()?["held"].clone();
    let codes = held.as_array()?.iter().map(|held| held["code"].clone());
    Some(codes.collect())
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a folder can be made");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a file can be copied");
        }
    }
}

#[test]
fn a_word_is_kept_for_an_instance_that_is_away() {
    let mut site = Site::set();
    let backup = tempfile::tempdir().expect("a temporary folder can be made");
    site.control.program().kill();
    copy(site.control.data_dir(), backup.path());
    site.control.start_again();
    // An operation waits for the instances that are there when it begins.
    wait_connected(&site);
    for name in SERVICES {
        site.serve(&service(name, &[("all", &format!("/{name}"))]));
    }
    answers(&site, 200);
    assert_eq!(refused(&confirm(&site), 409), ["nothing_to_confirm"]);

    // The control plane comes back without what was published since the backup.
    site.control.program().kill();
    copy(backup.path(), site.control.data_dir());
    let mark = site.control.data_dir().join("restored");
    fs::write(mark, "").expect("a file can be written");
    site.control.start_again();
    eventually(RECONNECT_TIME_MAX, "the instance to hold all", || {
        (held(&site)? == ["shrink_unconfirmed"; 5]).then_some(())
    });
    answers(&site, 200);

    // The word is given while the instance is away, and a restart comes before it is heard.
    site.gateway.program().kill();
    assert_eq!(confirm(&site).json_of(200)["name"], GROUP);
    site.control.start_again();
    site.gateway.start_again();
    site.gateway.wait_ready(START_TIME_MAX);
    eventually(RECONNECT_TIME_MAX, "the instance to let go", || {
        (site.gateway.status()["converged"] == true).then_some(())
    });
    answers(&site, 404);
    eventually(RECONNECT_TIME_MAX, "the instance to say so", || {
        held(&site)?.is_empty().then_some(())
    });
    assert_eq!(refused(&confirm(&site), 409), ["nothing_to_confirm"]);
    let audit = items(&site.api().get("/audit?q=confirm"));
    assert_eq!(audit.len(), 1, "{audit:?}");
}
