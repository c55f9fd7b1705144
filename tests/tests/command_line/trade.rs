//! The verbs of the trade, from the first publish to the end.

use serde_json::json;

use super::terminal::Terminal;
use crate::site::{GROUP, Site, make_group};

const ORDERS: &str = "
name: orders
title: All the orders
routes:
  - name: all
    paths: [/orders]
";

const ORDERS_V2: &str = "
name: orders
title: All the orders
routes:
  - name: all
    paths: [/orders]
  - name: one
    paths: ['/orders/{id}']
";

#[test]
fn a_service_goes_its_way() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    let node = format!("--node {}", site.upstream.address());
    terminal.write("orders.yaml", ORDERS);
    terminal.shows("group create production", &[]);
    terminal.shows("group list", &[GROUP, "production"]);
    terminal.shows("service create -f orders.yaml", &[]);
    terminal.shows("service list", &["orders", "All the orders"]);

    let publish = format!("publish orders --version 1.0.0 --to {GROUP} {node}");
    terminal.shows(&publish, &["1/1 applied"]);
    assert_eq!(site.get("/orders").status, 200);
    terminal.shows("status", &["SERVICE", "orders", "1.0.0", "1/1"]);

    let sync = format!("sync orders --from {GROUP} --to production {node}");
    terminal.shows(
        &format!("{sync} --dry-run"),
        &["1.0.0", "production", "+ route"],
    );
    assert_eq!(
        terminal.json("service list --in production"),
        json!({"items": [], "next_cursor": null})
    );
    terminal.shows(&sync, &["production"]);
    terminal.shows(&sync, &["nothing to do"]);

    terminal.write("orders.yaml", ORDERS_V2);
    terminal.shows("service edit orders -f orders.yaml", &[]);
    terminal.shows(
        &format!("publish orders --version 1.1.0 --to {GROUP} --dry-run"),
        &["1.0.0", "1.1.0", "+ route one", "no problems"],
    );
    let undo = format!("ferryway rollback orders --in {GROUP} --to 1.0.0");
    terminal.shows(
        &format!("publish orders --version 1.1.0 --to {GROUP}"),
        &["1/1 applied", &undo],
    );
    assert_eq!(site.get("/orders/7").status, 200);
    terminal.shows(&format!("diff orders {GROUP} production"), &["one"]);
    terminal.ends(&format!("diff orders {GROUP} production --exit-code"), 6);
    terminal.shows("diff orders@1.0.0 orders@1.1.0", &["one"]);
    terminal.shows(&undo["ferryway ".len()..], &["1/1 applied"]);
    assert_eq!(site.get("/orders/7").status, 404);
    terminal.ends(&format!("diff orders {GROUP} production --exit-code"), 0);

    terminal.shows(&format!("disable orders --in {GROUP}"), &["1/1 applied"]);
    assert_eq!(site.get("/orders").status, 404);
    terminal.shows(&format!("enable orders --in {GROUP}"), &["1/1 applied"]);
    assert_eq!(site.get("/orders").status, 200);
    terminal.shows(
        &format!("bind orders --in {GROUP} --node 127.0.0.1:9"),
        &["1/1 applied"],
    );
    assert_eq!(site.get("/orders").status, 502);
    terminal.shows(
        &format!("unpublish orders --in {GROUP} --yes"),
        &["1/1 applied"],
    );
    assert_eq!(site.get("/orders").status, 404);
    terminal.shows(
        "operation list",
        &["publish", "sync", "rollback", "unpublish"],
    );
    terminal.shows("audit list", &["orders"]);
}

#[test]
fn answers_are_json_when_asked_for() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    terminal.write(
        "orders.json",
        &json!({"name": "orders", "routes": [{"name": "all", "paths": ["/orders"]}]}).to_string(),
    );
    let made = terminal.json("service create -f orders.json");
    assert_eq!(made["name"], "orders");
    let publish = format!(
        "publish orders --version 1 --to {GROUP} --node {}",
        site.upstream.address()
    );
    let planned = terminal.json(&format!("{publish} --dry-run"));
    assert_eq!(planned["state"], "planned");
    let operation = terminal.json(&publish);
    assert_eq!(operation["state"], "succeeded");
    let id = operation["operation"].as_str().expect("an id");
    assert_eq!(
        terminal.json(&format!("operation get {id}"))["version"],
        "1"
    );
    for (line, pointer, value) in [
        ("group list", "/items/0/name", json!(GROUP)),
        ("group get test", "/instances/online", json!(1)),
        ("instance list --in test", "/items/0/state", json!("online")),
        ("service list", "/items/0/name", json!("orders")),
        ("service get orders", "/routes/0/paths/0", json!("/orders")),
        ("service list --in test", "/items/0/version", json!("1")),
        ("operation list", "/items/0/kind", json!("publish")),
        ("status", "/rows/0/cells/test/version", json!("1")),
    ] {
        let answer = terminal.json(line);
        assert_eq!(answer.pointer(pointer), Some(&value), "{line}: {answer:#}");
    }
    terminal.shows("service get orders -o yaml", &["name: orders"]);
}

#[test]
fn a_registry_is_made_and_used() {
    let site = Site::set();
    make_group(&site.api(), "production");
    let terminal = Terminal::at(&site.control.origin());
    terminal.write("orders.yaml", ORDERS);
    terminal.shows("service create -f orders.yaml", &[]);
    terminal.shows(
        "registry create names --in production --kind dns --endpoint 127.0.0.1:53",
        &[],
    );
    terminal.shows("registry list --in production", &["names", "dns"]);
    let discovery = "--discovery registry=names,namespace=svc.example,service=_orders._tcp";
    terminal.shows(
        &format!("publish orders --version 1 --to production {discovery}"),
        &[],
    );
    let running = terminal.json("service get orders --in production");
    let binding = &running["binding"]["discovery"];
    assert_eq!(
        [
            &binding["registry"],
            &binding["namespace"],
            &binding["service"]
        ],
        ["names", "svc.example", "_orders._tcp"]
    );
    terminal.ends("registry delete names --in production --yes", 1);
}
