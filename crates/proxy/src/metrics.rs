//! What is counted, and how it is shown to Prometheus.
//!
//! Each worker counts in cells of its own: a cell has one writer, so counting is a load and a store,
//! without a lock, an atomic read-modify-write or a cache line that travels. A route's cells of a
//! worker are allocated when the worker first serves the route, so 100,000 quiet routes cost
//! nothing. Readers add the workers up.
//!
//! The series of a route live as long as a table holds the route. A route that is in two tables one
//! after the other keeps its series: they are found again by service, version and route.

mod cells;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use ferryway_model::{Name, VersionNumber};

use crate::refusal::{CODES, Refusal, Side};
use cells::{BOUNDS_MICROS, Cell, Codes, Histogram};

/// All that the data plane counts.
#[derive(Debug)]
pub struct Metrics {
    workers: Box<[WorkerMetrics]>,
    unmatched: RouteMetrics,
    routes: Mutex<Series>,
}

/// The series of routes, to be found again.
#[derive(Debug, Default)]
struct Series {
    known: HashMap<Labels, Weak<RouteMetrics>>,
    /// How many were left when those of removed routes were last dropped.
    left: usize,
}

/// What is counted of one route.
#[derive(Debug)]
pub struct RouteMetrics {
    labels: Labels,
    shards: Box<[OnceLock<Box<RouteShard>>]>,
}

/// `service="…",version="…",route="…"`, as it is shown. The parts need no escapes.
type Labels = Box<str>;

/// What one worker counts of one route.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct RouteShard {
    pub(crate) codes: Codes,
    pub(crate) request: Histogram,
    pub(crate) upstream: Histogram,
}

/// What one worker counts of itself.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct WorkerMetrics {
    pub(crate) connections_accepted: Cell,
    pub(crate) connections_closed: Cell,
    pub(crate) requests_begun: Cell,
    pub(crate) requests_ended: Cell,
    pub(crate) upstream_connects: Cell,
    pub(crate) upstream_reuses: Cell,
    pub(crate) retries: Cell,
    pub(crate) refusals: [Cell; CODES.len()],
}

