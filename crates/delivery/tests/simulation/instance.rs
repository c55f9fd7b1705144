//! A gateway instance: the real agent on a disk that outlives it, with an installer that takes its
//! time.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ferryway_delivery::{
    Agent, AgentSettings, AgentStatus, Applied, Candidate, Checks, Fault, Installer, InstanceDisk,
    Medium, Outcome, Stage,
};
use ferryway_model::{Digest, Key, Name};
use ferryway_runtime::{Random, Stop, Tasks};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::content::{Quality, quality};
use crate::control::Shared;
use crate::net::{Host, Port};
use crate::table::Table;

/// One start of an instance.
pub(crate) struct Instance {
    hands: Arc<Hands>,
    status: watch::Receiver<AgentStatus>,
    tasks: Tasks,
}

/// What an instance is told by whoever starts it.
pub(crate) struct Start<'a> {
    pub(crate) host: Host,
    pub(crate) group: Name,
    pub(crate) dir: &'a Path,
    pub(crate) medium: Arc<dyn Medium>,
    pub(crate) port: Port,
    pub(crate) controls: Vec<String>,
    pub(crate) now: Timestamp,
    pub(crate) random: Random,
    pub(crate) tasks: Tasks,
}

/// The installer.
struct Hands {
    host: Host,
    group: Name,
    shared: Shared,
    /// What it serves.
    table: Mutex<Table>,
    /// What it served when the agent heard last of a swap.
    settled: Mutex<Table>,
    status: Mutex<Option<watch::Receiver<AgentStatus>>>,
    random: Mutex<Random>,
    /// Nothing can be installed, for reasons of its own.
    is_ill: AtomicBool,
    /// Ends with the program: what happens later happens to nobody.
    is_alive: AtomicBool,
}

/// The code of a rejection by checks.
pub(crate) const CHECK_FAILED: &str = "check_failed";

impl Instance {
    /// Starts it.
    ///
    /// # Errors
    /// When its disk does not open, which breaks an invariant of its own unless it is full.
    pub(crate) fn start(start: Start<'_>, shared: &Shared) -> io::Result<Self> {
        let Start {
            host,
            group,
            dir,
            medium,
            port,
            controls,
            now,
            mut random,
            tasks,
        } = start;
        let opened = InstanceDisk::open_on(medium, dir, &group, now, &mut random);
        let opened = opened.map_err(io::Error::other)?;
        shared.invariants.starts(host, &opened);
        shared
            .trace
            .note("starts", host, format!("from {:?}", opened.source));
        let settings = AgentSettings {
            controls,
            credentials: None,
            group: group.clone(),
            build: "simulated".to_owned(),
            hostname: host.to_string(),
            addresses: Vec::new(),
        };
        let hands = Arc::new(Hands {
            host,
            group,
            shared: shared.clone(),
            table: Mutex::new(Table::empty()),
            settled: Mutex::new(Table::empty()),
            status: Mutex::default(),
            random: Mutex::new(Random::seeded(random.next_u64())),
            is_ill: AtomicBool::new(false),
            is_alive: AtomicBool::new(true),
        });
        let agent = Agent::new(settings, opened.into(), Arc::clone(&hands), random, &tasks);
        let agent = agent.map_err(io::Error::other)?.dialling(Arc::new(port));
        let status = agent.status();
        *hands.status.lock().expect("nothing panics while it has it") = Some(status.clone());
        tasks.spawn("agent", move |stop| agent.run(stop));
        let watcher = Arc::clone(&hands);
        let watched = status.clone();
        tasks.spawn("watcher", move |stop| async move {
            watcher.watch(watched, stop).await
        });
        Ok(Self {
            hands,
            status,
            tasks,
        })
    }

    pub(crate) fn status(&self) -> AgentStatus {
        self.status.borrow().clone()
    }

    /// Nothing can be installed, or it can again.
    pub(crate) fn fall_ill(&self, is_ill: bool) {
        self.hands.is_ill.store(is_ill, Ordering::SeqCst);
    }

    /// From now on, nothing of it matters to anybody.
    pub(crate) fn forget(self) -> [Tasks; 1] {
        self.hands.is_alive.store(false, Ordering::SeqCst);
        [self.tasks]
    }

    /// What ends when its program is asked to; what it owes is done by then.
    pub(crate) fn tasks(&self) -> [Tasks; 1] {
        [self.tasks.clone()]
    }
}

