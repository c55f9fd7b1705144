//! Candidates against real upstreams and DNS servers, requests through the real exchange.

use std::sync::Arc;

use ferryway_delivery::{Checks, Installer as _, Outcome};
use ferryway_proto::Stage;
use ferryway_sandbox::dns::Fault as DnsFault;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::bench::{Bench, Step, a, faults};
use super::{Installer, Job};

/// A definition with one route.
fn definition(path: &str) -> Value {
    json!({"name": "web", "routes": [{"name": "all", "paths": [path]}]})
}

fn checked(check: &Value) -> Value {
    let mut definition = definition("/*");
    definition["checks"] = json!([check]);
    definition
}

fn discovery(registry: &str) -> Value {
    json!({"discovery": {"registry": registry, "service": "web.example:8080"}})
}

#[tokio::test]
async fn an_empty_view_is_installed() {
    let bench = Bench::start().await;
    bench.applies(Step::default()).await;
    assert_eq!(bench.get("/headers").await, "404 no_route");
}

#[tokio::test]
async fn a_service_comes_changes_and_goes() {
    let bench = Bench::start().await;
    bench
        .applies(Step::default().put(&definition("/headers"), &bench.nodes()))
        .await;
    assert_eq!(bench.get("/headers").await, "200");
    bench
        .applies(Step::default().put(&definition("/anything"), &bench.nodes()))
        .await;
    assert_eq!(bench.get("/headers").await, "404 no_route");
    assert_eq!(bench.get("/anything").await, "200");
    bench.applies(Step::default().remove("web")).await;
    assert_eq!(bench.get("/anything").await, "404 no_route");
    assert_eq!(bench.installer.services().len(), 0);
}

#[tokio::test]
async fn a_disabled_service_has_no_routes_and_no_upstream() {
    let bench = Bench::start().await;
    let (definition, nodes) = (definition("/*"), bench.nodes());
    bench
        .applies(Step::default().put(&definition, &nodes))
        .await;
    bench
        .applies(Step::default().put_disabled(&definition, &nodes))
        .await;
    assert_eq!(bench.get("/headers").await, "404 no_route");
    assert!(bench.installer.services()[0].link.is_none());
    bench
        .applies(Step::default().put(&definition, &nodes))
        .await;
    assert_eq!(bench.get("/headers").await, "200");
}

/// Whether the upstream is the same object after a change of the definition and the binding.
#[track_caller]
fn check_identity(before: (&Value, &Value), after: (&Value, &Value), same: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bench = Bench::start().await;
        bench.applies(Step::default().put(before.0, before.1)).await;
        let first = bench.link();
        bench.applies(Step::default().put(after.0, after.1)).await;
        assert_eq!(
            Arc::ptr_eq(&first.upstream, &bench.link().upstream),
            same,
            "{after:?}"
        );
    });
}

#[test]
fn an_upstream_survives_what_does_not_concern_it() {
    let nodes = json!({"nodes": [{"host": "127.0.0.1", "port": 1}]});
    let first = definition("/*");
    let with = |upstream: Value| {
        let mut definition = definition("/a");
        definition["upstream"] = upstream;
        definition
    };
    check_identity((&first, &nodes), (&definition("/a"), &nodes), true);
    let patient = with(json!({"timeout": {"read": "5s"}, "retry": {"retries": 0}}));
    check_identity((&first, &nodes), (&patient, &nodes), true);
    let mut hosts = nodes.clone();
    hosts["hosts"] = json!(["a.example"]);
    check_identity((&first, &nodes), (&first, &hosts), true);

    let fewer = with(json!({"keepalive": {"max_idle": 1}}));
    check_identity((&first, &nodes), (&fewer, &nodes), false);
    let elsewhere = json!({"nodes": [{"host": "127.0.0.1", "port": 2}]});
    check_identity((&first, &nodes), (&first, &elsewhere), false);
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
    let paths: Vec<_> = faults.iter().map(|it| it.path.clone()).collect();
    let odd: Vec<_> = (1..20).step_by(2).map(|n| format!("checks[{n}]")).collect();
    assert_eq!(paths, odd);
    assert!(
        faults[0].detail.ends_with("expected status 200, got 201"),
        "{}",
        faults[0].detail
    );
}

