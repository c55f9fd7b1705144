//! Candidates against real upstreams and DNS servers, requests through the real exchange.

mod checks;

use std::sync::Arc;

use ferryway_delivery::{Installer as _, Outcome};
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
