//! Coarse time: one tick per worker instead of a timer per request.
//!
//! A deadline is set for nearly every request and hardly ever reached. So setting one must cost
//! next to nothing: it writes two numbers. Time is looked at once per [`TICK`], for all deadlines
//! at once, and only those due in that tick are touched.
//!
//! The wheel is lazy. A timer is *listed* in the bucket of its earliest deadline so far; a deadline
//! that moves later does not move the listing, which is looked at when its bucket comes and then
//! moved to where the deadline is by then. A kept-alive connection that rearms at every request is
//! thus listed about once per deadline's length, not once per request.
//!
//! A timer never fires early, and late by at most one tick (two, where it was set by
//! [`Timer::set_in`], which reads no clock).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// The length of a tick.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// The deadlines of one worker.
#[derive(Debug)]
pub(crate) struct Ticks {
    start: Instant,
    last: Cell<Instant>,
    wheel: RefCell<Wheel>,
}

/// One deadline, which can be set again and again; unset when dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    ticks: Rc<Ticks>,
    slot: u32,
}

#[derive(Debug)]
struct Wheel {
    /// Ticks that have been handled.
    now: u64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Listings by tick, as a ring. The bucket of a tick holds listings of that tick only: none is
    /// made a whole turn ahead.
    buckets: Box<[Vec<u32>]>,
}

#[derive(Debug)]
struct Slot {
    /// The tick at which it fires; [`NEVER`] if unset.
    deadline: u64,
    /// The tick under which it is listed; [`NEVER`] if it isn't. A listing under any other tick is
    /// stale. It outlives the timer: the next owner of the slot inherits it.
    listed: u64,
    waker: Option<Waker>,
}

const NEVER: u64 = u64::MAX;
/// Buckets of the wheel; a deadline further away is listed in the furthest and moved on from there.
const BUCKETS: u64 = 1_024;

impl Ticks {
    /// A wheel that starts at `start`.
    pub(crate) fn new(start: Instant) -> Rc<Self> {
        let wheel = Wheel {
            now: 0,
            slots: Vec::new(),
            free: Vec::new(),
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
        };
        Rc::new(Self {
            start,
            last: Cell::new(start),
            wheel: RefCell::new(wheel),
        })
    }

