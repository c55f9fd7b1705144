//! When a view has proven itself: what ran, and the process still does ten minutes later, is the
//! last good one.

use std::time::Duration;

use ferryway_model::View;
use ferryway_proto::Position;
use tokio::time::Instant;

/// What has proven itself, and what is on its way there.
#[derive(Debug)]
pub(super) struct Proven {
    /// Since when something runs.
    since: Option<Instant>,
    /// This start was said to be no crash.
    survived: bool,
    /// What ran at some moment, which is not forgotten when other things run after it: a group that
    /// changes every minute has a last good view too.
    sample: Option<(Instant, Position, View)>,
    newest: Option<(Position, View)>,
    has_last_good: bool,
    /// Since when the export is older than what it should hold.
    stale_since: Option<Instant>,
    exported: Option<Instant>,
}

/// How long a view must have run.
pub(super) const GOOD_AFTER: Duration = Duration::from_secs(10 * 60);
/// How long an instance must have run, so that its start is no crash.
pub(super) const SURVIVED_AFTER: Duration = Duration::from_secs(60);
/// How long an export waits for more changes, and how often there is one at most.
const EXPORT_AFTER: Duration = Duration::from_secs(1);
const EXPORT_EVERY: Duration = Duration::from_secs(10);
/// Long enough to be never.
const FAR: Duration = Duration::from_secs(60 * 60);

impl Proven {
    pub(super) fn new(has_last_good: bool) -> Self {
        Self {
            since: None,
            survived: false,
            sample: None,
            newest: None,
            has_last_good,
            stale_since: None,
            exported: None,
        }
    }

    /// This runs now.
    pub(super) fn runs(&mut self, now: Instant, position: Position, view: &View) {
        self.since.get_or_insert(now);
        self.sample
            .get_or_insert_with(|| (now, position, view.clone()));
        self.newest = Some((position, view.clone()));
        // Until there is a last good view, the newest one is better than none.
        if !self.has_last_good {
            self.stale_since.get_or_insert(now);
        }
    }

    /// The view that has proven itself since the last time this was `written`.
    pub(super) fn last_good(&self, now: Instant) -> Option<(Position, View)> {
        let (since, position, view) = self.sample.as_ref()?;
        (now >= *since + GOOD_AFTER).then(|| (*position, view.clone()))
    }

    /// Whether this start was no crash, and was not said to be before.
    pub(super) fn survived(&self, now: Instant) -> bool {
        !self.survived
            && self
                .since
                .is_some_and(|since| now >= since + SURVIVED_AFTER)
    }

    /// What was true at `now` is on the disk.
    pub(super) fn written(&mut self, now: Instant) {
        if self.last_good(now).is_some() {
            self.has_last_good = true;
            self.stale_since.get_or_insert(now);
            let newest = self.newest.clone();
            self.sample = newest.map(|(position, view)| (now, position, view));
        }
        self.survived |= self.survived(now);
    }

    pub(super) fn wants_export(&self, now: Instant, is_last: bool) -> bool {
        self.export_at().is_some_and(|at| is_last || at <= now)
    }

    pub(super) fn exported(&mut self, now: Instant) {
        self.stale_since = None;
        self.exported = Some(now);
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Instant {
        let good = self
            .sample
            .as_ref()
            .map(|(since, _, _)| *since + GOOD_AFTER);
        let survived = self
            .since
            .filter(|_| !self.survived)
            .map(|since| since + SURVIVED_AFTER);
        let all = [good, survived, self.export_at()].into_iter().flatten();
        all.min().unwrap_or_else(|| Instant::now() + FAR)
    }

    fn export_at(&self) -> Option<Instant> {
        let stale = self.stale_since? + EXPORT_AFTER;
        Some(
            self.exported
                .map_or(stale, |exported| stale.max(exported + EXPORT_EVERY)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Variant, epoch, position, view_of};

    fn at(seconds: u64, start: Instant) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn what_ran_ten_minutes_ago_is_good_even_if_it_changed_since() {
        let start = Instant::now();
        let (old, _) = view_of(&[("a", Variant::Good(0))]);
        let (new, _) = view_of(&[("a", Variant::Good(1))]);
        let mut proven = Proven::new(false);
        proven.runs(start, position(epoch(1), 1, &old), &old);
        for minute in 1..10 {
            let now = at(minute * 60, start);
            proven.runs(now, position(epoch(1), minute + 1, &new), &new);
            assert_eq!(proven.survived(now), minute == 1);
            assert_eq!(proven.last_good(now), None);
            proven.written(now);
        }
        let (position, view) = proven.last_good(at(600, start)).unwrap();
        assert_eq!((position.revision.0, view.root()), (1, old.root()));
        proven.written(at(600, start));
        assert_eq!(proven.last_good(at(1_199, start)), None);
        let (position, _) = proven.last_good(at(1_200, start)).unwrap();
        assert_eq!(position.revision.0, 10);
    }

    #[test]
    fn exports_are_few() {
        let start = Instant::now();
        let (view, _) = view_of(&[]);
        let mut proven = Proven::new(false);
        assert!(!proven.wants_export(start, true));
        proven.runs(start, position(epoch(1), 1, &view), &view);
        assert!(!proven.wants_export(start, false));
        assert!(proven.wants_export(start, true), "at the end, at once");
        assert!(proven.wants_export(at(1, start), false));
        proven.exported(at(1, start));
        proven.runs(at(2, start), position(epoch(1), 2, &view), &view);
        assert!(!proven.wants_export(at(10, start), false));
        assert!(proven.wants_export(at(11, start), false));
        assert_eq!(proven.deadline(), at(11, start));

        let mut proven = Proven::new(true);
        proven.runs(start, position(epoch(1), 1, &view), &view);
        assert!(
            !proven.wants_export(at(60, start), true),
            "only when the last good view moves"
        );
        proven.written(at(600, start));
        assert!(proven.wants_export(at(601, start), false));
    }
}
