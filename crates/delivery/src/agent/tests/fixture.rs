//! A control plane of feeds, and instances with an installer that only takes notes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ferryway_model::{Digest, Key, Name, Revision, Upstream, View};
use ferryway_proto::{Ack, Cause, Fault, Hello, Nack, Stage, Status};
use ferryway_runtime::{Random, Task, Tasks};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;

use super::wires::Arriving;
use crate::agent::{Agent, AgentSettings, AgentStatus, Dial, Origin};
use crate::candidate::{Applied, Candidate, Installer, Outcome};
use crate::disk::{Export, InstanceDisk};
use crate::feed::{Feed, Head, Publication};
use crate::load::Content;
use crate::server::{DeliveryServer, Peer, Presence, ServerSettings, Source, Unavailable};
use crate::testing::{BAD_PORT, Variant, by_digest, change, epoch, name, service};

/// Longer than anything takes, so that a test that waits in vain ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an instance said.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    Connected(Box<Hello>),
    Acked(Ack),
    Rejected(Nack),
    Reported(Status),
    Disconnected,
}

/// A control plane with one group.
pub(super) struct Control {
    pub(super) feed: Arc<Feed>,
    groups: Arc<Groups>,
    seen: watch::Receiver<Vec<Seen>>,
    log: Arc<Log>,
    address: SocketAddr,
    running: Option<(Tasks, Task)>,
}

struct Groups {
    feed: Arc<Feed>,
    content: Mutex<Content>,
    hidden: AtomicBool,
    asked: watch::Sender<usize>,
    others: Vec<String>,
}

struct Log(watch::Sender<Vec<Seen>>);

impl Source for Groups {
    fn feed(&self, group: &Name) -> Option<Arc<Feed>> {
        self.asked.send_modify(|count| *count += 1);
        let there = !self.hidden.load(Ordering::SeqCst) && group == self.feed.group();
        there.then(|| Arc::clone(&self.feed))
    }

    async fn blobs(&self, _group: &Name, digests: &[Digest]) -> Result<Vec<Bytes>, Unavailable> {
        let content = self.content.lock().expect("nobody panicked");
        Ok(digests
            .iter()
            .filter_map(|digest| content.get(digest).cloned())
            .collect())
    }

    fn others(&self) -> Vec<String> {
        self.others.clone()
    }
}

impl Log {
    fn add(&self, seen: Seen) {
        self.0.send_modify(|all| all.push(seen));
    }
}

impl Presence for Log {
    fn connected(&self, _peer: &Peer, hello: &Hello) {
        self.add(Seen::Connected(Box::new(hello.clone())));
    }

    fn acked(&self, _peer: &Peer, ack: &Ack) {
        self.add(Seen::Acked(*ack));
    }

    fn rejected(&self, _peer: &Peer, nack: &Nack) {
        self.add(Seen::Rejected(nack.clone()));
    }

    fn reported(&self, _peer: &Peer, status: &Status) {
        self.add(Seen::Reported(status.clone()));
    }

    fn disconnected(&self, _peer: &Peer) {
        self.add(Seen::Disconnected);
    }
}

impl Control {
    pub(super) async fn start() -> Self {
        let mut control = Self::idle(Vec::new());
        control.serve().await;
        control
    }

    /// One that is reached through these wires, and knows of those others.
    pub(super) fn wired(wires: Arriving, others: Vec<String>) -> Self {
        let mut control = Self::idle(others);
        let tasks = Tasks::new("control");
        let server = control.server(ServerSettings::default(), &tasks);
        let task = tasks.spawn("server", move |stop| async move {
            let (service, wires) = (server.service(), ReceiverStream::new(wires));
            let served = server.serve_through(service, wires, stop);
            served.await.expect("serves");
        });
        control.running = Some((tasks, task));
        control
    }

    fn idle(others: Vec<String>) -> Self {
        let head = Head {
            epoch: epoch(1),
            revision: Revision(0),
            view: View::empty(),
        };
        let feed = Arc::new(Feed::new(name("test"), head));
        let (log, seen) = watch::channel(Vec::new());
        Self {
            groups: Arc::new(Groups {
                feed: Arc::clone(&feed),
                content: Mutex::default(),
                hidden: AtomicBool::new(false),
                asked: watch::Sender::new(0),
                others,
            }),
            feed,
            seen,
            log: Arc::new(Log(log)),
            address: ([127, 0, 0, 1], 0).into(),
            running: None,
        }
    }

