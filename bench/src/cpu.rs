//! Whose processor time it was: that of a process and all below it, and what everybody else on the
//! machine took meanwhile.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

use crate::Outcome;

/// Processor time of a process and of all below it, thread by thread, to the nanosecond.
///
/// Only the difference of two says anything: threads that have ended are in neither, so that one
/// that ends between the two takes with it what it did since the first.
#[derive(Clone, Debug, Default)]
pub struct Tree(BTreeMap<u32, Duration>);

impl Tree {
    /// As it is now; empty where there is no such process.
    #[must_use]
    pub fn of(process: u32) -> Self {
        let mut tree = Self::default();
        let mut processes = vec![process];
        while let Some(process) = processes.pop() {
            let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
                continue;
            };
            for thread in threads.flatten() {
                let words = |file| -> Vec<u64> {
                    let text = fs::read_to_string(thread.path().join(file)).unwrap_or_default();
                    text.split_whitespace()
                        .map_while(|word| word.parse().ok())
                        .collect()
                };
                let id = thread.file_name().to_str().and_then(|id| id.parse().ok());
                if let (Some(id), Some(&nanos)) = (id, words("schedstat").first()) {
                    tree.0.insert(id, Duration::from_nanos(nanos));
                }
                let children = words("children").into_iter();
                processes.extend(children.filter_map(|child| u32::try_from(child).ok()));
            }
        }
        tree
    }

    /// What it has used since an earlier look at the same process.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        let threads = self.0.iter();
        threads
            .map(|(thread, time)| {
                let before = earlier.0.get(thread).copied().unwrap_or_default();
                time.saturating_sub(before)
            })
            .sum()
    }
}

/// Looks at the whole machine while something is measured.
#[derive(Debug)]
pub struct Watch {
    start: Instant,
    machine: Machine,
    own: Tree,
    ended: Duration,
}

/// What was not ours of a machine's time, in cores: 1.0 is a whole one.
///
/// The kernel counts the machine's time by sampling, a hundred times in a second on each core, and
/// ours exactly: what is under a hundredth of the time looked at says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Company {
    /// Taken by processes that this one did not start.
    pub others: f64,
    /// Taken by the host, for other machines.
    pub host: f64,
}

impl Watch {
    /// Begins.
    ///
    /// # Errors
    ///
    /// The kernel does not say what the machine is busy with.
    pub fn start() -> Outcome<Self> {
        Ok(Self {
            machine: Machine::now()?,
            own: Tree::of(std::process::id()),
            ended: ended()?,
            start: Instant::now(),
        })
    }

    /// Ends: everything that this process started and that still runs, or that it has waited for,
    /// was ours.
    ///
    /// # Errors
    ///
    /// The kernel does not say what the machine is busy with.
    pub fn end(self) -> Outcome<Company> {
        let length = self.start.elapsed();
        let machine = Machine::now()?;
        let own =
            Tree::of(std::process::id()).since(&self.own) + ended()?.saturating_sub(self.ended);
        Ok(company(
            length,
            machine.busy.saturating_sub(self.machine.busy),
            own,
            machine.stolen.saturating_sub(self.machine.stolen),
        ))
    }
}

fn company(length: Duration, busy: Duration, own: Duration, stolen: Duration) -> Company {
    let cores = |time: Duration| time.as_secs_f64() / length.as_secs_f64().max(SHORTEST);
    Company {
        others: cores(busy.saturating_sub(own)),
        host: cores(stolen),
    }
}

/// All cores together, since the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Machine {
    busy: Duration,
    stolen: Duration,
}

