//! Many instances in one process: the gateway's agents, with nothing behind them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ferryway_bench::Outcome;
use ferryway_delivery::{
    Agent, AgentSettings, AgentStatus, Applied, Candidate, Identity, Installer, Origin,
    Outcome as Installed, StartedFrom,
};
use ferryway_runtime::{Random, Tasks};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::fill::group;

/// Running agents, on a thread of their own. They end with this.
#[derive(Debug)]
pub(crate) struct Agents {
    stand: Vec<watch::Receiver<AgentStatus>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Takes whatever comes and puts nothing into service.
#[derive(Debug)]
struct Nowhere;

impl Installer for Nowhere {
    async fn install(&self, _: Arc<Candidate>) -> Installed {
        Installed::Applied(Applied::default())
    }
}

impl Agents {
    /// Starts so many, spread over the groups, and waits until each runs all of its group's view.
    pub(crate) async fn start(delivery: SocketAddr, groups: u8, count: usize) -> Outcome<Self> {
        let tasks = Tasks::new("agents");
        let agents = (0..count).zip((0..groups).cycle());
        let agents = agents
            .map(|(number, of)| agent(delivery, number, &group(of), &tasks))
            .collect::<Outcome<Vec<_>>>()?;
        let stand = agents.iter().map(Agent::status).collect();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let run = async move {
            for agent in agents {
                tasks.spawn("agent", |stop| agent.run(stop));
            }
            let _ = stopped.await; // a sender that is gone wants the same
            tasks.stop(GRACE).await;
        };
        let thread = thread::Builder::new()
            .name("agents".to_owned())
            .spawn(move || runtime.block_on(run))?;
        let mut agents = Self {
            stand,
            stop: Some(stop),
            thread: Some(thread),
        };
        agents.settle().await?;
        Ok(agents)
    }

    /// Waits until every one is connected and runs what it should.
    pub(crate) async fn settle(&mut self) -> Outcome<()> {
        let until = Instant::now() + SETTLE_TIME_MAX;
        for stand in &mut self.stand {
            let settled = async {
                let is_settled =
                    |stand: &AgentStatus| stand.connected && stand.confirmed && stand.converged;
                stand.wait_for(is_settled).await.map(drop)
            };
            match timeout_at(until, settled).await {
                Ok(settled) => settled?,
                Err(_) => {
                    let stand = stand.borrow().clone();
                    let why = format!("an agent did not come to rest in {SETTLE_TIME_MAX:?}");
                    return Err(format!("{why}: {stand:?}").into());
                }
            }
        }
        Ok(())
    }

    /// Whether every one has a stream now.
    pub(crate) fn are_connected(&self) -> Outcome<()> {
        let lost = self.stand.iter().filter(|stand| !stand.borrow().connected);
        match lost.count() {
            0 => Ok(()),
            lost => Err(format!("{lost} of {} instances are lost", self.stand.len()).into()),
        }
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic of it has been told by then
        }
    }
}

fn agent(
    delivery: SocketAddr,
    number: usize,
    group: &str,
    tasks: &Tasks,
) -> Outcome<Agent<Nowhere>> {
    let settings = AgentSettings {
        controls: vec![format!("http://{delivery}")],
        credentials: None,
        group: group.parse()?,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        hostname: format!("host-{number}"),
        addresses: vec![format!("127.0.0.1:{}", 20_000 + number)],
    };
    let origin = Origin {
        identity: Identity {
            instance: Uuid::from_u128(u128::try_from(number)? + 1),
            boot: 1,
        },
        disk: None,
        saved: ferryway_delivery::Saved::default(),
        content: ferryway_delivery::Content::default(),
        source: StartedFrom::Empty,
    };
    let random = Random::seeded(u64::try_from(number)?);
    Ok(Agent::new(
        settings,
        origin,
        Arc::new(Nowhere),
        random,
        tasks,
    )?)
}

/// How long all may take to run all of what they should, together.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(600);
/// How long the agents get to end.
const GRACE: Duration = Duration::from_secs(5);
