//! Where discovery's last good answers outlive the process: the instance's disk.

use std::sync::Arc;

use ferryway_delivery::InstanceDisk;
use ferryway_discovery::Keep;

/// Keeps on the instance's disk.
#[derive(Debug)]
pub(crate) struct KeepOnDisk(pub(crate) Arc<InstanceDisk>);

impl Keep for KeepOnDisk {
    fn load(&self, key: &str) -> Option<Vec<u8>> {
        self.0.kept(key)
    }

    fn save(&self, key: &str, value: &[u8]) {
        self.0.keep(key, value);
    }
}
