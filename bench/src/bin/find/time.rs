//! Nanoseconds of a search.

use std::hint::black_box;

use ferryway_router::RouteTable;
use http::HeaderMap;
use tokio::time::Instant;

use crate::tables::{Case, Hosts, Request};

const BATCHES: usize = 101;
const HOT: usize = 16;
const RANDOM: usize = 8_192;
/// Searches of a batch.
const BATCH: usize = 16_384;

/// The median over batches of the time of one search, in nanoseconds: over a few requests that come
/// again and again, and over so many that the caches hold little of what they touch.
pub(crate) fn find(table: &RouteTable<u64>, hosts: Hosts, size: usize, case: Case) -> [f64; 2] {
    [HOT, RANDOM].map(|distinct| {
        let request = |n| Request::new(hosts, size, case, n);
        let requests: Vec<Request> = (0..distinct).map(request).collect();
        let headers = HeaderMap::new();
        let mut batches: Vec<f64> = (0..BATCHES)
            .map(|_| {
                let start = Instant::now();
                for request in requests.iter().cycle().take(BATCH) {
                    black_box(table.find(black_box(&request.head(&headers))));
                }
                start.elapsed().as_secs_f64() * 1e9 / BATCH as f64
            })
            .collect();
        batches.sort_by(f64::total_cmp);
        batches[BATCHES / 2]
    })
}
