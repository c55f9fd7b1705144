//! Path patterns by their literal heads.

use std::fmt::Write as _;

use ferryway_model::{Name, Segment};

use crate::hash::{self, Cuts};
use crate::heads::{Head, Heads};
use crate::leaf::{Edit, Leaf, Search};
use crate::map::Vacant;
use crate::shape::Tail;
use crate::tails::Tails;

/// Path patterns, found by what they begin with. The whole of a host's, or those that follow a
/// parameter.
#[derive(Clone, Debug)]
pub(crate) struct Level<T>(Heads<Node<T>>);

/// The patterns that have one head.
#[derive(Clone, Debug)]
struct Node<T> {
    /// Of the pattern that is the head: `/users`.
    exact: Leaf<T>,
    /// Of the base path that is the head, of services with `/*`.
    bare: Leaf<T>,
    /// Of those that go on with a parameter: `/users/{id}`, `/users/{id}/files/*`.
    tails: Tails<T>,
    /// Of the pattern that goes on with a star: `/users/*`.
    below: Leaf<T>,
}

impl<T: Clone> Level<T> {
    /// The first route, by precedence, that takes the request. `path` is what is left of its path.
    ///
    /// A longer head goes before a shorter one: where the shorter one ends, its patterns have a
    /// parameter or a star, and the longer one a literal.
    pub(crate) fn find<'t>(&'t self, path: &str, search: &mut Search<'_, 't>) -> Option<&'t T> {
        if self.0.is_empty() {
            return None;
        }
        let mut cuts = Cuts::new();
        hash::cut(path, self.0.longest(), &mut cuts);
        cuts.iter().enumerate().rev().find_map(|(len, cut)| {
            let (text, rest) = path.split_at(cut.end);
            let hash = cut.hash;
            let node = self.0.get(Head { len, hash, text })?;
            node.find(rest, search)
        })
    }

    /// Applies the edits of one service.
    pub(crate) fn edit(&mut self, service: &Name, mut edits: Vec<Edit<'_, T>>) {
        // A stable sort: goings stay before comings.
        edits.sort_by(|a, b| a.shape.head().cmp(b.shape.head()));
        let mut text = String::new();
        for group in edits.chunk_by(|a, b| a.shape.head() == b.shape.head()) {
            let Some(first) = group.first() else { continue };
            let head = head(first.shape.head(), &mut text);
            self.0.edit(head, |node| node.edit(service, group));
        }
    }
}

impl<T: Clone> Node<T> {
    fn find<'t>(&'t self, rest: &str, search: &mut Search<'_, 't>) -> Option<&'t T> {
        if rest.is_empty() {
            let exact = search.first(&self.exact);
            return exact.or_else(|| search.first(&self.bare));
        }
        let tail = self.tails.find(rest, search);
        tail.or_else(|| search.first(&self.below))
    }

    fn edit(&mut self, service: &Name, edits: &[Edit<'_, T>]) {
        let mut tails = Vec::new();
        for Edit { shape, comes } in edits {
            match shape.tail() {
                Tail::End => self.exact.edit(service, comes.as_ref()),
                Tail::Bare => self.bare.edit(service, comes.as_ref()),
                Tail::Star => self.below.edit(service, comes.as_ref()),
                Tail::Parameter(shape) => tails.push(Edit {
                    shape,
                    comes: comes.clone(),
                }),
            }
        }
        if !tails.is_empty() {
            self.tails.edit(service, tails);
        }
    }
}

impl<T> Default for Level<T> {
    fn default() -> Self {
        Self(Heads::default())
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            exact: Leaf::default(),
            bare: Leaf::default(),
            tails: Tails::default(),
            below: Leaf::default(),
        }
    }
}

impl<T: Clone> Vacant for Level<T> {
    fn is_vacant(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Clone> Vacant for Node<T> {
    fn is_vacant(&self) -> bool {
        let leaves = [&self.exact, &self.bare, &self.below];
        leaves.iter().all(|leaf| leaf.is_vacant()) && self.tails.is_vacant()
    }
}

/// The key of a head of literals; `text` is where its text is written.
fn head<'h>(segments: &[Segment], text: &'h mut String) -> Head<'h> {
    text.clear();
    let mut hash = hash::SEED;
    for segment in segments {
        if let Segment::Literal(literal) = segment {
            hash = hash::fold(hash, literal.as_bytes());
            // Writing to a String cannot fail.
            let _ = write!(text, "/{literal}");
        }
    }
    Head {
        len: segments.len(),
        hash,
        text,
    }
}
