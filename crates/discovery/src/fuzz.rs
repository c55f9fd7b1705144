//! What must hold of any bytes that were kept on the disk: the door through which fuzzing reaches
//! this crate. No interface: only the crate `ferryway-fuzz` uses it.

use crate::kept::Kept;

/// Endpoints that are taken from the disk are written as they were read.
pub fn kept(data: &[u8]) {
    if let Some(kept) = Kept::decode(data) {
        assert_eq!(Kept::decode(&kept.encode()), Some(kept));
    }
}
