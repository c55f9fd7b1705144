//! Does what the session asks for, and tells it what happened.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use ferryway_model::Key;
use ferryway_proto::{Fault, Stage};
use ferryway_runtime::{Stop, Tasks};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::connection::{Connection, DialError, fetch};
use super::dial::Controls;
use super::{AgentStatus, whole};
use crate::candidate::{Candidate, Installer, Outcome};
use crate::disk::{Export, InstanceDisk};
use crate::keeper::{Keeper, Written};
use crate::load::Content;
use crate::session::{Action, Event, Saved, Session};

/// The parts of an agent at work.
pub(super) struct Driver<I> {
    session: Session,
    controls: Controls,
    /// Which endpoint is connected, or is tried next.
    endpoint: usize,
    link: Link,
    /// Why no control plane could be reached, as it was logged last.
    unreachable: Option<String>,
    disk: Option<Arc<InstanceDisk>>,
    keeper: Option<Keeper>,
    written: watch::Receiver<Written>,
    installer: Arc<I>,
    installing: Option<Installing>,
    /// As many as the session lets run.
    checking: FuturesUnordered<Pin<Box<dyn Future<Output = Event> + Send>>>,
    fetching: Option<oneshot::Receiver<Event>>,
    status: watch::Sender<AgentStatus>,
    files: mpsc::Receiver<Export>,
    tasks: Tasks,
}

enum Link {
    /// There is nobody to dial.
    None,
    /// To be dialled at this time.
    Waiting(Instant),
    Dialling(Pin<Box<dyn Future<Output = Result<Connection, DialError>> + Send>>),
    Open(Box<Connection>),
}

struct Installing {
    candidate: Arc<Candidate>,
    outcome: oneshot::Receiver<Outcome>,
}

impl<I: Installer> Driver<I> {
    pub(super) fn new(
        session: Session,
        controls: Controls,
        disk: Option<Arc<InstanceDisk>>,
        installer: Arc<I>,
        status: watch::Sender<AgentStatus>,
        files: mpsc::Receiver<Export>,
        tasks: Tasks,
    ) -> Self {
        let link = if controls.endpoints.is_empty() {
            Link::None
        } else {
            Link::Waiting(Instant::now())
        };
        let kept = disk.clone().map(|disk| Keeper::start(disk, &tasks));
        let (keeper, written) = match kept {
            Some((keeper, written)) => (Some(keeper), written),
            None => (None, watch::channel(Written::Nothing).1),
        };
        Self {
            session,
            controls,
            endpoint: 0,
            link,
            unreachable: None,
            disk,
            keeper,
            written,
            installer,
            installing: None,
            checking: FuturesUnordered::new(),
            fetching: None,
            status,
            files,
            tasks,
        }
    }

    pub(super) async fn run(mut self, saved: Saved, content: Content, stop: Stop) {
        let actions = self.session.start(saved, content);
        self.act(actions);
        if self.keeper.is_none() {
            let actions = self.session.on(Instant::now(), Event::Unkept);
            self.act(actions);
        }
        loop {
            self.publish_status();
            let event = tokio::select! {
                biased;
                () = stop.requested() => break,
                event = self.wait() => event,
            };
            if let Some(event) = event {
                let actions = self.session.on(Instant::now(), event);
                self.act(actions);
            }
        }
        self.tasks.stop(GRACE).await;
        if let Some(keeper) = self.keeper {
            keeper.finished().await;
        }
    }

