//! Checks: what they ask, when they gate, what they tell.

use std::sync::Arc;
use std::time::Duration;

use ferryway_delivery::{Candidate, Checks, Installer as _, Outcome};
use ferryway_proto::Stage;
use serde_json::{Value, json};

use super::definition;
use crate::installer::bench::{Bench, Step, faults};

fn checked(check: &Value) -> Value {
    let mut definition = definition("/*");
    definition["checks"] = json!([check]);
    definition
}

#[tokio::test]
async fn a_failing_check_is_a_rejection_with_evidence_and_the_old_content_serves() {
    let bench = Bench::start().await;
    bench
        .applies(Step::default().put(&definition("/headers"), &bench.nodes()))
        .await;
    let before = bench.link();
    let check = json!({
        "name": "has-x", "path": "/anything/a?b=c", "host": "k.io",
        "expect": {"json": {"/method": "PUT", "/headers/X-Forwarded-Host": "k.io"}, "within": "5s"},
    });
    let new = checked(&check);
    let faults = faults(
        bench
            .install(Step::default().gate().put(&new, &bench.nodes()))
            .await,
    );
    let [fault] = &faults[..] else {
        panic!("one fault, not {faults:?}");
    };
    assert_eq!(
        (fault.code.as_str(), fault.path.as_str()),
        ("check_failed", "checks[0]")
    );
    assert_eq!(fault.stage, Stage::Check);
    assert_eq!(
        fault.detail,
        "check `has-x` failed: expected \"PUT\" at /method, got \"GET\""
    );
    assert!(fault.digest.is_some());
    let evidence: Value = serde_json::from_str(fault.evidence.as_ref().unwrap()).unwrap();
    assert_eq!(evidence["request"]["host"], "k.io");
    assert_eq!(evidence["response"]["status"], 200);
    let body = evidence["response"]["body"].as_str().unwrap();
    assert!(body.contains("\"X-Forwarded-Host\": \"k.io\""), "{body}");

    assert_eq!(bench.get("/headers").await, "200");
    assert_eq!(bench.get("/anything").await, "404 no_route");
    assert!(Arc::ptr_eq(&before, &bench.link()));
    // What comes next builds on what serves, not on what was rejected.
    bench
        .applies(
            Step::default()
                .gate()
                .put(&definition("/anything"), &bench.nodes()),
        )
        .await;
    assert_eq!(bench.get("/headers").await, "404 no_route");
}

#[tokio::test]
async fn all_failing_checks_are_told_at_once_and_good_ones_are_not() {
    let bench = Bench::start().await;
    let mut definition = definition("/status/*");
    let check = |n: usize| json!({"name": format!("c{n}"), "path": format!("/status/{}", 200 + n % 2), "expect": {"within": "5s"}});
    definition["checks"] = (0..20).map(check).collect();
    let faults = faults(
        bench
            .install(Step::default().gate().put(&definition, &bench.nodes()))
            .await,
    );
    let [fault] = &faults[..] else {
        panic!("one for the service, not {faults:?}");
    };
    assert_eq!(fault.path, "checks[1]");
    let failed = |n| format!("check `c{n}` failed: expected status 200, got 201");
    let told: Vec<_> = [1, 3, 5, 7].into_iter().map(failed).collect();
    assert_eq!(fault.detail, told.join("; ") + "; 6 more fail");
    let evidence: Value = serde_json::from_str(fault.evidence.as_ref().unwrap()).unwrap();
    assert_eq!(evidence["request"]["path"], "/status/201");
}

/// What the upstream sees of a check without a host, under hosts of the definition and the binding.
#[track_caller]
fn check_host(own: &Value, bound: &Value, host: &Value, expect: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bench = Bench::start().await;
        let expected = json!({"json": {"/headers/X-Forwarded-Host": expect}, "within": "5s"});
        let check = json!({"name": "c", "path": "/headers", "host": host, "expect": expected});
        let mut service = checked(&check);
        service["hosts"] = own.clone();
        let mut binding = bench.nodes();
        binding["hosts"] = bound.clone();
        bench
            .applies(Step::default().gate().put(&service, &binding))
            .await;
    });
}

