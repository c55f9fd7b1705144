//! The workers of an instance: threads that accept and serve, and their orderly end.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ferryway_runtime::Tasks;
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::client_connection::serve;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::table::LiveTable;
use crate::worker::Worker;

/// The workers of an instance. Dropping it ends them at once.
pub struct Workers {
    orders: watch::Sender<Order>,
    /// Closed when the last worker has ended.
    ended: mpsc::Receiver<()>,
    threads: Vec<JoinHandle<()>>,
}

/// What a worker is to do. Later ones include the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Serve,
    Drain,
    End,
}

impl Workers {
    /// Starts a worker for each listener (see [`bind`](crate::bind)). `metrics` must have been made
    /// for as many.
    ///
    /// # Errors
    ///
    /// When a thread or its runtime cannot be made, or a listener is none.
    pub fn start(
        settings: &Settings,
        listeners: Vec<StdListener>,
        live: &Arc<LiveTable>,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        let (orders, order) = watch::channel(Order::Serve);
        let (alive, ended) = mpsc::channel(1);
        let mut workers = Self {
            orders,
            ended,
            threads: Vec::with_capacity(listeners.len()),
        };
        for (number, listener) in listeners.into_iter().enumerate() {
            listener.set_nonblocking(true)?;
            let (settings, live) = (settings.clone(), Arc::clone(live));
            let (metrics, order, alive) = (Arc::clone(metrics), order.clone(), alive.clone());
            let run = move |runtime: &LocalRuntime| {
                let tasks = Tasks::new(format!("worker-{number}"));
                let worker = Worker::new(Some(number), settings, &live, metrics, tasks);
                if let Err(error) = runtime.block_on(work(&worker, listener, order)) {
                    tracing::error!(worker = number, %error, "a worker cannot listen");
                }
                drop(alive);
            };
            workers
                .threads
                .push(thread(format!("worker-{number}"), run)?);
        }
        Ok(workers)
    }

    /// Accepts what waits and nothing more; lets connections end with the request they are at, and
    /// ends those that are still there when [`drain_time`](crate::Limits::drain_time) is over.
    /// Returns at once.
    pub fn drain(&self) {
        self.order(Order::Drain);
    }

    /// Waits until all workers have ended, which they do after a drain.
    pub async fn ended(&mut self) {
        let _ = self.ended.recv().await;
    }

    /// Drains, waits for at most `grace`, and then ends what is left. Whether nothing was.
    pub async fn stop(mut self, grace: Duration) -> bool {
        self.drain();
        let clean = timeout(grace, self.ended()).await.is_ok();
        self.order(Order::End);
        self.ended().await;
        for thread in self.threads.drain(..) {
            // It has let go of its last sender, so it is at its end; a panic was logged by the hook.
            let _ = thread.join();
        }
        clean
    }

    fn order(&self, order: Order) {
        self.orders.send_if_modified(|now| {
            let later = order > *now;
            *now = order.max(*now);
            later
        });
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.order(Order::End);
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("threads", &self.threads.len())
            .field("order", &*self.orders.borrow())
            .finish_non_exhaustive()
    }
}

/// A thread with a runtime whose tasks never leave it.
pub(crate) fn thread(
    name: String,
    run: impl FnOnce(&LocalRuntime) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    // Such a runtime must be made where it runs, and whether that worked is to be known here.
    let (made, is_made) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) if made.send(Ok(())).is_ok() => run(&runtime),
            Ok(_) => {}
            // Whoever waits is told; there is nobody else.
            Err(error) => drop(made.send(Err(error))),
        }
    })?;
    is_made.recv().map_err(io::Error::other)??;
    Ok(thread)
}

