//! An agent at a control plane that drops, repeats, reorders, cuts, spoils and replays what it
//! sends. What the agent runs is one published revision at each moment, and never an older one than
//! before; and when the control plane comes to its senses, the agent runs the head.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use ferryway_model::{Digest, Revision, View};
use ferryway_proto::limits::MESSAGE_BYTES_MAX;
use ferryway_proto::{AgentMessage, Cause, Chunk, ControlMessage, FetchRequest, Welcome, wire};
use ferryway_runtime::{Random, Tasks};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, ServerStreamingService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::fixture::Instance;
use crate::blob::pack;
use crate::feed::{Feed, Head, Publication, Read, encode};
use crate::load::Content;
use crate::server::codec::ReadyCodec;
use crate::testing::Variant::Good;
use crate::testing::{by_digest, change, epoch, name};

/// How many changes are made while nothing can be relied on.
const CHANGES: u8 = 60;
/// Old frames that may come again.
const OLD_MAX: usize = 64;
/// Where what a transaction changes begins in its frame, at the latest, in bytes. What is before it,
/// where it leads, is all that an honest control plane's word is taken for.
const HEAD_BYTES: usize = 96;

type Outgoing = ReceiverStream<Result<Bytes, Status>>;

/// A control plane.
#[derive(Clone)]
struct Mangler(Arc<Inner>);

struct Inner {
    feed: Feed,
    content: Mutex<Content>,
    random: Mutex<Random>,
    is_hostile: AtomicBool,
    old: Mutex<Vec<Bytes>>,
    /// How many frames were to be sent.
    pushed: watch::Sender<usize>,
    tasks: Tasks,
}

/// What becomes of a frame.
enum Fate {
    Sent(Vec<Bytes>),
    /// It comes after the next one.
    Late,
    /// The stream ends.
    Cut,
}

impl Inner {
    fn draw(&self, below: usize) -> usize {
        let mut random = self.random.lock().expect("nobody panicked");
        usize::try_from(random.next_u64() % below as u64).expect("is small")
    }

    fn fate(&self, frame: Bytes, is_welcome: bool) -> Fate {
        let mut old = self.old.lock().expect("nobody panicked");
        let past = old.get(self.draw(OLD_MAX)).cloned();
        if old.len() < OLD_MAX && !is_welcome {
            old.push(frame.clone());
        }
        if !self.is_hostile.load(Ordering::SeqCst) || is_welcome {
            return Fate::Sent(vec![frame]);
        }
        match self.draw(18) {
            0 => Fate::Sent(Vec::new()),
            1 => Fate::Sent(vec![frame.clone(), frame]),
            2 => Fate::Late,
            3 => Fate::Sent(self.flipped(&frame).into_iter().collect()),
            4 => Fate::Sent(vec![frame.slice(..self.draw(frame.len()))]),
            5 => Fate::Sent(past.into_iter().chain([frame]).collect()),
            6 => Fate::Sent(vec![Bytes::from_static(&[0xff; 40]), frame]),
            7 => Fate::Sent(vec![vec![0; MESSAGE_BYTES_MAX + 1].into()]),
            8 => Fate::Cut,
            _ => Fate::Sent(vec![frame]),
        }
    }

    /// Not so that an entry cannot be read any more, which is a reason to hold it.
    fn flipped(&self, frame: &Bytes) -> Option<Bytes> {
        let mut bytes = frame.to_vec();
        if bytes.len() > HEAD_BYTES {
            let at = HEAD_BYTES + self.draw(bytes.len() - HEAD_BYTES);
            bytes[at] ^= 1 << self.draw(8);
        }
        let bytes = Bytes::from(bytes);
        let read = wire::ControlMessage::decode(bytes.clone()).ok();
        let read = read.and_then(|message| ControlMessage::decode(message).ok());
        let is_held = matches!(&read, Some(ControlMessage::Transaction(transaction))
            if !transaction.unreadable.is_empty());
        (!is_held).then_some(bytes)
    }
}

/// One stream.
struct Stream {
    mangler: Arc<Inner>,
    outgoing: mpsc::Sender<Result<Bytes, Status>>,
    late: Option<Bytes>,
}

