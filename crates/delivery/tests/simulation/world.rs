//! Everything together: machines that start, end in several ways, and start again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferryway_delivery::ServerSettings;
use ferryway_model::Name;
use ferryway_runtime::{Random, Tasks};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::content::name;
use crate::control::{self, Control, Shared};
use crate::faults::{Profile, Undo};
use crate::instance::{self, Instance};
use crate::invariants::Invariants;
use crate::net::{Host, Net};
use crate::platter::{Ends, Platter};
use crate::store::Store;
use crate::trace::{Report, Trace};

/// A run.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) profile: Profile,
    pub(crate) trace: Trace,
    pub(crate) net: Net,
    pub(crate) shared: Shared,
    pub(crate) controls: Vec<ControlMachine>,
    pub(crate) instances: Vec<InstanceMachine>,
    /// What is to be undone, and when.
    later: BTreeMap<(Instant, usize), Undo>,
    /// Machines that have lost their power.
    dark: mpsc::Receiver<Host>,
    start: Instant,
    tasks: Tasks,
}

pub(crate) struct ControlMachine {
    pub(crate) running: Option<Control>,
}

pub(crate) struct InstanceMachine {
    pub(crate) group: Name,
    pub(crate) platter: Platter,
    pub(crate) running: Option<Instance>,
    /// Its folder, after those of programs that ended: what they still write reaches nobody.
    dirs: Vec<TempDir>,
}

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should, with everything done.
    Stopped,
    Killed,
    /// Its machine has no power.
    Dark,
}

/// How long last words are waited for.
const LAST_WORDS: Duration = Duration::from_millis(20);
/// How long a program may take to end.
const ENDING_MAX: Duration = Duration::from_secs(30);

