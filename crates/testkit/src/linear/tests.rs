//! The search against one that tries every order, and against violations that were planted.

use ferryway_runtime::Random;

use super::*;

/// A counter that is compared and set.
struct Register;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Read,
    Set(u8),
    /// From, to.
    Swap(u8, u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Is(u8),
    Done,
    Refused,
}

impl Model for Register {
    type State = u8;
    type Call = Call;
    type Answer = Answer;

    fn start(&self) -> u8 {
        0
    }

    fn step(&self, state: &u8, call: &Call, answer: Option<&Answer>) -> Option<u8> {
        let (is, next) = match call {
            Call::Read => (Answer::Is(*state), *state),
            Call::Set(to) => (Answer::Done, *to),
            Call::Swap(from, to) if from == state => (Answer::Done, *to),
            Call::Swap(..) => (Answer::Refused, *state),
        };
        answer.is_none_or(|answer| *answer == is).then_some(next)
    }
}

type History = Vec<Called<Call, Answer>>;

/// A history of a real register: each call happens at one moment between beginning and end. Of one
/// in so many it is not known whether it did.
fn real(random: &mut Random, count: usize, spread: u64, unknown: u64) -> History {
    let mut starts: Vec<u64> = (0..count as u64).map(|n| n * 1_000).collect();
    let mut state = 0;
    let mut history = History::new();
    for start in &mut starts {
        let call = match random.below(3) {
            0 => Call::Read,
            1 => Call::Set(random.below(5) as u8),
            _ => Call::Swap(random.below(5) as u8, random.below(5) as u8),
        };
        let answers = [Answer::Is(state), Answer::Done, Answer::Refused];
        let step =
            |answer: &Answer| Some((Register.step(&state, &call, Some(answer))?, answer.clone()));
        let (next, answer) = answers.iter().find_map(step).unwrap();
        // The moment is at `start`; no two of all moments are the same.
        let began =
            (*start + 500).saturating_sub(random.below(spread) * 1_000 + random.below(400) + 1);
        let ended = *start + 501 + random.below(spread) * 1_000 + random.below(400);
        let is_unknown = random.below(unknown) == 0;
        // What happened, or did not, is not told.
        if !is_unknown || random.below(2) == 0 {
            state = next;
        }
        history.push(Called {
            call,
            began,
            ended: (!is_unknown).then_some((ended, answer)),
        });
    }
    history
}

/// Every order, tried.
fn by_trying(history: &History) -> bool {
    fn go(history: &History, state: u8, taken: &mut Vec<bool>) -> bool {
        let open = |n: &usize| history[*n].ended.is_some();
        let left: Vec<_> = (0..history.len()).filter(|n| !taken[*n]).collect();
        if !left.iter().any(open) {
            return true;
        }
        let ends = left.iter().filter_map(|n| history[*n].ended.as_ref());
        let first_end = ends.map(|(at, _)| *at).min().unwrap_or(u64::MAX);
        for n in left.into_iter().filter(|n| history[*n].began < first_end) {
            let answer = history[n].ended.as_ref().map(|(_, answer)| answer);
            if let Some(next) = Register.step(&state, &history[n].call, answer) {
                taken[n] = true;
                if go(history, next, taken) {
                    return true;
                }
                taken[n] = false;
            }
        }
        false
    }
    go(history, 0, &mut vec![false; history.len()])
}

#[test]
fn it_finds_what_trying_every_order_finds() {
    let mut random = Random::seeded(11);
    let mut found = [0, 0];
    for _ in 0..4_000 {
        let mut history = real(&mut random, 7, 4, 10);
        // Often an answer is made up.
        if random.below(3) > 0 {
            let n = random.below(history.len() as u64) as usize;
            let made_up = [
                Answer::Is(random.below(5) as u8),
                Answer::Done,
                Answer::Refused,
            ];
            if let Some((_, answer)) = &mut history[n].ended {
                *answer = made_up[random.below(3) as usize].clone();
            }
        }
        let expect = by_trying(&history);
        assert_eq!(
            linearize(&Register, &history).is_ok(),
            expect,
            "{history:?}"
        );
        found[usize::from(expect)] += 1;
    }
    assert!(found.iter().all(|count| *count > 500), "{found:?}");
}

#[test]
fn what_really_happened_is_found_possible_in_its_order() {
    let mut random = Random::seeded(12);
    for spread in [1, 3, 8] {
        let history = real(&mut random, 5_000, spread, 10);
        let order = linearize(&Register, &history).expect("is a real one");
        let mut state = 0;
        let mut last = 0;
        for n in order {
            let called = &history[n];
            let answer = called.ended.as_ref().map(|(_, answer)| answer);
            state = Register
                .step(&state, &called.call, answer)
                .expect("is right");
            // No call comes before one that had ended before it began.
            assert!(called.ended.as_ref().is_none_or(|(at, _)| *at > last));
            last = last.max(called.began);
        }
    }
}

/// A violation that was planted in a long history is found, and named.
#[test]
fn planted_violations_are_found() {
    let mut random = Random::seeded(13);
    let mut planted = 0;
    while planted < 40 {
        // Each call that may still happen doubles what must be tried before nothing is left.
        let mut history = real(&mut random, 2_000, 3, 1_000);
        let n = 1_000 + random.below(100) as usize;
        let (kind, called) = (planted % 2, &mut history[n]);
        match (kind, &called.call, &mut called.ended) {
            // A read of what never was.
            (0, Call::Read, Some((_, answer))) => *answer = Answer::Is(200),
            // A swap that was made from what never was.
            (1, Call::Swap(from, _), Some((_, answer @ Answer::Refused))) => {
                let _ = from;
                called.call = Call::Swap(201, 202);
                *answer = Answer::Done;
            }
            _ => continue,
        }
        let violation = linearize(&Register, &history).expect_err("was planted");
        assert!(violation.longest.len() > 900, "{violation:?}");
        planted += 1;
    }
}

#[test]
fn a_lost_write_and_a_second_winner_are_found() {
    let set = |to, began, ended| Called {
        call: Call::Set(to),
        began,
        ended: Some((ended, Answer::Done)),
    };
    let read = |is, began, ended| Called {
        call: Call::Read,
        began,
        ended: Some((ended, Answer::Is(is))),
    };
    let swap = |from, to, began, ended| Called {
        call: Call::Swap(from, to),
        began,
        ended: Some((ended, Answer::Done)),
    };
    let is = |history: &[Called<Call, Answer>]| linearize(&Register, history).is_ok();
    assert!(is(&[]));
    assert!(is(&[set(1, 1, 4), read(0, 2, 3)]), "not yet");
    assert!(is(&[set(1, 1, 4), read(1, 2, 3)]), "already");
    assert!(!is(&[set(1, 1, 2), read(0, 3, 4)]), "lost");
    assert!(!is(&[set(1, 1, 8), read(1, 2, 3), read(0, 4, 5)]), "back");
    assert!(!is(&[swap(0, 1, 1, 4), swap(0, 2, 2, 3)]), "two winners");
    let maybe = Called {
        call: Call::Set(1),
        began: 1,
        ended: None,
    };
    assert!(is(&[maybe.clone(), read(0, 2, 3), read(1, 4, 5)]), "late");
    assert!(is(&[maybe.clone(), read(0, 2, 3)]), "never");
    assert!(!is(&[maybe, read(1, 2, 3), read(0, 4, 5)]), "undone");
}
