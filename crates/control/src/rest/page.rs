//! Pages of lists. A page costs what is on it: it begins where its cursor points, without a look at
//! what comes before.

use std::fmt;
use std::iter::Peekable;
use std::ops::Bound;

use ferryway_api::List;
use serde::Serialize;
use serde_json::value::RawValue;

use super::query::ListQuery;

/// A page that would hold more bytes than this ends earlier, after at least one item.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The page of a list that holds its next items, each with what a cursor after it says.
///
/// `items` begins after the cursor and holds only what is asked for. Each item is shown, and written
/// as JSON, only if it is on the page; so the bound counts what is sent.
pub(super) fn page<K: fmt::Display, T: Serialize>(
    query: &ListQuery,
    items: impl Iterator<Item = K>,
    mut show: impl FnMut(&K) -> Option<T>,
) -> List<Box<RawValue>> {
    let mut page: List<Box<RawValue>> = List {
        items: Vec::new(),
        next_cursor: None,
    };
    let mut bytes = 0;
    let mut last: Option<K> = None;
    for item in items {
        if page.items.len() >= query.limit || bytes >= PAGE_BYTES_MAX {
            page.next_cursor = last.map(|item| item.to_string());
            break;
        }
        let shown = show(&item).and_then(|shown| serde_json::value::to_raw_value(&shown).ok());
        if let Some(shown) = shown {
            bytes += shown.get().len();
            page.items.push(shown);
        }
        last = Some(item);
    }
    page
}

/// The rest of something ordered, behind the last item of the page before.
pub(super) fn after<T: ?Sized>(last: Option<&T>) -> (Bound<&T>, Bound<&T>) {
    let begin = last.map_or(Bound::Unbounded, Bound::Excluded);
    (begin, Bound::Unbounded)
}

/// What several lists hold together, each of them in order and without doubles: in order, and each
/// item once.
pub(super) fn merged<I: Iterator<Item: Ord>>(
    lists: impl IntoIterator<Item = I>,
) -> impl Iterator<Item = I::Item> {
    let mut lists: Vec<Peekable<I>> = lists.into_iter().map(Iterator::peekable).collect();
    std::iter::from_fn(move || {
        let (first, _) = (lists.iter_mut().enumerate())
            .filter_map(|(n, list)| Some((n, list.peek()?)))
            .min_by(|(_, a), (_, b)| a.cmp(b))?;
        let item = lists[first].next()?;
        for list in &mut lists {
            list.next_if(|same| *same == item);
        }
        Some(item)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As if all were put into one set.
        #[test]
        fn lists_are_merged(
            lists in proptest::collection::vec(proptest::collection::btree_set(0..20_u32, 0..12), 0..6),
            last in proptest::option::of(0..20_u32),
        ) {
            let all: BTreeSet<u32> = lists.iter().flatten().copied().collect();
            let expect: Vec<_> = all.iter().filter(|n| last.is_none_or(|last| **n > last)).collect();
            let rests = lists.iter().map(|list| list.range(after(last.as_ref())));
            prop_assert_eq!(merged(rests).collect::<Vec<_>>(), expect);
        }
    }

    fn query(limit: usize) -> ListQuery {
        ListQuery {
            limit,
            cursor: None,
            label: Vec::new(),
            q: None,
        }
    }

    /// Every item comes once, whatever the limit.
    #[test]
    fn pages_add_up() {
        for limit in 1..=11 {
            let mut all = Vec::new();
            let mut after = None;
            loop {
                let rest = (0..10_u32).filter(|n| after.is_none_or(|after| *n > after));
                let page = page(&query(limit), rest, |n| Some(*n));
                assert!(page.items.len() <= limit);
                all.extend(page.items.iter().map(|item| item.get().to_owned()));
                let Some(cursor) = page.next_cursor else {
                    break;
                };
                after = Some(cursor.parse().expect("is a number"));
            }
            assert_eq!(all.join(""), "0123456789", "by {limit}");
        }
    }

    #[test]
    fn large_pages_end_early() {
        let page = page(&query(10), 0..3_u32, |_| Some("x".repeat(PAGE_BYTES_MAX)));
        assert_eq!(
            (page.items.len(), page.next_cursor.as_deref()),
            (1, Some("0"))
        );
    }
}
