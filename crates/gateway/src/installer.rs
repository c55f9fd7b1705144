//! From a candidate to what serves: build, warm, check, swap.
//!
//! The installer has a thread of its own, so that no worker and no control task ever waits for a
//! build, and so that old tables and upstreams are taken apart there. It takes one candidate at a
//! time, and its state changes only with the swap: whatever goes wrong before leaves what serves,
//! and what the next candidate builds on, as it was.

#[cfg(test)]
pub(crate) mod bench;
mod checks;
mod content;
mod draft;
mod evidence;
mod expectation;
mod secrets;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferryway_delivery::{Applied, Candidate, Checks, Occasion, Outcome, Service};
use ferryway_discovery::{Discovery, Followed};
use ferryway_model::{Code, Key, Name, View};
use ferryway_proto::{Fault, Stage};
use ferryway_proxy::{LiveTable, Metrics, Prober, Table, retire};
use ferryway_runtime::{Random, Tasks};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::durations::Durations;
pub(crate) use checks::TIME_MAX as CHECK_TIME_MAX;
pub(crate) use content::{Content, Link, Running};
use draft::Draft;

/// How long new upstreams are waited for when something changes while clients are served.
const WARM_TIME_MAX: Duration = Duration::from_secs(2);
/// And at the start, where waiting keeps clients out: what was kept on disk is there at once.
const WARM_TIME_START_MAX: Duration = Duration::from_millis(200);
/// The code of a warning that an upstream has no endpoint.
const UPSTREAM_EMPTY: &str = Code::UpstreamEmpty.as_str();
/// How long old tables get to be let go of when the installer ends.
const GRACE: Duration = Duration::from_secs(2);

/// Hands candidates to the installer's thread. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Installer {
    jobs: mpsc::Sender<Job>,
    floor: Arc<Floor>,
}

/// What the installer works with.
#[derive(Debug)]
pub(crate) struct Tools {
    /// Finds the endpoints of upstreams.
    pub(crate) discovery: Discovery,
    /// What workers serve by.
    pub(crate) live: Arc<LiveTable>,
    /// Where routes count.
    pub(crate) metrics: Arc<Metrics>,
    /// Runs checks.
    pub(crate) prober: Prober,
    /// What all checks of a transaction together get.
    pub(crate) check_time: Duration,
}

/// All that the thread and the status page share.
#[derive(Debug)]
struct Floor {
    tools: Tools,
    random: Mutex<Random>,
    content: Mutex<Content>,
    durations: Durations,
    tasks: Tasks,
}

#[derive(Debug)]
struct Job {
    candidate: Arc<Candidate>,
    reply: oneshot::Sender<Outcome>,
}

impl Installer {
    /// Starts the thread. It ends when the last handle is dropped.
    ///
    /// # Errors
    ///
    /// When the thread or its runtime cannot be made.
    pub(crate) fn start(tools: Tools, random: Random) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(1);
        let floor = Arc::new(Floor {
            tools,
            random: Mutex::new(random),
            content: Mutex::default(),
            durations: Durations::default(),
            tasks: Tasks::new("installer"),
        });
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let working = Arc::clone(&floor);
        std::thread::Builder::new()
            .name("installer".to_owned())
            .spawn(move || runtime.block_on(work(working, queue)))?;
        Ok(Self { jobs, floor })
    }

    /// The services that are installed, by name.
    pub(crate) fn services(&self) -> Vec<Arc<Running>> {
        self.floor.content().services().cloned().collect()
    }

    /// How long candidates took from the offer to the swap.
    pub(crate) fn durations(&self) -> &Durations {
        &self.floor.durations
    }
}

impl ferryway_delivery::Installer for Installer {
    async fn install(&self, candidate: Arc<Candidate>) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let job = Job {
            candidate: Arc::clone(&candidate),
            reply,
        };
        if self.jobs.send(job).await.is_err() {
            let reason = "the installer has ended".to_owned();
            return Outcome::Failed { reason };
        }
        // No answer: the task panicked, and said so in the log. Offering the same content again
        // would do the same again, so it is the content's fault.
        outcome.await.unwrap_or_else(|_| Outcome::Rejected {
            faults: panicked(&candidate),
        })
    }

    async fn check(&self, candidate: Arc<Candidate>) -> Vec<Fault> {
        let faults = self.floor.check_applied(&candidate).await;
        for fault in &faults {
            tracing::warn!(
                service = %fault.key.name,
                code = fault.code,
                path = fault.path,
                detail = fault.detail,
                "serves all the same"
            );
        }
        faults
    }
}

async fn work(floor: Arc<Floor>, mut queue: mpsc::Receiver<Job>) {
    let tasks = floor.tasks.clone();
    while let Some(Job { candidate, reply }) = queue.recv().await {
        let floor = Arc::clone(&floor);
        // A task, for what panics in one ends nothing but it.
        let task = tasks.spawn("install", |_stop| async move {
            let outcome = floor.install(&candidate).await;
            // Nobody waits when the agent has been stopped.
            let _ = reply.send(outcome);
        });
        task.finished().await;
    }
    tasks.stop(GRACE).await;
}

