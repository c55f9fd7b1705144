//! Content that passed through lately: a service that changes often keeps most of what it names,
//! and that need not be read from the disk, where it may not have arrived yet.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ferryway_model::Digest;

use crate::load::Content;

/// The newest content, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Recent {
    content: BTreeMap<Digest, Bytes>,
    order: VecDeque<Digest>,
    bytes: usize,
}

/// Most bytes that are remembered.
const BYTES_MAX: usize = 4 * 1024 * 1024;

impl Recent {
    pub(super) fn get(&self, digest: &Digest) -> Option<&Bytes> {
        self.content.get(digest)
    }

    pub(super) fn remember(&mut self, content: &Content) {
        for (digest, bytes) in content {
            if bytes.len() > BYTES_MAX || self.content.contains_key(digest) {
                continue;
            }
            // A copy: a small blob may be a slice of a large message, which it would keep alive.
            self.content.insert(*digest, Bytes::copy_from_slice(bytes));
            self.order.push_back(*digest);
            self.bytes += bytes.len();
            while self.bytes > BYTES_MAX {
                let Some(oldest) = self.order.pop_front() else {
                    break;
                };
                if let Some(bytes) = self.content.remove(&oldest) {
                    self.bytes -= bytes.len();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_remembered_up_to_the_bound() {
        let mut recent = Recent::default();
        let blobs: Vec<Bytes> = (0..9_u8).map(|n| vec![n; 1024 * 1024].into()).collect();
        for bytes in &blobs {
            let content: Content = [(Digest::of(bytes), bytes.clone())].into();
            recent.remember(&content);
            recent.remember(&content);
        }
        let there: Vec<bool> = blobs
            .iter()
            .map(|bytes| recent.get(&Digest::of(bytes)).is_some())
            .collect();
        assert_eq!(
            there,
            [false, false, false, false, false, true, true, true, true]
        );
        assert_eq!(recent.bytes, BYTES_MAX);
    }
}
