//! Steady load of which every request is accounted for.
//!
//! The load runs on a thread of its own, with the upstream that answers it. Requests go at a set
//! rate and not as fast as they can: on a machine that is shared with what is measured, a full
//! core would measure the scheduler. Each connection sends at its own pace, so one that is held up
//! holds up no other.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ferryway_runtime::{Stop, Tasks};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::wire::{Connection, Failure, request};
use crate::{Outcome, Times, upstream};

/// What is asked for, how, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the gateway serves clients.
    pub gateway: SocketAddr,
    /// The host asked for.
    pub host: String,
    /// The path asked for.
    pub path: String,
    /// Connections that are kept.
    pub connections: u32,
    /// Requests in a second over all of those.
    pub rate: u32,
    /// Requests in a second besides, each over a connection of its own.
    pub fresh_rate: u32,
}

/// What became of the requests of one lane in one phase.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How long the good ones took, each from its sending (a fresh one: from its connecting) to the
    /// last byte of the answer.
    pub times: Times,
    /// How many were answered as they should be.
    pub good: u64,
    /// How many were not.
    pub failed: u64,
    /// What happened to the first [`FAILURES_SHOWN`] of those.
    pub failures: Vec<String>,
}

/// The two ways in which requests are sent.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// Over connections that are kept.
    pub kept: Tally,
    /// Over a new connection each.
    pub fresh: Tally,
}

/// The thread with the upstream, and with the load once that is started.
#[derive(Debug)]
pub struct Load {
    /// Where the upstream listens.
    pub upstream: SocketAddr,
    phase: Arc<AtomicUsize>,
    phases: Arc<[Mutex<Lanes>]>,
    begin: Option<oneshot::Sender<Plan>>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Starts the thread with the upstream. The load to come will be counted in so many phases.
    ///
    /// # Errors
    ///
    /// The upstream cannot be bound.
    pub async fn new(phases: usize) -> Outcome<Self> {
        let phases: Arc<[_]> = (0..phases).map(|_| Mutex::default()).collect();
        let phase = Arc::new(AtomicUsize::new(0));
        let (begin, plan) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let (bound, address) = oneshot::channel();
        let counts = (Arc::clone(&phase), Arc::clone(&phases));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || runtime.block_on(run(bound, plan, ended, counts)))?;
        Ok(Self {
            upstream: address.await??,
            phase,
            phases,
            begin: Some(begin),
            end,
            thread,
        })
    }

    /// Starts the requests; they go on until [`Self::finish`]. A second plan is passed over.
    pub fn begin(&mut self, plan: Plan) {
        if let Some(begin) = self.begin.take() {
            // The thread listens until it is told to end.
            let _ = begin.send(plan);
        }
    }

    /// Requests that begin from now on are counted in this phase.
    pub fn phase(&self, phase: usize) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// The counts of a phase so far.
    #[must_use]
    pub fn so_far(&self, phase: usize) -> Lanes {
        lock(&self.phases[phase]).clone()
    }

    /// Lets what is under way end, and answers with the counts of all phases.
    #[must_use]
    pub fn finish(self) -> Vec<Lanes> {
        // It may have ended by a panic, which the lines of that thread explain.
        let _ = self.end.send(());
        let _ = self.thread.join();
        self.phases.iter().map(|it| lock(it).clone()).collect()
    }
}

