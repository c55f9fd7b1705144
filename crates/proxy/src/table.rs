//! The table that requests are matched against, and the cell it is swapped in.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ferryway_model::{
    Binding, Definition, HostHeader, Name, Retry, RetryOn, Route, Timeouts, VersionNumber,
};
use ferryway_router::{Change, RouteTable, ServiceRoutes};
use http::HeaderValue;

use crate::metrics::{Metrics, RouteMetrics};
use crate::ticks::TICK;
use crate::upstream::Upstream;

/// Everything that requests are matched against at one moment. Frozen; clones share all of it.
#[derive(Clone, Debug)]
pub struct Table {
    routes: RouteTable<Arc<ProxyRoute>>,
}

/// The table in use. Workers look at it without a lock; the installer swaps it.
#[derive(Debug)]
pub struct LiveTable {
    table: Arc<ArcSwap<Table>>,
}

/// What a matched request needs to know: all of its route, and nothing of the table around it.
#[derive(Debug)]
pub struct ProxyRoute {
    pub(crate) base_path: Box<str>,
    pub(crate) connect_time: Duration,
    pub(crate) send_time: Duration,
    pub(crate) read_time: Duration,
    pub(crate) host: HostMode,
    pub(crate) retry: RetryPolicy,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) metrics: Arc<RouteMetrics>,
}

/// What goes into `Host` towards the upstream.
#[derive(Debug)]
pub(crate) enum HostMode {
    Node,
    Pass,
    Rewrite(HeaderValue),
}

/// When a request is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    pub(crate) retries: u32,
    on: u8,
}

impl Table {
    /// A table without routes.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            routes: RouteTable::empty(),
        }
    }

    /// This table with the routes of some services put or removed; all others are shared.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = Change<Arc<ProxyRoute>>>) -> Self {
        Self {
            routes: self.routes.with(changes),
        }
    }

    /// The routes.
    #[must_use]
    pub fn routes(&self) -> &RouteTable<Arc<ProxyRoute>> {
        &self.routes
    }
}

impl LiveTable {
    /// Starts with this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self {
            table: Arc::new(ArcSwap::from_pointee(table)),
        }
    }

    /// The table in use now.
    #[must_use]
    pub fn current(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Puts another table into use, and gives back the one that was: pass that to [`retire`], so
    /// that no worker is the one that has to take it apart.
    #[must_use = "the old table is the caller's to drop"]
    pub fn swap(&self, table: Table) -> Arc<Table> {
        self.table.swap(Arc::new(table))
    }

    pub(crate) fn cell(&self) -> Arc<ArcSwap<Table>> {
        Arc::clone(&self.table)
    }
}

/// Waits until no worker looks at an old table any more, and drops it here.
///
/// Workers look again with their next request, and at every tick, so this takes a tick or two; it
/// gives up waiting after a second, when a worker is stuck and the drop is its smallest trouble.
pub async fn retire(table: Arc<Table>) {
    for _ in 0..RETIRE_TICKS_MAX {
        if Arc::strong_count(&table) == 1 {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// The routes of a service under a binding: the one way from a definition into a [`Table`].
#[must_use]
pub fn service_routes(
    service: &Name,
    version: Option<&VersionNumber>,
    definition: &Definition,
    binding: &Binding,
    upstream: &Arc<Upstream>,
    metrics: &Metrics,
) -> ServiceRoutes<Arc<ProxyRoute>> {
    ServiceRoutes::of(definition, binding, |route| {
        let metrics = metrics.route(service, version, &route.name);
        Arc::new(ProxyRoute::new(definition, route, upstream, metrics))
    })
}

impl ProxyRoute {
    fn new(
        definition: &Definition,
        route: &Route,
        upstream: &Arc<Upstream>,
        metrics: Arc<RouteMetrics>,
    ) -> Self {
        let Timeouts {
            connect,
            read,
            send,
        } = definition.upstream.timeout;
        Self {
            base_path: definition.base_path.as_str().into(),
            connect_time: route.timeout.connect.unwrap_or(connect).duration(),
            send_time: route.timeout.send.unwrap_or(send).duration(),
            read_time: route.timeout.read.unwrap_or(read).duration(),
            host: HostMode::new(&definition.upstream.host_header),
            retry: RetryPolicy::new(&definition.upstream.retry),
            upstream: Arc::clone(upstream),
            metrics,
        }
    }
}

impl HostMode {
    fn new(mode: &HostHeader) -> Self {
        match mode {
            HostHeader::Node => Self::Node,
            HostHeader::Pass => Self::Pass,
            HostHeader::Rewrite(value) => Self::Rewrite(
                HeaderValue::from_str(value).expect("the model takes a host and a port only"),
            ),
        }
    }
}

impl RetryPolicy {
    fn new(retry: &Retry) -> Self {
        Self {
            retries: retry.retries,
            on: retry.on.iter().fold(0, |bits, on| bits | bit(*on)),
        }
    }

    pub(crate) fn has(self, condition: RetryOn) -> bool {
        self.on & bit(condition) != 0
    }

    /// Whether a request may be tried again *after* it was sent.
    pub(crate) fn after_sending(self) -> bool {
        self.retries > 0 && self.on & !bit(RetryOn::ConnectFailure) != 0
    }
}

const fn bit(condition: RetryOn) -> u8 {
    match condition {
        RetryOn::ConnectFailure => 1,
        RetryOn::ResetBeforeResponse => 2,
        RetryOn::GatewayError => 4,
        RetryOn::Timeout => 8,
    }
}

/// Ticks that a retired table is waited for.
const RETIRE_TICKS_MAX: u32 = 20;