#[test]
fn a_check_goes_to_the_groups_first_host() {
    let none = Value::Null;
    check_host(&json!([]), &none, &none, "127.0.0.1");
    check_host(&json!(["a.io", "b.io"]), &none, &none, "a.io");
    check_host(&json!(["*.a.io", "b.io"]), &none, &none, "check.a.io");
    check_host(
        &json!(["a.io"]),
        &json!(["*.b.io", "c.io"]),
        &none,
        "check.b.io",
    );
    check_host(&json!(["a.io"]), &json!([]), &none, "127.0.0.1");
    check_host(&json!(["*.a.io"]), &none, &json!("x.a.io"), "x.a.io");
}

/// The detail of the only fault of a service with these checks.
async fn fails(bench: &Bench, checks: &[Value]) -> String {
    let mut service = definition("/*");
    service["checks"] = json!(checks);
    let step = Step::default().gate().put(&service, &bench.nodes());
    let faults = faults(bench.install(step).await);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].detail.clone()
}

#[tokio::test]
async fn a_check_asks_the_host_it_names_and_nobody_elses() {
    let bench = Bench::start().await;
    let mut service =
        checked(&json!({"name": "c", "path": "/headers", "host": "b.io", "expect": {}}));
    service["hosts"] = json!(["a.io"]);
    let step = Step::default().gate().put(&service, &bench.nodes());
    let faults = faults(bench.install(step).await);
    assert_eq!(
        faults[0].detail,
        "check `c` failed: expected status 200, got 404 (no_route, by the gateway itself)"
    );
}

#[tokio::test]
async fn what_a_check_sends_arrives() {
    let bench = Bench::start().await;
    let mut service = definition("/anything/*");
    service["base_path"] = json!("/base");
    let check = |method: &str, headers: Value, expect: Value| {
        json!({"name": method.to_lowercase(), "method": method, "unsafe": true, "headers": headers,
            "path": "/base/anything/a?x=1&y=%20", "expect": {"json": expect, "within": "5s"}})
    };
    service["checks"] = json!([
        check(
            "GET",
            json!({"X-Mark": "a b", "accept": "text/html", "user-agent": "me"}),
            json!({
                "/method": "GET", "/args": {"x": "1", "y": " "}, "/headers/X-Mark": "a b",
                "/headers/Accept": "text/html", "/headers/User-Agent": "me",
            })
        ),
        check(
            "PUT",
            json!({}),
            json!({
                "/method": "PUT", "/headers/Accept": "*/*", "/data": "",
                "/headers/User-Agent": concat!("ferryway-check/", env!("CARGO_PKG_VERSION")),
            })
        ),
        check("POST", json!({}), json!({"/method": "POST"})),
        check("DELETE", json!({}), json!({"/method": "DELETE"})),
        json!({"name": "head", "method": "HEAD", "path": "/base/anything/a", "expect": {
            "headers": {"content-type": "application/json"}, "within": "5s"}}),
    ]);
    bench
        .applies(Step::default().gate().put(&service, &bench.nodes()))
        .await;
    service["checks"] = json!([{"name": "h", "method": "HEAD", "path": "/base/anything/a",
        "expect": {"json": {"/method": "HEAD"}, "within": "5s"}}]);
    let step = Step::default().gate().put(&service, &bench.nodes());
    let faults = faults(bench.install(step).await);
    assert_eq!(
        faults[0].detail,
        "check `h` failed: expected a JSON body, got \"\""
    );
}

#[tokio::test]
async fn redirects_are_answers_and_are_not_followed() {
    let bench = Bench::start().await;
    let expect = json!({"status": 302, "headers": {"location": "/redirect/1"}, "within": "5s"});
    let mut service = checked(&json!({"name": "c", "path": "/status/302", "expect": expect}));
    bench
        .applies(Step::default().gate().put(&service, &bench.nodes()))
        .await;
    service["checks"][0]["expect"]["status"] = json!(200);
    let checks = [service["checks"][0].clone()];
    assert_eq!(
        fails(&bench, &checks).await,
        "check `c` failed: expected status 200, got 302"
    );
}

