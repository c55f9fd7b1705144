//! One whole cycle of smooth weighted round robin, written out.
//!
//! The textbook algorithm (nginx's) touches every endpoint on every pick, under a lock. Here the
//! same cycle is computed once: each weight gets so many *slots*, and the slots are laid out as
//! evenly as slots can be. With `L` slots in the cycle and `w` of them for one endpoint, its
//! `j`-th turn falls into the window `[⌊j·L/w⌋, ⌈(j+1)·L/w⌉)`. Serving the window that closes
//! first (earliest deadline first; of two, the one open longer) keeps every window, so after any number of turns an endpoint
//! is less than one turn away from its exact share; the textbook algorithm does not promise that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The cycle for these weights: indexes into `weights`, each as often as its share asks for.
///
/// Weights of 0 get no turn. Where the weights, divided by their greatest common divisor, add up
/// to at most [`slots_max`], the counts in a cycle are exact. Otherwise they are scaled down to
/// that many slots, rounded, and every non-zero weight keeps at least one slot: a count is then
/// less than one slot away from the exact share of `slots_max` slots.
pub(crate) fn cycle(weights: &[u16]) -> Box<[u32]> {
    lay_out(&slots(weights))
}

/// Slots a cycle may have before weights are scaled down.
///
/// It grows with the number of endpoints, so that the one slot kept for each of thousands of tiny
/// weights does not eat the share of the big ones.
pub(crate) fn slots_max(endpoints: usize) -> u64 {
    SLOTS_MAX.max(endpoints as u64 * SLOTS_PER_ENDPOINT)
}

/// How many slots each weight gets.
pub(crate) fn slots(weights: &[u16]) -> Vec<u64> {
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    let divisor = weights
        .iter()
        .fold(0, |divisor, &weight| gcd(divisor, u64::from(weight)));
    if total == 0 {
        return vec![0; weights.len()];
    }
    let most = slots_max(weights.len());
    let slots = |weight: u64| match weight {
        0 => 0,
        _ if total / divisor <= most => weight / divisor,
        _ => ((weight * most + total / 2) / total).max(1),
    };
    weights
        .iter()
        .map(|&weight| slots(u64::from(weight)))
        .collect()
}

