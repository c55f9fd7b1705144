//! The workers, with a table of one service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferryway_balance::{Endpoint, EndpointSet, LiveEndpoints};
use ferryway_model::{Binding, Definition};
use ferryway_proxy as proxy;
use ferryway_proxy::{LiveTable, Metrics, Settings, Table, Workers};
use ferryway_router::Change;
use serde_json::{Value, json};

use super::{Client, Upstream};

/// A running data plane of one worker, and the upstreams behind it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) live: Arc<LiveTable>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) upstream: Arc<proxy::Upstream>,
    pub(crate) upstreams: Vec<Upstream>,
    workers: Option<Workers>,
}

impl Gateway {
    /// One upstream endpoint for each script: `a`, `b`, … are their names. A script of `refuse` is an
    /// address at which nobody listens; one of `weight 0` gets no requests.
    pub(crate) fn start(definition: Value, scripts: &[&str]) -> Self {
        Self::with(definition, scripts, Settings::default())
    }

    pub(crate) fn with(definition: Value, scripts: &[&str], settings: Settings) -> Self {
        let (mut endpoints, mut upstreams) = (Vec::new(), Vec::new());
        for (script, name) in scripts.iter().zip(["a", "b", "c"]) {
            let address = match *script {
                "refuse" | "weight 0" => nobody(),
                script => {
                    upstreams.push(Upstream::start(script));
                    upstreams.last().expect("just pushed").address
                }
            };
            endpoints.push(Endpoint {
                name: name.into(),
                address,
                weight: if *script == "weight 0" { 0 } else { 100 },
                priority: 0,
            });
        }
        Self::at(definition, endpoints, upstreams, settings)
    }

    pub(crate) fn at(
        definition: Value,
        endpoints: Vec<Endpoint>,
        upstreams: Vec<Upstream>,
        settings: Settings,
    ) -> Self {
        let definition = parse(&definition);
        let endpoints = Arc::new(LiveEndpoints::new(EndpointSet::new(endpoints)));
        let scheme = definition.upstream.scheme;
        let upstream = proxy::Upstream::new(&definition.upstream, scheme, endpoints, 0);
        let metrics = Metrics::new(1);
        let live = Arc::new(LiveTable::new(table(&definition, &upstream, &metrics)));
        let listeners = proxy::bind(([127, 0, 0, 1], 0).into(), 1).expect("a free port");
        let address = listeners[0].local_addr().expect("bound");
        let workers = Workers::start(&settings, listeners, &live, &metrics).expect("a thread");
        Self {
            address,
            live,
            metrics,
            upstream,
            upstreams,
            workers: Some(workers),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// The first upstream.
    pub(crate) fn first(&self) -> &Upstream {
        &self.upstreams[0]
    }

    /// Swaps in a table with another definition and the same upstream.
    pub(crate) fn swap(&self, definition: &Value) -> Arc<Table> {
        let definition = parse(definition);
        self.live
            .swap(table(&definition, &self.upstream, &self.metrics))
    }

    pub(crate) fn drain(&self) {
        self.workers.as_ref().expect("running").drain();
    }

    /// Stops; whether all connections ended by themselves.
    pub(crate) fn stop(&mut self, grace: Duration) -> bool {
        let workers = self.workers.take().expect("running");
        block_on(workers.stop(grace))
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        self.metrics.render(&mut text);
        text
    }
}

pub(crate) fn parse(definition: &Value) -> Definition {
    Definition::parse(definition, None)
        .unwrap_or_else(|it| panic!("{it:?}"))
        .content
}

pub(crate) fn table(
    definition: &Definition,
    upstream: &Arc<proxy::Upstream>,
    metrics: &Metrics,
) -> Table {
    let binding = Binding::parse(&json!({"nodes": [{"host": "a"}]}))
        .expect("a binding")
        .content;
    let version = "1.0.0".parse().expect("a version");
    let name = &definition.name;
    let routes = proxy::service_routes(
        name,
        Some(&version),
        definition,
        &binding,
        upstream,
        metrics,
    );
    Table::empty().with([Change::Put(routes)])
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    // One thread beside this one, so that a test may wait for other things in the meantime.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

/// An address at which nobody listens: it was free a moment ago.
fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}
