//! The writer behind the agent: puts on the disk what the session wants there, without making it
//! wait.
//!
//! redb's non-durable commits live in memory until a durable one, so they would save nothing that
//! this does not: the newest desired and effective views are taken together and written with one
//! fsync, however many transactions led to them. Nothing between publish and applied waits for it;
//! `durable` is told afterwards.

mod proven;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ferryway_model::{Digest, View};
use ferryway_proto::Position;
use ferryway_runtime::{Stop, Task, Tasks};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::disk::{DiskError, InstanceDisk, Update};
use crate::session::Record;
use proven::Proven;

/// Writes in the background.
#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    task: Task,
}

#[derive(Debug)]
struct Shared {
    disk: Arc<InstanceDisk>,
    /// What is to be written.
    waiting: Mutex<Waiting>,
    wake: Notify,
    written: watch::Sender<Written>,
}

/// How far the keeper has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nothing was to be written yet.
    Nothing,
    /// This record would survive a loss of power, and all before it.
    UpTo {
        /// Its number.
        record: u64,
        /// The effective position in it.
        position: Position,
    },
    /// The disk cannot be written; it is tried again.
    Failing,
}

/// What is to be written.
#[derive(Debug, Default)]
struct Waiting {
    update: Update,
    /// The number of the newest record in it.
    record: u64,
}

/// Most bytes of content that wait for a disk that cannot be written, beyond what the views to be
/// written name.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long the disk rests after a failed write, at first and at most: each try opens the database
/// anew, and a full disk may stay full for days.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How long what discovery keeps may wait for company.
const KEPT_EVERY: Duration = Duration::from_secs(5);

impl Keeper {
    /// A keeper for this disk, and where it tells how far it has come.
    pub(crate) fn start(
        disk: Arc<InstanceDisk>,
        tasks: &Tasks,
    ) -> (Self, watch::Receiver<Written>) {
        let (tell, written) = watch::channel(Written::Nothing);
        let shared = Arc::new(Shared {
            disk,
            waiting: Mutex::default(),
            wake: Notify::new(),
            written: tell,
        });
        let run = Arc::clone(&shared);
        let task = tasks.spawn("keeper", move |stop| async move { run.run(stop).await });
        (Self { shared, task }, written)
    }

    /// Wants this on the disk.
    pub(crate) fn record(&self, record: Record) {
        let mut waiting = self.shared.lock();
        match record {
            Record::Desired(desired, content) => {
                waiting.update.desired = Some(desired);
                waiting.update.content.extend(content);
            }
            Record::Settled {
                number,
                desired,
                effective,
            } => {
                waiting.update.desired = Some(desired);
                waiting.update.effective = Some(effective);
                waiting.record = number;
            }
        }
        drop(waiting);
        self.shared.wake.notify_one();
    }

    /// Waits for the end, which its tasks' stop brings: with everything written.
    pub(crate) async fn finished(self) {
        self.task.finished().await;
    }
}

