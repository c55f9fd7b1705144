//! What must hold of any bytes in the files of an instance's data folder: the door through which
//! fuzzing reaches this module. No interface: only the crate `ferryway-fuzz` uses it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use ferryway_model::{Digest, Entry, Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::export::Export;
use super::kept::Kept;
use super::owner::Owner;
use super::tables::{Boot, Target, read_row};
use crate::hold::Hold;

/// An export that is taken says the same when it is written and read again.
pub fn export(data: &[u8]) {
    let path = Path::new("export");
    let Ok(export) = Export::parse(data, path) else {
        return;
    };
    let mut written = Vec::new();
    export
        .write_to(&mut written)
        .expect("memory can be written to");
    let again = Export::parse(&written, path).expect("what was written is readable");
    assert_eq!(again.group, export.group);
    assert_eq!(again.position, export.position);
    assert_eq!(again.view.root(), export.view.root());
    assert_eq!(again.content, export.content);
    for (digest, bytes) in &export.content {
        assert_eq!(Digest::of(bytes), *digest);
    }
    let (saved, _) = export.into_saved();
    assert!(saved.effective.is_some());
}

/// The identity, and the records of the database: what is read is written as it was read.
pub fn records(data: &[u8]) {
    round_trip::<Owner>(data);
    round_trip::<Target>(data);
    round_trip::<Boot>(data);
    round_trip::<Hold>(data);
    for (key, kind) in [("service/a", Kind::Service), ("registry/a", Kind::Registry)] {
        let Ok((read_key, entry, _)) = read_row(key, data) else {
            continue;
        };
        assert_eq!(read_key.to_string(), key);
        assert_eq!(read_key.kind, kind);
        let again = Entry::from_bytes(kind, &entry.to_bytes());
        assert_eq!(again, Ok(entry));
    }
    let rows = BTreeMap::from([("key".to_owned(), data.to_vec())]);
    let expect = data.get(8..).map(<[u8]>::to_vec);
    assert_eq!(Kept::load(&rows).get("key"), expect);
}

fn round_trip<T: Serialize + DeserializeOwned + Debug>(data: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(data) else {
        return;
    };
    let written = serde_json::to_vec(&read).expect("a record is JSON");
    let again: T = serde_json::from_slice(&written).expect("what was written is readable");
    assert_eq!(format!("{again:?}"), format!("{read:?}"));
}