impl Floor {
    async fn install(self: &Arc<Self>, candidate: &Candidate) -> Outcome {
        let began = Instant::now();
        let draft = match self.build(candidate) {
            Ok(draft) => draft,
            Err(faults) => return rejected(faults),
        };
        let build = began.elapsed();
        self.warm(candidate.occasion, draft.new_links()).await;
        if candidate.checks == Checks::Gate {
            let table = Arc::new(draft.table().clone());
            let services = candidate
                .services
                .iter()
                .filter_map(|it| it.content.clone());
            let faults = self.check(&table, candidate, services).await;
            if !faults.is_empty() {
                return rejected(faults);
            }
        }
        let swap = self.swap(draft);
        self.durations.record(began.elapsed());
        Outcome::Applied(Applied {
            build,
            swap,
            // What a table takes is spread over what it shares with others: nobody knows.
            table_bytes: 0,
        })
    }

    fn build(&self, candidate: &Candidate) -> Result<Draft, Vec<Fault>> {
        let content = self.content();
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let (tools, table) = (&self.tools, self.tools.live.current());
        Draft::build(candidate, &content, &table, tools, &mut random)
    }

    /// Waits for the first answers about new upstreams. A name that does not resolve is no reason
    /// to reject: it may tomorrow, and a gateway that starts must not depend on it.
    async fn warm(&self, occasion: Occasion, links: impl Iterator<Item = &Link>) {
        let most = match occasion {
            Occasion::Start => WARM_TIME_START_MAX,
            Occasion::Sent(_) => WARM_TIME_MAX,
        };
        let followed: Vec<Arc<Followed>> = links.map(|link| Arc::clone(&link.followed)).collect();
        let all = async {
            for followed in &followed {
                followed.ready().await;
            }
        };
        if timeout(most, all).await.is_err() {
            let unknown = followed.iter().filter(|it| !it.status().ready).count();
            tracing::warn!(
                unknown,
                "upstreams are used before their endpoints are known"
            );
        }
    }

    /// Looks at what a candidate has brought into service: for upstreams that are nowhere and, where
    /// checks only warn, at what those find against what serves.
    async fn check_applied(&self, candidate: &Candidate) -> Vec<Fault> {
        let services = candidate.services.iter();
        // What has changed again meanwhile has checks of its own.
        let services = services.filter_map(|it| it.content.clone().filter(|it| self.runs(it)));
        let services: Vec<_> = services.collect();
        let nowhere = services.iter().filter_map(|it| self.is_nowhere(it));
        let nowhere = nowhere.map(|(name, detail)| {
            let (key, path) = (Key::service(&name), "binding.discovery");
            let target = &candidate.target;
            fault(target, key, Stage::Runtime, UPSTREAM_EMPTY, path, &detail)
        });
        let mut faults: Vec<_> = nowhere.collect();
        if candidate.checks == Checks::Warn {
            let table = self.tools.live.current();
            faults.extend(self.check(&table, candidate, services.into_iter()).await);
        }
        faults
    }

    async fn check(
        &self,
        table: &Arc<Table>,
        candidate: &Candidate,
        services: impl Iterator<Item = Arc<Service>>,
    ) -> Vec<Fault> {
        let Tools {
            prober, check_time, ..
        } = &self.tools;
        checks::run(prober, table, &candidate.target, services, *check_time).await
    }

    /// Why a registry has no endpoint of a service, where it has none.
    fn is_nowhere(&self, service: &Service) -> Option<(Name, String)> {
        let registry = service.binding.content.registry()?;
        let name = &service.definition.content.name;
        let link = self.content().service(name)?.link.clone()?;
        let status = link.followed.status();
        if status.endpoints > 0 {
            return None;
        }
        let detail = match (status.ready, status.last_error) {
            (_, Some(why)) => format!("the registry {registry} gave no endpoint: {why}"),
            (true, None) => format!("the registry {registry} knows no endpoint of it"),
            (false, None) => format!("the registry {registry} has not answered yet"),
        };
        Some((name.clone(), detail))
    }

    fn runs(&self, service: &Service) -> bool {
        let content = self.content();
        let running = content.service(&service.definition.content.name);
        running.is_some_and(|running| {
            running.definition == service.definition.digest
                && running.binding.digest == service.binding.digest
                && running.enabled == service.enabled
        })
    }

    /// Puts a draft into use; answers how long the swap itself took.
    fn swap(&self, draft: Draft) -> Duration {
        let (table, changes) = draft.into_parts();
        let began = Instant::now();
        let old = self.tools.live.swap(table);
        let took = began.elapsed();
        // What is replaced is dropped here, and the old table when no worker looks at it any more.
        self.content().apply(changes);
        self.tasks
            .spawn("old table", |_stop| async move { retire(old).await });
        took
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // It changes in one statement.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rejected(faults: Vec<Fault>) -> Outcome {
    Outcome::Rejected { faults }
}

fn panicked(candidate: &Candidate) -> Vec<Fault> {
    let registries = candidate
        .registries
        .iter()
        .map(|it| Key::registry(&it.name));
    let services = candidate.services.iter().map(|it| Key::service(&it.name));
    let fault = |key: Key| {
        let detail = "the instance panicked while it installed this; see its log";
        fault(
            &candidate.target,
            key,
            Stage::Runtime,
            "panicked",
            "",
            detail,
        )
    };
    registries.chain(services).map(fault).collect()
}

/// A fault of an entry of a candidate with this target.
fn fault(target: &View, key: Key, stage: Stage, code: &str, path: &str, detail: &str) -> Fault {
    let digest = target.get_digested(&key).map(|(_, digest)| digest);
    let fault = Fault {
        key,
        digest,
        stage,
        code: code.to_owned(),
        path: path.to_owned(),
        detail: detail.to_owned(),
        evidence: None,
    };
    fault.clipped()
}
