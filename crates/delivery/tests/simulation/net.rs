//! The network, as TCP shows it: what was sent arrives in order and late, or not at all, and
//! whoever waits for it may wait for ever.
//!
//! A cut keeps bytes back, in one direction, and brings them once it is mended, as a sender that
//! repeats does; nobody is told. A machine that is killed resets its connections; one that loses
//! power says nothing until it is there again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ferryway_delivery::{Dial, Dialling, Io};
use ferryway_runtime::{Random, Tasks};
use http::Uri;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

use crate::socket::Socket;

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
type Chance = Arc<Mutex<Random>>;

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

/// How a connection ends that nobody closes.
#[derive(Clone, Copy)]
enum End {
    /// Something between the ends resets it.
    Reset,
    /// The machine at one end is gone, and says so or not.
    Gone { host: Host, is_dark: bool },
}

/// The other end takes no more.
struct Refused;

/// The largest packet, in bytes.
const PACKET_BYTES: usize = 16 * 1024;
/// Into how many pieces one is torn.
const PIECES: usize = 3;
/// What is under way at most, in each direction, in bytes.
const WINDOW_BYTES: usize = 64 * 1024;
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
    async fn travel(&self, random: &Chance, from: Host, to: Host) {
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

    async fn until_lit(&self, host: Host) {
        self.until(|state| state.machines.get(&host).is_none_or(|it| !it.is_dark))
            .await;
    }

    /// A connection between two machines: its two ends.
    fn wire(&self, ends: [Host; 2], random: &Chance) -> [Socket; 2] {
        let (mine, left) = duplex(WINDOW_BYTES);
        let (theirs, right) = duplex(WINDOW_BYTES);
        let resets: [Arc<AtomicBool>; 2] = Default::default();
        let [to_left, to_right] = resets.each_ref().map(Arc::clone);
        let (end, ended) = watch::channel(None);
        self.lock().wires.push((BTreeSet::from(ends), end));
        let net = self.clone();
        let chances = [branch(random), branch(random)];
        self.0.tasks.spawn("wire", move |_stop| async move {
            net.carry(ends, [left, right], &resets, &chances, ended)
                .await;
        });
        [Socket::new(mine, to_left), Socket::new(theirs, to_right)]
    }

    async fn carry(
        &self,
        ends: [Host; 2],
        [mut left, mut right]: [DuplexStream; 2],
        resets: &[Arc<AtomicBool>; 2],
        chances: &[Chance; 2],
        mut ended: watch::Receiver<Option<End>>,
    ) {
        let [a, b] = ends;
        let end = {
            let (from_left, to_left) = split(&mut left);
            let (from_right, to_right) = split(&mut right);
            let there = self.pump(&chances[0], [a, b], from_left, to_right);
            let back = self.pump(&chances[1], [b, a], from_right, to_left);
            tokio::select! {
                biased;
                end = ended.wait_for(Option::is_some) => end.ok().and_then(|end| *end),
                carried = async { tokio::try_join!(there, back) } => {
                    carried.err().map(|Refused| End::Reset)
                }
            }
        };
        let reset = |side: usize| resets[side].store(true, Ordering::SeqCst);
        match end {
            None => {}
            Some(End::Reset) => {
                reset(0);
                drop(left);
                self.travel(&chances[0], a, b).await;
                reset(1);
            }
            Some(End::Gone { host, is_dark }) => {
                let (gone, near, far) = if host == a {
                    (0, left, right)
                } else {
                    (1, right, left)
                };
                reset(gone);
                drop(near);
                if is_dark {
                    self.until_lit(host).await;
                }
                self.travel(&chances[gone], host, ends[1 - gone]).await;
                reset(1 - gone);
                drop(far);
            }
        }
    }

    /// Carries bytes one way until the sender closes.
    async fn pump(
        &self,
        random: &Chance,
        [from, to]: [Host; 2],
        mut source: impl AsyncRead + Unpin,
        mut sink: impl AsyncWrite + Unpin,
    ) -> Result<(), Refused> {
        let mut packet = vec![0; PACKET_BYTES];
        loop {
            // Our side of a pipe in memory does not fail.
            let read = source.read(&mut packet).await.unwrap_or(0);
            self.travel(random, from, to).await;
            if read == 0 {
                return sink.shutdown().await.map_err(|_| Refused);
            }
            // Sometimes a message is torn to pieces. How many there are must not depend on how
            // many bytes there are: hyper sends the date, and that is the real one.
            let pieces = if draw(random, 8) == 0 { PIECES } else { 1 };
            for piece in packet[..read].chunks(read.div_ceil(pieces)) {
                sink.write_all(piece).await.map_err(|_| Refused)?;
                if pieces > 1 {
                    self.travel(random, from, to).await;
                }
            }
        }
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

fn draw(random: &Chance, below: u64) -> u64 {
    let mut random = random.lock().expect("nothing panics while it has it");
    random.below(below)
}

fn branch(random: &Chance) -> Chance {
    let mut random = random.lock().expect("nothing panics while it has it");
    Arc::new(Mutex::new(Random::seeded(random.next_u64())))
}
