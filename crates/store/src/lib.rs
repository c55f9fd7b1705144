//! A revisioned key-value store with compare-and-set transactions and watch.
//!
//! Keys are text, ordered by their bytes; values are bytes. A [`Txn`] says what must hold and what
//! then changes; it happens whole or not at all. Each transaction that changed something gets the
//! next [`Revision`], and a [`Watch`] tells every one of them after a given revision: whole, in
//! order, none left out and none twice. So a reader that has listed at revision *n* and watches
//! after *n* knows everything, and one that is told [`StoreError::Compacted`] lists again.
//!
//! The contract is what etcd can keep as well: the bounds of a transaction are etcd's, and so is
//! the meaning of a revision. Two engines keep it: `embedded`, a redb file in a folder that one
//! process holds, and `etcd`, for any number of processes. The tests of the contract
//! (`tests/battery`) know nothing of the engine.
//!
//! This crate must not know what is stored: no service, no version, no group. It must not know who
//! reads either: a watcher that is slow falls behind and is told so, and never slows a writer.

mod backup;
mod embedded;
mod error;
mod etcd;
mod event;
mod history;
mod identity;
mod key;
mod revision;
mod store;
mod transfer;
mod trouble;
mod txn;

pub use backup::{backup, restore};
pub use error::StoreError;
pub use etcd::{EtcdSettings, PREFIX_BYTES_MAX};
pub use event::{Change, Event, Watch};
pub use identity::Identity;
pub use key::{KEY_BYTES_MAX, Key};
pub use revision::Revision;
pub use store::{Entry, LIST_BYTES_MAX, LIST_ENTRIES_MAX, Page, Store};
pub use transfer::{Filling, Sum, copy};
pub use trouble::Trouble;
pub use txn::{
    Committed, Expect, OPERATION_BYTES, TXN_BYTES_MAX, TXN_OPERATIONS_MAX, Txn, VALUE_BYTES_MAX,
};
