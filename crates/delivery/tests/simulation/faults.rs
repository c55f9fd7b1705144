//! What goes on and what goes wrong, drawn from the seed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ferryway_model::Name;
use ferryway_runtime::Random;

use crate::net::Host;
use crate::world::{End, World};

/// What a run is like.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) controls: usize,
    pub(crate) instances: usize,
    pub(crate) heartbeat: Duration,
    pub(crate) spread: Duration,
    /// How long all is well at first; after ten minutes, what runs has proven itself.
    pub(crate) quiet: Duration,
    /// How long it is not.
    pub(crate) trouble: Duration,
    /// What can happen, and how often.
    weights: Vec<(Trouble, u64)>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Publish,
    Burst,
    RollBack,
    Registry,
    Cut,
    Reset,
    Weather,
    EndInstance,
    Fuse,
    EndControl,
    Restore,
    OldFiles,
    StartOver,
    ContentAway,
    Late,
    Careless,
    Ill,
    Full,
    Confirm,
}

/// What ends again.
#[derive(Clone, Debug)]
pub(crate) enum Undo {
    Control(usize),
    Instance(usize),
    Cuts(Vec<(Host, Host)>),
    Weather,
    ContentAway,
    Late,
    Careless,
    Ill(usize),
    Full(usize),
}

/// How often each happens, where it does.
const WEIGHTS: [(Trouble, u64); 19] = [
    (Trouble::Publish, 40),
    (Trouble::Burst, 4),
    (Trouble::RollBack, 4),
    (Trouble::Registry, 3),
    (Trouble::Cut, 12),
    (Trouble::Reset, 8),
    (Trouble::Weather, 4),
    (Trouble::EndInstance, 12),
    (Trouble::Fuse, 8),
    (Trouble::EndControl, 8),
    (Trouble::Restore, 2),
    (Trouble::OldFiles, 1),
    (Trouble::StartOver, 3),
    (Trouble::ContentAway, 3),
    (Trouble::Late, 4),
    (Trouble::Careless, 3),
    (Trouble::Ill, 4),
    (Trouble::Full, 4),
    (Trouble::Confirm, 2),
];

impl Profile {
    pub(crate) fn draw(random: &mut Random) -> Self {
        // Not all of it in every run: what is rare alone is found where the rest is left out.
        let weights = WEIGHTS.iter().copied();
        let weights =
            weights.filter(|(trouble, _)| *trouble == Trouble::Publish || random.below(5) < 3);
        let weights = weights.collect();
        let millis =
            |random: &mut Random, from, to| Duration::from_millis(from + random.below(to - from));
        let is_old = random.below(20) == 0;
        Self {
            weights,
            controls: 1 + usize::from(random.below(3) > 0),
            instances: 2 + random.below(3) as usize,
            heartbeat: millis(random, 1_000, 5_000),
            spread: millis(random, 0, 2_000),
            quiet: Duration::from_secs(if is_old { 11 * 60 } else { random.below(5) }),
            trouble: millis(random, 5_000, 14_000),
        }
    }

    fn next(&self, random: &mut Random) -> Trouble {
        let all: u64 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut left = random.below(all);
        for (trouble, weight) in &self.weights {
            if left < *weight {
                return *trouble;
            }
            left -= weight;
        }
        Trouble::Publish
    }
}

impl World {
    /// Something happens.
    pub(crate) async fn trouble(&mut self) {
        match self.profile.next(&mut self.random) {
            Trouble::Publish => self.publish(),
            Trouble::Burst => (0..5 + self.random.below(15)).for_each(|_| self.publish()),
            Trouble::RollBack => self.roll_back(),
            Trouble::Registry => self.change_registry(),
            Trouble::Cut => self.cut(),
            Trouble::Reset => self.reset(),
            Trouble::Weather => self.worsen(),
            Trouble::EndInstance => {
                let (number, end) = (self.an_instance(), self.an_end());
                self.end_instance(number, end).await;
            }
            Trouble::Fuse => {
                let (number, fuse) = (self.an_instance(), self.random.below(40));
                self.trace.note("fuse", Host::Instance(number), fuse);
                self.instances[number].platter.light(fuse);
            }
            Trouble::EndControl => {
                let (number, end) = (self.a_control(), self.an_end());
                self.end_control(number, end).await;
                self.later(Duration::from_secs(8), Undo::Control(number));
            }
            Trouble::Restore => self.go_back(true).await,
            Trouble::OldFiles => self.go_back(false).await,
            Trouble::StartOver => self.start_over(),
            Trouble::ContentAway => {
                self.trace.note("content-away", "", "");
                self.shared.is_content_away.store(true, Ordering::SeqCst);
                self.later(Duration::from_secs(10), Undo::ContentAway);
            }
            Trouble::Late => {
                self.trace.note("late", "", "");
                self.shared.is_late.store(true, Ordering::SeqCst);
                self.later(Duration::from_secs(10), Undo::Late);
            }
            Trouble::Careless => {
                self.shared.is_careless.store(true, Ordering::SeqCst);
                self.later(Duration::from_secs(10), Undo::Careless);
            }
            Trouble::Ill => {
                let number = self.an_instance();
                if let Some(instance) = &self.instances[number].running {
                    self.trace.note("ill", Host::Instance(number), "");
                    instance.fall_ill(true);
                    self.later(Duration::from_secs(10), Undo::Ill(number));
                }
            }
            Trouble::Full => {
                let number = self.an_instance();
                // Somebody makes room before a program is started again.
                if self.instances[number].running.is_some() {
                    self.trace.note("full", Host::Instance(number), "");
                    self.shared.invariants.is_full(Host::Instance(number));
                    self.instances[number].platter.fill(true);
                    self.later(Duration::from_secs(15), Undo::Full(number));
                }
            }
            Trouble::Confirm => self.confirm_shrink(),
        }
    }