/// All that a worker does, until it has drained or is to end.
async fn work(
    worker: &Rc<Worker>,
    listener: StdListener,
    mut orders: watch::Receiver<Order>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let port = listener.local_addr()?.port();
    let ticking = Rc::clone(worker);
    worker
        .tasks()
        .spawn_local("ticks", |_stop| async move { ticking.tick().await });
    tokio::select! {
        () = accept(worker, &listener, port) => {}
        _ = orders.wait_for(|order| *order >= Order::Drain) => {}
    }
    turn_away(&listener);
    let _ = timeout(HANDSHAKE_TIME_MAX, accept(worker, &listener, port)).await;
    let listener = listener.into_std()?;
    accept_what_waits(worker, &listener, port);
    drop(listener);
    worker.drain();
    let deadline = Instant::now() + worker.settings().limits.drain_time;
    tokio::select! {
        _ = timeout_at(deadline, quiet(worker)) => {}
        _ = orders.wait_for(|order| *order >= Order::End) => {}
    }
    Ok(())
}

/// Accepts connections, for ever: no error ends it.
async fn accept(worker: &Rc<Worker>, listener: &TcpListener, port: u16) {
    loop {
        while !worker.has_room() {
            worker.freed().await;
        }
        match listener.accept().await {
            Ok((socket, peer)) => begin(worker, port, socket, peer),
            Err(error) if is_the_connections(&error) => {}
            Err(error) => {
                // Out of descriptors or memory. The listener stays ready, so trying again at once
                // would spin; a connection that ends may free what is missing.
                tracing::warn!(%error, "cannot accept a connection");
                let _ = timeout(ACCEPT_PAUSE, worker.freed()).await;
            }
        }
    }
}

/// Lets nobody new in by a listener that is about to close. A connection that the kernel takes
/// between the last `accept` and the close is reset, and its client believed to be connected; one
/// whose SYN is dropped asks again, and is refused.
fn turn_away(listener: &TcpListener) {
    // In a filter of a TCP socket, offsets count from the TCP header. See `packet(7)`, and
    // `Documentation/networking/filter.rst` of the kernel.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    let drop_syn = [
        SockFilter::new(0x30, 0, 0, FLAGS),     // load the byte
        SockFilter::new(0x54, 0, 0, SYN | ACK), // and
        SockFilter::new(0x15, 0, 1, SYN),       // a SYN, and no answer to one:
        SockFilter::new(0x06, 0, 0, 0),         // keep nothing of it
        SockFilter::new(0x06, 0, 0, u32::MAX),  // else keep all
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&drop_syn) {
        tracing::warn!(%error, "a listener closes while clients connect; some may be reset");
    }
}

/// Accepts what the kernel has taken already: those clients believe to be connected. The kernel is
/// asked itself, as the runtime hears of new connections only between two turns of its tasks.
fn accept_what_waits(worker: &Rc<Worker>, listener: &StdListener, port: u16) {
    for _ in 0..BACKLOG_MAX {
        if !worker.has_room() {
            return;
        }
        match listener.accept() {
            Ok((socket, peer)) => {
                let socket = socket.set_nonblocking(true).map(|()| socket);
                match socket.and_then(TcpStream::from_std) {
                    Ok(socket) => begin(worker, port, socket, peer),
                    Err(error) => tracing::warn!(%error, "cannot serve a last connection"),
                }
            }
            Err(error) if is_the_connections(&error) => {}
            Err(_) => return,
        }
    }
}

fn begin(worker: &Rc<Worker>, port: u16, socket: TcpStream, peer: SocketAddr) {
    let (open, serving) = (worker.connection_begins(), Rc::clone(worker));
    worker
        .tasks()
        .spawn_local("connection", move |_stop| async move {
            serve(serving, socket, peer, port).await;
            drop(open);
        });
}

async fn quiet(worker: &Worker) {
    while !worker.is_quiet() {
        // Woken by the end of any connection; looked at again in case that was missed.
        let _ = timeout(ACCEPT_PAUSE, worker.freed()).await;
    }
}

/// Whether an error of `accept` is about the one connection that was to be accepted.
fn is_the_connections(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// How long accepting rests when the process is out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long clients that have begun to connect get to end their handshake before a listener closes.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_millis(200);
/// Connections accepted at most from the backlog of a listener that closes.
const BACKLOG_MAX: usize = 4_096;
