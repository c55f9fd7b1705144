//! Changes, published one after another, and where their time goes.

use std::net::SocketAddr;
use std::time::Duration;

use ferryway_bench::api::{Api, Published};
use ferryway_bench::content::{self, Content};
use ferryway_bench::disk::Appends;
use ferryway_bench::metrics::Metrics;
use ferryway_bench::wire::Connection;
use ferryway_bench::{Outcome, Times};
use ferryway_model::Span;
use serde_json::{Value, json};

use crate::measure::GROUP;

/// What was measured of a run of changes: one time for each.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// From sending the publish to the end of its answer.
    pub(crate) answered: Times,
    /// From the commit to the instance's answer, as the operation says: whole milliseconds.
    pub(crate) delivered: Times,
    /// In the store's commits, the disk included.
    pub(crate) committed: Times,
    /// In making those commits durable.
    pub(crate) synced: Times,
    /// A small durable append to another file, right after.
    pub(crate) appended: Times,
    /// The gateway's own account of them.
    pub(crate) applies: Option<Applies>,
}

/// A histogram of the gateway's over all changes, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applies {
    pub(crate) mean: f64,
    /// The bounds of the buckets in which the median and the 99th percentile lie.
    pub(crate) bounds: [f64; 2],
}

/// Publishes one change after another, each of another service where there are several.
#[derive(Debug)]
pub(crate) struct Changer {
    content: Content,
    api: Api,
    control: Scraped,
    gateway: Scraped,
    appends: Appends,
    /// Changes of all services so far: the number of each is its version.
    published: usize,
    /// Changes of each service so far.
    of_service: Vec<usize>,
}

/// A program's `/metrics`.
#[derive(Debug)]
struct Scraped {
    address: SocketAddr,
    connection: Connection,
}

impl Changer {
    /// `scraped`: where control plane and gateway tell their metrics.
    pub(crate) async fn new(
        content: Content,
        api: Api,
        scraped: [SocketAddr; 2],
        appends: Appends,
    ) -> Outcome<Self> {
        let [control, gateway] = scraped;
        Ok(Self {
            content,
            api,
            control: Scraped::open(control).await?,
            gateway: Scraped::open(gateway).await?,
            appends,
            published: 0,
            of_service: vec![0; content.services],
        })
    }

    /// A few changes that nobody looks at.
    pub(crate) async fn warm_up(&mut self) -> Outcome<()> {
        self.publish(WARM_UP).await.map(drop)
    }

    /// So many changes.
    pub(crate) async fn publish(&mut self, count: usize) -> Outcome<Changes> {
        let mut changes = Changes::default();
        let before = self.gateway.scrape().await?;
        for _ in 0..count {
            self.one(&mut changes).await?;
        }
        let since = self.gateway.scrape().await?.since(&before);
        changes.applies = Some(Applies::of(&since, count)?);
        Ok(changes)
    }

    async fn one(&mut self, changes: &mut Changes) -> Outcome<()> {
        let (service, definition) = self.next();
        self.api.put_service(&service, &definition).await?;
        let version = format!("1.0.{}", self.published);
        let before = self.control.scrape().await?;
        let groups = json!([{"group": GROUP}]);
        let published = self.api.publish(&service, &version, &groups).await?;
        let since = self.control.scrape().await?.since(&before);
        changes.answered.add(published.answered_after);
        changes.delivered.add(delivered(&published)?);
        for (times, name) in [
            (&mut changes.committed, COMMIT_SECONDS),
            (&mut changes.synced, SYNC_SECONDS),
        ] {
            times.add(Duration::from_secs_f64(since.sum(name)?.max(0.0)));
        }
        changes.appended.add(self.appends.one()?);
        Ok(())
    }

    /// The next service to change, and its definition then.
    fn next(&mut self) -> (String, Value) {
        let service = self.content.changed_by(self.published);
        self.published += 1;
        self.of_service[service] += 1;
        let definition = self.content.definition(service, self.of_service[service]);
        (content::name(service), definition)
    }
}

impl Scraped {
    async fn open(address: SocketAddr) -> Outcome<Self> {
        Ok(Self {
            address,
            connection: Connection::open(address, SCRAPE_TIME_MAX).await?,
        })
    }

    async fn scrape(&mut self) -> Outcome<Metrics> {
        Metrics::scrape(&mut self.connection, self.address).await
    }
}

impl Applies {
    fn of(since: &Metrics, changes: usize) -> Outcome<Self> {
        let (mean, count) = since.mean(APPLY)?;
        if count < changes as f64 {
            return Err(format!("{APPLY} counts {count} of {changes} changes").into());
        }
        let bound = |share| since.quantile_bound(APPLY, share);
        Ok(Self {
            mean,
            bounds: [bound(0.5)?, bound(0.99)?],
        })
    }
}

fn delivered(published: &Published) -> Outcome<Duration> {
    let took = published.applied_by_one()?.took.as_deref();
    let took: Span = took
        .ok_or("an instance applied in no time at all")?
        .parse()?;
    Ok(took.duration())
}

/// Changes before those that count.
const WARM_UP: usize = 20;
/// How long a scrape may take.
const SCRAPE_TIME_MAX: Duration = Duration::from_secs(10);
const COMMIT_SECONDS: &str = "ferryway_control_commit_seconds_sum";
const SYNC_SECONDS: &str = "ferryway_control_commit_sync_seconds_sum";
const APPLY: &str = "ferryway_apply_duration_seconds";
