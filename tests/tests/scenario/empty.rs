//! A registry that says "none" is doubted: an upstream that was there does not vanish because DNS
//! has lost it for a while.

use ferryway_testkit::{Dns, eventually};
use serde_json::json;

use super::finding::Way;
use super::stage::{FOLLOW_TIME_MAX, Stage, UPSTREAM};

#[test]
fn nodes_stay_when_their_name_is_empty() {
    check_kept(&Way::nodes(), Dns::set_empty);
}

#[test]
fn nodes_stay_when_their_name_is_gone() {
    check_kept(&Way::nodes(), Dns::remove);
}

#[test]
fn addresses_stay_when_their_name_is_empty() {
    check_kept(&Way::addresses(), Dns::set_empty);
}

#[test]
fn addresses_stay_when_their_name_is_gone() {
    check_kept(&Way::addresses(), Dns::remove);
}

#[test]
fn a_service_stays_when_its_records_are_empty() {
    check_kept(&Way::service_records(), Dns::set_empty);
}

#[test]
fn a_service_stays_when_its_records_are_gone() {
    check_kept(&Way::service_records(), Dns::remove);
}

#[test]
fn addresses_are_given_up_in_the_end() {
    check_believed(&Way::addresses());
}

#[test]
fn a_service_is_given_up_in_the_end() {
    check_believed(&Way::service_records());
}

/// Loses the upstream's records, lets the gateway see that, and finds it still serving.
#[track_caller]
fn check_kept(way: &Way, lose: fn(&Dns, &str)) {
    let stage = Stage::set();
    way.take_with_registry(&stage, &json!({"kind": "dns", "empty_after": "10m"}));
    stage.expect_headers("production", UPSTREAM);

    lose(&stage.dns, way.asks_for);
    let asked_before = stage.dns.queries();
    eventually(FOLLOW_TIME_MAX, "the gateway asking again", || {
        (stage.dns.queries() >= asked_before + QUERIES_SEEN).then_some(())
    });
    stage.expect_headers("production", UPSTREAM);
}

/// Enough that a name was asked for twice, for each kind of address.
const QUERIES_SEEN: u64 = 4;

/// Loses the upstream's records for longer than the registry is doubted, and finds it gone.
#[track_caller]
fn check_believed(way: &Way) {
    let stage = Stage::set();
    way.take_with_registry(&stage, &json!({"kind": "dns", "empty_after": "1s"}));
    stage.expect_headers("production", UPSTREAM);

    stage.dns.set_empty(way.asks_for);
    let answer = eventually(
        FOLLOW_TIME_MAX,
        "the end of an upstream without endpoints",
        || Some(stage.curl_headers("production")).filter(|answer| answer.status != 200),
    );
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("x-ferryway-error"), Some("no_endpoint"));
}
