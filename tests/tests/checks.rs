//! Checks travel with the version, and run on each instance before a single user's request does.

mod expectations;
mod occasions;

use std::time::Duration;

use ferryway_testkit::{START_TIME_MAX, Signal};
use serde_json::{Value, json};

use crate::calls::{
    self, define, ended, items, nodes, publish, published, service, succeeded, text,
};
use crate::site::{GROUP, Site, make_group, own_answer};
use crate::upstream::Reply;

/// How long a gateway may take to end.
const END_TIME_MAX: Duration = Duration::from_secs(15);

/// A service at `/NAME` whose check wants `/NAME/check` to answer with "good".
fn checked(name: &str) -> Value {
    let (own, below) = (format!("/{name}"), format!("/{name}/*"));
    let mut service = service(name, &[("own", &own), ("below", &below)]);
    service["checks"] = json!([{
        "name": "is-good", "path": format!("/{name}/check"),
        "expect": {"status": 200, "body_contains": "good"},
    }]);
    service
}

/// The same with one more route, at `/NAME-next`.
fn next(name: &str) -> Value {
    let mut service = checked(name);
    let routes = service["routes"].as_array_mut().expect("it has routes");
    routes.push(json!({"name": "next", "paths": [format!("/{name}-next")]}));
    service
}

/// Everything runs; `/NAME/check` of these services is good.
#[track_caller]
fn site(names: &[&str]) -> Site {
    let site = Site::set();
    for name in names {
        set(&site, name, "good");
    }
    site
}

/// What `/NAME/check` answers from now on.
fn set(site: &Site, name: &str, body: &'static str) {
    let path = format!("/{name}/check");
    site.upstream.reply(&path, [Reply::Text(200, body)]);
}

/// Publishes this definition, whose delivery ends in this state.
#[track_caller]
fn deliver(site: &Site, service: &Value, version: &str, state: &str) -> Value {
    define(&site.api(), service);
    let binding = nodes(&[site.upstream.address()]);
    let groups = [(GROUP, Some(&binding))];
    let answer = publish(&site.api(), text(&service["name"]), version, &groups);
    ended(&answer, state)
}

/// The services that the only instance holds, as the API says; the gateway says the same.
#[track_caller]
fn held(site: &Site) -> Vec<String> {
    let instances = items(
        &site
            .api()
            .get(&format!("/gateway-groups/{GROUP}/instances")),
    );
    let names = |held: &Value| {
        let held = held.as_array().into_iter().flatten();
        let mut names: Vec<_> = held.map(|it| text(&it["service"]).to_owned()).collect();
        names.sort();
        names
    };
    let of_api = names(&instances[0]["held"]);
    let status = site.gateway.status();
    assert_eq!(names(&status["held"]), of_api, "{status:#}");
    assert_eq!(status["converged"], of_api.is_empty(), "{status:#}");
    assert_eq!(instances[0]["converged"], of_api.is_empty());
    of_api
}

#[test]
fn what_passes_is_served() {
    let site = site(&["orders"]);
    let operation = deliver(&site, &checked("orders"), "1", "succeeded");
    assert_eq!(
        operation["destinations"][0]["instances"][0]["state"],
        "applied"
    );
    let probes = site.upstream.requests("/orders/check");
    assert_eq!(probes.len(), 1);
    assert_eq!(probes[0].method(), "GET");
    assert_eq!(probes[0].header("x-forwarded-host"), Some("127.0.0.1"));
    assert_eq!(site.get("/orders").status, 200);
    assert_eq!(held(&site), [""; 0]);
}

#[test]
fn what_fails_serves_nobody_and_says_why() {
    let site = site(&["orders"]);
    deliver(&site, &checked("orders"), "1", "succeeded");
    set(&site, "orders", "bad");
    let operation = deliver(&site, &next("orders"), "2", "failed");
    let instance = &operation["destinations"][0]["instances"][0];
    assert_eq!(instance["state"], "rejected");
    assert_eq!(instance["code"], "check_failed");
    let detail = text(&instance["detail"]);
    assert!(
        detail.contains("is-good") && detail.contains("good"),
        "{detail}"
    );
    let evidence = &instance["evidence"];
    assert!(
        evidence["request"].to_string().contains("/orders/check"),
        "{evidence}"
    );
    assert!(
        evidence["response"].to_string().contains("bad"),
        "{evidence}"
    );

    // The change is committed; the instance holds its last good content.
    let running = published(&site.api(), GROUP, "orders");
    assert_eq!(running["version"], "2");
    assert_eq!(
        running["convergence"],
        json!({"online": 1, "converged": 0, "held": 1})
    );
    assert_eq!(site.get("/orders").status, 200);
    assert_eq!(site.get("/orders-next").status, 404);
    assert_eq!(held(&site), ["orders"]);
    let group = calls::group(&site.api(), GROUP);
    assert_eq!(group["instances"]["converged"], 0);

    // Others advance.
    let other = service("users", &[("all", "/users")]);
    deliver(&site, &other, "1", "succeeded");
    assert_eq!(site.get("/users").status, 200);
    assert_eq!(held(&site), ["orders"]);
}

