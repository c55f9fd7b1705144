//! Syncs alone, one after another, and where their time goes.

use std::net::SocketAddr;
use std::time::Duration;

use ferryway_api::OperationState;
use ferryway_bench::disk::Appends;
use ferryway_bench::metrics::Metrics;
use ferryway_bench::wire::Connection;
use ferryway_bench::{Outcome, Times};

use crate::changes::Changer;

/// One time for each sync of one service to all groups but the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Syncs {
    /// From the call to the answer that it is committed.
    pub(crate) accepted: Times,
    /// From the call to the end of delivery, with the question for it.
    pub(crate) delivered: Times,
    /// In the store's transaction, the disk included.
    pub(crate) committed: Times,
    /// In making it durable.
    pub(crate) durable: Times,
    /// A small durable append to another file, right after.
    pub(crate) appended: Times,
}

/// Measures so many.
pub(crate) async fn measure(
    changer: &mut Changer,
    control: SocketAddr,
    mut appends: Appends,
    count: usize,
) -> Outcome<Syncs> {
    let mut metrics = Connection::open(control, SCRAPE_TIME_MAX).await?;
    let mut syncs = Syncs::default();
    for _ in 0..count {
        let service = changer.publish(0).await?;
        let before = Metrics::scrape(&mut metrics, control).await?;
        let sync = changer.sync(&service).await?;
        let (waited, operation) = changer.end_of(&sync.operation).await?;
        if operation.state != OperationState::Succeeded {
            return Err(format!("a sync of {service} ended as {:?}", operation.state).into());
        }
        let since = Metrics::scrape(&mut metrics, control).await?.since(&before);
        syncs.accepted.add(sync.answered_after);
        syncs.delivered.add(sync.answered_after + waited);
        let transactions = since.sum(COMMITS)?;
        if transactions != 1.0 {
            return Err(format!("a sync took {transactions} transactions").into());
        }
        for (times, name) in [
            (&mut syncs.committed, COMMIT_SECONDS),
            (&mut syncs.durable, SYNC_SECONDS),
        ] {
            times.add(Duration::from_secs_f64(since.sum(name)?.max(0.0)));
        }
        syncs.appended.add(appends.one()?);
    }
    Ok(syncs)
}

/// How long a scrape may take.
const SCRAPE_TIME_MAX: Duration = Duration::from_secs(10);
const COMMITS: &str = "ferryway_control_commit_seconds_count";
const COMMIT_SECONDS: &str = "ferryway_control_commit_seconds_sum";
const SYNC_SECONDS: &str = "ferryway_control_commit_sync_seconds_sum";
