//! The shape of a path pattern: the pattern, or what follows a part of it, but for the names of its
//! parameters.

use ferryway_model::{End, PathPattern, Segment};

/// Segments, and what follows them. Two patterns of one shape match the same paths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'p> {
    segments: &'p [Segment],
    end: End,
}

/// What follows a pattern's literal head.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tail<'p> {
    /// Nothing: the pattern is the head.
    End,
    /// Nothing: the pattern is the head, less specifically.
    Bare,
    /// `/*` alone.
    Star,
    /// A parameter first.
    Parameter(Shape<'p>),
}

impl<'p> Shape<'p> {
    pub(crate) fn new(segments: &'p [Segment], end: End) -> Self {
        Self { segments, end }
    }

    pub(crate) fn of(pattern: &'p PathPattern) -> Self {
        Self::new(pattern.segments(), pattern.end())
    }

    pub(crate) fn segments(self) -> &'p [Segment] {
        self.segments
    }

    pub(crate) fn end(self) -> End {
        self.end
    }

    /// The leading literal segments.
    pub(crate) fn head(self) -> &'p [Segment] {
        let literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
        let len = self.segments.iter().take_while(|s| literal(s)).count();
        &self.segments[..len]
    }

    /// What follows the head.
    pub(crate) fn tail(self) -> Tail<'p> {
        match (self.after(self.head().len()), self.end) {
            (rest, _) if !rest.segments.is_empty() => Tail::Parameter(rest),
            (_, End::Here) => Tail::End,
            (_, End::Bare) => Tail::Bare,
            (_, End::Below) => Tail::Star,
        }
    }

    /// The shape without its first `len` segments.
    pub(crate) fn after(self, len: usize) -> Self {
        Self::new(&self.segments[len..], self.end)
    }

    /// Whether it matches a path, or what is left of one: `/` before each segment.
    pub(crate) fn matches(self, path: &str) -> bool {
        let mut rest = path;
        for segment in self.segments {
            let Some(after) = rest.strip_prefix('/') else {
                return false;
            };
            let end = segment_len(after);
            let fits = match segment {
                Segment::Literal(text) => **text == after[..end],
                Segment::Parameter(_) => end > 0,
            };
            if !fits {
                return false;
            }
            rest = &after[end..];
        }
        rest.is_empty() != (self.end == End::Below)
    }

    /// Whether some path is matched by both. Says yes too often rather than too seldom.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let (short, long) = if self.segments.len() <= other.segments.len() {
            (self, other)
        } else {
            (other, self)
        };
        let lengths = short.segments.len() == long.segments.len() || short.end == End::Below;
        let meet = |(a, b): (&Segment, &Segment)| match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Parameter(_), _) | (_, Segment::Parameter(_)) => true,
        };
        lengths && short.segments.iter().zip(long.segments).all(meet)
    }
}

/// The bytes before the next `/`. Segments are short: to look at each byte is the fastest.
pub(crate) fn segment_len(path: &str) -> usize {
    path.bytes()
        .position(|byte| byte == b'/')
        .unwrap_or(path.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern() -> impl Strategy<Value = PathPattern> {
        let text = r"/(a|b|\{p\}|)(/(a|b|\{q\}|))?(/(a|b|\{r\}|))?(/\*)?|/\*";
        prop::string::string_regex(text)
            .expect("is an expression")
            .prop_map(|text| text.parse().expect("is a pattern"))
    }

    proptest! {
        #[test]
        fn matches_what_the_pattern_matches(pattern in pattern(), path in "(/[ab]?){1,4}") {
            prop_assert_eq!(Shape::of(&pattern).matches(&path), pattern.matches(&path));
        }

        #[test]
        fn what_both_match_overlaps(a in pattern(), b in pattern(), path in "(/[ab]?){1,4}") {
            if a.matches(&path) && b.matches(&path) {
                prop_assert!(Shape::of(&a).overlaps(Shape::of(&b)));
            }
        }
    }
}