    /// Waits for something to happen; none: it is no business of the session's.
    async fn wait(&mut self) -> Option<Event> {
        let deadline = self.session.deadline();
        // In this order, and not in one that is drawn, so that a simulation can be repeated. What
        // the session asked for is bounded by what it asked; what comes from outside is last.
        tokio::select! {
            biased;
            outcome = installed(&mut self.installing) => Some(Event::Installed(outcome)),
            event = fetched(&mut self.fetching) => Some(event),
            event = kept(&mut self.written) => Some(event),
            Some(event) = self.checking.next() => Some(event),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                Some(Event::Tick)
            }
            Some(export) = self.files.recv() => replaced(export),
            event = link_event(&mut self.link) => self.linked(event),
        }
    }

    fn linked(&mut self, event: LinkEvent) -> Option<Event> {
        match event {
            LinkEvent::Dial => {
                let (address, endpoint) = self.controls.endpoints.get(self.endpoint)?;
                tracing::debug!(address, "dials the control plane");
                self.link = Link::Dialling(Box::pin(Connection::open(
                    endpoint.clone(),
                    self.controls.clone(),
                )));
                None
            }
            LinkEvent::Dialled(Ok(connection)) => {
                self.link = Link::Open(connection);
                self.unreachable = None;
                Some(Event::Connected)
            }
            LinkEvent::Dialled(Err(error)) => {
                // Once for each reason, and not every few seconds for as long as an outage lasts.
                let why = whole(&error);
                if self.unreachable.as_ref() != Some(&why) {
                    tracing::warn!(
                        address = self.address(),
                        why,
                        "cannot reach the control plane; what is effective serves on"
                    );
                }
                self.unreachable = Some(why);
                Some(Event::Lost)
            }
            LinkEvent::Stream(event) => {
                // One that does not serve us is asked again and again, which is no news.
                if matches!(event, Event::Lost) && self.status.borrow().connected {
                    tracing::warn!(
                        address = self.address(),
                        "lost the control plane; what is effective serves on"
                    );
                }
                Some(event)
            }
        }
    }

    fn act(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Send(message) => {
                    let Link::Open(connection) = &self.link else {
                        continue;
                    };
                    if !connection.send(message) {
                        self.link = Link::None;
                        actions.extend(self.session.on(Instant::now(), Event::Lost));
                    }
                }
                Action::Save(record) => {
                    if let Some(keeper) = &self.keeper {
                        keeper.record(record);
                    }
                }
                Action::Fetch { digests, session } => {
                    let control = match &self.link {
                        Link::Open(connection) => session.map(|id| (connection.channel(), id)),
                        Link::None | Link::Waiting(_) | Link::Dialling(_) => None,
                    };
                    let fetch = fetch(digests, self.disk.clone(), control);
                    self.fetching = Some(self.spawn("fetch", fetch));
                }
                Action::Install(candidate) => self.install(candidate),
                Action::Check(candidate) => self.check(candidate),
                Action::Redial { at, to } => {
                    self.endpoint = self.controls.after(self.endpoint, &to);
                    self.link = Link::Waiting(at);
                }
            }
        }
    }

    fn install(&mut self, candidate: Arc<Candidate>) {
        let installer = Arc::clone(&self.installer);
        let offered = Arc::clone(&candidate);
        let install = async move { installer.install(offered).await };
        let outcome = self.spawn("install", install);
        self.installing = Some(Installing { candidate, outcome });
    }

    fn check(&self, candidate: Arc<Candidate>) {
        let installer = Arc::clone(&self.installer);
        let checked = Arc::clone(&candidate);
        let check = async move { installer.check(checked).await };
        let faults = self.spawn("check", check);
        self.checking.push(Box::pin(async move {
            let faults = faults.await;
            Event::Checked {
                position: candidate.position,
                faults: faults.unwrap_or_else(|_| panicked(&candidate, "checked")),
            }
        }));
    }

    /// Runs something as a task; its result comes through the channel, or its end does.
    fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        run: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        self.tasks.spawn(name, move |stop| async move {
            tokio::select! {
                biased;
                output = run => {
                    // The agent may have ended meanwhile.
                    let _ = done.send(output);
                }
                () = stop.requested() => {}
            }
        });
        result
    }

    fn address(&self) -> Option<&str> {
        self.controls
            .endpoints
            .get(self.endpoint)
            .map(|(address, _)| address.as_str())
    }

    fn publish_status(&self) {
        let address = self.address().map(ToOwned::to_owned);
        let status = AgentStatus::of(self.session.standing(), address);
        if status.connected && !self.status.borrow().connected {
            tracing::info!(address = self.address(), "connected to the control plane");
        }
        self.status.send_if_modified(|old| {
            let changed = *old != status;
            *old = status;
            changed
        });
    }
}

/// How long the agent's tasks have to end. A candidate that is being installed is given up.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

enum LinkEvent {
    Dial,
    Dialled(Result<Box<Connection>, DialError>),
    Stream(Event),
}

async fn link_event(link: &mut Link) -> LinkEvent {
    match link {
        Link::None => std::future::pending().await,
        Link::Waiting(at) => {
            sleep_until(*at).await;
            LinkEvent::Dial
        }
        Link::Dialling(dialling) => LinkEvent::Dialled(dialling.await.map(Box::new)),
        Link::Open(connection) => LinkEvent::Stream(connection.next().await),
    }
}

fn replaced(export: Export) -> Option<Event> {
    let (saved, content) = export.into_saved();
    let view = saved.desired?.view;
    Some(Event::Replaced { view, content })
}

async fn installed(installing: &mut Option<Installing>) -> Outcome {
    let Some(current) = installing else {
        return std::future::pending().await;
    };
    let outcome = (&mut current.outcome).await;
    let candidate = Arc::clone(&current.candidate);
    *installing = None;
    outcome.unwrap_or_else(|_| Outcome::Rejected {
        faults: panicked(&candidate, "installed"),
    })
}

async fn fetched(fetching: &mut Option<oneshot::Receiver<Event>>) -> Event {
    let Some(current) = fetching else {
        return std::future::pending().await;
    };
    let fetched = current.await;
    *fetching = None;
    fetched.unwrap_or_else(|_| Event::Fetched {
        found: Vec::new(),
        missing: Vec::new(),
    })
}

async fn kept(written: &mut watch::Receiver<Written>) -> Event {
    loop {
        // Without a disk there is nobody to tell.
        if written.changed().await.is_err() {
            return std::future::pending().await;
        }
        match *written.borrow_and_update() {
            Written::Nothing => {}
            Written::UpTo { record, position } => return Event::Durable { record, position },
            Written::Failing => return Event::Unkept,
        }
    }
}

/// The installer's task ended without an answer: it panicked over what it was given, and would
/// again.
fn panicked(candidate: &Candidate, did: &str) -> Vec<Fault> {
    let services = candidate
        .services
        .iter()
        .map(|changed| Key::service(&changed.name));
    let registries = candidate
        .registries
        .iter()
        .map(|changed| Key::registry(&changed.name));
    let fault = |key: Key| Fault {
        digest: candidate
            .target
            .get_digested(&key)
            .map(|(_, digest)| digest),
        key,
        stage: Stage::Runtime,
        code: "panicked".to_owned(),
        path: String::new(),
        detail: format!("the instance panicked while it {did} this; see its log"),
        evidence: None,
    };
    services.chain(registries).map(fault).collect()
}