    fn server(&self, settings: ServerSettings, tasks: &Tasks) -> DeliveryServer<Groups, Log> {
        DeliveryServer::new(
            Arc::clone(&self.groups),
            Arc::clone(&self.log),
            settings,
            Random::seeded(1),
            tasks,
        )
    }

    /// Serves; on the port of before, if there was one.
    pub(super) async fn serve(&mut self) {
        let listener = TcpListener::bind(self.address)
            .await
            .expect("the port is free");
        self.address = listener.local_addr().expect("is bound");
        let tasks = Tasks::new("control");
        let settings = ServerSettings {
            spread: Duration::ZERO,
            ..ServerSettings::default()
        };
        let server = self.server(settings, &tasks);
        let task = tasks.spawn("server", move |stop| async move {
            server.serve(listener, stop).await.expect("serves");
        });
        self.running = Some((tasks, task));
    }

    pub(super) async fn stop(&mut self) {
        if let Some((tasks, task)) = self.running.take() {
            assert!(tasks.stop(PATIENCE).await);
            task.finished().await;
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn hide_group(&self, hidden: bool) {
        self.groups.hidden.store(hidden, Ordering::SeqCst);
    }

    /// Waits until an instance asks for its group once more.
    pub(super) async fn asked_for_group(&self) {
        let mut asked = self.groups.asked.subscribe();
        let changed = tokio::time::timeout(PATIENCE, asked.changed()).await;
        changed
            .expect("nobody asked")
            .expect("the groups are there");
    }

    pub(super) fn add_content(&self, content: Content) {
        self.groups
            .content
            .lock()
            .expect("nobody panicked")
            .extend(content);
    }

    pub(super) fn publish(&self, services: &[(&str, Option<Variant>)]) {
        let (view, content) = change(&self.feed.head().view, services);
        self.publish_view(view, content);
    }

    pub(super) fn publish_view(&self, view: View, content: Vec<Bytes>) {
        self.add_content(by_digest(content.clone()));
        let publication = Publication {
            revision: self.feed.head().revision.next(),
            view,
            cause: Cause::Operation,
            content,
        };
        self.feed.publish(publication).expect("follows the head");
    }

    /// What instances have said so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits until an instance has said this.
    pub(super) async fn saw(&self, is_it: impl Fn(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        let wait = seen.wait_for(|all| all.iter().any(&is_it));
        let saw = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(saw, "only saw {:?}", self.seen.borrow());
    }
}

/// An installer that rejects bad ports, and notes what it was given.
#[derive(Default)]
pub(super) struct Notes {
    candidates: watch::Sender<Vec<Arc<Candidate>>>,
    panics: AtomicBool,
}

impl Installer for Notes {
    async fn install(&self, candidate: Arc<Candidate>) -> Outcome {
        assert!(
            !self.panics.swap(false, Ordering::SeqCst),
            "as the test wants it"
        );
        let bad = candidate.services.iter().filter(|changed| {
            let upstream = changed
                .content
                .as_ref()
                .map(|s| &s.binding.content.upstream);
            matches!(upstream, Some(Upstream::Nodes(nodes))
                if nodes.iter().any(|node| node.port == Some(BAD_PORT)))
        });
        let fault = |name: &Name| Fault {
            key: Key::service(name),
            digest: None,
            stage: Stage::Build,
            code: "bad_port".to_owned(),
            path: "binding.nodes[0].port".to_owned(),
            detail: "is a port that nobody likes".to_owned(),
            evidence: None,
        };
        let faults: Vec<_> = bad.map(|changed| fault(&changed.name)).collect();
        if !faults.is_empty() {
            return Outcome::Rejected { faults };
        }
        self.candidates.send_modify(|all| all.push(candidate));
        Outcome::Applied(Applied::default())
    }
}

impl Notes {
    /// The last candidate that was applied.
    pub(super) fn last(&self) -> Arc<Candidate> {
        Arc::clone(
            self.candidates
                .borrow()
                .last()
                .expect("something was applied"),
        )
    }

    /// All that were applied, in order.
    pub(super) fn all(&self) -> Vec<Arc<Candidate>> {
        self.candidates.borrow().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.candidates.borrow().len()
    }

    pub(super) fn panic_next(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// Waits until so many candidates were applied.
    pub(super) async fn until(&self, count: usize) {
        let mut candidates = self.candidates.subscribe();
        let wait = candidates.wait_for(|all| all.len() >= count);
        let done = tokio::time::timeout(PATIENCE, wait).await;
        done.expect("was not applied")
            .expect("the installer is there");
    }
}

/// A gateway instance.
pub(super) struct Instance {
    pub(super) installer: Arc<Notes>,
    status: watch::Receiver<AgentStatus>,
    dir: TempDir,
    tasks: Tasks,
}

impl Instance {
    pub(super) async fn start(control: &Control) -> Self {
        Self::start_with(vec![control.url()]).await
    }

    pub(super) async fn start_with(controls: Vec<String>) -> Self {
        Self::run(TempDir::new().expect("can be made"), controls)
    }

    pub(super) async fn start_in(dir: TempDir, control: &str) -> Self {
        Self::run(dir, vec![control.to_owned()])
    }

    pub(super) fn of_file(view: View, content: Content) -> Self {
        let export = Export {
            group: name("test"),
            position: None,
            view,
            content,
        };
        let origin = Origin::of_file(export, &mut Random::seeded(1));
        let dir = TempDir::new().expect("can be made");
        Self::spawn(origin, Vec::new(), dir, None, 2)
    }

    /// One without a disk, which would work in real time, that reaches control planes through wires.
    pub(super) fn wired(controls: Vec<String>, dial: Arc<dyn Dial>, seed: u64) -> Self {
        let export = Export {
            group: name("test"),
            position: None,
            view: View::empty(),
            content: Content::default(),
        };
        let origin = Origin::of_file(export, &mut Random::seeded(seed));
        let dir = TempDir::new().expect("can be made");
        Self::spawn(origin, controls, dir, Some(dial), seed)
    }

    fn run(dir: TempDir, controls: Vec<String>) -> Self {
        let now = "2026-11-01T00:00:00Z".parse().expect("is a time");
        let mut random = Random::from_entropy();
        let opened = InstanceDisk::open(dir.path(), &name("test"), now, &mut random);
        Self::spawn(opened.expect("opens").into(), controls, dir, None, 2)
    }

    fn spawn(
        origin: Origin,
        controls: Vec<String>,
        dir: TempDir,
        dial: Option<Arc<dyn Dial>>,
        seed: u64,
    ) -> Self {
        let installer = Arc::new(Notes::default());
        let settings = AgentSettings {
            controls,
            credentials: None,
            group: name("test"),
            build: "test".to_owned(),
            hostname: "localhost".to_owned(),
            addresses: vec!["127.0.0.1:9080".to_owned()],
        };
        let tasks = Tasks::new("gateway");
        let agent = Agent::new(
            settings,
            origin,
            Arc::clone(&installer),
            Random::seeded(seed),
            &tasks,
        );
        let mut agent = agent.expect("the addresses are good");
        if let Some(dial) = dial {
            agent = agent.dialling(dial);
        }
        let status = agent.status();
        tasks.spawn("agent", move |stop| agent.run(stop));
        Self {
            installer,
            status,
            dir,
            tasks,
        }
    }

    /// Waits until the instance stands like this.
    #[track_caller]
    pub(super) fn until(
        &self,
        is_so: impl FnMut(&AgentStatus) -> bool,
    ) -> impl Future<Output = AgentStatus> {
        let mut status = self.status.clone();
        async move {
            let wait = status.wait_for(is_so);
            let got = tokio::time::timeout(PATIENCE, wait).await.ok();
            let got = got.and_then(Result::ok).map(|status| status.clone());
            got.unwrap_or_else(|| panic!("stands otherwise: {:?}", status.borrow()))
        }
    }

    pub(super) fn status(&self) -> AgentStatus {
        self.status.borrow().clone()
    }

    /// Waits until the installer has this under this name.
    pub(super) async fn runs(&self, text: &str, expect: Option<Variant>) {
        let name = name(text);
        let expect = expect.map(|variant| service(&name, variant).0);
        let mut candidates = self.installer.candidates.subscribe();
        let wait = candidates.wait_for(|all| {
            let target = all.last().map(|candidate| &candidate.target);
            target.is_some_and(|view| view.get(&Key::service(&name)) == expect.as_ref())
        });
        let runs = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(runs, "{text} does not come to run");
    }

    /// Stops in order; what is left of it.
    pub(super) async fn stop(self) -> TempDir {
        assert!(self.tasks.stop(PATIENCE).await);
        self.dir
    }

    /// A copy of its folder, as it is now.
    pub(super) fn copy_folder(&self) -> TempDir {
        let copy = TempDir::new().expect("can be made");
        for file in std::fs::read_dir(self.dir.path()).expect("is there") {
            let from: PathBuf = file.expect("is there").path();
            let to = copy.path().join(from.file_name().expect("has a name"));
            std::fs::copy(&from, to).expect("can be copied");
        }
        copy
    }
}
