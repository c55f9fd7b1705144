//! Host patterns by their trailing labels, which are read from the right as a path is from the left.

use ferryway_model::{HostPattern, Name};
use smallvec::SmallVec;

use crate::hash;
use crate::heads::{Head, Heads};
use crate::leaf::{Edit, Search};
use crate::level::Level;
use crate::map::Vacant;

/// The paths of each host pattern. What has no host is under the empty suffix.
#[derive(Clone, Debug)]
pub(crate) struct Hosts<T>(Heads<Node<T>>);

#[derive(Clone, Debug)]
struct Node<T> {
    /// Of this host alone.
    exact: Level<T>,
    /// Of all hosts below this one, at the empty suffix: of any host, and of none.
    below: Level<T>,
}

/// A suffix of a host: where it begins, and its hash.
type Cut = (usize, u64);

const CUTS_ON_STACK: usize = 6;

impl<T: Clone> Hosts<T> {
    /// The first route, by precedence, that takes the request: of its host, of the wildcards from
    /// the longest to the shortest, of any host.
    pub(crate) fn find<'t>(
        &'t self,
        host: Option<&str>,
        path: &str,
        search: &mut Search<'_, 't>,
    ) -> Option<&'t T> {
        if let Some(host) = host {
            let cuts = cuts(host, self.0.longest());
            for (n, (start, hash)) in cuts.into_iter().enumerate().rev() {
                let (before, text) = host.split_at(start);
                let len = n + 1;
                let level = match (self.0.get(Head { len, hash, text }), before) {
                    (Some(node), "") => &node.exact,
                    // A suffix needs something before its dot.
                    (None, _) | (_, ".") => continue,
                    (Some(node), _) => &node.below,
                };
                if let Some(target) = level.find(path, search) {
                    return Some(target);
                }
            }
        }
        self.0.get(ANY)?.below.find(path, search)
    }

    /// Applies the edits of one service under one host pattern, or under none.
    pub(crate) fn edit(
        &mut self,
        host: Option<&HostPattern>,
        service: &Name,
        edits: Vec<Edit<'_, T>>,
    ) {
        let (name, exact) = match host {
            Some(HostPattern::Exact(name)) => (name.as_str(), true),
            Some(HostPattern::Suffix(name)) => (name.as_str(), false),
            None => ("", false),
        };
        let cuts = cuts(name, usize::MAX);
        let head = match cuts.last() {
            Some(&(_, hash)) if host.is_some() => Head {
                len: cuts.len(),
                hash,
                text: name,
            },
            _ => ANY,
        };
        self.0.edit(head, |node| {
            let level = if exact {
                &mut node.exact
            } else {
                &mut node.below
            };
            level.edit(service, edits);
        });
    }
}

/// The suffix that every host has.
const ANY: Head<'static> = Head {
    len: 0,
    hash: hash::SEED,
    text: "",
};

/// Cuts a host before each of its last `most` labels, shortest suffix first.
fn cuts(host: &str, most: usize) -> SmallVec<[Cut; CUTS_ON_STACK]> {
    let mut start = host.len() + 1;
    let mut hash = hash::SEED;
    let labels = host.rsplit('.').take(most);
    labels
        .map(|label| {
            start -= label.len() + 1;
            hash = hash::fold(hash, label.as_bytes());
            (start, hash)
        })
        .collect()
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self(Heads::default())
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            exact: Level::default(),
            below: Level::default(),
        }
    }
}

impl<T: Clone> Vacant for Node<T> {
    fn is_vacant(&self) -> bool {
        self.exact.is_vacant() && self.below.is_vacant()
    }
}
