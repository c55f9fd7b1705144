//! The ways in which production finds its upstream. Each is one entry of [`ways`]: the other
//! modules play their part of the scenario with each of them too.

use ferryway_testkit::Dns;
use serde_json::{Value, json};

use super::stage::{Stage, UPSTREAM};

#[test]
fn production_answers_as_httpbin_saw_it_whichever_way_it_is_found() {
    for way in ways() {
        let stage = Stage::set();
        way.take(&stage);
        stage.expect_headers("production", UPSTREAM);
        assert_eq!(stage.productions_own.served("/headers"), 1, "{}", way.name);
        // The upstream of `test` has seen the proof that was made there, and nothing of production.
        assert_eq!(stage.tests_own.served("/headers"), 1, "{}", way.name);
    }
}

/// One way to find the upstream.
pub(super) struct Way {
    pub(super) name: &'static str,
    /// The name whose records say where the upstream is.
    pub(super) asks_for: &'static str,
    binding: Value,
}

impl Way {
    /// Syncs httpbin to production with this way's binding, and whatever it takes before.
    #[track_caller]
    pub(super) fn take(&self, stage: &Stage) {
        self.take_with_registry(stage, &json!({"kind": "dns"}));
    }

    /// As [`Self::take`], with these settings of the registry, where the way uses one.
    #[track_caller]
    pub(super) fn take_with_registry(&self, stage: &Stage, settings: &Value) {
        if !self.is_by_nodes() {
            let mut registry = settings.clone();
            registry["endpoints"] = json!([stage.dns.address()]);
            stage
                .api()
                .put(
                    &format!("/gateway-groups/production/registries/{REGISTRY}"),
                    &registry,
                )
                .json_of(201);
        }
        self.write_service_record(&stage.dns);
        stage.sync(Some(&self.binding));
    }

    pub(super) fn is_by_nodes(&self) -> bool {
        self.binding.get("nodes").is_some()
    }

    fn write_service_record(&self, dns: &Dns) {
        if self.asks_for == SERVICE {
            dns.set_service(SERVICE, UPSTREAM, 80);
        }
    }
}

pub(super) fn ways() -> Vec<Way> {
    let by = |namespace: &str, service: &str| json!({"discovery": {"registry": REGISTRY, "namespace": namespace, "service": service}});
    vec![
        Way {
            name: "nodes",
            asks_for: UPSTREAM,
            binding: json!({"nodes": [{"host": UPSTREAM, "port": 80, "weight": 100}]}),
        },
        Way {
            name: "addresses",
            asks_for: UPSTREAM,
            binding: by("org", "httpbin"),
        },
        Way {
            name: "addresses, port named",
            asks_for: UPSTREAM,
            binding: by("org", "httpbin:80"),
        },
        Way {
            name: "SRV",
            asks_for: SERVICE,
            binding: by("svc.example", "_httpbin._tcp"),
        },
    ]
}

const REGISTRY: &str = "production-dns";
const SERVICE: &str = "_httpbin._tcp.svc.example";
