//! What the scenario is played on: two groups with one instance each, two httpbins, and a DNS
//! server that answers for `httpbin.org`.

use std::time::Duration;

use ferryway_testkit::{Answer, Api, Cluster, Dns, Httpbin, curl};
use serde_json::{Value, json};

use crate::calls::succeeded;

/// The name under which production finds its upstream.
pub(super) const UPSTREAM: &str = "httpbin.org";

/// How long a gateway may take to follow DNS: records live a second, and a busy machine is slow.
pub(super) const FOLLOW_TIME_MAX: Duration = Duration::from_secs(15);

pub(super) struct Stage {
    pub(super) cluster: Cluster,
    pub(super) dns: Dns,
    /// The upstream of the group `test`, which names it by its address.
    pub(super) tests_own: Httpbin,
    /// The upstream of the group `production`, which has to find it by name.
    pub(super) productions_own: Httpbin,
}

impl Stage {
    /// Everything runs, and httpbin 1.0.0 is published to `test` and proven there.
    #[track_caller]
    pub(super) fn set() -> Self {
        Self::set_on_etcd(false)
    }

    /// As [`Self::set`], the control plane's store in an etcd or not.
    #[track_caller]
    pub(super) fn set_on_etcd(is_on_etcd: bool) -> Self {
        let (tests_own, productions_own) =
            (Httpbin::start_on_port_80(), Httpbin::start_on_port_80());
        let dns = Dns::start();
        dns.set_addresses(UPSTREAM, &[productions_own.ip()]);
        let cluster = Cluster::builder()
            .group("test", 1)
            .group("production", 1)
            .dns_server(dns.address())
            .on_etcd(is_on_etcd)
            .start();
        let stage = Self {
            cluster,
            dns,
            tests_own,
            productions_own,
        };
        stage.api().post("/services", &httpbin()).json_of(201);
        stage.publish("1.0.0", Some(&stage.tests_binding()));
        stage.expect_headers("test", &stage.tests_own.ip().to_string());
        stage
    }

    pub(super) fn api(&self) -> Api {
        self.cluster.api()
    }

    fn tests_binding(&self) -> Value {
        json!({"nodes": [{"host": self.tests_own.ip(), "port": 80, "weight": 100}]})
    }

    /// Publishes the hub's definition to `test`; without a binding `test` keeps its own.
    #[track_caller]
    pub(super) fn publish(&self, version: &str, binding: Option<&Value>) -> Value {
        let mut group = json!({"group": "test"});
        if let Some(binding) = binding {
            group["binding"] = binding.clone();
        }
        let body = json!({"version": version, "groups": [group]});
        succeeded(&self.api().post("/services/httpbin/publish?wait=30s", &body))
    }

    /// Syncs what `test` runs to `production`; the answer is not judged.
    #[track_caller]
    pub(super) fn try_sync(&self, binding: Option<&Value>, further: Value) -> Answer {
        let mut to = json!({"group": "production"});
        if let Some(binding) = binding {
            to["binding"] = binding.clone();
        }
        let mut body = further;
        body["to"] = json!([to]);
        self.api()
            .post("/gateway-groups/test/services/httpbin/sync?wait=30s", &body)
    }

    /// Syncs what `test` runs to `production`, which must succeed.
    #[track_caller]
    pub(super) fn sync(&self, binding: Option<&Value>) -> Value {
        succeeded(&self.try_sync(binding, json!({})))
    }

    /// The group's published httpbin.
    #[track_caller]
    pub(super) fn published(&self, group: &str) -> Value {
        self.api()
            .get(&format!("/gateway-groups/{group}/services/httpbin"))
            .json_of(200)
    }

    /// The revision of the group's view.
    #[track_caller]
    pub(super) fn revision(&self, group: &str) -> Value {
        let found = self
            .api()
            .get(&format!("/gateway-groups/{group}"))
            .json_of(200);
        assert!(
            found["revision"].is_u64(),
            "a group shows its revision: {found}"
        );
        found["revision"].clone()
    }

    /// `curl http://127.0.0.1:PORT/headers` on the group's instance.
    #[track_caller]
    pub(super) fn curl_headers(&self, group: &str) -> Answer {
        curl([self.cluster.gateway(group).url("/headers")])
    }

    /// The scenario's proof: 200, and httpbin saw this Host, the client's host in
    /// X-Forwarded-Host, what curl sent, and nothing else.
    #[track_caller]
    pub(super) fn expect_headers(&self, group: &str, host: &str) {
        let mut seen = self.curl_headers(group).json_of(200);
        let agent = seen["headers"]["User-Agent"].take();
        assert!(
            agent
                .as_str()
                .is_some_and(|agent| agent.starts_with("curl/")),
            "{agent}"
        );
        let expected = json!({"headers": {
            "Accept": "*/*",
            "Host": host,
            "User-Agent": null,
            "X-Forwarded-Host": "127.0.0.1",
        }});
        assert_eq!(seen, expected, "what httpbin saw through {group}");
    }
}

/// httpbin as the hub has it.
pub(super) fn httpbin() -> Value {
    json!({
        "name": "httpbin",
        "title": "httpbin API",
        "routes": [
            {"name": "headers", "paths": ["/headers"], "methods": ["GET"]},
            {"name": "anything", "paths": ["/anything/*"]},
        ],
    })
}
