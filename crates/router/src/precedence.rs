//! The one order among the routes that match a request: the smaller is tried first.
//!
//! The table never compares two routes as a whole: it is *built* along this order. It finds hosts
//! and literal heads from the longest to the shortest, sorts the patterns that share a head by
//! [`Shape`], and the routes that share a pattern by [`Standing`]. What is listed, is listed by the
//! whole [`Precedence`].

use std::cmp::{Ordering, Reverse};

use ferryway_model::{End, HostName, HostPattern, Name, Segment};

use crate::shape::Shape;

/// Where a route stands, served under a host and at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Precedence<'r> {
    pub(crate) host: Host<'r>,
    pub(crate) path: Shape<'r>,
    pub(crate) standing: Standing<'r>,
}

/// An exact host, then the longer wildcard, then any host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host<'r> {
    Exact(&'r HostName),
    Suffix(Reverse<usize>, &'r HostName),
    Any,
}

/// Among routes of the same host and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing<'r> {
    pub(crate) priority: Reverse<i32>,
    pub(crate) predicates: Reverse<usize>,
    pub(crate) service: &'r Name,
    pub(crate) route: &'r Name,
}

/// One step of a shape. A literal goes before a parameter, a parameter before `*`; and what ends goes
/// before what ends there as a base path alone. The other differences never decide between two that match the same path.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step<'p> {
    End,
    Bare,
    Literal(&'p str),
    Parameter,
    Star,
}

impl<'r> From<Option<&'r HostPattern>> for Host<'r> {
    fn from(host: Option<&'r HostPattern>) -> Self {
        match host {
            Some(HostPattern::Exact(name)) => Self::Exact(name),
            Some(HostPattern::Suffix(name)) => Self::Suffix(Reverse(name.as_str().len()), name),
            None => Self::Any,
        }
    }
}

impl Ord for Shape<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        steps(*self).cmp(steps(*other))
    }
}

impl PartialOrd for Shape<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Shape<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Shape<'_> {}

fn steps(shape: Shape<'_>) -> impl Iterator<Item = Step<'_>> {
    let segments = shape.segments().iter().map(|segment| match segment {
        Segment::Literal(text) => Step::Literal(text),
        Segment::Parameter(_) => Step::Parameter,
    });
    let last = match shape.end() {
        End::Here => Step::End,
        End::Bare => Step::Bare,
        End::Below => Step::Star,
    };
    segments.chain([last])
}
