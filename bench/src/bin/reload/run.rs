//! The run of one case.

use std::net::SocketAddr;
use std::time::Duration;

use ferryway_bench::api::Api;
use ferryway_bench::content::{self, Content};
use ferryway_bench::load::{Lanes, Load, Plan};
use ferryway_bench::stage::{Memory, Stage};
use ferryway_bench::{Outcome, Times};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::Options;

/// What takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No change.
    Quiet,
    /// Changes of a group without an instance.
    Elsewhere,
    /// Changes of the group of the instance under load.
    Here,
}

/// Everything that came of one case.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) content: Content,
    /// Changes published in each of the two phases that have any.
    pub(crate) swaps: usize,
    /// By phase, in the order of [`PHASES`].
    pub(crate) lanes: Vec<Lanes>,
    /// From sending a publish to its answer, in the same order.
    pub(crate) published: [Times; PHASES.len()],
    /// Of the gateway, at the end.
    pub(crate) memory: Memory,
}

/// All of them, in the order in which they take turns.
pub(crate) const PHASES: [Phase; 3] = [Phase::Quiet, Phase::Elsewhere, Phase::Here];

/// Runs a group of so many routes under load, with so many changes.
pub(crate) async fn case(
    stage: &Stage,
    options: &Options,
    routes: usize,
    swaps: usize,
) -> Outcome<Figures> {
    let content = Content::of(routes);
    let mut load = Load::new(PHASES.len() + 1).await?;
    let control = stage.control(&format!("control-{routes}")).await?;
    let mut api = Api::open(control.api).await?;
    eprintln!("{routes} routes: filling two groups");
    fill(&mut api, content, load.upstream).await?;
    let data = format!("gateway-{routes}");
    let (gateway, _) = stage.gateway(&data, HERE, control.delivery).await?;

    load.phase(WARM_UP);
    load.begin(plan(options, gateway.http));
    sleep(WARM_UP_TIME).await;
    let turn = swaps.div_ceil(ROUNDS);
    let mut publisher = Publisher::new(content, control.api, Duration::from_millis(options.every));
    for round in 1..=ROUNDS {
        eprintln!("{routes} routes, {turn} changes in a phase: round {round} of {ROUNDS}");
        for phase in PHASES {
            load.phase(phase.index());
            publisher.run(phase, turn).await?;
        }
    }
    let memory = gateway.memory()?;
    Ok(Figures {
        content,
        swaps: turn * ROUNDS,
        lanes: load.finish(),
        published: publisher.published,
        memory,
    })
}

/// Publishes every service once to both groups, while neither has an instance.
async fn fill(api: &mut Api, content: Content, upstream: SocketAddr) -> Outcome<()> {
    for group in [HERE, ELSEWHERE] {
        api.create_group(group).await?;
    }
    let binding = content::binding(upstream);
    let groups = [HERE, ELSEWHERE].map(|group| json!({"group": group, "binding": binding}));
    for service in 0..content.services {
        api.create_service(&content.definition(service, 0)).await?;
        let name = content::name(service);
        api.publish(&name, "0.1.0", &json!(groups)).await?;
    }
    Ok(())
}

fn plan(options: &Options, gateway: SocketAddr) -> Plan {
    Plan {
        gateway,
        host: content::host(LOADED),
        path: content::steady_path(LOADED),
        connections: options.connections,
        rate: options.rate,
        fresh_rate: options.fresh_rate,
    }
}

/// Publishes changes of the service under load and of others, in turn.
struct Publisher {
    content: Content,
    control: SocketAddr,
    every: Duration,
    /// Changes so far: the number of each is its version.
    count: usize,
    published: [Times; PHASES.len()],
}

impl Publisher {
    fn new(content: Content, control: SocketAddr, every: Duration) -> Self {
        Self {
            content,
            control,
            every,
            count: 0,
            published: Default::default(),
        }
    }

    /// So many changes, or as long without any.
    async fn run(&mut self, phase: Phase, changes: usize) -> Outcome<()> {
        // Anew for each phase: one that idles through another is closed, and rightly so.
        let mut api = Api::open(self.control).await?;
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..changes {
            ticks.tick().await;
            match phase {
                Phase::Quiet => {}
                Phase::Elsewhere => self.publish(&mut api, phase, ELSEWHERE).await?,
                Phase::Here => self.publish(&mut api, phase, HERE).await?,
            }
        }
        ticks.tick().await;
        Ok(())
    }

    async fn publish(&mut self, api: &mut Api, phase: Phase, group: &str) -> Outcome<()> {
        self.count += 1;
        let others = self.content.services - 1;
        let service = match self.count % 2 {
            1 if others > 0 => LOADED + 1 + self.count / 2 % others,
            _ => LOADED,
        };
        let name = content::name(service);
        let definition = self.content.definition(service, self.count);
        api.put_service(&name, &definition).await?;
        let version = format!("1.0.{}", self.count);
        let groups = json!([{"group": group}]);
        let published = api.publish(&name, &version, &groups).await?;
        if phase == Phase::Here {
            published.applied_by_one()?;
        }
        self.published[phase.index()].add(published.answered_after);
        Ok(())
    }
}

impl Phase {
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Quiet => 0,
            Self::Elsewhere => 1,
            Self::Here => 2,
        }
    }
}

impl Figures {
    /// Requests that failed in any phase, the warm-up included.
    pub(crate) fn failed(&self) -> u64 {
        let tallies = self.lanes.iter().flat_map(Lanes::both);
        tallies.map(|(_, tally)| tally.failed).sum()
    }
}

/// The group of the instance under load.
const HERE: &str = "here";
/// A group with the same content and no instance.
const ELSEWHERE: &str = "elsewhere";
/// The service that the load asks for.
const LOADED: usize = 0;
/// How often the phases take turns: a noisy moment of the machine hits all alike.
const ROUNDS: usize = 4;
/// Where requests before the first phase are counted.
const WARM_UP: usize = PHASES.len();
/// How long the load runs before the first phase.
const WARM_UP_TIME: Duration = Duration::from_secs(2);
