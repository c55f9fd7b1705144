//! Hashes of literal heads, for all heads of a path in one pass.
//!
//! A head's hash is folded from its segments, so a request path is read once and yields the hash of
//! every head it has. The function is fast and not keyed: the keys of the maps come from
//! configuration, and a look-up with a hostile path costs no more than any other miss. Heads that
//! collide are told apart by their text.

use smallvec::SmallVec;

/// The hash of the empty head.
pub(crate) const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a head ends, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Of all segments up to here.
    pub(crate) hash: u64,
    /// In bytes from the beginning of the path.
    pub(crate) end: usize,
}

/// The heads of a path, by their number of segments; the first is the empty one.
pub(crate) type Cuts = SmallVec<[Cut; CUTS_ON_STACK]>;

/// The cuts that need no allocation: paths whose table has longer heads than this are unusual.
const CUTS_ON_STACK: usize = 12;

/// Cuts `path` after each of its first `most` segments. Every segment has a `/` before it; the empty
/// path has none. Bytes beyond the last cut are not looked at, however long the path is.
///
/// They are written into `cuts`, because to return them would copy them.
pub(crate) fn cut(path: &str, most: usize, cuts: &mut Cuts) {
    let bytes = path.as_bytes();
    let mut cut = Cut { hash: SEED, end: 0 };
    cuts.push(cut);
    for _ in 0..most {
        if cut.end >= bytes.len() {
            break;
        }
        cut = segment(bytes, cut);
        cuts.push(cut);
    }
}

/// The hash of a text that is looked up as a whole.
pub(crate) fn of(text: &str) -> u64 {
    fold(SEED, text.as_bytes())
}

/// The hash of a head whose hash so far is `state` and that has one more segment.
pub(crate) fn fold(state: u64, segment: &[u8]) -> u64 {
    let (words, rest) = segment.as_chunks::<8>();
    let state = words
        .iter()
        .fold(state, |state, word| mix(state, u64::from_le_bytes(*word)));
    let (word, len) = word(segment, segment.len() - rest.len());
    mix(state, last_word(word, len))
}

/// Reads the segment whose `/` is at `from.end`, eight bytes at a time: looks for its end and folds
/// it, as [`fold`] does, in the same pass.
fn segment(bytes: &[u8], from: Cut) -> Cut {
    let mut hash = from.hash;
    let mut at = from.end + 1;
    loop {
        let (word, have) = word(bytes, at);
        let len = have.min(before_slash(word));
        if len < 8 {
            let kept = word & ((1 << (8 * len)) - 1);
            return Cut {
                hash: mix(hash, last_word(kept, len)),
                end: at + len,
            };
        }
        hash = mix(hash, word);
        at += 8;
    }
}

/// The bytes at `at` as a word, zeros after the end, and how many of them there are.
fn word(bytes: &[u8], at: usize) -> (u64, usize) {
    let rest = &bytes[at..];
    if let Some(word) = rest.first_chunk::<8>() {
        return (u64::from_le_bytes(*word), 8);
    }
    match bytes.last_chunk::<8>() {
        // Cheaper than to copy a few bytes: shift out those that lie before.
        Some(last) if !rest.is_empty() => {
            let word = u64::from_le_bytes(*last) >> (8 * (8 - rest.len()));
            (word, rest.len())
        }
        _ => (short_word(rest), rest.len()),
    }
}

fn short_word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The last word of a segment carries its length, so that no two segments fold alike by padding.
fn last_word(word: u64, len: usize) -> u64 {
    word | (len as u64) << 56
}

/// How many bytes of the word, from the lowest, come before the first `/`; 8 if there is none.
fn before_slash(word: u64) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let differs = word ^ (LOW * b'/' as u64);
    let zeros = differs.wrapping_sub(LOW) & !differs & (LOW << 7);
    zeros.trailing_zeros() as usize / 8
}

/// A folded multiplication: every bit of the result depends on every bit of both.
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * 0xa076_1d64_78bd_642f_u128;
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cuts(path: &str, most: usize) -> Cuts {
        let mut cuts = Cuts::new();
        cut(path, most, &mut cuts);
        cuts
    }

    /// What [`cut`] does, said slowly.
    fn naive(path: &str, most: usize) -> Vec<Cut> {
        let mut cut = Cut { hash: SEED, end: 0 };
        let segments = path.split('/').skip(1).take(most);
        let folded = segments.map(|segment| {
            cut.hash = fold(cut.hash, segment.as_bytes());
            cut.end += 1 + segment.len();
            cut
        });
        std::iter::once(Cut { hash: SEED, end: 0 })
            .chain(folded)
            .collect()
    }

    proptest! {
        #[test]
        fn one_pass_folds_as_segment_by_segment(
            path in "|(/[a-z.\u{0}é]{0,19}){1,9}",
            most in 0_usize..12,
        ) {
            prop_assert_eq!(cuts(&path, most).into_vec(), naive(&path, most));
        }
    }

    #[test]
    fn a_head_is_not_its_neighbour() {
        let hash = |path: &str| cuts(path, 9).last().expect("there is one").hash;
        let paths = [
            "",
            "/",
            "//",
            "/a",
            "/a/",
            "//a",
            "/a\0",
            "/aa",
            "/a/a",
            "/aaaaaaaa",
            "/aaaaaaaa/",
            "/aaaaaaaa\0",
        ];
        for (n, a) in paths.iter().enumerate() {
            for b in &paths[..n] {
                assert_ne!(hash(a), hash(b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_hostile_path_is_not_read_to_its_end() {
        assert_eq!(cuts(&"/".repeat(100_000), 5).len(), 6);
    }
}
