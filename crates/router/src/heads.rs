//! What is found by its literal head: path patterns by their leading literals, host patterns by
//! their trailing labels.
//!
//! The map knows which lengths of heads occur in it, so that a look-up of all heads of a path, from
//! the longest to the shortest, asks only for those that can be there.

use smallvec::SmallVec;

use crate::map::{Map, Vacant};

/// A persistent map from heads to `V`.
#[derive(Clone, Debug)]
pub(crate) struct Heads<V> {
    map: Map<V>,
    /// How many heads there are of each length, in segments; does not end with 0.
    lengths: SmallVec<[u32; LENGTHS_INLINE]>,
}

/// A head as a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'h> {
    /// In segments.
    pub(crate) len: usize,
    pub(crate) hash: u64,
    pub(crate) text: &'h str,
}

/// Heads are seldom longer, in segments; longer ones cost an allocation per table, not per look-up.
const LENGTHS_INLINE: usize = 6;

impl<V: Vacant> Heads<V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The length of the longest head, in segments.
    pub(crate) fn longest(&self) -> usize {
        self.lengths.len().saturating_sub(1)
    }

    pub(crate) fn get(&self, head: Head<'_>) -> Option<&V> {
        match self.lengths.get(head.len) {
            None | Some(0) => None,
            Some(_) => self.map.get(head.hash, head.text),
        }
    }

    pub(crate) fn edit(&mut self, head: Head<'_>, change: impl FnOnce(&mut V)) {
        let before = self.map.len();
        self.map.edit(head.hash, head.text, change);
        match self.map.len().cmp(&before) {
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => {
                let enough = self.lengths.len().max(head.len + 1);
                self.lengths.resize(enough, 0);
                self.lengths[head.len] += 1;
            }
            std::cmp::Ordering::Less => {
                self.lengths[head.len] -= 1;
                while self.lengths.last() == Some(&0) {
                    self.lengths.pop();
                }
            }
        }
    }
}

impl<V> Default for Heads<V> {
    fn default() -> Self {
        Self {
            map: Map::default(),
            lengths: SmallVec::new(),
        }
    }
}
