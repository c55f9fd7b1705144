//! A service can be switched off and on in a group, and be taken out of it.

use ferryway_testkit::Answer;
use serde_json::{Value, json};

use super::desk::{Desk, binding};
use crate::calls::{items, published, refused, service, succeeded};
use crate::site::{GROUP, Site, own_answer};

#[track_caller]
fn switch(site: &Site, enabled: bool) -> Value {
    let path = format!("/gateway-groups/{GROUP}/services/orders?wait=30s");
    succeeded(&site.api().patch(&path, &json!({"enabled": enabled})))
}

#[track_caller]
fn is_absent(answer: &Answer) {
    assert_eq!(own_answer(answer), (404, "no_route".to_owned()));
}

#[test]
fn a_disabled_service_answers_as_if_it_were_not_there() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    let before = published(&site.api(), GROUP, "orders");
    assert_eq!(site.get("/orders").status, 200);

    assert_eq!(switch(&site, false)["kind"], "disable");
    is_absent(&site.get("/orders"));
    let mut disabled = published(&site.api(), GROUP, "orders");
    assert_eq!(disabled["enabled"].take(), false);
    for part in ["version", "digest", "binding"] {
        assert_eq!(disabled[part], before[part], "{part}");
    }

    assert_eq!(switch(&site, true)["kind"], "enable");
    assert_eq!(site.get("/orders").status, 200);
    assert_eq!(published(&site.api(), GROUP, "orders")["version"], "1.0.0");
}

#[test]
fn an_unpublished_service_is_gone_and_its_past_stays() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    let path = format!("/gateway-groups/{GROUP}/services/orders");
    let operation = succeeded(&site.api().delete(&format!("{path}?wait=30s")));
    assert_eq!(operation["kind"], "unpublish");

    is_absent(&site.get("/orders"));
    assert_eq!(refused(&site.api().get(&path), 404), ["not_found"]);
    let running = site.api().get(&format!("/gateway-groups/{GROUP}/services"));
    assert_eq!(items(&running), [] as [Value; 0]);
    let history = items(&site.api().get(&format!("{path}/history")));
    let kinds: Vec<_> = history.iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["unpublish", "publish"]);
    let version = site
        .api()
        .get("/services/orders/versions/1.0.0")
        .json_of(200);
    assert_eq!(version["running_in"], json!([]));
    assert_eq!(refused(&site.api().delete(&path), 404), ["not_found"]);
}

#[test]
fn a_sync_leaves_the_switch_as_it_is() {
    let desk = Desk::published();
    succeeded(&desk.patch("test", &json!({"enabled": false})));
    // A disabled source can be synced, and what is new to a group starts enabled.
    let to = [("production", Some(&binding()))];
    succeeded(&desk.try_sync("test", &to, json!({})));
    assert_eq!(desk.running("production")["enabled"], true);

    succeeded(&desk.patch("production", &json!({"enabled": false})));
    succeeded(&desk.patch("test", &json!({"enabled": true})));
    succeeded(&desk.try_publish("1.0.1", &[("test", None)]));
    succeeded(&desk.try_sync("test", &[("production", None)], json!({})));
    let production = desk.running("production");
    assert_eq!(
        [&production["version"], &production["enabled"]],
        [&json!("1.0.1"), &json!(false)]
    );
}

#[test]
fn what_is_in_use_is_not_deleted() {
    let desk = Desk::published();
    for path in ["/services/orders", "/gateway-groups/test"] {
        assert_eq!(refused(&desk.api().delete(path), 409), ["in_use"], "{path}");
    }
    desk.unpublish("test");
    for path in ["/services/orders", "/gateway-groups/test"] {
        assert_eq!(desk.api().delete(path).status, 204, "{path}");
        assert_eq!(refused(&desk.api().get(path), 404), ["not_found"], "{path}");
    }
}
