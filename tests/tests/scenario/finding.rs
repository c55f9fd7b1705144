//! The ways in which production finds its upstream. The other modules play their part of the
//! scenario with them too.

use ferryway_testkit::Dns;
use serde_json::{Value, json};

use super::stage::{Stage, UPSTREAM};

#[test]
fn by_nodes() {
    check(&Way::nodes());
}

#[test]
fn by_the_addresses_of_a_name() {
    check(&Way::addresses());
}

#[test]
fn by_the_addresses_of_a_name_and_a_port() {
    check(&Way::addresses_and_port());
}

#[test]
fn by_service_records() {
    check(&Way::service_records());
}

#[track_caller]
fn check(way: &Way) {
    let stage = Stage::set();
    way.take(&stage);
    stage.expect_headers("production", UPSTREAM);
    stage.productions_own.expect_served("/headers", 1);
    // It has seen the proof that was made in `test`, and nothing of production.
    stage.tests_own.expect_served("/headers", 1);
}

/// One way to find the upstream.
pub(super) struct Way {
    /// The name whose records say where the upstream is.
    pub(super) asks_for: &'static str,
    binding: Value,
}

impl Way {
    /// Nodes, by name.
    pub(super) fn nodes() -> Self {
        let binding = json!({"nodes": [{"host": UPSTREAM, "port": 80, "weight": 100}]});
        Self {
            asks_for: UPSTREAM,
            binding,
        }
    }

    /// A registry's A and AAAA records, at the scheme's port.
    pub(super) fn addresses() -> Self {
        Self {
            asks_for: UPSTREAM,
            binding: discovery("org", "httpbin"),
        }
    }

    /// A registry's A and AAAA records, at a port that the binding names.
    pub(super) fn addresses_and_port() -> Self {
        Self {
            asks_for: UPSTREAM,
            binding: discovery("org", "httpbin:80"),
        }
    }

    /// A registry's SRV records, which say the port too.
    pub(super) fn service_records() -> Self {
        Self {
            asks_for: SERVICE,
            binding: discovery("svc.example", "_httpbin._tcp"),
        }
    }

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

    fn is_by_nodes(&self) -> bool {
        self.binding.get("nodes").is_some()
    }

    fn write_service_record(&self, dns: &Dns) {
        if self.asks_for == SERVICE {
            dns.set_service(SERVICE, UPSTREAM, 80);
        }
    }
}

fn discovery(namespace: &str, service: &str) -> Value {
    json!({"discovery": {"registry": REGISTRY, "namespace": namespace, "service": service}})
}

const REGISTRY: &str = "production-dns";
const SERVICE: &str = "_httpbin._tcp.svc.example";
