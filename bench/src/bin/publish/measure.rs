//! The measuring of one size, from an empty store to the last start from disk.

use std::net::SocketAddr;
use std::time::Duration;

use ferryway_bench::api::Api;
use ferryway_bench::content::{self, Content};
use ferryway_bench::disk::Appends;
use ferryway_bench::stage::{Control, Memory, Stage};
use ferryway_bench::{Outcome, upstream};
use ferryway_runtime::Tasks;
use serde_json::json;
use tokio::time::Instant;

use crate::Options;
use crate::change::{Changer, Changes};
use crate::restart::{self, Restarts};

/// Everything measured at one size.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) content: Content,
    /// One publish while the group has no instance, on average over the filling.
    pub(crate) filling: Duration,
    /// A start with nothing on disk: to ready, and to the first answer.
    pub(crate) first_start: [Duration; 2],
    pub(crate) changes: Changes,
    /// Processor time of control plane and gateway for each change, its PUT included.
    pub(crate) cpu: [Duration; 2],
    /// Of control plane and gateway, before the first change.
    pub(crate) memory_before: [Memory; 2],
    /// The same after the last.
    pub(crate) memory_after: [Memory; 2],
    pub(crate) restarts: Restarts,
}

/// Measures a group of so many routes.
pub(crate) async fn size(stage: &Stage, routes: usize, options: &Options) -> Outcome<Figures> {
    let content = Content::of(routes);
    let tasks = Tasks::new("publish");
    let upstream = upstream::start(&tasks).await?;
    let control = stage.control(&format!("control-{routes}")).await?;
    let mut api = Api::open(control.api).await?;

    eprintln!("{routes} routes: filling the group");
    let filling = fill(&mut api, content, upstream).await?;

    let data = format!("gateway-{routes}");
    let (mut gateway, started) = stage.gateway(&data, GROUP, control.delivery).await?;
    let (host, path) = (content::host(0), content::steady_path(0));
    let first_answer = gateway.first_answer(started, &host, &path).await?;

    eprintln!("{routes} routes: {} changes", options.changes);
    let appends = Appends::create(&stage.folder("disk")?)?;
    let mut changer = Changer::new(content, api, [control.api, gateway.status], appends).await?;
    changer.warm_up().await?;
    let memory = |control: &Control| -> Outcome<_> { Ok([control.memory()?, gateway.memory()?]) };
    let memory_before = memory(&control)?;
    let cpu_before = [control.cpu()?, gateway.cpu()?];
    let changes = changer.publish(options.changes).await?;
    let count = u32::try_from(options.changes.max(1))?;
    let cpu = [
        (control.cpu()? - cpu_before[0]) / count,
        (gateway.cpu()? - cpu_before[1]) / count,
    ];
    let memory_after = memory(&control)?;

    eprintln!("{routes} routes: {} starts from disk", options.restarts);
    let delivery = control.delivery;
    drop((gateway, control));
    let restarts = restart::measure(stage, &data, delivery, options.restarts).await?;
    tasks.stop(GRACE).await;
    Ok(Figures {
        content,
        filling,
        first_start: [started.ready, first_answer],
        changes,
        cpu,
        memory_before,
        memory_after,
        restarts,
    })
}

/// Publishes every service once, while the group has no instance; the mean of that.
async fn fill(api: &mut Api, content: Content, upstream: SocketAddr) -> Outcome<Duration> {
    api.create_group(GROUP).await?;
    let groups = json!([{"group": GROUP, "binding": content::binding(upstream)}]);
    let start = Instant::now();
    for service in 0..content.services {
        api.create_service(&content.definition(service, 0)).await?;
        let name = content::name(service);
        api.publish(&name, "0.1.0", &groups).await?;
    }
    Ok(start.elapsed() / u32::try_from(content.services)?)
}

/// The group that everything is published to.
pub(crate) const GROUP: &str = "bench";
/// How long the upstream's connections get to end.
const GRACE: Duration = Duration::from_secs(5);
