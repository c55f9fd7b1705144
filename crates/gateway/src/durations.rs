//! A histogram of how long something took, as Prometheus reads it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts durations in fixed buckets.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_micros: AtomicU64,
}

/// Upper bounds of the buckets, in microseconds, and as they are shown.
const BOUNDS: [(u64, &str); 12] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (50_000, "0.05"),
    (250_000, "0.25"),
    (1_000_000, "1"),
    (5_000_000, "5"),
    (15_000_000, "15"),
];

impl Durations {
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|(bound, _)| *bound < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Writes the series of the histogram `name`.
    pub(crate) fn render(&self, name: &str, out: &mut String) {
        let mut below = 0;
        let bounds = BOUNDS.iter().map(|(_, shown)| *shown).chain(["+Inf"]);
        for (count, bound) in self.counts.iter().zip(bounds) {
            below += count.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {below}");
        }
        let sum = Duration::from_micros(self.sum_micros.load(Ordering::Relaxed)).as_secs_f64();
        let _ = write!(out, "{name}_sum {sum}\n{name}_count {below}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let durations = Durations::default();
        for micros in [1, 100, 101, 2_000, 20_000_000] {
            durations.record(Duration::from_micros(micros));
        }
        let mut out = String::new();
        durations.render("x_seconds", &mut out);
        for line in [
            "x_seconds_bucket{le=\"0.0001\"} 2",
            "x_seconds_bucket{le=\"0.00025\"} 3",
            "x_seconds_bucket{le=\"0.0025\"} 4",
            "x_seconds_bucket{le=\"15\"} 4",
            "x_seconds_bucket{le=\"+Inf\"} 5",
            "x_seconds_sum 20.002202",
            "x_seconds_count 5",
        ] {
            assert!(out.lines().any(|it| it == line), "{line} in\n{out}");
        }
    }
}