impl Machine {
    fn now() -> Outcome<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        Self::read(&text).ok_or_else(|| "cannot read /proc/stat".into())
    }

    fn read(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u32> = line
            .split_whitespace()
            .map_while(|field| field.parse().ok())
            .collect();
        // What follows, guests' time, is in the first two already.
        let [
            user,
            nice,
            system,
            _idle,
            _waiting,
            irq,
            softirq,
            stolen,
            ..,
        ] = ticks[..]
        else {
            return None;
        };
        let busy = [user, nice, system, irq, softirq];
        Some(Self {
            busy: busy.map(|ticks| TICK * ticks).iter().sum(),
            stolen: TICK * stolen,
        })
    }
}

/// A program that is kept to one core, with all its threads and children: by `taskset`, which
/// becomes that program.
#[must_use]
pub fn pinned(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// Processor time of all children of this process that have ended and were waited for.
fn ended() -> Outcome<Duration> {
    times("/proc/self/stat", FIELDS_BEFORE_CHILDREN)
        .ok_or_else(|| "cannot read the processor time of ended children".into())
}

/// User and system time of a process, of all its threads, also of those that have ended.
pub(crate) fn of_process(process: u32) -> Option<Duration> {
    times(&format!("/proc/{process}/stat"), FIELDS_BEFORE_TIMES)
}

/// The sum of the two times that so many fields lie before, counted from the state on.
fn times(file: &str, fields_before: usize) -> Option<Duration> {
    let stat = fs::read_to_string(file).ok()?;
    // The name before it may have any characters, blanks and brackets too.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: Vec<u32> = rest
        .split_whitespace()
        .skip(fields_before)
        .take(2)
        .map_while(|field| field.parse().ok())
        .collect();
    let [user, system] = ticks[..] else {
        return None;
    };
    Some(TICK * user + TICK * system)
}

/// From the state of a process to its user and system time.
const FIELDS_BEFORE_TIMES: usize = 11;
/// From there to those of its children.
const FIELDS_BEFORE_CHILDREN: usize = FIELDS_BEFORE_TIMES + 2;
/// What the kernel counts those in.
const TICK: Duration = Duration::from_millis(10);
/// In seconds: nothing is divided by less.
const SHORTEST: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;
    use ferryway_testkit::{Program, eventually};

    const WAIT_MAX: Duration = Duration::from_secs(10);

    #[test]
    fn the_machines_time() {
        let millis = Duration::from_millis;
        let text = "cpu  100 20 3 5000 600 7 8 9 50 2\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        let expect = Machine {
            busy: millis(1_380),
            stolen: millis(90),
        };
        assert_eq!(Machine::read(text), Some(expect));
        for unreadable in ["", "cpu 1 2 3\n", "cpu0 1 2 3 4 5 6 7 8\n", "intr 1\n"] {
            assert_eq!(Machine::read(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn what_is_not_ours_is_others() {
        let seconds = Duration::from_secs;
        let got = company(seconds(2), seconds(3), seconds(2), seconds(1));
        let expect = Company {
            others: 0.5,
            host: 0.5,
        };
        assert_eq!(got, expect);
        // The machine's time is sampled: ours may be more.
        assert_eq!(
            company(seconds(2), seconds(1), seconds(2), seconds(0)),
            Company::default()
        );
    }

    #[test]
    fn a_tree_has_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done & echo $!; wait"]);
        let mut shell = Program::start("shell", command);
        let child = eventually(WAIT_MAX, "its child", || {
            shell.stdout().trim().parse::<u32>().ok()
        });
        // The shell itself only waits.
        let before = Tree::of(shell.id());
        eventually(WAIT_MAX, "processor time of its child", || {
            let used = Tree::of(shell.id()).since(&before);
            (used > Duration::from_millis(5)).then_some(())
        });
        shell.kill();
        let child = child.to_string();
        assert!(Command::new("kill").arg(child).status().unwrap().success());
    }

    #[test]
    fn the_time_of_ended_children_is_ours() {
        let script = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done";
        let before = ended().unwrap();
        let done = Command::new("sh").args(["-c", script]).status().unwrap();
        assert!(done.success());
        assert!(ended().unwrap() > before);
        assert_eq!(of_process(0), None);
    }
}
