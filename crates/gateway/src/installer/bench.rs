//! What the tests of the installer and of what shows its content stand on: an upstream, a DNS server, an installer, and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferryway_delivery::{Candidate, Changed, Checks, Installer as _, Occasion, Outcome, Service};
use ferryway_discovery::{Discovery, KeepInMemory, Settings as DiscoverySettings};
use ferryway_model::{
    Binding, Changes, Definition, Entry, Key, Name, Registry, RegistryEntry, Revision, Sealed,
    ServiceEntry, View,
};
use ferryway_proto::{Cause, Epoch, Fault, Position};
use ferryway_proxy::{LiveTable, Metrics, Prober, Settings, Table, X_FERRYWAY_ERROR};
use ferryway_runtime::{Clock, Random, Tasks};
use ferryway_sandbox::dns::{DnsServer, Record};
use ferryway_sandbox::upstream::Upstream;
use http::Request;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CHECK_TIME_MAX, Installer, Link, Tools};

/// Everything that runs in a test.
pub(crate) struct Bench {
    pub(crate) installer: Installer,
    /// Knows `web.example` as 127.0.0.1.
    pub(crate) dns: DnsServer,
    upstream: Upstream,
    live: Arc<LiveTable>,
    metrics: Arc<Metrics>,
    client: Prober,
    tasks: Tasks,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with_check_time(CHECK_TIME_MAX).await
    }

    /// One in which all checks of a transaction together get this time.
    pub(crate) async fn with_check_time(check_time: Duration) -> Self {
        let tasks = Tasks::new("test");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let upstream = Upstream::start(anywhere, &tasks).await.unwrap();
        let dns = DnsServer::start(anywhere, &tasks).await.unwrap();
        dns.set("web.example", vec![a([127, 0, 0, 1])]).unwrap();
        let live = Arc::new(LiveTable::new(Table::empty()));
        let metrics = Metrics::new(1);
        let prober = || Prober::start(Settings::default(), 9_080).unwrap();
        let tools = Tools {
            discovery: Discovery::new(
                DiscoverySettings::default(),
                Arc::new(KeepInMemory::default()),
                &tasks,
                Clock::system(),
                Random::seeded(1),
            ),
            live: Arc::clone(&live),
            metrics: Arc::clone(&metrics),
            prober: prober(),
            check_time,
        };
        Self {
            installer: Installer::start(tools, Random::seeded(2)).unwrap(),
            dns,
            upstream,
            live,
            metrics,
            client: prober(),
            tasks,
        }
    }

    /// A binding to the upstream.
    pub(crate) fn nodes(&self) -> Value {
        let address = self.upstream.address();
        json!({"nodes": [{"host": address.ip().to_string(), "port": address.port()}]})
    }

    pub(crate) async fn another_dns(&self, name: &str, record: Record) -> DnsServer {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let dns = DnsServer::start(anywhere, &self.tasks).await.unwrap();
        dns.set(name, vec![record]).unwrap();
        dns
    }

    pub(crate) async fn install(&self, step: Step) -> Outcome {
        self.installer.install(Arc::new(step.candidate())).await
    }

    pub(crate) async fn applies(&self, step: Step) {
        let outcome = self.install(step).await;
        assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    }

    /// The status, and the gateway's own code if it has one.
    pub(crate) async fn get(&self, path: &str) -> String {
        let request = Request::get(path).header("host", "k.io").body(()).unwrap();
        let answer = self
            .client
            .probe(self.live.current(), request)
            .await
            .unwrap();
        let code = answer.headers.get(&X_FERRYWAY_ERROR);
        let code = code.map(|code| format!(" {}", code.to_str().unwrap()));
        format!("{}{}", answer.status.as_u16(), code.unwrap_or_default())
    }

    /// What was counted, as Prometheus reads it.
    pub(crate) fn counted(&self) -> String {
        let mut text = String::new();
        self.metrics.render(&mut text);
        text
    }

    /// The link of the service `web`.
    pub(crate) fn link(&self) -> Arc<Link> {
        let services = self.installer.services();
        let web = services
            .iter()
            .find(|it| it.name.as_str() == "web")
            .unwrap();
        Arc::clone(web.link.as_ref().unwrap())
    }

    /// Where its requests go.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let set = self.link().upstream.endpoints().load();
        set.iter()
            .map(|it| it.endpoint().address.to_string())
            .collect()
    }
}

