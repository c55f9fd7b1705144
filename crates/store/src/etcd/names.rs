//! Where things lie under the prefix: `data/` has the entries, `meta/` what the store knows of
//! itself.

use bytes::Bytes;

use crate::{Key, StoreError};

const DATA: &str = "data/";
const META: &str = "meta/";

/// The keys in etcd of one store.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: Box<str>,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// Of an entry.
    pub(super) fn data(&self, key: &str) -> Bytes {
        format!("{}{DATA}{key}", self.prefix).into()
    }

    /// Of what the store knows of itself.
    pub(super) fn meta(&self, name: &str) -> Bytes {
        format!("{}{META}{name}", self.prefix).into()
    }

    /// Everything of this store.
    pub(super) fn all(&self) -> (Bytes, Bytes) {
        let start = Bytes::copy_from_slice(self.prefix.as_bytes());
        let end = after_prefix(&start);
        (start, end)
    }

    /// The entry's key of a key in etcd; `None` where that is no entry.
    ///
    /// # Errors
    ///
    /// It lies among the entries and can't be one's: a stranger put it there.
    pub(super) fn entry(&self, name: &[u8]) -> Result<Option<Key>, StoreError> {
        let data = name
            .strip_prefix(self.prefix.as_bytes())
            .and_then(|rest| rest.strip_prefix(DATA.as_bytes()));
        let Some(data) = data else {
            return Ok(None);
        };
        let text = std::str::from_utf8(data).map_err(|_| StoreError::EmptyKey)?;
        Key::new(text).map(Some)
    }

    /// The name under `meta/` of a key in etcd.
    pub(super) fn fact<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        name.strip_prefix(self.prefix.as_bytes())?
            .strip_prefix(META.as_bytes())
    }
}

/// The first key after all that start with `prefix`, as etcd's ranges end. Every prefix here begins
/// with `/`, so there is a byte that can be raised.
pub(super) fn after_prefix(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end.into()
}

/// The first key after `key`.
pub(super) fn after(key: &[u8]) -> Bytes {
    let mut next = key.to_vec();
    next.push(0);
    next.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_facts_are_told_apart() {
        let names = Names::new("/f/");
        let entry = |name: &[u8]| names.entry(name).unwrap().map(|key| key.to_string());
        assert_eq!(entry(&names.data("a/b")), Some(String::from("a/b")));
        assert_eq!(entry(&names.meta("identity")), None);
        assert_eq!(entry(b"/g/data/a"), None);
        assert!(names.entry(b"/f/data/").is_err());
        assert!(names.entry(b"/f/data/\xff").is_err());
        let fact = names.meta("identity");
        assert_eq!(names.fact(&fact), Some(&b"identity"[..]));
        assert_eq!(names.fact(&names.data("x")), None);
    }

    #[test]
    fn ranges_end_after_the_prefix() {
        assert_eq!(after_prefix(b"/a/")[..], b"/a0"[..]);
        assert_eq!(after_prefix(b"/a\xff\xff")[..], b"/b"[..]);
        assert_eq!(after(b"/a")[..], b"/a\0"[..]);
    }
}
