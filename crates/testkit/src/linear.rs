//! Whether a history of concurrent calls is linearizable: whether each call can be taken to have
//! happened at one moment between its beginning and its end, so that all answers are right.
//!
//! The algorithm is Wing and Gong's search with Lowe's memory of what was tried: it takes the calls
//! that may come next in every order, and never looks twice at the same set of calls that led to the
//! same state. What the calls mean is a [`Model`]'s business.
//!
//! A call whose outcome nobody knows (its caller was killed, or was answered that it may or may not
//! have happened) has no end and no answer: it may have happened at any moment after its beginning,
//! or never.

pub mod published;

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// What calls mean, one after the other.
pub trait Model {
    /// What calls change.
    type State: Clone + Eq + Hash;
    /// A call.
    type Call: Debug;
    /// What it was answered.
    type Answer: Debug;

    /// The state before all calls.
    fn start(&self) -> Self::State;

    /// The state after a call that was answered so; none: in this state it can't be answered so.
    /// Without an answer, nobody knows what it was: the state after the call has happened.
    fn step(
        &self,
        state: &Self::State,
        call: &Self::Call,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State>;
}

/// A call, from its beginning to its end. Moments are numbers that rise; no two are the same.
#[derive(Clone, Debug)]
pub struct Called<C, A> {
    /// What was called.
    pub call: C,
    /// When it began.
    pub began: u64,
    /// When it was answered, and what; none: nobody knows whether it happened.
    pub ended: Option<(u64, A)>,
}

/// Why a history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The longest order of calls that is right, by their places in the history.
    pub longest: Vec<usize>,
    /// The call that had ended, and fits nowhere after those.
    pub misfit: usize,
}

/// One place in the list of moments: of a call's beginning or of its end.
#[derive(Clone, Copy, Debug)]
struct Place {
    call: usize,
    /// Of a beginning: the place of the end.
    end: Option<usize>,
    before: usize,
    after: usize,
}

/// The moments that are left, in order; the first place is before all.
struct Moments {
    places: Vec<Place>,
}

const HEAD: usize = 0;

impl Moments {
    fn of<C, A>(history: &[Called<C, A>]) -> Self {
        let mut moments: Vec<(u64, usize, bool)> = Vec::new();
        for (call, called) in history.iter().enumerate() {
            moments.push((called.began, call, true));
            let ended = called.ended.as_ref().map_or(u64::MAX, |(at, _)| *at);
            moments.push((ended, call, false));
        }
        moments.sort_by_key(|(at, call, begins)| (*at, !*begins, *call));
        let count = moments.len();
        let mut places = Vec::with_capacity(count + 1);
        places.push(Place {
            call: usize::MAX,
            end: None,
            before: count,
            after: 1,
        });
        let mut begins_at = vec![0; history.len()];
        for (number, (_, call, begins)) in moments.into_iter().enumerate() {
            let at = number + 1;
            if begins {
                begins_at[call] = at;
            } else {
                let begin: &mut Place = &mut places[begins_at[call]];
                begin.end = Some(at);
            }
            places.push(Place {
                call,
                end: None,
                before: at - 1,
                after: if at == count { HEAD } else { at + 1 },
            });
        }
        if count == 0 {
            places[HEAD].after = HEAD;
        }
        Self { places }
    }

    fn take(&mut self, at: usize) {
        let Place { before, after, .. } = self.places[at];
        self.places[before].after = after;
        self.places[after].before = before;
    }

    fn put_back(&mut self, at: usize) {
        let Place { before, after, .. } = self.places[at];
        self.places[before].after = at;
        self.places[after].before = at;
    }

    /// Takes a call out, its beginning and its end.
    fn lift(&mut self, begin: usize) {
        self.take(begin);
        if let Some(end) = self.places[begin].end {
            self.take(end);
        }
    }

    /// Undoes the last `lift`.
    fn unlift(&mut self, begin: usize) {
        if let Some(end) = self.places[begin].end {
            self.put_back(end);
        }
        self.put_back(begin);
    }
}

/// The calls of an order, as a set.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Set(Vec<u64>);

impl Set {
    fn flip(&mut self, call: usize) {
        self.0[call / 64] ^= 1 << (call % 64);
    }
}

/// Looks for an order in which a history's calls may have happened; answers it, by their places in
/// the history. Calls without an end may be missing in it.
///
/// # Errors
/// There is none.
pub fn linearize<M: Model>(
    model: &M,
    history: &[Called<M::Call, M::Answer>],
) -> Result<Vec<usize>, Violation> {
    let mut moments = Moments::of(history);
    let mut left = history
        .iter()
        .filter(|called| called.ended.is_some())
        .count();
    let mut done = Set(vec![0; history.len().div_ceil(64)]);
    let mut state = model.start();
    let mut tried: HashSet<(Set, M::State)> = HashSet::new();
    let mut order: Vec<(usize, M::State)> = Vec::new();
    let mut violation = Violation {
        longest: Vec::new(),
        misfit: usize::MAX,
    };
    let calls = |moments: &Moments, order: &[(usize, M::State)]| {
        let begins = order.iter().map(|(begin, _)| moments.places[*begin].call);
        begins.collect::<Vec<_>>()
    };
    let mut at = moments.places[HEAD].after;
    while left > 0 {
        let Place {
            call, end, after, ..
        } = moments.places[at];
        let Some(_) = end else {
            // The end of a call that was not taken: every order so far leaves it out.
            if violation.misfit == usize::MAX || order.len() > violation.longest.len() {
                violation = Violation {
                    longest: calls(&moments, &order),
                    misfit: call,
                };
            }
            let Some((begin, before)) = order.pop() else {
                return Err(violation);
            };
            let taken = moments.places[begin].call;
            left += usize::from(history[taken].ended.is_some());
            done.flip(taken);
            state = before;
            moments.unlift(begin);
            at = moments.places[begin].after;
            continue;
        };
        let called = &history[call];
        let answer = called.ended.as_ref().map(|(_, answer)| answer);
        let next = model.step(&state, &called.call, answer).filter(|next| {
            let mut with = done.clone();
            with.flip(call);
            tried.insert((with, next.clone()))
        });
        match next {
            Some(next) => {
                order.push((at, std::mem::replace(&mut state, next)));
                done.flip(call);
                left -= usize::from(called.ended.is_some());
                moments.lift(at);
                at = moments.places[HEAD].after;
            }
            None => at = after,
        }
    }
    Ok(calls(&moments, &order))
}

#[cfg(test)]
mod tests;
