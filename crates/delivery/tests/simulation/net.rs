//! The network, as TCP shows it: what was sent arrives in order and late, or not at all, and
//! whoever waits for it may wait for ever.
//!
//! A cut keeps bytes back, in one direction, and brings them once it is mended, as a sender that
//! repeats does; nobody is told. A machine that is killed resets its connections; one that loses
//! power says nothing until it is there again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ferryway_delivery::{Dial, Dialling, Io};
use ferryway_runtime::{Random, Tasks};
use http::Uri;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

use crate::socket::Socket;
use crate::wire::End;

/// A machine's place in the network, and in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Control(usize),
    Instance(usize),
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Net(Arc<Shared>);

/// What one start of a machine's program has of the network.
#[derive(Clone)]
pub(crate) struct Port {
    net: Net,
    host: Host,
    start: u64,
    /// Its own, as each direction of a connection has one: what happens at one moment happens in
    /// no order, and must not depend on one.
    random: Chance,
}

/// A source of randomness that is shared.
pub(crate) type Chance = Arc<Mutex<Random>>;

/// Where connections arrive.
pub(crate) type Arriving = mpsc::Receiver<io::Result<Socket>>;

struct Shared {
    state: Mutex<State>,
    /// Something happened to machines or cuts.
    changed: Notify,
    tasks: Tasks,
}

struct State {
    /// The longest delay of a packet, in microseconds.
    delay: u64,
    /// Of 1,000 packets, so many are lost once, and come later.
    lost: u64,
    cuts: BTreeMap<(Host, Host), u32>,
    machines: BTreeMap<Host, Machine>,
    wires: Vec<(BTreeSet<Host>, watch::Sender<Option<End>>)>,
}

#[derive(Default)]
struct Machine {
    start: u64,
    is_dark: bool,
    listener: Option<mpsc::Sender<io::Result<Socket>>>,
}

/// How long a lost packet is waited for.
const REPEAT: Duration = Duration::from_millis(200);
/// Connections that a machine has not taken yet.
const BACKLOG: usize = 64;

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control(number) => write!(f, "c{number}"),
            Self::Instance(number) => write!(f, "i{number}"),
        }
    }
}