impl Lanes {
    /// Both, with the word for their connections.
    #[must_use]
    pub fn both(&self) -> [(&'static str, &Tally); 2] {
        [("kept", &self.kept), ("new", &self.fresh)]
    }
}

type Counts = (Arc<AtomicUsize>, Arc<[Mutex<Lanes>]>);

async fn run(
    bound: oneshot::Sender<std::io::Result<SocketAddr>>,
    plan: oneshot::Receiver<Plan>,
    mut ended: oneshot::Receiver<()>,
    counts: Counts,
) {
    let (upstream, clients) = (Tasks::new("upstream"), Tasks::new("clients"));
    // Nobody may be waiting any more; then the end is near as well.
    let _ = bound.send(upstream::start(&upstream).await);
    tokio::select! {
        _ = &mut ended => {}
        Ok(plan) = plan => {
            send(&plan, &counts, &clients);
            let _ = ended.await;
        }
    }
    // The clients first: an upstream that goes away would fail their last requests.
    clients.stop(GRACE).await;
    upstream.stop(GRACE).await;
}

fn send(plan: &Plan, counts: &Counts, clients: &Tasks) {
    let lanes = [
        (Lane::Kept, plan.connections, plan.rate),
        (Lane::Fresh, FRESH_CLIENTS, plan.fresh_rate),
    ];
    for (lane, senders, rate) in lanes {
        if rate == 0 {
            continue;
        }
        let pause = Duration::from_secs(1) * senders / rate;
        for sender in 0..senders {
            let client = Client {
                gateway: plan.gateway,
                ask: request("GET", &plan.host, &plan.path, lane.further(), b""),
                lane,
                pause,
                offset: pause * sender / senders,
                counts: (Arc::clone(&counts.0), Arc::clone(&counts.1)),
            };
            clients.spawn("client", |stop| client.run(stop));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Lane {
    Kept,
    Fresh,
}

impl Lane {
    fn further(self) -> &'static str {
        match self {
            Self::Kept => "",
            Self::Fresh => "connection: close\r\n",
        }
    }

    fn of(self, lanes: &mut Lanes) -> &mut Tally {
        match self {
            Self::Kept => &mut lanes.kept,
            Self::Fresh => &mut lanes.fresh,
        }
    }
}

/// One sender: a request, its answer, then the next at its time.
struct Client {
    gateway: SocketAddr,
    ask: Vec<u8>,
    lane: Lane,
    pause: Duration,
    offset: Duration,
    counts: Counts,
}

impl Client {
    async fn run(self, stop: Stop) {
        let mut ticks = interval_at(Instant::now() + self.offset, self.pause);
        // Missed ones are left out. Sending late instead would have all of them send together after
        // one stall, and ever after.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut kept = None;
        loop {
            tokio::select! {
                () = stop.requested() => return,
                _ = ticks.tick() => {}
            }
            let phase = self.counts.0.load(Ordering::Relaxed);
            let start = Instant::now();
            let outcome = self.once(&mut kept).await;
            let took = start.elapsed();
            self.count(phase, took, outcome);
        }
    }

    async fn once(&self, kept: &mut Option<Connection>) -> Result<(), String> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(self.gateway, ANSWER_TIME_MAX)
                .await
                .map_err(|failure| failure.to_string())?,
        };
        let reply = connection
            .exchange(&self.ask)
            .await
            .map_err(|failure: Failure| failure.to_string())?;
        if reply.status != 200 || reply.body.len() != upstream::BODY_BYTES {
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            return Err(format!("answered with {}: {body:.200}", reply.status));
        }
        if !reply.closes {
            *kept = Some(connection);
        }
        Ok(())
    }

    fn count(&self, phase: usize, took: Duration, outcome: Result<(), String>) {
        let mut lanes = lock(&self.counts.1[phase]);
        let tally = self.lane.of(&mut lanes);
        match outcome {
            Ok(()) => {
                tally.good += 1;
                tally.times.add(took);
            }
            Err(what) => {
                tally.failed += 1;
                if tally.failures.len() < FAILURES_SHOWN {
                    tally.failures.push(what);
                }
            }
        }
    }
}

fn lock(lanes: &Mutex<Lanes>) -> MutexGuard<'_, Lanes> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Senders that share the rate of fresh connections.
const FRESH_CLIENTS: u32 = 4;
/// How long a request may take before it counts as failed.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// How long requests under way get at the end: longer than they may take.
const GRACE: Duration = Duration::from_secs(10);
/// How many failures of a phase are kept with their reasons.
pub const FAILURES_SHOWN: usize = 20;

#[cfg(test)]
mod tests;
