//! Requests without a client: checks run through the real exchange, against a table that is not in
//! use yet.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ferryway_runtime::Tasks;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot};

use crate::body::{RequestBody, ResponseBody};
use crate::client::Client;
use crate::exchange::answer;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::table::{LiveTable, Table};
use crate::worker::Worker;
use crate::workers::thread;

/// Runs requests against tables that are not in use yet, on a thread of its own with a pool of its
/// own. They are counted nowhere.
#[derive(Clone)]
pub struct Prober {
    jobs: mpsc::Sender<Job>,
}

/// An answer: the upstream's, or a refusal, as a client would get it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers; a refusal has `x-ferryway-error` among them.
    pub headers: HeaderMap,
    /// The body, or its first [`ANSWER_BYTES_MAX`] bytes.
    pub body: Bytes,
    /// Whether the body went on, or broke off.
    pub truncated: bool,
}

struct Job {
    table: Arc<Table>,
    request: Request<()>,
    reply: oneshot::Sender<Answer>,
}

/// How much of an answer's body a probe reads, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Probes that wait to be begun.
const JOBS_MAX: usize = 64;

impl Prober {
    /// Starts the thread. It ends when the last clone is dropped and its probes are over. Requests
    /// look as if they came from 127.0.0.1 to a listener at `port`.
    ///
    /// # Errors
    ///
    /// When the thread or its runtime cannot be made.
    pub fn start(settings: Settings, port: u16) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        thread("probe".to_owned(), move |runtime| {
            runtime.block_on(run(settings, port, queue));
        })?;
        Ok(Self { jobs })
    }

    /// Runs a request through the exchange against `table`. How long it may take is the caller's to
    /// say: dropping this future gives the probe up.
    ///
    /// `None` if the thread is gone.
    pub async fn probe(&self, table: Arc<Table>, request: Request<()>) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            table,
            request,
            reply,
        };
        self.jobs.send(job).await.ok()?;
        answer.await.ok()
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").finish_non_exhaustive()
    }
}

async fn run(settings: Settings, port: u16, mut queue: mpsc::Receiver<Job>) {
    let tasks = Tasks::new("probe");
    let nothing = LiveTable::new(Table::empty());
    let worker = Worker::new(None, settings, &nothing, Metrics::new(0), tasks.clone());
    let ticking = Rc::clone(&worker);
    let ticks = tasks.spawn_local("ticks", |_stop| async move { ticking.tick().await });
    while let Some(job) = queue.recv().await {
        let worker = worker.with_table(job.table);
        tasks.spawn_local("request", move |_stop| async move {
            let mut reply = job.reply;
            tokio::select! {
                // Whoever asked may have given up in the same moment.
                answer = ask(worker, port, job.request) => drop(reply.send(answer)),
                () = reply.closed() => {}
            }
        });
    }
    ticks.abort();
}

async fn ask(worker: Rc<Worker>, port: u16, request: Request<()>) -> Answer {
    let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let client = Client::new(worker.settings(), worker.ticks(), peer, port);
    let mut request = request.map(|()| RequestBody::Empty);
    let (head, body) = answer(worker, client, &mut request).await.into_parts();
    let (body, truncated) = read(body).await;
    Answer {
        status: head.status,
        headers: head.headers,
        body,
        truncated,
    }
}

async fn read(mut body: ResponseBody) -> (Bytes, bool) {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return (bytes.freeze(), true);
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = ANSWER_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return (bytes.freeze(), true);
        }
    }
    (bytes.freeze(), false)
}