impl Hands {
    /// Looks at each step of the instance.
    async fn watch(&self, mut status: watch::Receiver<AgentStatus>, stop: Stop) {
        let mut last = None;
        loop {
            let now = status.borrow_and_update().clone();
            if self.is_alive() {
                let table = self.settle(&now);
                self.shared
                    .invariants
                    .stands(self.host, &self.group, &now, &table);
                let line = describe(&now);
                if last.as_ref() != Some(&line) {
                    self.shared.trace.note("stands", self.host, &line);
                    last = Some(line);
                }
            }
            tokio::select! {
                biased;
                () = stop.requested() => return,
                changed = status.changed() => if changed.is_err() { return },
            }
        }
    }

    fn judge(&self, candidate: &Candidate) -> Vec<Fault> {
        let services = candidate.services.iter();
        let faults = services.filter_map(|changed| {
            let (stage, code) = match (quality(changed.content.as_ref()?), candidate.checks) {
                (Quality::Bad, _) => (Stage::Build, "bad_port"),
                (Quality::Flawed, Checks::Gate) => (Stage::Check, CHECK_FAILED),
                (Quality::Flawed, Checks::Warn | Checks::Skip) | (Quality::Good, _) => return None,
            };
            let key = Key::service(&changed.name);
            Some(Fault {
                digest: candidate
                    .target
                    .get_digested(&key)
                    .map(|(_, digest)| digest),
                key,
                stage,
                code: code.to_owned(),
                path: String::new(),
                detail: "is as the simulation wants it".to_owned(),
                evidence: None,
            })
        });
        faults.collect()
    }

    /// Serves it, between two moments at which the program may end.
    fn swap(&self, candidate: &Candidate) {
        let table = self.table().with(candidate);
        self.shared
            .invariants
            .serves(self.host, &self.group, &table);
        let root = short(&table.view.root());
        *self.table.lock().expect("nothing panics while it has it") = table;
        let position = candidate.position.revision;
        self.shared
            .trace
            .note("serves", self.host, format!("{position} as {root}"));
    }

    /// What the agent must say that it runs: between a swap and its answer, that is the former
    /// table.
    fn settle(&self, status: &AgentStatus) -> Table {
        let table = self.table();
        let mut settled = self.settled.lock().expect("nothing panics while it has it");
        if status
            .effective
            .is_some_and(|it| it.root == table.view.root())
        {
            *settled = table;
        }
        settled.clone()
    }

    fn table(&self) -> Table {
        self.table
            .lock()
            .expect("nothing panics while it has it")
            .clone()
    }

    fn is_alive(&self) -> bool {
        self.is_alive.load(Ordering::SeqCst)
    }

    async fn rest(&self) {
        let micros = {
            let mut random = self.random.lock().expect("nothing panics while it has it");
            let longest = [2_000, 2_000, 20_000, 200_000][random.below(4) as usize];
            50 + random.below(longest)
        };
        sleep(Duration::from_micros(micros)).await;
    }
}

impl Installer for Hands {
    async fn install(&self, candidate: Arc<Candidate>) -> Outcome {
        let status = self
            .status
            .lock()
            .expect("nothing panics while it has it")
            .clone();
        if let Some(status) = status.filter(|_| self.is_alive()) {
            let (running, status) = (self.table().view, status.borrow().clone());
            let invariants = &self.shared.invariants;
            invariants.offered(self.host, &self.group, &candidate, &running, &status);
        }
        self.rest().await;
        let faults = self.judge(&candidate);
        if !faults.is_empty() {
            return Outcome::Rejected { faults };
        }
        if self.is_ill.load(Ordering::SeqCst) || !self.is_alive() {
            let reason = "is as the simulation wants it".to_owned();
            return Outcome::Failed { reason };
        }
        self.swap(&candidate);
        self.rest().await;
        Outcome::Applied(Applied::default())
    }
}

fn describe(status: &AgentStatus) -> String {
    let at = |position: Option<ferryway_delivery::Position>| {
        position.map_or_else(
            || "-".to_owned(),
            |it| format!("{}.{} {}", it.epoch.restores, it.revision, short(&it.root)),
        )
    };
    let held: Vec<_> = status
        .held
        .iter()
        .map(|(key, hold)| format!("{key}:{}", hold.code))
        .collect();
    let link = if status.connected { "up" } else { "down" };
    format!(
        "{link} desired {} effective {} held [{}]",
        at(status.desired),
        at(status.effective),
        held.join(" ")
    )
}

/// Enough of a digest to tell it from others.
pub(crate) fn short(digest: &Digest) -> String {
    let text = digest.to_string();
    let hex = text.rsplit(':').next().unwrap_or(&text);
    hex.chars().take(6).collect()
}