#[test]
fn good_content_ends_the_hold() {
    let site = site(&["orders"]);
    deliver(&site, &checked("orders"), "1", "succeeded");
    set(&site, "orders", "bad");
    deliver(&site, &next("orders"), "2", "failed");
    assert_eq!(held(&site), ["orders"]);

    set(&site, "orders", "good");
    let mut fixed = next("orders");
    fixed["routes"][0]["priority"] = json!(1);
    deliver(&site, &fixed, "3", "succeeded");
    assert_eq!(held(&site), [""; 0]);
    assert_eq!(site.get("/orders-next").status, 200);
    let running = published(&site.api(), GROUP, "orders");
    assert_eq!(
        running["convergence"],
        json!({"online": 1, "converged": 1, "held": 0})
    );
}

#[test]
fn services_of_one_sync_are_held_together() {
    let site = site(&["orders", "users"]);
    make_group(&site.api(), "source");
    let binding = nodes(&[site.upstream.address()]);
    for name in ["orders", "users"] {
        deliver(&site, &checked(name), "1", "succeeded");
        define(&site.api(), &next(name));
        let groups = [("source", Some(&binding))];
        succeeded(&publish(&site.api(), name, "2", &groups));
    }
    set(&site, "orders", "bad");
    let body = json!({
        "services": [{"service": "orders"}, {"service": "users"}],
        "to": [{"group": GROUP, "bindings": {}}],
    });
    let sync = |body: &Value| {
        site.api()
            .post("/gateway-groups/source/sync?wait=30s", body)
    };
    let operation = ended(&sync(&body), "failed");
    for destination in operation["destinations"].as_array().into_iter().flatten() {
        let instance = &destination["instances"][0];
        assert_eq!(instance["state"], "rejected", "{destination:#}");
        let code = &instance["code"];
        assert_eq!(
            code == "check_failed",
            destination["service"] == "orders",
            "{code}"
        );
    }
    assert_eq!(held(&site), ["orders", "users"]);
    for (path, status) in [
        ("/orders", 200),
        ("/users", 200),
        ("/orders-next", 404),
        ("/users-next", 404),
    ] {
        assert_eq!(site.get(path).status, status, "{path}");
    }
}

#[test]
fn what_never_was_good_there_answers_404() {
    let site = site(&[]);
    set(&site, "orders", "bad");
    deliver(&site, &checked("orders"), "1", "failed");
    assert_eq!(held(&site), ["orders"]);
    assert_eq!(
        own_answer(&site.get("/orders")),
        (404, "no_route".to_owned())
    );

    set(&site, "orders", "good");
    deliver(&site, &next("orders"), "2", "succeeded");
    assert_eq!(site.get("/orders").status, 200);
}

#[test]
fn a_start_runs_no_checks() {
    let mut site = site(&["orders"]);
    deliver(&site, &checked("orders"), "1", "succeeded");
    set(&site, "orders", "bad");
    let before = site.upstream.requests("/orders/check").len();
    site.gateway.start_again();
    site.gateway.wait_ready(START_TIME_MAX);
    assert_eq!(site.get("/orders").status, 200);
    assert_eq!(site.upstream.requests("/orders/check").len(), before);
}

#[test]
fn a_hold_outlives_a_restart() {
    let mut site = Site::with(&["--drain-delay", "10ms"]);
    set(&site, "orders", "good");
    deliver(&site, &checked("orders"), "1", "succeeded");
    set(&site, "orders", "bad");
    deliver(&site, &next("orders"), "2", "failed");
    site.gateway.program().signal(Signal::TERM);
    site.gateway.program().wait_exit(END_TIME_MAX);
    site.gateway.start_again();
    site.gateway.wait_ready(START_TIME_MAX);
    assert_eq!(site.get("/orders").status, 200);
    assert_eq!(site.get("/orders-next").status, 404);
    let status = site.gateway.status();
    assert_eq!(status["held"][0]["service"], "orders", "{status:#}");
    assert_eq!(status["held"][0]["code"], "check_failed");
}
