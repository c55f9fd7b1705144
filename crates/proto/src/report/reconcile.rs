use bytes::Bytes;
use ferryway_model::{BUCKETS, Digest};

use crate::error::DecodeError;
use crate::read::{choice, digest};
use crate::wire;

/// Asks for what differs between the agent's desired view and the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// Why.
    pub reason: Reason,
    /// The digests of the buckets of the agent's desired view; none: it has nothing.
    pub buckets: Option<Box<[Digest; BUCKETS]>>,
}

/// Why an agent asks for what differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A transaction did not start where the agent stands.
    Gap,
    /// The view is not what its root says.
    Root,
    /// The disk lost something.
    Corrupt,
    /// Another store, or a restored one.
    Epoch,
}

const DIGEST_BYTES: usize = 32;

impl From<Reconcile> for wire::Reconcile {
    fn from(reconcile: Reconcile) -> Self {
        let Reconcile { reason, buckets } = reconcile;
        let reason = match reason {
            Reason::Gap => wire::Reason::Gap,
            Reason::Root => wire::Reason::Root,
            Reason::Corrupt => wire::Reason::Corrupt,
            Reason::Epoch => wire::Reason::Epoch,
        };
        let buckets = buckets.map_or_else(Bytes::new, |buckets| {
            buckets
                .iter()
                .flat_map(|digest| *digest.as_bytes())
                .collect()
        });
        Self {
            reason: reason.into(),
            buckets,
        }
    }
}

impl TryFrom<wire::Reconcile> for Reconcile {
    type Error = DecodeError;

    fn try_from(reconcile: wire::Reconcile) -> Result<Self, DecodeError> {
        let wire::Reconcile { reason, buckets } = reconcile;
        Ok(Self {
            reason: choice("reason", reason, |reason| match reason {
                wire::Reason::Unspecified => None,
                wire::Reason::Gap => Some(Reason::Gap),
                wire::Reason::Root => Some(Reason::Root),
                wire::Reason::Corrupt => Some(Reason::Corrupt),
                wire::Reason::Epoch => Some(Reason::Epoch),
            })?,
            buckets: decode_buckets(&buckets)?,
        })
    }
}

fn decode_buckets(bytes: &[u8]) -> Result<Option<Box<[Digest; BUCKETS]>>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let digests = bytes
        .chunks(DIGEST_BYTES)
        .map(|chunk| digest("buckets", chunk));
    let digests = digests.collect::<Result<Box<[_]>, _>>()?;
    let count = digests.len();
    let digests = digests.try_into().map_err(|_| {
        DecodeError::new(
            "buckets",
            format!("has {count} digests; must have {BUCKETS}"),
        )
    })?;
    Ok(Some(digests))
}
