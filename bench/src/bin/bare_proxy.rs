//! The data plane alone: one service, one upstream, no control plane, no discovery. What
//! `compare --bare` measures: where its figures and the gateway's part, it is not the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferryway_balance::{Endpoint, EndpointSet, LiveEndpoints};
use ferryway_bench::content;
use ferryway_model::{Binding, Definition};
use ferryway_proxy::{
    LiveTable, Metrics, Settings, Table, Upstream, Workers, bind, service_routes,
};
use ferryway_router::Change;

/// `bare_proxy LISTEN UPSTREAM [ROUTES [WORKERS]]`
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |default: &str| args.next().unwrap_or_else(|| default.to_owned());
    let listen: SocketAddr = next("127.0.0.1:9080").parse()?;
    let upstream: SocketAddr = next("127.0.0.1:9000").parse()?;
    let routes: usize = next("1").parse()?;
    let workers: usize = next("1").parse()?;

    let metrics = Metrics::new(workers);
    let live = Arc::new(LiveTable::new(table(upstream, routes, &metrics)?));
    let listeners = bind(listen, workers)?;
    let workers = Workers::start(&Settings::default(), listeners, &live, &metrics)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut shutdown = ferryway_runtime::signals::shutdown()?;
        shutdown.requested().await;
        workers.stop(Duration::from_secs(1)).await;
        Ok::<_, std::io::Error>(())
    })?;
    Ok(())
}

/// One service whose last route, `/*`, is behind `routes - 1` others.
fn table(
    upstream: SocketAddr,
    routes: usize,
    metrics: &Metrics,
) -> Result<Table, Box<dyn std::error::Error>> {
    let endpoints = EndpointSet::new(vec![Endpoint {
        name: upstream.ip().to_string().into(),
        address: upstream,
        weight: 100,
        priority: 0,
    }]);
    let endpoints = Arc::new(LiveEndpoints::new(endpoints));
    let binding =
        Binding::parse(&content::binding(upstream)).map_err(|problems| format!("{problems:?}"))?;
    let mut table = Table::empty();
    for definition in content::catch_all(routes) {
        let definition = Definition::parse(&definition, None).map_err(|it| format!("{it:?}"))?;
        let definition = definition.content;
        let upstream = Upstream::new(
            &definition.upstream,
            definition.upstream.scheme,
            Arc::clone(&endpoints),
            0,
        );
        let routes = service_routes(
            &definition.name,
            None,
            &definition,
            &binding.content,
            &upstream,
            metrics,
        );
        table = table.with([Change::Put(routes)]);
    }
    Ok(table)
}