impl Metrics {
    /// Cells for so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers: (0..workers).map(|_| WorkerMetrics::default()).collect(),
            unmatched: RouteMetrics::new(labels("", "", ""), workers),
            routes: Mutex::default(),
        })
    }

    /// The series of a route: those that it has, or new ones.
    pub fn route(
        &self,
        service: &Name,
        version: Option<&VersionNumber>,
        route: &Name,
    ) -> Arc<RouteMetrics> {
        let version = version.map_or("", VersionNumber::as_str);
        let labels = labels(service.as_str(), version, route.as_str());
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = routes.known.get(&labels).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(RouteMetrics::new(labels.clone(), self.workers.len()));
        routes.insert(labels, &new);
        new
    }

    /// Writes all series in Prometheus' text format to `out`.
    pub fn render(&self, out: &mut String) {
        self.render_workers(out);
        let mut routes: Vec<Arc<RouteMetrics>> = {
            let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
            routes.drop_removed();
            routes.known.values().filter_map(Weak::upgrade).collect()
        };
        routes.sort_by(|a, b| a.labels.cmp(&b.labels));
        let all = || std::iter::once(&self.unmatched).chain(routes.iter().map(Arc::as_ref));
        head(
            out,
            "ferryway_requests_total",
            "counter",
            "Requests, by status.",
        );
        all().for_each(|route| route.render_codes(out));
        let name = "ferryway_request_duration_seconds";
        head(
            out,
            name,
            "histogram",
            "From a request's head to the end of its response.",
        );
        all().for_each(|route| route.render_histogram(out, name, |shard| &shard.request));
        let name = "ferryway_upstream_duration_seconds";
        head(
            out,
            name,
            "histogram",
            "From the first attempt to the head of the response.",
        );
        all().for_each(|route| route.render_histogram(out, name, |shard| &shard.upstream));
    }

    pub(crate) fn worker(&self, worker: usize) -> &WorkerMetrics {
        &self.workers[worker]
    }

    pub(crate) fn unmatched(&self) -> &RouteMetrics {
        &self.unmatched
    }

    fn render_workers(&self, out: &mut String) {
        let sum = |cell: fn(&WorkerMetrics) -> &Cell| -> u64 {
            self.workers.iter().map(|worker| cell(worker).get()).sum()
        };
        let mut one = |name: &str, kind: &str, help: &str, value: u64| {
            head(out, name, kind, help);
            line(out, name, "", value);
        };
        let accepted = sum(|worker| &worker.connections_accepted);
        let open = accepted.saturating_sub(sum(|worker| &worker.connections_closed));
        one(
            "ferryway_connections_accepted_total",
            "counter",
            "Connections of clients accepted.",
            accepted,
        );
        one(
            "ferryway_connections",
            "gauge",
            "Connections of clients open now.",
            open,
        );
        let in_flight = sum(|worker| &worker.requests_begun)
            .saturating_sub(sum(|worker| &worker.requests_ended));
        one(
            "ferryway_requests_in_flight",
            "gauge",
            "Requests being served now.",
            in_flight,
        );
        one(
            "ferryway_upstream_connects_total",
            "counter",
            "Connections opened to upstreams.",
            sum(|worker| &worker.upstream_connects),
        );
        one(
            "ferryway_upstream_reuses_total",
            "counter",
            "Requests sent over a kept-alive connection to an upstream.",
            sum(|worker| &worker.upstream_reuses),
        );
        one(
            "ferryway_retries_total",
            "counter",
            "Additional tries of requests.",
            sum(|worker| &worker.retries),
        );
        head(
            out,
            "ferryway_refusals_total",
            "counter",
            "Answers of the gateway's own.",
        );
        for (index, code) in CODES.iter().enumerate() {
            let count: u64 = self.workers.iter().map(|it| it.refusals[index].get()).sum();
            if count > 0 {
                line(
                    out,
                    "ferryway_refusals_total",
                    &format!("code=\"{code}\""),
                    count,
                );
            }
        }
    }
}

impl WorkerMetrics {
    pub(crate) fn refused(&self, refusal: &Refusal) {
        if refusal.side() == Side::Gateway {
            tracing::debug!(code = refusal.code(), "refused a request");
        }
        self.refusals[refusal.index()].add(1);
    }
}

impl Series {
    /// Every version brings series of its own, and nobody may ever ask for them: those of removed
    /// routes are dropped when they could be half of all.
    fn insert(&mut self, labels: Labels, series: &Arc<RouteMetrics>) {
        if self.known.len() >= 2 * self.left.max(SERIES_KEPT) {
            self.drop_removed();
        }
        self.known.insert(labels, Arc::downgrade(series));
    }

    fn drop_removed(&mut self) {
        self.known.retain(|_, series| series.strong_count() > 0);
        self.left = self.known.len();
    }
}

/// So few series are not worth a look at which of them are of removed routes.
const SERIES_KEPT: usize = 1_000;

