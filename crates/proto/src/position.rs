use std::fmt;

use bytes::Bytes;
use ferryway_model::{Digest, Revision};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::DecodeError;
use crate::read::{digest, required, uuid};
use crate::wire;

/// Which history revisions belong to: the identity of a store, and a number that rises with
/// each restore of it.
///
/// Epochs have no order. Another epoch means that revisions cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The store's identity.
    pub store: Uuid,
    /// Rises with each restore from a copy, also from the same one; 0: never restored.
    pub restores: u64,
}

/// A point in the history of a group's view, with the proof of what the view is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Whose history.
    pub epoch: Epoch,
    /// How many transactions led here.
    pub revision: Revision,
    /// The digest of the whole view.
    pub root: Digest,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.revision, self.root)
    }
}

impl From<Epoch> for wire::Epoch {
    fn from(epoch: Epoch) -> Self {
        let Epoch { store, restores } = epoch;
        Self {
            store: Bytes::copy_from_slice(store.as_bytes()),
            restores,
        }
    }
}

impl TryFrom<wire::Epoch> for Epoch {
    type Error = DecodeError;

    fn try_from(epoch: wire::Epoch) -> Result<Self, DecodeError> {
        let wire::Epoch { store, restores } = epoch;
        Ok(Self {
            store: uuid("store", &store)?,
            restores,
        })
    }
}

impl From<Position> for wire::Position {
    fn from(position: Position) -> Self {
        let Position {
            epoch,
            revision,
            root,
        } = position;
        Self {
            epoch: Some(epoch.into()),
            revision: revision.0,
            root: Bytes::copy_from_slice(root.as_bytes()),
        }
    }
}

impl TryFrom<wire::Position> for Position {
    type Error = DecodeError;

    fn try_from(position: wire::Position) -> Result<Self, DecodeError> {
        let wire::Position {
            epoch,
            revision,
            root,
        } = position;
        let epoch = required("epoch", epoch)?;
        Ok(Self {
            epoch: epoch
                .try_into()
                .map_err(|error: DecodeError| error.within("epoch"))?,
            revision: Revision(revision),
            root: digest("root", &root)?,
        })
    }
}

/// Reads a position that must be there.
pub(crate) fn position(field: &str, raw: Option<wire::Position>) -> Result<Position, DecodeError> {
    let raw = required(field, raw)?;
    Position::try_from(raw).map_err(|error| error.within(field))
}

/// Reads a position that may be absent.
pub(crate) fn position_or_none(
    field: &str,
    raw: Option<wire::Position>,
) -> Result<Option<Position>, DecodeError> {
    raw.map(|raw| position(field, Some(raw))).transpose()
}