    /// A new timer, unset.
    pub(crate) fn timer(self: &Rc<Self>) -> Timer {
        let mut wheel = self.wheel.borrow_mut();
        let slot = wheel.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(wheel.slots.len()).expect("a worker has fewer connections");
            wheel.slots.push(Slot {
                deadline: NEVER,
                listed: NEVER,
                waker: None,
            });
            slot
        });
        Timer {
            ticks: Rc::clone(self),
            slot,
        }
    }

    /// Handles all ticks up to `now`, and wakes whose deadline has come.
    pub(crate) fn advance(&self, now: Instant) {
        self.last.set(now);
        let until = whole_ticks(now.saturating_duration_since(self.start));
        let mut due = Vec::new();
        self.wheel.borrow_mut().advance(until, &mut due);
        // Woken after the borrow has ended: a waker may run code of its own.
        due.into_iter().for_each(Waker::wake);
    }

    /// The last tick: the time, at most a tick ago.
    pub(crate) fn now(&self) -> Instant {
        self.last.get()
    }

    /// Wakes everyone who waits for a timer, so that they look at what else has changed.
    pub(crate) fn wake_all(&self) {
        let wheel = self.wheel.borrow();
        let wakers: Vec<Waker> = wheel
            .slots
            .iter()
            .filter_map(|slot| slot.waker.clone())
            .collect();
        drop(wheel);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wheel {
    fn advance(&mut self, until: u64, due: &mut Vec<Waker>) {
        while self.now < until {
            self.now += 1;
            let now = self.now;
            let bucket = bucket_of(now);
            let mut listings = std::mem::take(&mut self.buckets[bucket]);
            for index in listings.drain(..) {
                let slot = &mut self.slots[index as usize];
                if slot.listed != now {
                    continue;
                }
                slot.listed = NEVER;
                if slot.deadline <= now {
                    due.extend(slot.waker.take());
                } else if slot.deadline != NEVER {
                    self.list(index);
                }
            }
            // The bucket keeps its capacity for the next turn, unless a burst made it large.
            if listings.capacity() <= BUCKET_KEPT_MAX && self.buckets[bucket].is_empty() {
                self.buckets[bucket] = listings;
            }
        }
    }

    fn set(&mut self, index: u32, deadline: u64) {
        let deadline = deadline.max(self.now + 1);
        let slot = &mut self.slots[index as usize];
        slot.deadline = deadline;
        if deadline < slot.listed {
            self.list(index);
        }
    }

    fn list(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        let tick = slot.deadline.min(self.now + BUCKETS - 1);
        slot.listed = tick;
        self.buckets[bucket_of(tick)].push(index);
    }
}

impl Timer {
    /// Fires at the first tick that is not before `at`.
    pub(crate) fn set(&self, at: Instant) {
        let deadline = ticks_up(at.saturating_duration_since(self.ticks.start));
        self.ticks.wheel.borrow_mut().set(self.slot, deadline);
    }

    /// Fires `after` from now, one or two ticks late: it takes the last tick for now.
    pub(crate) fn set_in(&self, after: Duration) {
        let mut wheel = self.ticks.wheel.borrow_mut();
        let deadline = wheel.now.saturating_add(1 + ticks_up(after));
        wheel.set(self.slot, deadline);
    }

    /// Unsets it.
    pub(crate) fn clear(&self) {
        self.ticks.wheel.borrow_mut().slots[self.slot as usize].deadline = NEVER;
    }

    /// Whether the deadline has come; if not, the task is woken when it does. A timer that is not
    /// set is pending, and still wakes on [`Ticks::wake_all`].
    pub(crate) fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        let mut wheel = self.ticks.wheel.borrow_mut();
        let now = wheel.now;
        let slot = &mut wheel.slots[self.slot as usize];
        if slot.deadline <= now {
            return Poll::Ready(());
        }
        match &slot.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => slot.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Runs `future` until it ends or `at` has come.
    pub(crate) async fn until<F: Future>(&self, at: Instant, future: F) -> Option<F::Output> {
        self.set(at);
        let mut future = std::pin::pin!(future);
        let ended = std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll_expired(cx).map(|()| None),
        })
        .await;
        self.clear();
        ended
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut wheel = self.ticks.wheel.borrow_mut();
        let slot = &mut wheel.slots[self.slot as usize];
        slot.deadline = NEVER;
        slot.waker = None;
        wheel.free.push(self.slot);
    }
}

fn bucket_of(tick: u64) -> usize {
    usize::try_from(tick % BUCKETS).expect("less than the number of buckets")
}

fn whole_ticks(span: Duration) -> u64 {
    u64::try_from(span.as_nanos() / TICK.as_nanos()).unwrap_or(NEVER - 1)
}

fn ticks_up(span: Duration) -> u64 {
    let millis = u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX / 2);
    millis.div_ceil(TICK_MILLIS)
}

