//! What goes on while the reads are measured: [`RATE`] syncs in a second to all groups but the
//! first, each of a version that was published to that one right before; and whatever the instances
//! say to them, and to the control plane's heartbeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ferryway_bench::Outcome;
use ferryway_runtime::{Stop, Tasks};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::changes::Changer;

/// Syncs that go on until they are stopped.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    started: Instant,
    end: oneshot::Receiver<Outcome<Changer>>,
}

impl Background {
    /// Begins.
    pub(crate) fn start(mut changer: Changer, tasks: &Tasks) -> Self {
        let (told, end) = oneshot::channel();
        let (stop, made) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let background = Self {
            stop: Arc::clone(&stop),
            made: Arc::clone(&made),
            started: Instant::now(),
            end,
        };
        tasks.spawn("background", move |stopping| async move {
            let went = go_on(&mut changer, &stop, &made, stopping).await;
            let _ = told.send(went.map(|()| changer)); // nobody waits after another failure
        });
        background
    }

    /// Ends; says how many syncs there were in a second.
    pub(crate) async fn stop(self) -> Outcome<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.end.await??;
        let made = self.made.load(Ordering::Relaxed);
        Ok(made as f64 / self.started.elapsed().as_secs_f64())
    }
}

async fn go_on(
    changer: &mut Changer,
    stop: &AtomicBool,
    made: &AtomicUsize,
    stopping: Stop,
) -> Outcome<()> {
    let every = Duration::from_secs(1) / RATE;
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) && !stopping.is_requested() {
        ticks.tick().await;
        let service = changer.publish(0).await?;
        changer.sync(&service).await?;
        made.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Syncs in a second.
pub(crate) const RATE: u32 = 5;
