use std::time::Duration;

use crate::Random;

/// How long to wait before the next try: a ceiling that doubles from `min` to `max`, and a wait
/// drawn evenly between nothing and the ceiling ("full jitter").
///
/// Full jitter, not a jitter of some percent: after an outage all callers start at the same moment,
/// and only a draw over the whole span takes them apart.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Waits of at most `min` for the first try, twice that for the second, and never over `max`.
    pub fn new(min: Duration, max: Duration) -> Self {
        let min = min.min(max);
        Self {
            min,
            max,
            ceiling: min,
        }
    }

    /// The wait before the next try.
    pub fn next(&mut self, random: &mut Random) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(self.max);
        ceiling.mul_f64(random.unit()).min(ceiling)
    }

    /// Starts again from `min`: call it once a try has *worked*, not once it has begun.
    pub fn reset(&mut self) {
        self.ceiling = self.min;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(5);

    proptest! {
        #[test]
        fn a_wait_stays_under_its_ceiling(
            seed: u64,
            min_ms in 0_u64..100_000,
            max_ms in 0_u64..100_000,
            tries in 0_u32..80,
        ) {
            let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(max_ms));
            let mut random = Random::seeded(seed);
            let mut backoff = Backoff::new(min, max);
            for n in 0..tries {
                let ceiling = min.saturating_mul(2_u32.saturating_pow(n)).min(max);
                prop_assert!(backoff.next(&mut random) <= ceiling, "try {n}");
            }
            backoff.reset();
            prop_assert!(backoff.next(&mut random) <= min.min(max));
        }
    }

    #[test]
    fn waits_spread_over_the_whole_span() {
        let mut random = Random::seeded(1);
        let mut backoff = Backoff::new(MIN, MAX);
        for _ in 0..10 {
            backoff.next(&mut random);
        }
        let waits: Vec<Duration> = (0..1_000).map(|_| backoff.next(&mut random)).collect();
        let in_first_tenth = waits.iter().filter(|wait| **wait < MAX / 10).count();
        let in_last_tenth = waits.iter().filter(|wait| **wait > MAX / 10 * 9).count();
        assert!((60..140).contains(&in_first_tenth), "{in_first_tenth}");
        assert!((60..140).contains(&in_last_tenth), "{in_last_tenth}");
    }

    #[test]
    fn the_longest_durations_do_not_overflow() {
        let mut random = Random::seeded(3);
        let mut backoff = Backoff::new(Duration::MAX / 2, Duration::MAX / 2);
        assert!(backoff.next(&mut random) <= Duration::MAX / 2);
        assert!(backoff.next(&mut random) <= Duration::MAX / 2);
    }
}