/// Runs a seed.
pub(crate) fn run(seed: u64) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("needs nothing").block_on(async {
        let mut world = World::new(seed);
        world.play().await;
        world.trace.report()
    })
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let profile = Profile::draw(&mut random);
        let trace = Trace::new();
        let tasks = Tasks::new("world");
        let net = Net::new(&tasks);
        let groups = [name("north"), name("south")];
        let store = Store::new(&groups);
        let shared = Shared {
            invariants: Invariants::new(store.clone(), trace.clone()),
            store,
            trace: trace.clone(),
            is_content_away: Arc::default(),
            is_late: Arc::default(),
            is_careless: Arc::default(),
        };
        let (goes_dark, dark) = mpsc::channel(64);
        let instance = |number: usize, random: &mut Random| InstanceMachine {
            group: groups[number % groups.len()].clone(),
            platter: Platter::new(
                Host::Instance(number),
                branch(random),
                &net,
                goes_dark.clone(),
            ),
            running: None,
            dirs: vec![new_dir()],
        };
        let instances = (0..profile.instances).map(|number| instance(number, &mut random));
        let instances = instances.collect();
        let controls = (0..profile.controls).map(|_| ControlMachine { running: None });
        Self {
            trace,
            net,
            shared,
            controls: controls.collect(),
            instances,
            later: BTreeMap::new(),
            dark,
            start: Instant::now(),
            tasks,
            profile,
            random,
        }
    }

    async fn play(&mut self) {
        self.trace.note("plays", "", format!("{:?}", self.profile));
        self.populate();
        self.start_all();
        self.pass(self.profile.quiet).await;
        let end = Instant::now() + self.profile.trouble;
        while Instant::now() < end && !self.trace.is_broken() {
            let pause = Duration::from_micros(self.random.below(1_000_000));
            self.pass(pause).await;
            self.trouble().await;
        }
        if !self.trace.is_broken() {
            self.heal().await;
        }
    }

    /// Lets time pass, and undoes what is due.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let due = self.later.keys().next().map(|(due, _)| *due);
            let until = due.map_or(end, |due| due.min(end));
            tokio::select! {
                biased;
                host = self.dark.recv() => {
                    // It may have been ended otherwise meanwhile.
                    if let Some(Host::Instance(number)) = host
                        && self.instances[number].platter.has_lost_power()
                    {
                        self.end_instance(number, End::Dark).await;
                    }
                }
                () = sleep_until(until) => {
                    if Instant::now() >= end {
                        return;
                    }
                    if let Some((_, undo)) = self.later.pop_first() {
                        self.undo(undo);
                    }
                }
            }
        }
    }

    /// Undoes this after some time.
    pub(crate) fn later(&mut self, longest: Duration, undo: Undo) {
        let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        let after = Duration::from_micros(self.random.below(longest));
        let number = self.later.len();
        self.later.insert((Instant::now() + after, number), undo);
    }

    /// Everything works again.
    pub(crate) fn undo_all(&mut self) {
        self.later.clear();
        self.undo(Undo::Weather);
        self.undo(Undo::ContentAway);
        self.undo(Undo::Late);
        self.undo(Undo::Careless);
        self.net.mend_all();
        for number in 0..self.instances.len() {
            self.undo(Undo::Ill(number));
            self.instances[number].platter.mend();
        }
        self.start_all();
    }

    fn start_all(&mut self) {
        (0..self.controls.len()).for_each(|number| self.start_control(number));
        (0..self.instances.len()).for_each(|number| self.start_instance(number));
    }

    pub(crate) fn start_control(&mut self, number: usize) {
        if self.controls[number].running.is_some() {
            return;
        }
        let host = Host::Control(number);
        self.trace.note("starts", host, "");
        let start = control::Start {
            host,
            port: self.net.start(host, branch(&mut self.random)),
            random: branch(&mut self.random),
            tasks: Tasks::new(host.to_string()),
            settings: ServerSettings {
                heartbeat: self.profile.heartbeat,
                spread: self.profile.spread,
                ..ServerSettings::default()
            },
        };
        self.controls[number].running = Some(Control::start(start, &self.shared));
    }

    pub(crate) fn start_instance(&mut self, number: usize) {
        if self.instances[number].running.is_some() {
            return;
        }
        let host = Host::Instance(number);
        let mut controls: Vec<_> = (0..self.controls.len()).map(Host::Control).collect();
        controls.rotate_left(number % self.controls.len());
        let elapsed = self.start.elapsed();
        let machine = &mut self.instances[number];
        let start = instance::Start {
            host,
            group: machine.group.clone(),
            dir: machine.dirs.last().expect("there is always one").path(),
            medium: machine.platter.medium(),
            port: self.net.start(host, branch(&mut self.random)),
            controls: controls
                .iter()
                .map(|host| format!("http://{host}:7943"))
                .collect(),
            now: Timestamp::UNIX_EPOCH
                .checked_add(elapsed)
                .expect("is soon after it"),
            random: branch(&mut self.random),
            tasks: Tasks::new(host.to_string()),
        };
        match Instance::start(start, &self.shared) {
            Ok(instance) => machine.running = Some(instance),
            Err(error) => self.trace.broken(format!("{host} does not start: {error}")),
        }
    }

    /// Ends the program of a control plane, if one runs there.
    pub(crate) async fn end_control(&mut self, number: usize, end: End) {
        let host = Host::Control(number);
        let Some(running) = self.controls[number].running.take() else {
            return;
        };
        self.trace.note("ends", host, format!("{end:?}"));
        if end == End::Stopped {
            self.stop(host, &running.tasks()).await;
        }
        self.bury(host, end, running.forget());
    }

    /// Ends the program of an instance, if one runs there.
    pub(crate) async fn end_instance(&mut self, number: usize, mut end: End) {
        let host = Host::Instance(number);
        let Some(running) = self.instances[number].running.take() else {
            return;
        };
        self.trace.note("ends", host, format!("{end:?}"));
        if end == End::Stopped {
            self.stop(host, &running.tasks()).await;
        }
        if self.instances[number].platter.has_lost_power() {
            end = End::Dark;
        }
        if end == End::Stopped {
            self.shared
                .invariants
                .ended(host, running.status().effective);
        }
        self.bury(host, end, running.forget());
        let machine = &mut self.instances[number];
        let ends = if end == End::Dark {
            Ends::Dark
        } else {
            Ends::Killed
        };
        machine.platter.end(ends);
        let dir = copy_of(machine.dirs.last().expect("there is always one").path());
        machine.dirs.push(dir);
        self.later(Duration::from_secs(8), Undo::Instance(number));
    }

    async fn stop(&self, host: Host, all: &[Tasks]) {
        for tasks in all {
            let ended = tasks.stop(ENDING_MAX).await;
            let running = || format!("{host} does not end: {:?}", tasks.running());
            self.trace.holds(ended, running);
            sleep(LAST_WORDS).await;
        }
    }

    /// A program that has ended is cut off, and what is left of it ends by itself.
    fn bury(&self, host: Host, end: End, left: impl IntoIterator<Item = Tasks>) {
        self.net.gone(host, end == End::Dark);
        for tasks in left {
            self.tasks.spawn("grave", move |_stop| async move {
                tasks.stop(ENDING_MAX).await;
            });
        }
    }
}

/// A source of its own, so that one that draws more or less changes no other.
fn branch(random: &mut Random) -> Random {
    Random::seeded(random.next_u64())
}

fn new_dir() -> TempDir {
    // In memory where that can be had: what is in it outlives nothing but a simulated program.
    let memory = Path::new("/dev/shm");
    let made = TempDir::new_in(memory).or_else(|_| TempDir::new());
    made.expect("can be made")
}

fn copy_of(dir: &Path) -> TempDir {
    let copy = new_dir();
    for file in std::fs::read_dir(dir).expect("is there") {
        let from = file.expect("is there").path();
        let to = copy.path().join(from.file_name().expect("has a name"));
        std::fs::copy(&from, to).expect("can be copied");
    }
    copy
}