/// Lays the slots out, by earliest deadline first.
fn lay_out(slots: &[u64]) -> Box<[u32]> {
    let length: u64 = slots.iter().sum();
    // The next turn of each item: (opens at, item, which of its turns) while it waits, and
    // (closes at, opened at, item, which of its turns) once it may be taken.
    let mut waiting: BinaryHeap<Reverse<(u64, usize, u64)>> = slots
        .iter()
        .enumerate()
        .filter(|&(_, &count)| count > 0)
        .map(|(item, _)| Reverse((0, item, 0)))
        .collect();
    let mut open = BinaryHeap::with_capacity(waiting.len());
    let mut order = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    for now in 0..length {
        while let Some(&Reverse((opens, item, turn))) = waiting.peek()
            && opens <= now
        {
            waiting.pop();
            let closes = ((turn + 1) * length).div_ceil(slots[item]);
            open.push(Reverse((closes, opens, item, turn)));
        }
        let Reverse((_, _, item, turn)) =
            open.pop().expect("windows opened outnumber slots filled");
        order.push(u32::try_from(item).expect("a set has fewer endpoints than u32 counts"));
        if turn + 1 < slots[item] {
            waiting.push(Reverse(((turn + 1) * length / slots[item], item, turn + 1)));
        }
    }
    order.into()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Slots in a cycle before weights are scaled down, for a set of few endpoints.
const SLOTS_MAX: u64 = 16_384;
/// Slots in a cycle before weights are scaled down, for each endpoint of a set of many.
const SLOTS_PER_ENDPOINT: u64 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(weights: &[u16], expect: &str) {
        let names = "abcdefgh".as_bytes();
        let order: String = cycle(weights)
            .iter()
            .map(|&item| char::from(names[item as usize]))
            .collect();
        assert_eq!(order, expect);
    }

    #[test]
    fn no_endpoints_make_no_cycle() {
        check(&[], "");
    }

    #[test]
    fn weight_zero_has_no_turn() {
        check(&[0, 0], "");
        check(&[0, 3, 0], "b");
    }

    #[test]
    fn equal_weights_take_turns_in_order() {
        check(&[100, 100, 100], "abc");
        check(&[65535, 65535], "ab");
    }

    #[test]
    fn turns_of_a_heavy_endpoint_are_spread() {
        check(&[2, 1], "aba");
        check(&[300, 100], "aaba");
        check(&[5, 1, 1], "aaabaca");
        check(&[1, 5, 1], "bbbabcb");
    }

    /// The oracle: what nginx does on every pick.
    fn textbook(weights: &[u16], turns: usize) -> Vec<usize> {
        let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let mut current = vec![0i64; weights.len()];
        (0..turns)
            .map(|_| {
                current
                    .iter_mut()
                    .zip(weights)
                    .for_each(|(now, &weight)| *now += i64::from(weight));
                let best = (0..weights.len())
                    .filter(|&item| weights[item] > 0)
                    .max_by_key(|&item| (current[item], Reverse(item)))
                    .expect("some weight is not zero");
                current[best] -= total;
                best
            })
            .collect()
    }

    fn counts(order: &[usize], items: usize) -> Vec<usize> {
        (0..items)
            .map(|item| order.iter().filter(|&&it| it == item).count())
            .collect()
    }

    /// The longest run of one item, the cycle taken as a ring.
    fn longest_run(order: &[usize]) -> usize {
        let twice: Vec<usize> = order.iter().chain(order).copied().collect();
        let longest = twice.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
        longest.unwrap_or_default().min(order.len())
    }

    /// How far any item ever is from its exact share, in turns.
    fn deviation(order: &[usize], slots: &[u64]) -> f64 {
        let mut had = vec![0f64; slots.len()];
        let mut worst = 0f64;
        for (turn, &item) in order.iter().enumerate() {
            had[item] += 1.0;
            for (item, &count) in slots.iter().enumerate() {
                let share = (turn + 1) as f64 * count as f64 / order.len() as f64;
                worst = worst.max((had[item] - share).abs());
            }
        }
        worst
    }

    proptest! {
        /// Where nothing is scaled: the same counts as the textbook's in a cycle, a longest run
        /// that is at most one longer, and never a whole turn away from the exact share.
        #[test]
        fn as_even_as_the_textbook(weights in prop::collection::vec(0u16..60, 1..12)) {
            prop_assume!(weights.iter().any(|&weight| weight > 0));
            let slots = slots(&weights);
            let order: Vec<usize> = cycle(&weights).iter().map(|&item| item as usize).collect();
            let textbook = textbook(&weights, order.len());
            prop_assert_eq!(counts(&order, weights.len()), counts(&textbook, weights.len()));
            prop_assert!(longest_run(&order) <= longest_run(&textbook) + 1);
            prop_assert!(deviation(&order, &slots) < 1.0);
        }

        /// Scaled or not: no weight is lost, the bound holds, and shares keep to it.
        #[test]
        fn scaling_keeps_shares(weights in prop::collection::vec(any::<u16>(), 1..300)) {
            prop_assume!(weights.iter().any(|&weight| weight > 0));
            let slots = slots(&weights);
            let most = slots_max(weights.len());
            let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            let length: u64 = slots.iter().sum();
            prop_assert!(length <= most + weights.len() as u64);
            let divisor = weights.iter().fold(0, |so_far, &weight| gcd(so_far, u64::from(weight)));
            for (&weight, &slots) in weights.iter().zip(&slots) {
                let weight = u64::from(weight);
                prop_assert_eq!(weight == 0, slots == 0);
                if total / divisor <= most {
                    prop_assert_eq!(slots * divisor, weight);
                } else {
                    let exact = weight as f64 * most as f64 / total as f64;
                    prop_assert!((slots as f64 - exact).abs() < 1.0);
                }
            }
        }
    }

    #[test]
    fn ten_thousand_uneven_weights_stay_within_the_bound() {
        let weights: Vec<u16> = (0..10_000u32).map(|i| (i * 7919 % 65_536) as u16).collect();
        let used = weights.iter().filter(|&&weight| weight > 0).count();
        let order = cycle(&weights);
        assert!(order.len() as u64 <= slots_max(weights.len()) + weights.len() as u64);
        let mut seen = vec![false; weights.len()];
        order.iter().for_each(|&item| seen[item as usize] = true);
        assert_eq!(seen.iter().filter(|&&seen| seen).count(), used);
    }
}