impl Stream {
    /// None: the stream has ended.
    async fn push(&mut self, frame: Bytes, is_welcome: bool) -> Option<()> {
        let fate = self.mangler.fate(frame.clone(), is_welcome);
        self.mangler.pushed.send_modify(|count| *count += 1);
        let frames = match fate {
            Fate::Sent(frames) => frames,
            Fate::Late => {
                self.late = Some(frame);
                return Some(());
            }
            Fate::Cut => return None,
        };
        for frame in frames.into_iter().chain(self.late.take()) {
            self.outgoing.send(Ok(frame)).await.ok()?;
        }
        Some(())
    }

    async fn run(mut self, mut incoming: Streaming<wire::AgentMessage>) -> Option<()> {
        let inner = Arc::clone(&self.mangler);
        let mut wake = inner.feed.watch();
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        let mut cursor = None;
        loop {
            tokio::select! {
                message = incoming.message() => {
                    let message = AgentMessage::decode(message.ok()??).expect("is ours");
                    match message {
                        AgentMessage::Hello(hello) => {
                            let (resume, start) = inner.feed.resume(hello.desired);
                            cursor = Some(start);
                            let welcome = encode(ControlMessage::Welcome(Welcome {
                                protocol: 1,
                                session: Uuid::nil(),
                                resume,
                                heartbeat: Duration::from_secs(1),
                                spread: Duration::ZERO,
                            }));
                            self.push(welcome, true).await?;
                        }
                        AgentMessage::Reconcile(reconcile) => {
                            let buckets = reconcile.buckets.as_deref();
                            let (frames, start) = inner.feed.reconcile(buckets);
                            cursor = Some(start);
                            for frame in frames.iter() {
                                self.push(frame.clone(), false).await?;
                            }
                        }
                        _ => {}
                    }
                }
                changed = wake.changed() => changed.ok()?,
                _ = beat.tick() => {}
            }
            let Some(cursor) = &mut cursor else {
                continue;
            };
            loop {
                match inner.feed.read(cursor) {
                    Read::Frames(frames) => {
                        for frame in frames.iter() {
                            self.push(frame.clone(), false).await?;
                        }
                    }
                    Read::Fallen { heartbeat } | Read::AtHead { heartbeat } => {
                        self.push(heartbeat, false).await?;
                        break;
                    }
                    Read::Retired => return None,
                }
            }
        }
    }
}

impl NamedService for Mangler {
    const NAME: &'static str = "ferryway.delivery.v1.Delivery";
}

impl Service<http::Request<Body>> for Mangler {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mangler = self.clone();
        Box::pin(async move {
            if request.uri().path().ends_with("/Fetch") {
                let mut grpc = Grpc::new(ReadyCodec::<wire::FetchRequest>::new());
                return Ok(grpc.server_streaming(mangler, request).await);
            }
            let mut grpc = Grpc::new(ReadyCodec::<wire::AgentMessage>::new());
            Ok(grpc.streaming(mangler, request).await)
        })
    }
}

impl StreamingService<wire::AgentMessage> for Mangler {
    type Response = Bytes;
    type ResponseStream = Outgoing;
    type Future = BoxFuture<Response<Outgoing>, Status>;

    fn call(&mut self, request: Request<Streaming<wire::AgentMessage>>) -> Self::Future {
        let mangler = Arc::clone(&self.0);
        let (outgoing, messages) = mpsc::channel(1);
        let tasks = mangler.tasks.clone();
        let stream = Stream {
            mangler,
            outgoing,
            late: None,
        };
        tasks.spawn("stream", |stop| async move {
            tokio::select! {
                _ = stream.run(request.into_inner()) => {}
                () = stop.requested() => {}
            }
        });
        Box::pin(async move { Ok(Response::new(ReceiverStream::new(messages))) })
    }
}

impl ServerStreamingService<wire::FetchRequest> for Mangler {
    type Response = Bytes;
    type ResponseStream = Outgoing;
    type Future = BoxFuture<Response<Outgoing>, Status>;