    pub(crate) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Control(number) => self.start_control(number),
            Undo::Instance(number) => self.start_instance(number),
            Undo::Cuts(cuts) => {
                self.trace.note("mended", "", list(&cuts));
                cuts.iter().for_each(|(from, to)| self.net.mend(*from, *to));
            }
            Undo::Weather => self.net.weather(Duration::from_millis(2), 0),
            Undo::ContentAway => self.shared.is_content_away.store(false, Ordering::SeqCst),
            Undo::Late => self.shared.is_late.store(false, Ordering::SeqCst),
            Undo::Careless => self.shared.is_careless.store(false, Ordering::SeqCst),
            Undo::Ill(number) => {
                if let Some(instance) = &self.instances[number].running {
                    instance.fall_ill(false);
                }
            }
            Undo::Full(number) => self.instances[number].platter.fill(false),
        }
    }

    /// Between an instance and one or all control planes, one way or both.
    fn cut(&mut self) {
        let instance = Host::Instance(self.an_instance());
        let one = self.a_control();
        let all = self.random.below(3) == 0;
        let way = self.random.below(3);
        let controls = (0..self.controls.len()).filter(|number| all || *number == one);
        let cuts: Vec<_> = controls
            .map(Host::Control)
            .flat_map(|control| [(instance, control), (control, instance)])
            .enumerate()
            .filter(|(n, _)| way == 2 || (*n as u64) % 2 == way)
            .map(|(_, cut)| cut)
            .collect();
        self.trace.note("cut", "", list(&cuts));
        cuts.iter().for_each(|(from, to)| self.net.cut(*from, *to));
        self.later(Duration::from_secs(25), Undo::Cuts(cuts));
    }

    fn reset(&mut self) {
        let (instance, control) = (
            Host::Instance(self.an_instance()),
            Host::Control(self.a_control()),
        );
        self.trace.note("reset", instance, control);
        self.net.reset(instance, control);
    }

    fn worsen(&mut self) {
        let (delay, lost) = (20 + self.random.below(400), self.random.below(200));
        self.trace
            .note("weather", "", format!("{delay} ms, {lost} of 1000 lost"));
        self.net.weather(Duration::from_millis(delay), lost);
        self.later(Duration::from_secs(10), Undo::Weather);
    }

    /// The store is replaced by an older copy of itself, with all control planes ended meanwhile.
    async fn go_back(&mut self, is_said: bool) {
        for number in 0..self.controls.len() {
            let end = self.an_end();
            self.end_control(number, end).await;
            self.later(Duration::from_secs(4), Undo::Control(number));
        }
        let longest = if self.random.below(3) == 0 { 40 } else { 6 };
        let random = &mut self.random;
        self.shared
            .store
            .go_back(|| random.below(longest) as usize, is_said);
        self.shared.invariants.goes_back();
        let what = if is_said { "restore" } else { "old-files" };
        let groups = self.shared.store.groups();
        let heads = groups
            .iter()
            .map(|group| self.shared.store.head(group).revision.0);
        self.trace
            .note(what, "", format!("{:?}", heads.collect::<Vec<_>>()));
    }

    fn start_over(&mut self) {
        let number = self.a_control();
        if let Some(control) = &self.controls[number].running {
            self.trace.note("start-over", Host::Control(number), "");
            control.start_over();
        }
    }

    pub(crate) fn confirm_shrink(&self) {
        self.trace.note("confirm", "", "");
        let controls = self.controls.iter().filter_map(|it| it.running.as_ref());
        controls.for_each(crate::control::Control::confirm_shrink);
    }

    pub(crate) fn a_group(&mut self) -> Name {
        let groups = self.shared.store.groups();
        groups[self.random.below(groups.len() as u64) as usize].clone()
    }

    fn an_instance(&mut self) -> usize {
        self.random.below(self.instances.len() as u64) as usize
    }

    fn a_control(&mut self) -> usize {
        self.random.below(self.controls.len() as u64) as usize
    }

    fn an_end(&mut self) -> End {
        match self.random.below(4) {
            0 => End::Stopped,
            1 => End::Dark,
            _ => End::Killed,
        }
    }
}

fn list(cuts: &[(Host, Host)]) -> String {
    let cuts: Vec<_> = cuts
        .iter()
        .map(|(from, to)| format!("{from}>{to}"))
        .collect();
    cuts.join(" ")
}
