//! Which instances are there, and which are gone.

use std::time::Duration;

use ferryway_testkit::{START_TIME_MAX, Signal, eventually};
use serde_json::Value;

use crate::calls::{items, refused, text};
use crate::site::{GROUP, Site};

/// A closed stream says so at once, a silent one after 15 s.
pub(super) const OFFLINE_TIME_MAX: Duration = Duration::from_secs(20);

#[track_caller]
fn instances(site: &Site) -> Vec<Value> {
    items(
        &site
            .api()
            .get(&format!("/gateway-groups/{GROUP}/instances")),
    )
}

#[track_caller]
fn wait_for(site: &Site, state: &str) -> Value {
    eventually(OFFLINE_TIME_MAX, &format!("one instance, {state}"), || {
        let all = instances(site);
        (all.len() == 1 && all[0]["state"] == state).then(|| all[0].clone())
    })
}

#[test]
fn an_instance_that_is_gone_is_offline_until_it_comes_back() {
    for end in [Signal::KILL, Signal::STOP] {
        let mut site = Site::set();
        let online = wait_for(&site, "online");
        for part in ["id", "hostname", "build", "since"] {
            assert!(!text(&online[part]).is_empty(), "{part} of {online}");
        }
        site.gateway.program().signal(end);
        let offline = wait_for(&site, "offline");
        assert_eq!(offline["id"], online["id"]);
        assert_ne!(offline["since"], online["since"]);

        // The same data folder is the same instance.
        site.gateway.start_again();
        site.gateway.wait_ready(START_TIME_MAX);
        assert_eq!(wait_for(&site, "online")["id"], online["id"]);
        assert_eq!(site.gateway.status()["instance"], online["id"]);
    }
}

#[test]
fn only_an_instance_that_is_offline_can_be_deleted() {
    let mut site = Site::set();
    let id = wait_for(&site, "online")["id"].clone();
    let path = format!("/gateway-groups/{GROUP}/instances/{}", text(&id));
    assert_eq!(site.api().get(&path).json_of(200)["id"], id);
    assert_eq!(site.api().delete(&path).status, 409);
    // Nor can its group.
    let group = format!("/gateway-groups/{GROUP}");
    assert_eq!(refused(&site.api().delete(&group), 409), ["in_use"]);

    site.gateway.program().signal(Signal::TERM);
    wait_for(&site, "offline");
    assert_eq!(site.api().delete(&path).status, 204);
    assert_eq!(refused(&site.api().get(&path), 404), ["not_found"]);
    assert_eq!(instances(&site), [] as [Value; 0]);
    assert_eq!(site.api().delete(&group).status, 204);
}