impl Shared {
    async fn run(self: &Arc<Self>, stop: Stop) {
        let mut proven = Proven::new(self.disk.has_last_good());
        let mut rest_until = Instant::now();
        // How long the disk rests, if it could not be written lately.
        let mut failing = None;
        loop {
            let look_again = proven.deadline().min(Instant::now() + KEPT_EVERY);
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = self.wake.notified() => {}
                () = sleep_until(look_again) => {}
            }
            tokio::select! {
                biased;
                () = sleep_until(rest_until) => {}
                () = stop.requested() => break,
            }
            match self.write(&mut proven, false).await {
                Ok(()) => {
                    if failing.take().is_some() {
                        tracing::info!("the instance's disk can be written again");
                    }
                }
                Err(error) => {
                    // Once, and not every few seconds for as long as it lasts.
                    if failing.is_none() {
                        tracing::error!(
                            error = &error as &dyn Error,
                            "cannot write to the instance's disk; what is effective serves on, and it is tried again"
                        );
                    }
                    let rest = failing.map_or(REST.0, |rest: Duration| (rest * 2).min(REST.1));
                    failing = Some(rest);
                    rest_until = Instant::now() + rest;
                }
            }
        }
        if let Err(error) = self.write(&mut proven, true).await {
            tracing::error!(
                error = &error as &dyn Error,
                "cannot write to the instance's disk at the end"
            );
        }
    }

    async fn write(self: &Arc<Self>, proven: &mut Proven, is_last: bool) -> Result<(), DiskError> {
        let now = Instant::now();
        let (mut update, record) = {
            let mut waiting = self.lock();
            (std::mem::take(&mut waiting.update), waiting.record)
        };
        let position = update.effective.as_ref().map(|effective| {
            proven.runs(now, effective.position, &effective.view);
            effective.position
        });
        update.last_good = proven.last_good(now);
        update.survived = is_last || proven.survived(now);
        if let Err(error) = self.write_one(update).await {
            // Only where somebody waits for it, so that the next write that works says so too.
            if position.is_some() {
                self.written.send_replace(Written::Failing);
            }
            return Err(error);
        }
        proven.written(now);
        if let Some(position) = position {
            self.written
                .send_replace(Written::UpTo { record, position });
        }
        if proven.wants_export(now, is_last) {
            self.blocking(|disk| disk.export()).await?;
            proven.exported(now);
        }
        Ok(())
    }

    async fn write_one(self: &Arc<Self>, update: Update) -> Result<(), DiskError> {
        let nothing = update.desired.is_none() && update.effective.is_none();
        let nothing = nothing && update.last_good.is_none() && !update.survived;
        if nothing && !self.disk.has_unwritten_kept() {
            return Ok(());
        }
        let update = Arc::new(update);
        let written = Arc::clone(&update);
        let result = self.blocking(move |disk| disk.write(&written)).await;
        if result.is_err() {
            self.put_back(&update);
        }
        result
    }

    /// What could not be written is to be written still, unless something newer is.
    fn put_back(&self, update: &Update) {
        let mut waiting = self.lock();
        let waiting = &mut waiting.update;
        let Update {
            desired,
            effective,
            last_good: _, // `Proven` offers it again.
            content,
            survived: _,
        } = update;
        if waiting.desired.is_none() {
            waiting.desired.clone_from(desired);
        }
        if waiting.effective.is_none() {
            waiting.effective.clone_from(effective);
        }
        for (digest, bytes) in content {
            waiting
                .content
                .entry(*digest)
                .or_insert_with(|| bytes.clone());
        }
        forget_unnamed(waiting);
        self.wake.notify_one();
    }

    async fn blocking(
        &self,
        run: impl FnOnce(&InstanceDisk) -> Result<(), DiskError> + Send + 'static,
    ) -> Result<(), DiskError> {
        // None: the runtime ends, or something panicked that is not redb.
        self.disk.work(run).await.unwrap_or_else(|| {
            let reason = "a write did not come to its end".to_owned();
            Err(DiskError::Damaged { reason })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk may be full for days, and content come and go meanwhile.
fn forget_unnamed(waiting: &mut Update) {
    let bytes: usize = waiting.content.values().map(Bytes::len).sum();
    if bytes <= WAITING_BYTES_MAX {
        return;
    }
    let desired = waiting.desired.iter().map(|desired| &desired.view);
    let effective = waiting.effective.iter().map(|effective| &effective.view);
    let entries = desired.chain(effective).flat_map(View::entries);
    let named: BTreeSet<Digest> = entries.flat_map(|(_, entry)| entry.content()).collect();
    waiting.content.retain(|digest, _| named.contains(digest));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Atoms, Desired};
    use crate::testing::{Variant, epoch, position, view_of};

    #[test]
    fn content_that_nothing_names_does_not_pile_up() {
        let (view, content) = view_of(&[("a", Variant::Good(0))]);
        let mut waiting = Update {
            desired: Some(Desired {
                position: position(epoch(1), 1, &view),
                view,
                atoms: Atoms::Whole,
            }),
            content: content.clone(),
            ..Update::default()
        };
        let large = Bytes::from(vec![0; WAITING_BYTES_MAX / 2]);
        waiting.content.insert(Digest::of(&large), large.clone());
        forget_unnamed(&mut waiting);
        assert_eq!(waiting.content.len(), 3, "it may still be wanted");
        let more = large.slice(1..);
        waiting.content.insert(Digest::of(&more), more);
        forget_unnamed(&mut waiting);
        assert_eq!(waiting.content, content);
    }
}
