//! A registry that says "none" is doubted: an upstream that was there does not vanish because DNS
//! has lost it for a while.

use ferryway_testkit::{Dns, eventually};
use serde_json::json;

use super::finding::{Way, ways};
use super::stage::{FOLLOW_TIME_MAX, Stage, UPSTREAM};

#[test]
fn an_empty_answer_does_not_empty_an_upstream() {
    for way in ways() {
        check_kept(&way, |dns| dns.set_empty(way.asks_for));
    }
}

#[test]
fn a_name_that_is_gone_does_not_empty_an_upstream() {
    for way in ways() {
        check_kept(&way, |dns| dns.remove(way.asks_for));
    }
}

#[test]
fn a_registry_that_keeps_saying_none_is_believed_in_the_end() {
    for way in ways().iter().filter(|way| !way.is_by_nodes()) {
        let stage = Stage::set();
        way.take_with_registry(&stage, &json!({"kind": "dns", "empty_after": "1s"}));
        stage.expect_headers("production", UPSTREAM);

        stage.dns.set_empty(way.asks_for);
        let what = format!("{}: the end of an upstream without endpoints", way.name);
        let answer = eventually(FOLLOW_TIME_MAX, &what, || {
            let answer = stage.curl_headers("production");
            (answer.status != 200).then_some(answer)
        });
        assert_eq!(answer.status, 503, "{}", way.name);
        assert_eq!(
            answer.header("x-ferryway-error"),
            Some("no_endpoint"),
            "{}",
            way.name
        );
    }
}

/// Loses the upstream's records, lets the gateway see that, and finds it still serving.
fn check_kept(way: &Way, lose: impl FnOnce(&Dns)) {
    let stage = Stage::set();
    way.take_with_registry(&stage, &json!({"kind": "dns", "empty_after": "10m"}));
    stage.expect_headers("production", UPSTREAM);

    lose(&stage.dns);
    let asked_before = stage.dns.queries();
    let what = format!("{}: the gateway asking again", way.name);
    eventually(FOLLOW_TIME_MAX, &what, || {
        (stage.dns.queries() >= asked_before + QUERIES_SEEN).then_some(())
    });
    stage.expect_headers("production", UPSTREAM);
}

/// Enough that a name was asked for twice, for each kind of address.
const QUERIES_SEEN: u64 = 4;