/// What a candidate has.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    checks: Checks,
    occasion: Occasion,
    changes: Changes,
    services: Vec<Changed<Service>>,
    registries: Vec<Changed<Sealed<Registry>>>,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            checks: Checks::Skip,
            occasion: Occasion::Sent(Cause::Operation),
            changes: Changes::default(),
            services: Vec::new(),
            registries: Vec::new(),
        }
    }
}

impl Step {
    pub(crate) fn gate(self) -> Self {
        self.checks(Checks::Gate)
    }

    pub(crate) fn checks(mut self, checks: Checks) -> Self {
        self.checks = checks;
        self
    }

    pub(crate) fn at_start(mut self) -> Self {
        self.occasion = Occasion::Start;
        self
    }

    pub(crate) fn put(self, definition: &Value, binding: &Value) -> Self {
        self.put_as(definition, binding, true)
    }

    pub(crate) fn put_disabled(self, definition: &Value, binding: &Value) -> Self {
        self.put_as(definition, binding, false)
    }

    fn put_as(mut self, definition: &Value, binding: &Value, enabled: bool) -> Self {
        let definition = Arc::new(Definition::parse(definition, None).unwrap());
        let binding = Arc::new(Binding::parse(binding).unwrap());
        let name = definition.content.name.clone();
        let entry = ServiceEntry {
            version: Some("1.0.0".parse().unwrap()),
            definition: definition.digest,
            binding: binding.digest,
            enabled,
            candidate: None,
            rollout: None,
        };
        let service = Service {
            version: entry.version.clone(),
            enabled,
            definition,
            binding,
        };
        self.changes
            .upserts
            .insert(Key::service(&name), Entry::Service(entry));
        let content = Some(Arc::new(service));
        self.services.push(Changed { name, content });
        self
    }

    pub(crate) fn remove(mut self, name: &str) -> Self {
        let name: Name = name.parse().unwrap();
        self.services.push(Changed {
            name,
            content: None,
        });
        self
    }

    pub(crate) fn registry(mut self, name: &str, server: SocketAddr) -> Self {
        let registry = json!({"name": name, "kind": "dns", "endpoints": [server.to_string()]});
        let (sealed, _) = Registry::parse(&registry, None).unwrap();
        let name = sealed.content.name.clone();
        let entry = RegistryEntry {
            content: sealed.digest,
        };
        self.changes
            .upserts
            .insert(Key::registry(&name), Entry::Registry(entry));
        let content = Some(Arc::new(sealed));
        self.registries.push(Changed { name, content });
        self
    }

    pub(crate) fn remove_registry(mut self, name: &str) -> Self {
        let name: Name = name.parse().unwrap();
        self.registries.push(Changed {
            name,
            content: None,
        });
        self
    }

    pub(crate) fn candidate(self) -> Candidate {
        let target = View::empty().with(&self.changes);
        Candidate {
            position: Position {
                epoch: Epoch {
                    store: Uuid::nil(),
                    restores: 0,
                },
                revision: Revision(1),
                root: target.root(),
            },
            occasion: self.occasion,
            checks: self.checks,
            registries: self.registries,
            services: self.services,
            target,
        }
    }
}

pub(crate) fn a(address: [u8; 4]) -> Record {
    Record::A {
        ttl: 60,
        address: address.into(),
    }
}

/// The faults of a rejection.
#[track_caller]
pub(crate) fn faults(outcome: Outcome) -> Vec<Fault> {
    match outcome {
        Outcome::Rejected { faults } => faults,
        other => panic!("rejected, not {other:?}"),
    }
}
