//! Lengths of time, counted and shown.

use std::time::Duration;

/// The same thing measured many times.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds a measurement.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The smallest time that so many hundredths of all are not above; zero of none.
    #[must_use]
    pub fn percentile(&self, hundredths: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * hundredths).div_ceil(100);
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    /// The longest; zero of none.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.0.iter().copied().max().unwrap_or_default()
    }

    /// The mean; zero of none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX).max(1);
        self.0.iter().sum::<Duration>() / count
    }

    /// Median, 99th percentile and longest in milliseconds, as cells of a table.
    #[must_use]
    pub fn cells(&self) -> [String; 3] {
        [self.percentile(50), self.percentile(99), self.longest()].map(millis)
    }
}

/// As `3.142 ms`.
#[must_use]
pub fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

/// As `3.1 µs`.
#[must_use]
pub fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(millis: &[u64], expect: [u64; 4]) {
        let mut times = Times::default();
        for &time in millis {
            times.add(Duration::from_millis(time));
        }
        let got = [
            times.percentile(50),
            times.percentile(99),
            times.longest(),
            times.mean(),
        ];
        assert_eq!(got, expect.map(Duration::from_millis));
    }

    #[test]
    fn ranks() {
        check(&[], [0, 0, 0, 0]);
        check(&[7], [7, 7, 7, 7]);
        check(&[3, 1, 2], [2, 3, 3, 2]);
        check(&[4, 1, 3, 2, 10], [3, 10, 10, 4]);
        // 1 to 100, and one more: the mean of the 101 is a whole number too.
        let many: Vec<u64> = (0..=100).rev().collect();
        check(&many, [50, 99, 100, 50]);
    }

    #[test]
    fn shown() {
        let time = Duration::from_nanos(3_141_592);
        assert_eq!(
            (millis(time), micros(time)),
            ("3.142 ms".into(), "3141.6 µs".into())
        );
    }
}
