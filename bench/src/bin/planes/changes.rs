//! Changes that are published where the instance is, and elsewhere.

use std::time::Duration;

use ferryway_bench::api::Api;
use ferryway_bench::content::{self, Content};
use ferryway_bench::{Outcome, Times, upstream};
use ferryway_runtime::Tasks;
use serde_json::json;

use crate::fleet::{Fleet, ONE};

/// From sending a publish to the end of its answer, which says that the instance has applied it.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// At the control plane that the instance is with.
    pub(crate) here: Times,
    /// At another one.
    pub(crate) elsewhere: Times,
}

/// Routes of the group.
pub(crate) const ROUTES: usize = 100;
/// Changes that nobody looks at.
const WARM_UP: usize = 20;
/// How long the upstream's connections get to end.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Publishes so many in each way, in turn.
pub(crate) async fn measure(fleet: &Fleet<'_>, count: usize, tasks: &Tasks) -> Outcome<Changes> {
    let content = Content::of(ROUTES);
    let upstream = upstream::start(tasks).await?;
    let home = fleet.home().await?;
    let mut apis = Vec::new();
    for number in [home, (home + 1) % fleet.controls.len()] {
        let [api, _] = fleet.controls[number].0;
        apis.push(Api::open(api).await?);
    }
    let name = content::name(0);
    let groups = json!([{"group": ONE, "binding": content::binding(upstream)}]);
    apis[0].create_service(&content.definition(0, 0)).await?;
    let mut changes = Changes::default();
    for number in 0..2 * (WARM_UP + count) {
        let api = &mut apis[number % 2];
        api.put_service(&name, &content.definition(0, number + 1))
            .await?;
        let version = format!("1.0.{number}");
        let published = api.publish(&name, &version, &groups).await?;
        published.applied_by_one()?;
        if number >= 2 * WARM_UP {
            let times = [&mut changes.here, &mut changes.elsewhere];
            times[number % 2].add(published.answered_after);
        }
    }
    if fleet.home().await? != home {
        return Err("the instance has left its control plane meanwhile".into());
    }
    Ok(changes)
}
