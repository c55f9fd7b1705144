use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::StoreError;

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1_024;

/// A key: text of 1 to [`KEY_BYTES_MAX`] bytes, ordered by its bytes. Clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Takes `text` as a key.
    ///
    /// # Errors
    ///
    /// [`StoreError::EmptyKey`], or [`StoreError::TooLarge`] over [`KEY_BYTES_MAX`].
    pub fn new(text: impl AsRef<str>) -> Result<Self, StoreError> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(StoreError::EmptyKey);
        }
        if text.len() > KEY_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "bytes of a key",
                max: KEY_BYTES_MAX,
            });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_between_one_byte_and_the_bound() {
        assert!(matches!(Key::new(""), Err(StoreError::EmptyKey)));
        assert!(Key::new("k".repeat(KEY_BYTES_MAX)).is_ok());
        let long = Key::new("k".repeat(KEY_BYTES_MAX + 1));
        assert!(matches!(
            long,
            Err(StoreError::TooLarge {
                max: KEY_BYTES_MAX,
                ..
            })
        ));
    }
}
