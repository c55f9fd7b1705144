//! Counters with one writer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A count that one thread adds to and others read.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// Adds. Only one thread may: two at once would lose counts.
    pub(crate) fn add(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// Counts by status code.
///
/// A route answers with few codes: the first [`FEW`] get a cell each as they come, code and count in
/// one number. A route that answers with more gets cells for all codes.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    few: [Cell; FEW],
    more: OnceLock<Box<[Cell; CODES]>>,
}

/// Codes that are counted without an allocation.
const FEW: usize = 7;
/// Codes are below this.
const CODES: usize = 1_000;
/// Where the code begins in a cell of the few.
const CODE_SHIFT: u32 = 48;

impl Codes {
    /// Counts a response with this code.
    pub(crate) fn count(&self, code: u16) {
        let code = code.min(999);
        for cell in &self.few {
            let value = cell.get();
            if value == 0 {
                return cell.set(u64::from(code) << CODE_SHIFT | 1);
            }
            if value >> CODE_SHIFT == u64::from(code) {
                return cell.set(value + 1);
            }
        }
        let more = self
            .more
            .get_or_init(|| Box::new([const { Cell(AtomicU64::new(0)) }; CODES]));
        more[usize::from(code)].add(1);
    }

    /// All codes counted, each once.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        let few = self.few.iter().map(Cell::get).filter(|value| *value > 0);
        let few = few.map(|value| (value >> CODE_SHIFT, value & ((1 << CODE_SHIFT) - 1)));
        let more = self.more.get().into_iter().flat_map(|cells| cells.iter());
        let more = (0..)
            .zip(more.map(Cell::get))
            .filter(|(_, count)| *count > 0);
        few.chain(more)
    }
}

/// How long things took.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: [Cell; BOUNDS_MICROS.len() + 1],
    micros: Cell,
}

/// Upper bounds of the buckets, in microseconds.
pub(crate) const BOUNDS_MICROS: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

impl Histogram {
    /// Records one duration.
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.counts[bucket].add(1);
        self.micros.add(micros);
    }

    /// The counts of the buckets, the last for all above, and the sum in microseconds.
    pub(crate) fn read(&self) -> ([u64; BOUNDS_MICROS.len() + 1], u64) {
        let mut counts = [0; BOUNDS_MICROS.len() + 1];
        counts
            .iter_mut()
            .zip(&self.counts)
            .for_each(|(count, cell)| *count = cell.get());
        (counts, self.micros.get())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_are_counted_few_or_many(codes in prop::collection::vec(100u16..130, 0..200)) {
            let cells = Codes::default();
            let mut expect = BTreeMap::new();
            for code in codes {
                cells.count(code);
                *expect.entry(u64::from(code)).or_insert(0) += 1;
            }
            let counts: Vec<_> = cells.counts().collect();
            prop_assert_eq!(counts.len(), expect.len());
            prop_assert_eq!(counts.into_iter().collect::<BTreeMap<_, u64>>(), expect);
        }
    }

    #[test]
    fn a_bound_is_in_its_bucket() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 10_000_000, 10_000_001] {
            histogram.record(Duration::from_micros(micros));
        }
        let (counts, sum) = histogram.read();
        assert_eq!((counts[0], counts[1], counts[12], counts[13]), (2, 1, 1, 1));
        assert_eq!(sum, 20_001_002);
    }
}