#[tokio::test]
async fn a_check_goes_to_the_groups_first_host() {
    let bench = Bench::start().await;
    let expect = json!({"json": {"/headers/X-Forwarded-Host": "check.a.example"}, "within": "5s"});
    let service = checked(&json!({"name": "c", "path": "/headers", "expect": expect}));
    let mut binding = bench.nodes();
    binding["hosts"] = json!(["*.a.example", "b.example"]);
    bench
        .applies(Step::default().gate().put(&service, &binding))
        .await;
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
    // A disabled service serves nobody: there is nothing to check.
    bench
        .applies(
            Step::default()
                .gate()
                .put_disabled(&failing, &bench.nodes()),
        )
        .await;
}

#[tokio::test]
async fn a_missing_registry_is_a_fault_and_comes_before_the_services() {
    let bench = Bench::start().await;
    let put = Step::default().put(&definition("/*"), &discovery("r"));
    let faults = faults(bench.install(put.clone()).await);
    let fault = &faults[0];
    assert_eq!(
        (fault.key.to_string().as_str(), fault.stage),
        ("service/web", Stage::Reference)
    );
    assert_eq!(fault.code, "registry_missing");
    assert_eq!(fault.path, "binding.discovery.registry");

    bench.applies(put.registry("r", bench.dns.address())).await;
    assert_eq!(bench.addresses(), ["127.0.0.1:8080"]);
}

#[tokio::test]
async fn a_changed_registry_takes_its_services_along_and_no_others() {
    let bench = Bench::start().await;
    let other = bench.another_dns("web.example", a([127, 0, 0, 2])).await;
    let mut fixed = definition("/fixed");
    fixed["name"] = json!("fixed");
    let step = Step::default().put(&definition("/*"), &discovery("r"));
    bench
        .applies(
            step.put(&fixed, &bench.nodes())
                .registry("r", bench.dns.address()),
        )
        .await;
    let services = bench.installer.services();

    bench
        .applies(Step::default().registry("r", other.address()))
        .await;
    assert_eq!(bench.addresses(), ["127.0.0.2:8080"]);
    let after = bench.installer.services();
    assert!(Arc::ptr_eq(&services[0], &after[0]), "`fixed` is as it was");
    assert!(!Arc::ptr_eq(&services[1], &after[1]));

    let faults = faults(bench.install(Step::default().remove_registry("r")).await);
    assert_eq!(faults[0].key.to_string(), "registry/r");
    assert_eq!(
        (faults[0].stage, faults[0].digest),
        (Stage::Reference, None)
    );
    assert_eq!(bench.addresses(), ["127.0.0.2:8080"]);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_no_reason_to_reject() {
    let bench = Bench::start().await;
    bench.dns.fail(DnsFault::Silent);
    let step = Step::default()
        .at_start()
        .put(&definition("/*"), &discovery("r"));
    bench.applies(step.registry("r", bench.dns.address())).await;
    assert_eq!(bench.get("/headers").await, "503 no_endpoint");
}

#[tokio::test]
async fn applied_says_how_long_it_took() {
    let bench = Bench::start().await;
    let outcome = bench
        .install(Step::default().put(&definition("/*"), &bench.nodes()))
        .await;
    let Outcome::Applied(applied) = outcome else {
        panic!("applied, not {outcome:?}");
    };
    assert!(applied.build > applied.swap, "{applied:?}");
    let mut out = String::new();
    bench.installer.durations().render("d", &mut out);
    assert!(out.contains("\nd_count 1\n"), "{out}");
}

#[tokio::test]
async fn a_panic_while_installing_is_the_contents_fault() {
    let bench = Bench::start().await;
    let (jobs, mut queue) = mpsc::channel::<Job>(1);
    let broken = Installer {
        jobs,
        ..bench.installer.clone()
    };
    let step = Step::default().put(&definition("/*"), &discovery("r"));
    let candidate = Arc::new(step.registry("r", bench.dns.address()).candidate());
    let (outcome, job) = tokio::join!(broken.install(candidate), async {
        // As a task that panics does.
        drop(queue.recv().await);
        queue
    });
    let keys: Vec<_> = faults(outcome)
        .iter()
        .map(|it| it.key.to_string())
        .collect();
    assert_eq!(keys, ["registry/r", "service/web"]);

    drop(job);
    let gone = broken.install(Arc::new(Step::default().candidate())).await;
    assert!(matches!(gone, Outcome::Failed { .. }), "{gone:?}");
}