const TICK_MILLIS: u64 = TICK.as_millis() as u64;
/// Listings a bucket keeps room for when it has been emptied.
const BUCKET_KEPT_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waker() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn fired(timer: &Timer, waker: &Waker) -> bool {
        timer.poll_expired(&Context::from_waker(waker)).is_ready()
    }

    #[test]
    fn fires_in_the_tick_it_is_due_and_wakes() {
        let start = Instant::now();
        let ticks = Ticks::new(start);
        let (count, waker) = waker();
        let timer = ticks.timer();
        timer.set(start + TICK * 3 - Duration::from_millis(1));
        assert!(!fired(&timer, &waker));
        ticks.advance(start + TICK * 3 - Duration::from_nanos(1));
        assert!(!fired(&timer, &waker));
        ticks.advance(start + TICK * 3);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(fired(&timer, &waker));
    }

    #[test]
    fn a_freed_slot_does_not_fire_for_its_next_owner() {
        let start = Instant::now();
        let ticks = Ticks::new(start);
        let (count, waker) = waker();
        let first = ticks.timer();
        first.set(start + TICK);
        assert!(!fired(&first, &waker));
        drop(first);
        let second = ticks.timer();
        second.set(start + TICK * 2);
        assert!(!fired(&second, &waker));
        ticks.advance(start + TICK);
        assert!(!fired(&second, &waker));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        ticks.advance(start + TICK * 2);
        assert!(fired(&second, &waker));
    }

    #[test]
    fn everyone_can_be_woken() {
        let ticks = Ticks::new(Instant::now());
        let (count, waker) = waker();
        let unset = ticks.timer();
        assert!(!fired(&unset, &waker));
        ticks.wake_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn until_gives_the_output_or_the_time() {
        let start = Instant::now();
        let ticks = Ticks::new(start);
        let timer = ticks.timer();
        assert_eq!(
            timer.until(start + TICK, std::future::ready(7)).await,
            Some(7)
        );
        ticks.advance(start + TICK * 5);
        assert!(!fired(&timer, Waker::noop()), "it is unset afterwards");
        let never = timer.until(start + TICK * 6, std::future::pending::<()>());
        let advance = async { ticks.advance(start + TICK * 6) };
        assert_eq!(tokio::join!(never, advance).0, None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(usize, u64),
        Clear(usize),
        Replace(usize),
        Advance(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0usize..6, 0u64..200_000).prop_map(|(timer, millis)| Step::Set(timer, millis)),
            1 => (0usize..6).prop_map(Step::Clear),
            1 => (0usize..6).prop_map(Step::Replace),
            4 => (0u64..30_000).prop_map(Step::Advance),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        /// The oracle: a deadline is due if the clock, rounded down to a tick, has reached it.
        #[test]
        fn as_a_plain_list_of_deadlines(steps in steps()) {
            let start = Instant::now();
            let ticks = Ticks::new(start);
            let (mut timers, mut wakers): (Vec<_>, Vec<_>) =
                (0..6).map(|_| (ticks.timer(), waker())).unzip();
            let mut deadlines = [None::<u64>; 6];
            let mut now = 0u64;
            for step in steps {
                match step {
                    Step::Set(timer, after) => {
                        timers[timer].set(start + Duration::from_millis(now + after));
                        // What is due already fires with the next tick.
                        let next = (now / TICK_MILLIS + 1) * TICK_MILLIS;
                        deadlines[timer] = Some((now + after).max(next));
                    }
                    Step::Clear(timer) => {
                        timers[timer].clear();
                        deadlines[timer] = None;
                    }
                    Step::Replace(timer) => {
                        timers[timer] = ticks.timer();
                        wakers[timer] = waker();
                        deadlines[timer] = None;
                    }
                    Step::Advance(by) => {
                        for (timer, (_, waker)) in timers.iter().zip(&wakers) {
                            let _ = fired(timer, waker);
                        }
                        let woken = |count: &Arc<Count>| count.0.load(Ordering::Relaxed);
                        let before: Vec<_> = wakers.iter().map(|(count, _)| woken(count)).collect();
                        let was_due = deadlines.map(|at| at.is_some_and(|at| at <= now / TICK_MILLIS * TICK_MILLIS));
                        now += by;
                        ticks.advance(start + Duration::from_millis(now));
                        let reached = now / TICK_MILLIS * TICK_MILLIS;
                        for index in 0..6 {
                            let due = deadlines[index].is_some_and(|at| at <= reached);
                            prop_assert_eq!(fired(&timers[index], &wakers[index].1), due);
                            let newly = due && !was_due[index];
                            prop_assert_eq!(woken(&wakers[index].0) > before[index], newly);
                        }
                    }
                }
            }
        }
    }
}
