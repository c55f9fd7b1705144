use std::hash::{BuildHasher, Hasher, RandomState};

/// A small source of random numbers (SplitMix64), for jitter and for choices among equals.
///
/// Not for secrets: its state can be worked out from what it has said. Two sources with one seed
/// say the same.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A source that says the same in every run.
    pub fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A source that differs from every other one, in this process and in the next.
    pub fn from_entropy() -> Self {
        // The standard library keys each hasher from the system's entropy; nothing else is needed.
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    /// Any `u64`, each as likely as the others.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A fraction in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what an f64 holds exactly; more would round up to 1.0.
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply and shift: the bias is below bound / 2^64, and there is no loop.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Puts these in an order in which each order is as likely as the others.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        // Fisher and Yates: each place takes one of those that are left.
        for left in (1..items.len()).rev() {
            items.swap(left, self.below(left as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_splitmix64() {
        // The first words of the reference implementation for the seed 1234567.
        let mut random = Random::seeded(1_234_567);
        let words: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            words,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn entropy_differs() {
        assert_ne!(
            Random::from_entropy().next_u64(),
            Random::from_entropy().next_u64()
        );
    }

    proptest! {
        #[test]
        fn fractions_and_choices_stay_in_bounds(seed: u64, bound: u64) {
            let mut random = Random::seeded(seed);
            let unit = random.unit();
            prop_assert!((0.0..1.0).contains(&unit));
            let choice = random.below(bound);
            prop_assert!(choice < bound || bound == 0);
        }
    }

    #[test]
    fn small_bounds_reach_every_number_about_as_often() {
        let mut random = Random::seeded(7);
        let mut seen = [0_u32; 5];
        for _ in 0..5_000 {
            seen[random.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (850..1_150).contains(n)), "{seen:?}");
    }

    #[test]
    fn every_order_comes_about_as_often() {
        let mut random = Random::seeded(11);
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..6_000 {
            let mut items = [1, 2, 3];
            random.shuffle(&mut items);
            *seen.entry(items).or_insert(0_u32) += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|n| (850..1_150).contains(n)), "{seen:?}");
    }
}
