//! A worker: what one thread has for itself to serve requests with.

use std::cell::{Cell, Ref, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use ferryway_router::{Found, RequestHead};
use ferryway_runtime::Tasks;
use http::HeaderValue;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::buffers::Buffers;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::table::{LiveTable, ProxyRoute, Table};
use crate::ticks::{TICK, Ticks};

/// What one thread has for itself to serve requests with.
pub(crate) struct Worker {
    table: RefCell<Cache<Arc<ArcSwap<Table>>, Arc<Table>>>,
    pool: Rc<Pool>,
    buffers: Rc<Buffers>,
    ticks: Rc<Ticks>,
    tasks: Tasks,
    settings: Rc<Settings>,
    date: Rc<RefCell<String>>,
    metrics: Arc<Metrics>,
    /// Its number, under which it counts; none for one that only probes.
    number: Option<usize>,
    draining: Cell<bool>,
    connections: Cell<usize>,
    /// A connection has ended.
    freed: Notify,
}

impl Worker {
    pub(crate) fn new(
        number: Option<usize>,
        settings: Settings,
        live: &LiveTable,
        metrics: Arc<Metrics>,
        tasks: Tasks,
    ) -> Rc<Self> {
        Rc::new(Self {
            table: RefCell::new(Cache::new(live.cell())),
            pool: Rc::default(),
            buffers: Rc::default(),
            ticks: Ticks::new(Instant::now()),
            tasks,
            date: Rc::new(RefCell::new(date(&settings))),
            settings: Rc::new(settings),
            metrics,
            number,
            draining: Cell::new(false),
            connections: Cell::new(0),
            freed: Notify::new(),
        })
    }

    /// One that looks at another table and shares everything else.
    pub(crate) fn with_table(&self, table: Arc<Table>) -> Rc<Self> {
        Rc::new(Self {
            table: RefCell::new(Cache::new(Arc::new(ArcSwap::new(table)))),
            pool: Rc::clone(&self.pool),
            buffers: Rc::clone(&self.buffers),
            ticks: Rc::clone(&self.ticks),
            tasks: self.tasks.clone(),
            settings: Rc::clone(&self.settings),
            date: Rc::clone(&self.date),
            metrics: Arc::clone(&self.metrics),
            number: self.number,
            draining: Cell::new(false),
            connections: Cell::new(0),
            freed: Notify::new(),
        })
    }

    /// Moves time on, looks at the live table, and tidies the pool; for ever.
    pub(crate) async fn tick(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for number in 0u64.. {
            let now = ticks.tick().await;
            self.ticks.advance(now);
            // So that a worker without requests does not hold on to an old table.
            self.table.borrow_mut().load();
            if number.is_multiple_of(TICKS_PER_SWEEP) {
                self.pool.sweep(now);
            }
            if number.is_multiple_of(TICKS_PER_DATE) {
                *self.date.borrow_mut() = date(&self.settings);
            }
        }
    }

    /// Finds the route of a request in the live table.
    pub(crate) fn find(&self, head: &RequestHead<'_>) -> Result<Arc<ProxyRoute>, Refusal> {
        let mut cache = self.table.borrow_mut();
        match cache.load().routes().find(head) {
            Found::Route(route) => Ok(Arc::clone(route)),
            Found::NotFound => Err(Refusal::NoRoute),
            Found::MethodNotAllowed(allow) => Err(Refusal::MethodNotAllowed {
                allow: HeaderValue::from_str(&allow.to_string())
                    .unwrap_or_else(|_| HeaderValue::from_static("")),
            }),
        }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn buffers(&self) -> &Rc<Buffers> {
        &self.buffers
    }

    pub(crate) fn ticks(&self) -> &Rc<Ticks> {
        &self.ticks
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What `Date` says.
    pub(crate) fn date(&self) -> Ref<'_, str> {
        Ref::map(self.date.borrow(), String::as_str)
    }

    /// Where it counts, if it does.
    pub(crate) fn counted(&self) -> Option<(&Metrics, usize)> {
        self.number.map(|number| (&*self.metrics, number))
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// From now on connections end with the request they are at.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        self.ticks.wake_all();
    }

    /// Whether there is room for another connection.
    pub(crate) fn has_room(&self) -> bool {
        self.connections.get() < self.settings.limits.connections_max
    }

    /// Whether no connection is open.
    pub(crate) fn is_quiet(&self) -> bool {
        self.connections.get() == 0
    }

    /// Waits until a connection ends.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    pub(crate) fn connection_begins(self: &Rc<Self>) -> OpenConnection {
        self.connections.set(self.connections.get() + 1);
        self.counts(|metrics, worker| metrics.worker(worker).connections_accepted.add(1));
        OpenConnection(Rc::clone(self))
    }

    pub(crate) fn request_begins(&self) {
        self.counts(|metrics, worker| metrics.worker(worker).requests_begun.add(1));
    }

    pub(crate) fn request_ends(&self) {
        self.counts(|metrics, worker| metrics.worker(worker).requests_ended.add(1));
    }

    /// A request goes out, over a kept connection or a new one.
    pub(crate) fn sends(&self, reused: bool) {
        self.counts(|metrics, worker| {
            let worker = metrics.worker(worker);
            let cell = if reused {
                &worker.upstream_reuses
            } else {
                &worker.upstream_connects
            };
            cell.add(1);
        });
    }

    pub(crate) fn retries(&self) {
        self.counts(|metrics, worker| metrics.worker(worker).retries.add(1));
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        self.counts(|metrics, worker| metrics.worker(worker).refused(refusal));
    }

    /// A request was refused whose head could not be read.
    pub(crate) fn refused_unread(&self, refusal: &Refusal) {
        self.counts(|metrics, worker| {
            metrics.worker(worker).refused(refusal);
            metrics
                .unmatched()
                .shard(worker)
                .codes
                .count(refusal.status().as_u16());
        });
    }

    fn counts(&self, count: impl FnOnce(&Metrics, usize)) {
        if let Some((metrics, worker)) = self.counted() {
            count(metrics, worker);
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("number", &self.number)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Counts a client's connection as open until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Rc<Worker>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let worker = &self.0;
        worker.connections.set(worker.connections.get() - 1);
        worker.counts(|metrics, number| metrics.worker(number).connections_closed.add(1));
        worker.freed.notify_waiters();
    }
}

/// Now, as `Date` has it (RFC 9110, 5.6.7).
fn date(settings: &Settings) -> String {
    let now = settings.clock.now();
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Ticks between two looks at the clock for `Date`, which has whole seconds.
const TICKS_PER_DATE: u64 = 10;
/// Ticks between two sweeps of the pool.
const TICKS_PER_SWEEP: u64 = 20;
