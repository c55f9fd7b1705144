//! Reads: of one entry, and of a page of them.

use std::time::Duration;

use bytes::Bytes;

use super::assembly::foreign;
use super::fault::Fault;
use super::names::{after, after_prefix};
use super::wire::{self, KeyValue, RangeRequest, RangeResponse};
use super::{READ_WITHIN, Shared};
use crate::store::{Entry, LIST_BYTES_MAX, Page};
use crate::{Key, Revision, Trouble};

/// How many entries the first call for a page asks for: what they hold says how many the next one
/// can.
const CHUNK_FIRST: usize = 32;

/// How often a page is begun anew because etcd compacted its revision while it was read.
const PAGE_TRIES_MAX: usize = 3;

pub(super) async fn get(shared: &Shared, key: &Key) -> Result<Option<Entry>, Fault> {
    let request = RangeRequest {
        key: shared.names.data(key.as_str()),
        ..RangeRequest::default()
    };
    let answer = shared.members.call(request, READ_WITHIN).await?.answer;
    let found = answer.kvs.into_iter().next();
    found.map(|kv| entry(shared, kv)).transpose()
}

pub(super) async fn list(
    shared: &Shared,
    prefix: &str,
    from: Option<&Key>,
    limit: usize,
    at: Revision,
) -> Result<Page, Fault> {
    let start = from.map_or(prefix, |from| from.as_str().max(prefix));
    let (start, end) = (
        shared.names.data(start),
        after_prefix(&shared.names.data(prefix)),
    );
    for _ in 1..PAGE_TRIES_MAX {
        match page(shared, start.clone(), &end, limit, at).await {
            Err(Fault::Compacted) if at == Revision::ZERO => {}
            answer => return answer,
        }
    }
    page(shared, start, &end, limit, at).await
}

/// A page, read in parts at one revision: `at`, or that of the first part where it is 0.
async fn page(
    shared: &Shared,
    mut start: Bytes,
    end: &Bytes,
    limit: usize,
    at: Revision,
) -> Result<Page, Fault> {
    let mut page = Page {
        entries: Vec::new(),
        revision: at,
        next: None,
    };
    if start >= *end {
        // The place to go on from lies past the prefix.
        page.revision = shared.head(READ_WITHIN).await?;
        return Ok(page);
    }
    let mut bytes = 0;
    let mut chunk = CHUNK_FIRST;
    loop {
        let is_full = page.entries.len() == limit || bytes >= LIST_BYTES_MAX;
        let request = RangeRequest {
            key: start.clone(),
            range_end: end.clone(),
            revision: wire::number(page.revision),
            // One more than fits, which is where the next page begins.
            limit: if is_full {
                1
            } else {
                small(chunk.min(limit + 1 - page.entries.len()))
            },
            keys_only: is_full,
        };
        let answer = match shared.members.call(request, READ_WITHIN).await {
            Err(Fault::TooLarge) if chunk > 1 => {
                chunk = chunk.div_ceil(8);
                continue;
            }
            answer => answer?.answer,
        };
        if page.revision == Revision::ZERO {
            page.revision = wire::at(answer.header.as_ref());
        }
        let RangeResponse { kvs, more, .. } = answer;
        for kv in kvs {
            start = after(&kv.key);
            if page.entries.len() == limit || bytes >= LIST_BYTES_MAX {
                page.next = Some(entry(shared, kv)?.key);
                return Ok(page);
            }
            bytes += kv.value.len();
            page.entries.push(entry(shared, kv)?);
        }
        if !more {
            return Ok(page);
        }
        let mean = bytes / page.entries.len().max(1) + 1;
        chunk = (LIST_BYTES_MAX.saturating_sub(bytes) / mean).clamp(1, limit + 1);
    }
}

/// The revision of the whole cluster: at least that of everything answered so far.
pub(super) async fn head(shared: &Shared, within: Duration) -> Result<Revision, Fault> {
    let request = RangeRequest {
        key: shared.names.meta("identity"),
        ..RangeRequest::default()
    };
    let answer = shared.members.call(request, within).await?.answer;
    if answer
        .kvs
        .first()
        .is_none_or(|kv| kv.value != shared.facts.identity_text())
    {
        return Err(Trouble::Replaced.into());
    }
    Ok(wire::at(answer.header.as_ref()))
}

fn entry(shared: &Shared, kv: KeyValue) -> Result<Entry, Fault> {
    let key = shared
        .names
        .entry(&kv.key)
        .map_err(|error| foreign(&error))?;
    let key = key.ok_or_else(|| Trouble::Damaged {
        detail: "a key outside the prefix was answered".into(),
    })?;
    Ok(Entry {
        key,
        value: kv.value,
        created: wire::revision(kv.create_revision),
        modified: wire::revision(kv.mod_revision),
    })
}

fn small(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
