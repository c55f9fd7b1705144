//! Where discovery's last good answers outlive the process: the instance's disk.

use std::error::Error;
use std::sync::Arc;

use ferryway_delivery::{InstanceDisk, Update};
use ferryway_discovery::Keep;
use ferryway_runtime::{Stop, Tasks};
use tokio::sync::Notify;

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

/// Keeps on the disk of an instance whose view comes from a file. No agent writes that disk, so
/// a task does.
#[derive(Debug)]
pub(crate) struct KeepAlone {
    disk: Arc<InstanceDisk>,
    /// Something is to be written.
    wake: Arc<Notify>,
}

impl KeepAlone {
    /// Starts the task that writes.
    pub(crate) fn start(disk: Arc<InstanceDisk>, tasks: &Tasks) -> Self {
        let wake = Arc::new(Notify::new());
        // The start itself is to be written: it is no crash, whatever comes.
        wake.notify_one();
        let (written, woken) = (Arc::clone(&disk), Arc::clone(&wake));
        tasks.spawn("keep", |stop| write_behind(written, woken, stop));
        Self { disk, wake }
    }
}

impl Keep for KeepAlone {
    fn load(&self, key: &str) -> Option<Vec<u8>> {
        self.disk.kept(key)
    }

    fn save(&self, key: &str, value: &[u8]) {
        self.disk.keep(key, value);
        self.wake.notify_one();
    }
}

/// Writes what is to be kept, as often as the disk can, until stopped; then once more.
async fn write_behind(disk: Arc<InstanceDisk>, wake: Arc<Notify>, stop: Stop) {
    let mut goes_on = true;
    while goes_on {
        tokio::select! {
            () = wake.notified() => {}
            () = stop.requested() => goes_on = false,
        }
        let disk = Arc::clone(&disk);
        let written = tokio::task::spawn_blocking(move || {
            disk.write(&Update {
                survived: true,
                ..Update::default()
            })
        });
        if let Ok(Err(error)) = written.await {
            let error = &error as &dyn Error;
            tracing::warn!(error, "cannot keep where upstreams were found");
        }
    }
}
