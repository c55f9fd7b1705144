//! Connections in memory, whose time is tokio's: each direction can be stopped, and goes on later
//! with all that was sent meanwhile. That is what a stopped process looks like from outside, and a
//! network that is cut and repeats what was lost.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use ferryway_runtime::Tasks;
use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{mpsc, watch};

use crate::agent::{Dial, Dialling, Io};

/// Where connections arrive.
pub(super) type Arriving = mpsc::Receiver<io::Result<DuplexStream>>;

/// The wires to all control planes.
pub(super) struct Wires {
    ends: BTreeMap<String, End>,
    dialled: Mutex<Vec<String>>,
    tasks: Tasks,
}

/// The end of the wires to one control plane.
struct End {
    /// None: nobody listens there.
    listener: Option<mpsc::Sender<io::Result<DuplexStream>>>,
    stopped: watch::Sender<Stopped>,
}

/// Which directions are stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stopped {
    /// What is said to the control plane does not arrive.
    pub(super) to_it: bool,
    /// What it says does not arrive.
    pub(super) from_it: bool,
}

/// What a wire holds on its way, in bytes.
const WIRE_BYTES: usize = 64 * 1024;
/// Connections that wait to be taken.
const BACKLOG: usize = 16;

impl Wires {
    pub(super) fn new() -> Self {
        Self {
            ends: BTreeMap::new(),
            dialled: Mutex::default(),
            tasks: Tasks::new("wires"),
        }
    }

    /// Lays wires to a control plane of this name; its address, and where connections arrive there.
    pub(super) fn lay(&mut self, name: &str) -> (String, Arriving) {
        let (listener, arriving) = mpsc::channel(BACKLOG);
        self.add(name, Some(listener));
        (address(name), arriving)
    }

    /// The address of one that refuses connections.
    pub(super) fn lay_to_nobody(&mut self, name: &str) -> String {
        self.add(name, None);
        address(name)
    }

    fn add(&mut self, name: &str, listener: Option<mpsc::Sender<io::Result<DuplexStream>>>) {
        let stopped = watch::Sender::default();
        let end = End { listener, stopped };
        self.ends.insert(name.to_owned(), end);
    }

    /// Stops directions at the control plane of this address, or lets them go on.
    pub(super) fn stop(&self, address: &str, stopped: Stopped) {
        let name = address.trim_start_matches("http://").trim_end_matches(PORT);
        self.ends[name].stopped.send_replace(stopped);
    }

    /// Whom somebody has dialled so far, in order.
    pub(super) fn dialled(&self) -> Vec<String> {
        self.dialled.lock().expect("nobody panicked").clone()
    }

    fn connect(&self, name: &str) -> io::Result<DuplexStream> {
        let mut dialled = self.dialled.lock().expect("nobody panicked");
        dialled.push(address(name));
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let end = self.ends.get(name).ok_or_else(refused)?;
        let listener = end.listener.as_ref().ok_or_else(refused)?;
        let (ours, near) = duplex(WIRE_BYTES);
        let (theirs, far) = duplex(WIRE_BYTES);
        listener.try_send(Ok(theirs)).map_err(|_| refused())?;
        let [(from_us, to_us), (from_them, to_them)] = [near, far].map(split);
        self.carry(from_us, to_them, end.stopped.subscribe(), |it| it.to_it);
        self.carry(from_them, to_us, end.stopped.subscribe(), |it| it.from_it);
        Ok(ours)
    }

    /// Carries bytes in one direction, unless it is stopped.
    fn carry(
        &self,
        mut from: ReadHalf<DuplexStream>,
        mut to: WriteHalf<DuplexStream>,
        mut stopped: watch::Receiver<Stopped>,
        is_stopped: fn(&Stopped) -> bool,
    ) {
        self.tasks.spawn("carry", move |stop| async move {
            let carry = async {
                let mut bytes = vec![0; WIRE_BYTES];
                while let Ok(count) = from.read(&mut bytes).await {
                    let goes = stopped.wait_for(|it| !is_stopped(it)).await.is_ok();
                    if count == 0 || !goes || to.write_all(&bytes[..count]).await.is_err() {
                        break;
                    }
                }
                // The other side may be gone.
                let _ = to.shutdown().await;
            };
            tokio::select! {
                () = carry => {}
                () = stop.requested() => {}
            }
        });
    }
}

impl Dial for Wires {
    fn dial(&self, address: Uri) -> Dialling {
        let connected = self.connect(address.host().unwrap_or_default());
        Box::pin(async move {
            let io: Box<dyn Io> = Box::new(connected?);
            Ok(io)
        })
    }
}

const PORT: &str = ":7943";

fn address(name: &str) -> String {
    format!("http://{name}{PORT}")
}