    fn call(&mut self, request: Request<wire::FetchRequest>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            if inner.is_hostile.load(Ordering::SeqCst) && inner.draw(2) == 0 {
                return Err(Status::unavailable("not now"));
            }
            let request = FetchRequest::try_from(request.into_inner()).expect("is ours");
            let content = inner.content.lock().expect("nobody panicked").clone();
            let found = request
                .digests
                .iter()
                .filter_map(|digest| content.get(digest));
            let chunk = Chunk {
                blobs: found.filter_map(pack).collect(),
                missing: Vec::new(),
            };
            let (outgoing, messages) = mpsc::channel(1);
            let bytes = wire::Chunk::from(chunk).encode_to_vec();
            outgoing.try_send(Ok(bytes.into())).expect("there is room");
            Ok(Response::new(ReceiverStream::new(messages)))
        })
    }
}

impl Mangler {
    /// With the address that it serves.
    async fn start(seed: u64, tasks: &Tasks) -> (Self, String) {
        let head = Head {
            epoch: epoch(1),
            revision: Revision(0),
            view: View::empty(),
        };
        let mangler = Self(Arc::new(Inner {
            feed: Feed::new(name("test"), head),
            content: Mutex::default(),
            random: Mutex::new(Random::seeded(seed)),
            is_hostile: AtomicBool::new(false),
            old: Mutex::default(),
            pushed: watch::Sender::new(0),
            tasks: tasks.clone(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("is bound"));
        let service = mangler.clone();
        tasks.spawn("mangler", |stop| async move {
            let server = tonic::transport::Server::builder().serve_with_incoming_shutdown(
                service,
                TcpListenerStream::new(listener),
                stop.requested(),
            );
            // Connections are cut with it.
            let _ = server.await;
        });
        (mangler, url)
    }

    fn publish(&self, service: &str, n: u8) -> (Revision, Digest) {
        let feed = &self.0.feed;
        let head = feed.head();
        let (view, content) = change(&head.view, &[(service, Some(Good(n)))]);
        let known = by_digest(content.clone());
        self.0
            .content
            .lock()
            .expect("nobody panicked")
            .extend(known);
        let revision = head.revision.next();
        let root = view.root();
        // Sometimes it has to be fetched.
        let content = if n.is_multiple_of(3) {
            Vec::new()
        } else {
            content
        };
        let publication = Publication {
            revision,
            view,
            cause: Cause::Operation,
            content,
        };
        feed.publish(publication).expect("follows the head");
        (revision, root)
    }
}

async fn check(seed: u64) {
    let tasks = Tasks::new("test");
    let (mangler, url) = Mangler::start(seed, &tasks).await;
    let mut published = std::collections::BTreeMap::new();
    published.insert(Revision(0), View::empty().root());
    let (revision, root) = mangler.publish("a", 0);
    published.insert(revision, root);
    let instance = Instance::start_with(vec![url]).await;
    instance.until(|status| status.converged).await;

    mangler.0.is_hostile.store(true, Ordering::SeqCst);
    let mut pushed = mangler.0.pushed.subscribe();
    for n in 1..=CHANGES {
        let service = ["a", "b", "c", "d"][usize::from(n % 4)];
        let (revision, root) = mangler.publish(service, n);
        published.insert(revision, root);
        // Something of it, or of what came before it, is on its way.
        pushed.changed().await.expect("is there");
    }
    mangler.0.is_hostile.store(false, Ordering::SeqCst);
    let head = mangler.0.feed.head().position();
    instance
        .until(|status| status.converged && status.desired == Some(head))
        .await;

    let mut last = Revision(0);
    for candidate in instance.installer.all() {
        let revision = candidate.position.revision;
        assert!(last <= revision, "{last} fell to {revision}");
        last = revision;
        assert_eq!(
            published.get(&revision),
            Some(&candidate.target.root()),
            "revision {revision} is whole"
        );
    }
    assert_eq!(last, head.revision);
    instance.stop().await;
    tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn whatever_a_control_plane_sends_one_revision_runs_and_never_an_older_one() {
    for seed in 0..3 {
        check(seed).await;
    }
}