impl RouteMetrics {
    fn new(labels: Labels, workers: usize) -> Self {
        Self {
            labels,
            shards: (0..workers).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The cells of a worker.
    pub(crate) fn shard(&self, worker: usize) -> &RouteShard {
        self.shards[worker].get_or_init(Box::default)
    }

    fn used(&self) -> impl Iterator<Item = &RouteShard> {
        self.shards
            .iter()
            .filter_map(|shard| shard.get().map(Box::as_ref))
    }

    fn render_codes(&self, out: &mut String) {
        let mut counts = std::collections::BTreeMap::new();
        for (code, count) in self.used().flat_map(|shard| shard.codes.counts()) {
            *counts.entry(code).or_insert(0) += count;
        }
        for (code, count) in counts {
            let labels = format!("{},code=\"{code}\"", self.labels);
            line(out, "ferryway_requests_total", &labels, count);
        }
    }

    fn render_histogram(&self, out: &mut String, name: &str, of: fn(&RouteShard) -> &Histogram) {
        let mut counts = [0u64; BOUNDS_MICROS.len() + 1];
        let mut micros = 0u64;
        for histogram in self.used().map(of) {
            let (more, sum) = histogram.read();
            counts
                .iter_mut()
                .zip(more)
                .for_each(|(count, more)| *count += more);
            micros += sum;
        }
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return;
        }
        let mut below = 0;
        for (bound, count) in BOUNDS_MICROS.iter().zip(counts) {
            below += count;
            let bound = seconds(*bound);
            let labels = format!("{},le=\"{bound}\"", self.labels);
            line(out, &format!("{name}_bucket"), &labels, below);
        }
        let labels = format!("{},le=\"+Inf\"", self.labels);
        line(out, &format!("{name}_bucket"), &labels, total);
        line(out, &format!("{name}_sum"), &self.labels, seconds(micros));
        line(out, &format!("{name}_count"), &self.labels, total);
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

fn labels(service: &str, version: &str, route: &str) -> Labels {
    format!("service=\"{service}\",version=\"{version}\",route=\"{route}\"").into()
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        labels => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn render(metrics: &Metrics) -> String {
        let mut out = String::new();
        metrics.render(&mut out);
        out
    }

    #[test]
    fn workers_are_added_up() {
        let metrics = Metrics::new(2);
        let route = metrics.route(&name("s"), Some(&"1.0".parse().unwrap()), &name("r"));
        for worker in 0..2 {
            let shard = route.shard(worker);
            shard.codes.count(200);
            shard.request.record(Duration::from_millis(3));
        }
        route.shard(1).codes.count(502);
        let out = render(&metrics);
        let labels = "service=\"s\",version=\"1.0\",route=\"r\"";
        for expect in [
            format!("ferryway_requests_total{{{labels},code=\"200\"}} 2"),
            format!("ferryway_requests_total{{{labels},code=\"502\"}} 1"),
            format!("ferryway_request_duration_seconds_bucket{{{labels},le=\"0.0025\"}} 0"),
            format!("ferryway_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 2"),
            format!("ferryway_request_duration_seconds_sum{{{labels}}} 0.006"),
            format!("ferryway_request_duration_seconds_count{{{labels}}} 2"),
        ] {
            assert!(out.lines().any(|line| line == expect), "{expect} in\n{out}");
        }
    }

    #[test]
    fn series_live_as_long_as_the_route() {
        let metrics = Metrics::new(1);
        let first = metrics.route(&name("s"), None, &name("r"));
        first.shard(0).codes.count(200);
        let again = metrics.route(&name("s"), None, &name("r"));
        drop(first);
        again.shard(0).codes.count(200);
        let series =
            "ferryway_requests_total{service=\"s\",version=\"\",route=\"r\",code=\"200\"} 2";
        assert!(render(&metrics).contains(series));
        drop(again);
        assert!(!render(&metrics).contains("service=\"s\""));
    }

    #[test]
    fn series_of_removed_routes_go_though_nobody_asks() {
        let metrics = Metrics::new(1);
        let kept = metrics.route(&name("kept"), None, &name("r"));
        for version in 0..10 * SERIES_KEPT {
            let version = version.to_string().parse().unwrap();
            drop(metrics.route(&name("s"), Some(&version), &name("r")));
        }
        let known = metrics.routes.lock().unwrap().known.len();
        assert!(known <= 2 * SERIES_KEPT, "{known} are kept");
        let again = metrics.route(&name("kept"), None, &name("r"));
        assert!(Arc::ptr_eq(&kept, &again));
    }

    #[test]
    fn gauges_are_differences() {
        let metrics = Metrics::new(2);
        metrics.worker(0).connections_accepted.add(3);
        metrics.worker(1).connections_accepted.add(1);
        metrics.worker(0).connections_closed.add(2);
        metrics.worker(0).refused(&Refusal::NoRoute);
        let out = render(&metrics);
        assert!(out.contains("\nferryway_connections 2\n"), "{out}");
        assert!(
            out.contains("ferryway_refusals_total{code=\"no_route\"} 1"),
            "{out}"
        );
    }
}
