use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// The wall clock, passed to whatever stamps or compares dates.
///
/// For elapsed time use `tokio::time::Instant`: a wall clock jumps. Clones share their time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<Mutex<Timestamp>>),
}

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until somebody moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(start))))
    }

    /// The date and time now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::now(),
            Source::Manual(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a manual clock, and all its clones, forward by `step`; at the end of the calendar
    /// (year 9999) it stands still.
    ///
    /// The system's clock cannot be moved: there this does nothing and answers `false`.
    pub fn advance(&self, step: Duration) -> bool {
        let Source::Manual(now) = &self.0 else {
            return false;
        };
        let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(step).unwrap_or(Timestamp::MAX);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_for_all_its_clones_and_only_when_told() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let other = clock.clone();
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        assert!(clock.advance(Duration::from_millis(1_500)));
        assert_eq!(other.now(), Timestamp::from_millisecond(1_500).unwrap());
    }

    #[test]
    fn a_manual_clock_stops_at_the_end_of_the_calendar() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }

    #[test]
    fn the_system_clock_cannot_be_moved() {
        let clock = Clock::system();
        assert!(!clock.advance(Duration::from_secs(1_000_000)));
        assert!(clock.now() > "2026-01-01T00:00:00Z".parse().unwrap());
    }
}
