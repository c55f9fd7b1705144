//! What every engine of the store promises. `contract` and `model` know no engine: they are given a
//! [`Place`], which opens a store. `engines` runs them on each, and holds what is an engine's own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod contract;
mod engines;
mod faults;
mod model;
mod transfer;

use ferryway_store::{Entry, Key, Revision, Store, StoreError, Txn};

/// Where a store is kept, and can be opened again after it was closed.
trait Place: Send + Sync {
    fn open(&self) -> impl Future<Output = Result<Store, StoreError>> + Send;
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn put(text: &str, value: &str) -> Txn {
    Txn::new().put(key(text), value.to_owned())
}

/// All entries under `prefix`, page by page.
async fn list_all(store: &Store, prefix: &str, limit: usize) -> (Vec<Entry>, Revision) {
    let mut entries = Vec::new();
    let mut from = None;
    loop {
        let page = store.list(prefix, from.as_ref(), limit).await.unwrap();
        assert!(page.entries.len() <= limit);
        entries.extend(page.entries);
        match page.next {
            Some(next) => from = Some(next),
            None => return (entries, page.revision),
        }
    }
}
