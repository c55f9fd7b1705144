//! When the registered endpoints change, the gateway follows without a sync, and no request fails
//! on the way.

use ferryway_testkit::{Httpbin, eventually};

use super::finding::{Way, ways};
use super::stage::{FOLLOW_TIME_MAX, Stage, UPSTREAM};

#[test]
fn the_gateway_follows_its_upstream_to_another_address() {
    for way in ways() {
        check(&way);
    }
}

fn check(way: &Way) {
    let stage = Stage::set();
    way.take(&stage);
    stage.expect_headers("production", UPSTREAM);
    let revision = stage.revision("production");

    let moved = Httpbin::start_on_port_80();
    stage.dns.set_addresses(UPSTREAM, &[moved.ip()]);
    let what = format!("{}: a request at the new address", way.name);
    eventually(FOLLOW_TIME_MAX, &what, || {
        stage.expect_headers("production", UPSTREAM);
        (moved.served("/headers") > 0).then_some(())
    });

    // From here on the old address is past.
    let (at_old, at_new) = (
        stage.productions_own.served("/headers"),
        moved.served("/headers"),
    );
    for _ in 0..FURTHER_REQUESTS {
        stage.expect_headers("production", UPSTREAM);
    }
    assert_eq!(
        stage.productions_own.served("/headers"),
        at_old,
        "{}",
        way.name
    );
    assert_eq!(
        moved.served("/headers"),
        at_new + FURTHER_REQUESTS,
        "{}",
        way.name
    );
    assert_eq!(
        stage.revision("production"),
        revision,
        "{}: nothing was delivered",
        way.name
    );
}

const FURTHER_REQUESTS: usize = 5;
