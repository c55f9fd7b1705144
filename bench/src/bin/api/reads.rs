//! The reads: every list, whole and by page, and the looks across groups.

use std::time::Duration;

use ferryway_bench::api::Api;
use ferryway_bench::{Outcome, Times, content};
use serde::Deserialize;

use crate::fill::{EMPTY, group};

/// What was measured of one thing that is read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    /// The path, with its query.
    pub(crate) path: String,
    /// Whether the cursors were followed to the end, again and again; else the first page was read.
    pub(crate) to_the_end: bool,
    /// Each answer.
    pub(crate) times: Times,
    /// Pages to the end.
    pub(crate) pages: usize,
    /// The longest answer, in bytes.
    pub(crate) longest_bytes: usize,
}

/// All that is needed of a page.
#[derive(Deserialize)]
struct Page {
    next_cursor: Option<String>,
}

/// What is read: the lists, a service's with a long past among them.
pub(crate) fn all(busy: usize) -> Vec<(String, bool)> {
    let (one, other, busy) = (group(1), group(2), content::name(busy));
    let lists = [
        "/services".to_owned(),
        format!("/services/{busy}/versions"),
        format!("/gateway-groups/{one}/services"),
        format!("/gateway-groups/{one}/services/{busy}/history"),
        format!("/gateway-groups/{one}/instances"),
        "/operations".to_owned(),
        "/audit".to_owned(),
        "/matrix".to_owned(),
        format!("/compare?a={one}&b={EMPTY}"),
    ];
    let mut reads = Vec::new();
    for list in lists {
        let also = if list.contains('?') { '&' } else { '?' };
        for (limit, to_the_end) in [(100, false), (1_000, false), (100, true), (1_000, true)] {
            reads.push((format!("{list}{also}limit={limit}"), to_the_end));
        }
        // Nothing has this in it, so everything is looked at.
        reads.push((format!("{list}{also}q=nowhere&limit=100"), false));
    }
    // A comparison of what is all but the same, in which everything is looked at too; some of
    // the services; and what is small whatever the store holds.
    reads.extend([
        (format!("/compare?a={one}&b={other}&limit=1000"), false),
        ("/services?q=S49&limit=1000".to_owned(), false),
        ("/matrix?q=S49&limit=1000".to_owned(), false),
        ("/gateway-groups?limit=1000".to_owned(), false),
        (format!("/gateway-groups/{one}/services/{busy}"), false),
    ]);
    reads
}

/// Reads one thing at least so many times.
pub(crate) async fn measure(
    api: &mut Api,
    path: String,
    to_the_end: bool,
    requests: usize,
) -> Outcome<Read> {
    let mut read = Read {
        path,
        to_the_end,
        times: Times::default(),
        pages: 1,
        longest_bytes: 0,
    };
    let mut made = 0;
    while made < requests {
        let mut pages = 0;
        let mut path = read.path.clone();
        loop {
            let (took, body) = api.get(&path).await?;
            read.times.add(took);
            read.longest_bytes = read.longest_bytes.max(body.len());
            (pages, made) = (pages + 1, made + 1);
            if !to_the_end {
                break;
            }
            let page: Page = serde_json::from_slice(&body)?;
            let Some(cursor) = page.next_cursor else {
                break;
            };
            path = format!("{}&cursor={cursor}", read.path);
        }
        read.pages = read.pages.max(pages);
        // Others are to come between too.
        tokio::time::sleep(PAUSE).await;
    }
    Ok(read)
}

/// Between two reads of the same thing.
const PAUSE: Duration = Duration::from_millis(2);
