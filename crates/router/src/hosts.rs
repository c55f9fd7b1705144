//! Host patterns: exact ones by the whole host, wildcards by their labels, which are read from the
//! right as a path is from the left.

use ferryway_model::{HostPattern, Name};
use smallvec::SmallVec;

use crate::hash;
use crate::heads::{Head, Heads};
use crate::leaf::{Edit, Search};
use crate::level::Level;
use crate::map::Map;

/// The paths of each host pattern.
#[derive(Clone, Debug)]
pub(crate) struct Hosts<T> {
    exact: Map<Level<T>>,
    /// Of `*.x.io`, under `x.io`.
    suffixes: Heads<Level<T>>,
    /// Of services without hosts.
    any: Level<T>,
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
        let own = host.and_then(|host| {
            let exact = self.find_exact(host, path, search);
            exact.or_else(|| self.find_below(host, path, search))
        });
        own.or_else(|| self.any.find(path, search))
    }

    fn find_exact<'t>(
        &'t self,
        host: &str,
        path: &str,
        search: &mut Search<'_, 't>,
    ) -> Option<&'t T> {
        if self.exact.len() == 0 {
            return None;
        }
        let level = self.exact.get(hash::of(host), host)?;
        level.find(path, search)
    }

    fn find_below<'t>(
        &'t self,
        host: &str,
        path: &str,
        search: &mut Search<'_, 't>,
    ) -> Option<&'t T> {
        if self.suffixes.is_empty() {
            return None;
        }
        let cuts = cuts(host, self.suffixes.longest());
        cuts.into_iter()
            .enumerate()
            .rev()
            .find_map(|(n, (start, hash))| {
                let (before, text) = host.split_at(start);
                // A suffix needs something before its dot.
                if before.len() < 2 {
                    return None;
                }
                let len = n + 1;
                let level = self.suffixes.get(Head { len, hash, text })?;
                level.find(path, search)
            })
    }

    /// Applies the edits of one service under one host pattern, or under none.
    pub(crate) fn edit(
        &mut self,
        host: Option<&HostPattern>,
        service: &Name,
        edits: Vec<Edit<'_, T>>,
    ) {
        match host {
            None => self.any.edit(service, edits),
            Some(HostPattern::Exact(name)) => {
                let text = name.as_str();
                let change = |level: &mut Level<T>| level.edit(service, edits);
                self.exact.edit(hash::of(text), text, change);
            }
            Some(HostPattern::Suffix(name)) => {
                let text = name.as_str();
                let cuts = cuts(text, usize::MAX);
                let hash = cuts.last().map_or(hash::SEED, |&(_, hash)| hash);
                let len = cuts.len();
                let change = |level: &mut Level<T>| level.edit(service, edits);
                self.suffixes.edit(Head { len, hash, text }, change);
            }
        }
    }
}

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
        Self {
            exact: Map::default(),
            suffixes: Heads::default(),
            any: Level::default(),
        }
    }
}
