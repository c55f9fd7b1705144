//! A run, from the empty store to the last start on the full one.

use std::path::Path;
use std::time::Duration;

use ferryway_bench::api::Api;
use ferryway_bench::content::Content;
use ferryway_bench::disk::Appends;
use ferryway_bench::stage::{Control, Memory, Stage};
use ferryway_bench::{Outcome, Times, machine};
use ferryway_runtime::Tasks;
use tokio::time::Instant;

use crate::Options;
use crate::agents::Agents;
use crate::background::Background;
use crate::changes::Changer;
use crate::fill;
use crate::reads::{self, Read};
use crate::syncs::{self, Syncs};

/// Everything measured.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) filling: Duration,
    /// The machine's load when the wait for a file was over, if there was one.
    pub(crate) load_before: Option<String>,
    /// From the start of the first agent to the last that runs everything.
    pub(crate) arriving: Duration,
    /// One of the operations after the filling, on average, its PUT included.
    pub(crate) operation: Duration,
    pub(crate) syncs: Syncs,
    pub(crate) reads: Vec<Read>,
    /// Syncs in a second meanwhile.
    pub(crate) background: f64,
    /// After what, of the control plane.
    pub(crate) memory: Vec<(&'static str, Memory)>,
    /// From making the process to the first 200 of `/readyz`.
    pub(crate) starts: Times,
}

/// Measures everything, in this order.
pub(crate) async fn all(stage: &Stage, options: &Options) -> Outcome<Figures> {
    let content = Content {
        services: options.services,
        routes_each: ROUTES_EACH,
    };
    let tasks = Tasks::new("api");
    let control = stage.control(STORE).await?;
    let mut memory = vec![("an empty store", control.memory()?)];
    let mut note = |what, control: &Control| -> Outcome<()> {
        memory.push((what, control.memory()?));
        Ok(())
    };

    eprintln!("filling {} services × {}", options.services, options.groups);
    let filling = fill::all(control.api, content, options.groups, &tasks).await?;
    note("the filling", &control)?;

    eprintln!("{} instances arrive", options.agents);
    let start = Instant::now();
    let mut agents = Agents::start(control.delivery, options.groups, options.agents).await?;
    let arriving = start.elapsed();
    note("the instances' arrival", &control)?;

    eprintln!("{} more operations", options.operations);
    let changer = async |of| Changer::new(control.api, content, of, options.groups).await;
    let start = Instant::now();
    changer(BUSY).await?.operations(options.operations).await?;
    let operation = start.elapsed() / u32::try_from(options.operations.max(1))?;
    agents.settle().await?;
    note("so many more operations", &control)?;

    let load_before = match &options.until {
        None => None,
        Some(file) => Some(made(file).await?),
    };
    eprintln!("{} syncs", options.syncs);
    let appends = Appends::create(&stage.folder("disk")?)?;
    let mut alone = changer(ALONE).await?;
    let syncs = syncs::measure(&mut alone, control.api, appends, options.syncs).await?;

    let background = Background::start(changer(MEANWHILE).await?, &tasks);
    let mut api = Api::open(control.api).await?;
    let mut read = Vec::new();
    for (path, to_the_end) in reads::all(BUSY.start) {
        eprintln!(
            "reading {path}{}",
            if to_the_end { " to its end" } else { "" }
        );
        read.push(reads::measure(&mut api, path, to_the_end, options.requests).await?);
        agents.are_connected()?;
    }
    let background = background.stop().await?;
    agents.settle().await?;
    note("the reads", &control)?;

    drop((agents, control));
    let mut starts = Times::default();
    for n in 0..options.restarts {
        let start = Instant::now();
        let control = stage.control(STORE).await?;
        starts.add(start.elapsed());
        if n + 1 == options.restarts {
            note("a start on that store", &control)?;
        }
    }
    tasks.stop(GRACE).await;
    Ok(Figures {
        filling,
        load_before,
        arriving,
        operation,
        syncs,
        reads: read,
        background,
        memory,
        starts,
    })
}

/// Waits for a file, for as long as it takes; says how busy the machine is then.
async fn made(file: &Path) -> Outcome<String> {
    eprintln!("waiting for {}", file.display());
    while !file.try_exists()? {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(machine::load())
}

/// How often a file is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Routes of each service.
pub(crate) const ROUTES_EACH: usize = 10;
/// The services that the many operations are of.
pub(crate) const BUSY: std::ops::Range<usize> = 0..5;
/// Those of the syncs that are measured alone.
const ALONE: std::ops::Range<usize> = 5..7;
/// Those of the syncs while reads are measured.
const MEANWHILE: std::ops::Range<usize> = 7..10;
/// The folder of the control plane's data.
const STORE: &str = "control";
/// How long the upstream's connections get to end.
const GRACE: Duration = Duration::from_secs(5);
