//! The one way a test waits for another process.

use std::time::{Duration, Instant};

/// How long a program, gunicorn included, may take until it answers on a busy machine.
pub const START_TIME_MAX: Duration = Duration::from_secs(30);

/// Asks `probe` again at short intervals until it answers `Some`, at most for `within`.
///
/// # Panics
///
/// When the time is over: with `what` was awaited.
#[track_caller]
pub fn eventually<T>(within: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(within);
    loop {
        // The deadline is read first: a probe always runs once after the time is over, so that a
        // machine that stood still for a while does not fail a test that has already come true.
        let over = deadline.is_over();
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(!over, "not within {within:?}: {what}");
        std::thread::sleep(PROBE_INTERVAL);
    }
}

/// A point in real time, for tests that wait for several things together.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The point `within` from now.
    #[expect(
        clippy::disallowed_methods,
        reason = "other processes live in real time, not tokio's"
    )]
    pub fn after(within: Duration) -> Self {
        Self(Instant::now() + within)
    }

    /// Whether that point has passed.
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// The time until then; zero once it has passed.
    #[expect(
        clippy::disallowed_methods,
        reason = "other processes live in real time, not tokio's"
    )]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Short against the start of a process, long against the cost of a probe.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_with_the_first_some() {
        let mut asked = 0;
        let answer = eventually(Duration::from_secs(5), "the third time", || {
            asked += 1;
            (asked == 3).then_some("here")
        });
        assert_eq!((answer, asked), ("here", 3));
    }

    #[test]
    fn a_probe_without_time_is_still_asked_once() {
        assert_eq!(eventually(Duration::ZERO, "now", || Some(1)), 1);
    }

    #[test]
    #[should_panic(expected = "not within 1ms: the moon")]
    fn says_what_did_not_come() {
        eventually(Duration::from_millis(1), "the moon", || None::<()>);
    }
}