/// The checks of a transaction share one time, and those that hang keep none of the others from
/// their turn.
#[tokio::test]
async fn all_checks_together_have_their_time() {
    let bench = Bench::with_check_time(Duration::from_secs(3)).await;
    let hanging =
        |n| json!({"name": format!("h{n}"), "path": "/delay/10", "expect": {"within": "2s"}});
    let good = |n| json!({"name": format!("g{n}"), "path": "/headers", "expect": {"within": "2s"}});
    let mut step = Step::default().gate();
    for name in ["one", "two"] {
        let mut service = definition(&format!("/{name}/*"));
        service["name"] = json!(name);
        service["base_path"] = json!(format!("/{name}"));
        service["routes"][0]["paths"] = json!(["/*"]);
        // Seven that hang in each are more than can run at once: the last of them have one second.
        let mut checks: Vec<_> = (0..7).map(hanging).chain((0..7).map(good)).collect();
        for check in &mut checks {
            let path = check["path"].as_str().unwrap();
            check["path"] = json!(format!("/{name}{path}"));
        }
        service["checks"] = json!(checks);
        step = step.put(&service, &bench.nodes());
    }
    let began = tokio::time::Instant::now();
    let faults = faults(bench.install(step).await);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let keys: Vec<_> = faults.iter().map(|it| it.key.to_string()).collect();
    assert_eq!(keys, ["service/one", "service/two"]);
    for fault in &faults {
        let detail = &fault.detail;
        assert!(detail.starts_with("check `h0` failed: "), "{detail}");
    }
    assert!(
        faults[0].detail.ends_with("; 3 more fail"),
        "{}",
        faults[0].detail
    );
    let late = "no answer when the time of all checks was over (3s)";
    assert!(faults[1].detail.contains(late), "{}", faults[1].detail);
}

#[tokio::test]
async fn a_check_has_its_time() {
    let bench = Bench::start().await;
    let expect = json!({"within": "50ms"});
    let service = checked(&json!({"name": "slow", "path": "/delay/9", "expect": expect}));
    let faults = faults(
        bench
            .install(Step::default().gate().put(&service, &bench.nodes()))
            .await,
    );
    let detail = "check `slow` failed: expected an answer within 50ms, got none";
    assert_eq!(faults[0].detail, detail);
    let evidence: Value = serde_json::from_str(faults[0].evidence.as_ref().unwrap()).unwrap();
    assert_eq!(evidence["response"], Value::Null);
}

#[tokio::test]
async fn checks_gate_only_where_they_should() {
    let bench = Bench::start().await;
    let failing = checked(&json!({"name": "c", "path": "/status/500", "expect": {}}));
    for checks in [Checks::Skip, Checks::Warn] {
        bench
            .applies(Step::default().checks(checks).put(&failing, &bench.nodes()))
            .await;
        assert_eq!(bench.get("/headers").await, "200", "{checks:?}");
    }
    // Only of what changes; the failing one is as it was.
    let mut other = definition("/anything");
    other["name"] = json!("other");
    bench
        .applies(Step::default().gate().put(&other, &bench.nodes()))
        .await;
    // A disabled service serves nobody: there is nothing to check.
    bench
        .applies(
            Step::default()
                .gate()
                .put_disabled(&failing, &bench.nodes()),
        )
        .await;
}

/// The details of the warnings about a candidate that was applied.
async fn warnings(bench: &Bench, candidate: &Arc<Candidate>) -> Vec<String> {
    let faults = bench.installer.check(Arc::clone(candidate)).await;
    faults.into_iter().map(|it| it.detail).collect()
}

#[tokio::test]
async fn what_is_applied_is_checked_afterwards_unless_it_changed_again() {
    let bench = Bench::start().await;
    let check = json!({"name": "c", "path": "/status/500", "expect": {"within": "5s"}});
    let service = checked(&check);
    let step = Step::default().checks(Checks::Warn);
    let candidate = Arc::new(step.put(&service, &bench.nodes()).candidate());
    let outcome = bench.installer.install(Arc::clone(&candidate)).await;
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    let failed = "check `c` failed: expected status 200, got 500";
    assert_eq!(warnings(&bench, &candidate).await, [failed]);
    bench
        .applies(Step::default().put(&definition("/headers"), &bench.nodes()))
        .await;
    assert_eq!(warnings(&bench, &candidate).await, [""; 0]);
}

#[tokio::test]
async fn checks_count_as_nobodys_requests() {
    let bench = Bench::start().await;
    let service = checked(&json!({"name": "c", "path": "/headers", "expect": {"within": "5s"}}));
    bench
        .applies(Step::default().gate().put(&service, &bench.nodes()))
        .await;
    let counted = bench.counted();
    let counts = counted
        .lines()
        .filter(|it| it.starts_with("ferryway_requests_total{"));
    let counts: Vec<_> = counts.filter(|it| !it.ends_with(" 0")).collect();
    assert_eq!(counts, [""; 0], "{counted}");
}