impl Net {
    pub(crate) fn new(tasks: &Tasks) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                delay: 2_000,
                lost: 0,
                cuts: BTreeMap::new(),
                machines: BTreeMap::new(),
                wires: Vec::new(),
            }),
            changed: Notify::new(),
            tasks: tasks.child("net"),
        }))
    }

    /// How long packets take at most, and how many of 1,000 are lost once.
    pub(crate) fn weather(&self, delay: Duration, lost: u64) {
        let mut state = self.lock();
        state.delay = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        state.lost = lost;
    }

    /// Nothing gets from one to the other, until it is mended as often as it was cut.
    pub(crate) fn cut(&self, from: Host, to: Host) {
        *self.lock().cuts.entry((from, to)).or_insert(0) += 1;
    }

    pub(crate) fn mend(&self, from: Host, to: Host) {
        let mut state = self.lock();
        if let Some(cuts) = state.cuts.get_mut(&(from, to)) {
            *cuts = cuts.saturating_sub(1);
        }
        drop(state);
        self.tell();
    }

    /// All is well between all.
    pub(crate) fn mend_all(&self) {
        self.lock().cuts.clear();
        self.weather(Duration::from_millis(2), 0);
        self.tell();
    }

    /// Resets the connections between two machines.
    pub(crate) fn reset(&self, one: Host, other: Host) {
        let ends = BTreeSet::from([one, other]);
        self.end(|wire| *wire == ends, End::Reset);
    }

    /// A machine's program is gone. In the dark, nobody is told before it is there again.
    pub(crate) fn gone(&self, host: Host, is_dark: bool) {
        let mut state = self.lock();
        let machine = state.machines.entry(host).or_default();
        machine.start += 1;
        machine.is_dark = is_dark;
        machine.listener = None;
        drop(state);
        self.end(|wire| wire.contains(&host), End::Gone { host, is_dark });
        self.tell();
    }

    /// A machine's program starts.
    pub(crate) fn start(&self, host: Host, random: Random) -> Port {
        let mut state = self.lock();
        let machine = state.machines.entry(host).or_default();
        machine.is_dark = false;
        let start = machine.start;
        drop(state);
        self.tell();
        let net = self.clone();
        let random = Arc::new(Mutex::new(random));
        Port {
            net,
            host,
            start,
            random,
        }
    }

    fn end(&self, which: impl Fn(&BTreeSet<Host>) -> bool, how: End) {
        let mut state = self.lock();
        state.wires.retain(|(_, end)| !end.is_closed());
        for (_, end) in state.wires.iter().filter(|(ends, _)| which(ends)) {
            end.send_if_modified(|end| end.is_none() && end.replace(how).is_none());
        }
    }

    /// Takes as long as a packet from one to the other.
    pub(crate) async fn travel(&self, random: &Chance, from: Host, to: Host) {
        let (delay, lost) = {
            let state = self.lock();
            (state.delay, state.lost)
        };
        let wait = Duration::from_micros(100 + draw(random, delay));
        let wait = if draw(random, 1_000) < lost {
            wait + REPEAT
        } else {
            wait
        };
        sleep(wait).await;
        self.until(|state| state.cuts.get(&(from, to)).is_none_or(|cuts| *cuts == 0))
            .await;
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        // There is one thread: nothing happens between the look and the wait.
        while !is_so(&self.lock()) {
            self.0.changed.notified().await;
        }
    }

    pub(crate) async fn until_lit(&self, host: Host) {
        self.until(|state| state.machines.get(&host).is_none_or(|it| !it.is_dark))
            .await;
    }

    /// From now on, it ends when one of the machines does.
    pub(crate) fn add_wire(&self, ends: [Host; 2], end: watch::Sender<Option<End>>) {
        self.lock().wires.push((BTreeSet::from(ends), end));
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    fn tell(&self) {
        self.0.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("nothing panics while it has it")
    }
}

impl Port {
    /// Takes connections from now on.
    pub(crate) fn listen(&self) -> Arriving {
        let (listener, arriving) = mpsc::channel(BACKLOG);
        let mut state = self.net.lock();
        let machine = state.machines.entry(self.host).or_default();
        if machine.start == self.start {
            machine.listener = Some(listener);
        }
        arriving
    }

    async fn connect(&self, to: Host) -> io::Result<Socket> {
        let (net, from) = (&self.net, self.host);
        net.travel(&self.random, from, to).await;
        net.until_lit(to).await;
        let listener = {
            let state = net.lock();
            let is_here = state
                .machines
                .get(&from)
                .is_some_and(|it| it.start == self.start);
            let there = state.machines.get(&to).and_then(|it| it.listener.clone());
            there.filter(|_| is_here)
        };
        let taken = listener.and_then(|listener| {
            let [mine, theirs] = net.wire([from, to], &self.random);
            listener.try_send(Ok(theirs)).is_ok().then_some(mine)
        });
        net.travel(&self.random, to, from).await;
        taken.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }
}

impl Dial for Port {
    fn dial(&self, address: Uri) -> Dialling {
        let port = self.clone();
        let number = address
            .host()
            .and_then(|host| host.strip_prefix('c')?.parse().ok());
        Box::pin(async move {
            let number = number.ok_or(io::ErrorKind::AddrNotAvailable)?;
            let socket = port.connect(Host::Control(number)).await?;
            let socket: Box<dyn Io> = Box::new(socket);
            Ok(socket)
        })
    }
}

pub(crate) fn draw(random: &Chance, below: u64) -> u64 {
    let mut random = random.lock().expect("nothing panics while it has it");
    random.below(below)
}

pub(crate) fn branch(random: &Chance) -> Chance {
    let mut random = random.lock().expect("nothing panics while it has it");
    Arc::new(Mutex::new(Random::seeded(random.next_u64())))
}
