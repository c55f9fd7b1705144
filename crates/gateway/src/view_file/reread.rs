//! SIGHUP: the file of `--static` is read again. What is wrong with it is said, and what serves goes
//! on to.

use std::path::PathBuf;

use ferryway_delivery::Export;
use ferryway_model::Name;
use ferryway_runtime::Stop;
use ferryway_runtime::signals::Hangup;
use tokio::sync::mpsc;

/// Whose file is read again, and who takes what it says.
#[derive(Debug)]
pub(crate) struct Reread {
    pub(crate) file: PathBuf,
    /// The group that is served. One gateway is of one group for as long as it runs.
    pub(crate) group: Name,
    pub(crate) agent: mpsc::Sender<Export>,
}

impl Reread {
    /// Reads the file with each signal, until stopped.
    pub(crate) async fn run(self, mut hangup: Hangup, stop: Stop) {
        loop {
            tokio::select! {
                () = stop.requested() => return,
                () = hangup.next() => {}
            }
            let file = self.file.display();
            match self.read().await {
                Ok(export) => {
                    tracing::info!(%file, "read the view again");
                    if self.agent.send(export).await.is_err() {
                        return;
                    }
                }
                Err(why) => tracing::warn!(%file, why, "the view stays as it was"),
            }
        }
    }

    async fn read(&self) -> Result<Export, String> {
        let (file, group) = (self.file.clone(), self.group.clone());
        // A large file takes a while to read and to judge.
        let read = tokio::task::spawn_blocking(move || super::read(&file, Some(&group)));
        read.await
            .unwrap_or_else(|_| Err("reading it failed; this is a mistake in Ferryway".to_owned()))
    }
}
