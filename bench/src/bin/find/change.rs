//! One service changed among 100,000 routes.

use std::time::Duration;

use arc_swap::ArcSwap;
use ferryway_router::{Change, RouteTable};
use tokio::time::Instant;

use crate::tables::{self, Hosts};

const SIZE: usize = 100_000;
const CHANGES: usize = 1_000;

/// Prints a row: services of so many routes, each put anew with the same paths.
pub(crate) fn report(hosts: Hosts, routes: usize) {
    let count = SIZE / routes;
    let services = (0..count).map(|n| Change::Put(tables::service(hosts, n, routes, 0)));
    let live = ArcSwap::from_pointee(RouteTable::empty().with(services));
    let (mut builds, mut drops) = (Vec::new(), Vec::new());
    for n in 1..=CHANGES {
        let service = tables::service(hosts, n.wrapping_mul(7_919) % count, routes, n as u64);
        let start = Instant::now();
        let next = live.load().with([Change::Put(service)]);
        let old = live.swap(next.into());
        builds.push(start.elapsed());
        let start = Instant::now();
        drop(old);
        drops.push(start.elapsed());
    }
    let [build, build_most] = median_and_p99(builds);
    let [drop, drop_most] = median_and_p99(drops);
    println!(
        "| hosts: {} | {routes} routes | {build} | {build_most} | {drop} | {drop_most} |",
        hosts.name()
    );
}

fn median_and_p99(mut times: Vec<Duration>) -> [String; 2] {
    times.sort_unstable();
    [times.len() / 2, times.len() * 99 / 100]
        .map(|at| format!("{:.1} µs", times[at].as_secs_f64() * 1e6))
}
