//! When the registered endpoints change, the gateway follows without a sync, and no request fails
//! on the way.

use ferryway_testkit::{Httpbin, eventually};

use super::finding::Way;
use super::stage::{FOLLOW_TIME_MAX, Stage, UPSTREAM};

#[test]
fn nodes() {
    check(&Way::nodes());
}

#[test]
fn the_addresses_of_a_name() {
    check(&Way::addresses());
}

#[test]
fn service_records() {
    check(&Way::service_records());
}

#[track_caller]
fn check(way: &Way) {
    let stage = Stage::set();
    way.take(&stage);
    let revision = stage.revision("production");
    let mut sent = 0;
    let mut send = || {
        stage.expect_headers("production", UPSTREAM);
        sent += 1;
        sent
    };
    send();

    let (old, new) = (&stage.productions_own, Httpbin::start_on_port_80());
    stage.dns.set_addresses(UPSTREAM, &[new.ip()]);
    let sent_by_then = eventually(FOLLOW_TIME_MAX, "a request at the new address", || {
        let sent = send();
        (new.served("/headers") > 0).then_some(sent)
    });
    // Each was served once, at the one or at the other.
    let [at_old, at_new] = eventually(FOLLOW_TIME_MAX, "the count of all requests", || {
        let served = [old.served("/headers"), new.served("/headers")];
        (served.iter().sum::<usize>() == sent_by_then).then_some(served)
    });

    // From here on the old address is past.
    for _ in 0..FURTHER_REQUESTS {
        send();
    }
    new.expect_served("/headers", at_new + FURTHER_REQUESTS);
    old.expect_served("/headers", at_old);
    assert_eq!(
        stage.revision("production"),
        revision,
        "nothing was delivered"
    );
}

const FURTHER_REQUESTS: usize = 5;
