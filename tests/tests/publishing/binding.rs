//! The binding is the group's own, and changes without the version.

use serde_json::{Value, json};

use super::desk::{Desk, binding, binding_to};
use crate::calls::{ended, nodes, published, refused, service, succeeded};
use crate::site::{GROUP, Site};
use crate::upstream::Upstream;

#[test]
fn another_binding_leads_elsewhere_and_keeps_the_version() {
    let site = Site::set();
    site.serve(&service("orders", &[("all", "/orders")]));
    let before = published(&site.api(), GROUP, "orders");
    assert_eq!(site.get("/orders").status, 200);
    assert_eq!(site.upstream.requests("/orders").len(), 1);

    let other = Upstream::start();
    let path = format!("/gateway-groups/{GROUP}/services/orders?wait=30s");
    let body = json!({"binding": nodes(&[other.address()])});
    let operation = succeeded(&site.api().patch(&path, &body));
    assert_eq!(operation["kind"], "binding");
    assert_eq!(
        operation["destinations"][0]["instances"][0]["state"],
        "applied"
    );

    assert_eq!(site.get("/orders").status, 200);
    assert_eq!(other.requests("/orders").len(), 1);
    assert_eq!(site.upstream.requests("/orders").len(), 1);
    let after = published(&site.api(), GROUP, "orders");
    assert_eq!(
        [&after["version"], &after["digest"]],
        [&before["version"], &before["digest"]]
    );
}

#[test]
fn a_patch_replaces_it_whole_and_the_same_one_changes_nothing() {
    let desk = Desk::published();
    let hosts = json!({"nodes": binding()["nodes"], "hosts": ["a.example"], "scheme": null});
    succeeded(&desk.patch("test", &json!({"binding": hosts})));
    assert_eq!(
        desk.running("test")["binding"]["hosts"],
        json!(["a.example"])
    );
    ended(&desk.patch("test", &json!({"binding": hosts})), "unchanged");

    succeeded(&desk.patch("test", &json!({"binding": binding_to(81)})));
    let running = desk.running("test");
    assert_eq!(running["binding"]["hosts"], Value::Null);
    assert_eq!(running["binding"]["nodes"][0]["port"], 81);
    ended(&desk.patch("test", &json!({"enabled": true})), "unchanged");
}

#[test]
fn what_is_no_binding_is_refused() {
    let desk = Desk::published();
    let node = |host: &str, weight: u64| json!({"host": host, "port": 80, "weight": weight});
    let discovery = json!({"registry": "none-such", "service": "orders"});
    for (binding, status, code) in [
        (json!({}), 422, None),
        (json!({"nodes": []}), 422, None),
        (json!({"nodes": [node("a.example", 0)]}), 422, None),
        (json!({"nodes": [node("a b", 1)]}), 422, None),
        (json!({"nodes": [node("a", 65536)]}), 422, None),
        (
            json!({"nodes": [{"host": "a", "prot": 80}]}),
            400,
            Some("unknown_field"),
        ),
        (
            json!({"nodes": [node("a", 1)], "discovery": discovery}),
            422,
            None,
        ),
        (
            json!({"discovery": discovery}),
            422,
            Some("registry_missing"),
        ),
    ] {
        let before = desk.traces();
        let codes = refused(&desk.patch("test", &json!({"binding": binding})), status);
        if let Some(code) = code {
            assert_eq!(codes, [code], "{binding}");
        }
        assert_eq!(desk.traces(), before, "{binding}");
    }
    // What an answer adds is ignored when it is sent back; alone, it says nothing.
    assert_eq!(desk.patch("test", &json!({"version": "2"})).status, 422);
    assert_eq!(desk.patch("test", &json!({"verison": "2"})).status, 400);
    assert_eq!(
        refused(&desk.patch("production", &json!({"enabled": true})), 404),
        ["not_found"]
    );
}
