//! The instances' side of the core: their feeds and their sessions.

use super::Core;
use super::follow::Moved;
use super::memory::Memory;

/// The feeds and sessions of all groups.
#[derive(Debug)]
pub(crate) struct Sessions {
    epoch: String,
}

impl Sessions {
    pub(super) fn start(epoch: String, _memory: &Memory) -> Self {
        Self { epoch }
    }

    pub(super) fn attach(&self, _core: &Core) {}

    pub(super) fn publish(&self, moved: &Moved) {
        tracing::debug!(group = %moved.group, revision = %moved.to, epoch = self.epoch, "view moved");
    }
}
