//! A session, a feed, a disk and an installer, and the wire between them, which a test may cut,
//! delay, repeat and reorder. Checks the invariants after each step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferryway_model::{Changes, Digest, Key, Revision, Upstream, View};
use ferryway_proto::{
    AgentMessage, Cause, ControlMessage, Epoch, Fault, Position, Source, Stage, Welcome, wire,
};
use ferryway_runtime::Random;
use prost::Message;
use tokio::time::Instant;
use uuid::Uuid;

use crate::candidate::{Applied, Candidate, Occasion, Outcome};
use crate::feed::{Cursor, Feed, Head, Publication, Read, encode};
use crate::hold::{HELD_TOGETHER, SHRINK_UNCONFIRMED, Why};
use crate::load::Content;
use crate::session::{Action, Event, Record, Saved, Session, Who};
use crate::testing::{BAD_PORT, NEWER, Variant, by_digest, change, epoch, name};

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// A transaction, with its content inline or not.
    Publish {
        services: Vec<(&'static str, Option<Variant>)>,
        inline: bool,
    },
    /// The next message reaches the agent.
    Deliver,
    /// The next message will reach it twice.
    Duplicate,
    /// The next message is lost.
    Drop,
    /// The next two messages change places.
    Swap,
    Connect,
    Lose,
    /// The installer answers.
    Install,
    FailInstall,
    /// Content arrives.
    Fetch,
    FetchNothing,
    Beat,
    /// The process ends and starts again; the disk has lost this many of its last records.
    Restart(usize),
    /// What was recorded is on the disk.
    Sync,
    /// The store was replaced by one with only these services.
    NewEpoch(Vec<(&'static str, Option<Variant>)>),
    /// An operator confirms a shrunken view.
    Confirm,
    /// The log is gone, the head is not.
    ForgetLog,
    /// Time passes to the next deadline.
    Wait,
}

pub(super) struct World {
    pub(super) session: Session,
    pub(super) feed: Feed,
    cursor: Option<Cursor>,
    wire: VecDeque<Bytes>,
    pub(super) now: Instant,
    epochs: u128,
    /// All content there is.
    content: Content,
    published: BTreeMap<(u128, Revision), View>,
    entries: BTreeSet<(Key, Digest)>,
    pub(super) candidate: Option<Arc<Candidate>>,
    /// Where the candidates led whose checks run.
    pub(super) checking: Vec<Position>,
    pub(super) fetch: Option<(Vec<Digest>, bool)>,
    pub(super) disk: Vec<Record>,
    /// How many of the records would survive a loss of power.
    durable: usize,
    /// How many records there were when the process started.
    old_records: usize,
    /// The disk keeps nothing by itself.
    pub(super) is_lazy: bool,
    /// What the control plane was told is not loaded, and still should be.
    rejected: BTreeMap<Key, (Option<Digest>, String)>,
    /// What the installer serves.
    running: View,
    last: Option<Position>,
    pub(super) sent: Vec<AgentMessage>,
    /// How often something was installed.
    pub(super) installs: usize,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let head = Head {
            epoch: epoch(1),
            revision: Revision(0),
            view: View::empty(),
        };
        let mut world = Self {
            session: Session::new(who(), Random::seeded(seed)),
            feed: Feed::new(name("test"), head),
            cursor: None,
            wire: VecDeque::new(),
            now: Instant::now(),
            epochs: 1,
            content: Content::new(),
            published: BTreeMap::new(),
            entries: BTreeSet::new(),
            candidate: None,
            checking: Vec::new(),
            fetch: None,
            disk: Vec::new(),
            durable: 0,
            old_records: 0,
            is_lazy: false,
            rejected: BTreeMap::new(),
            running: View::empty(),
            last: None,
            sent: Vec::new(),
            installs: 0,
        };
        world.note_head();
        let actions = world.session.start(Saved::default(), Content::new());
        world.act(actions);
        world
    }

    pub(super) fn step(&mut self, op: Op) {
        match op {
            Op::Publish { services, inline } => self.publish(&services, inline, Cause::Operation),
            Op::Deliver => self.deliver(),
            Op::Duplicate => {
                if let Some(next) = self.wire.front().cloned() {
                    self.wire.push_front(next);
                }
            }
            Op::Drop => {
                self.wire.pop_front();
            }
            Op::Swap => {
                if self.wire.len() > 1 {
                    self.wire.swap(0, 1);
                }
            }
            Op::Connect => self.connect(),
            Op::Lose => self.lose(),
            Op::Install => self.install(true),
            Op::FailInstall => self.install(false),
            Op::Fetch => self.answer_fetch(true),
            Op::FetchNothing => self.answer_fetch(false),
            Op::Beat => self.beat(),
            Op::Restart(lost) => self.restart(lost),
            Op::Sync => self.sync(),
            Op::NewEpoch(services) => {
                self.epochs += 1;
                self.rejected.clear();
                let (view, content) = change(&View::empty(), &services);
                self.content.extend(by_digest(content));
                let epoch = epoch(self.epochs);
                self.feed.replace_head(Head {
                    epoch,
                    revision: Revision(1),
                    view,
                });
                self.note_head();
            }
            Op::Confirm => {
                self.feed.confirm_shrink();
                self.rejected
                    .retain(|_, (_, code)| code != SHRINK_UNCONFIRMED);
            }
            Op::ForgetLog => self.feed.replace_head(self.feed.head()),
            Op::Wait => self.wait(),
        }
        self.check();
    }

    /// Lets everything work until nothing is left to do; then the head runs, or what does not is
    /// held, and said to be.
    pub(super) fn heal(&mut self) {
        // With the view confirmed, only what is wrong with content is held.
        self.step(Op::Confirm);
        for _ in 0..3 {
            for _ in 0..2_000 {
                self.wait();
                self.connect();
                self.pull();
                while !self.wire.is_empty() {
                    self.deliver();
                    self.check();
                }
                self.answer_fetch(true);
                self.install(true);
                self.check();
                if self.is_quiet() {
                    break;
                }
            }
            self.beat();
            while !self.wire.is_empty() {
                self.deliver();
            }
        }
        assert!(self.is_quiet(), "still at work: {:?}", self.session);
        let head = self.feed.head();
        let standing = self.session.standing();
        assert_eq!(standing.desired, Some(head.position()));
        let behind = self.session.effective().changes_to(&head.view);
        let behind: BTreeSet<_> = behind.keys().cloned().collect();
        let held: BTreeSet<_> = standing.holds.keys().cloned().collect();
        assert_eq!(
            behind, held,
            "what is not as desired is held, and only that"
        );
        for (key, hold) in standing.holds.iter() {
            let desired = head.view.get_digested(key).map(|(_, digest)| digest);
            assert_eq!(hold.digest, desired, "{key}");
            assert_ne!(hold.why, Why::Shrink, "{key}");
        }
        assert_eq!(standing.converged, held.is_empty());
        assert_eq!(
            standing.converged,
            self.session.effective().root() == head.view.root()
        );
    }

    pub(super) fn publish(
        &mut self,
        services: &[(&str, Option<Variant>)],
        inline: bool,
        cause: Cause,
    ) {
        let head = self.feed.head();
        let (view, content) = change(&head.view, services);
        self.content.extend(by_digest(content.clone()));
        self.publish_view(view, if inline { content } else { Vec::new() }, cause);
    }

    pub(super) fn publish_view(&mut self, view: View, content: Vec<Bytes>, cause: Cause) {
        self.content.extend(by_digest(content.clone()));
        let head = self.feed.head();
        // The innocent are released with the culprit.
        let changed = head.view.changes_to(&view);
        let changed: BTreeSet<&Key> = changed.keys().collect();
        self.rejected
            .retain(|key, (_, code)| !changed.contains(key) && code != HELD_TOGETHER);
        let revision = head.revision.next();
        let publication = Publication {
            revision,
            view,
            cause,
            content,
        };
        self.feed.publish(publication).expect("follows the head");
        self.note_head();
    }

    /// Everything that waits for the agent reaches it, and it does its work.
    pub(super) fn settle(&mut self) {
        self.connect();
        loop {
            self.pull();
            if self.wire.is_empty() && self.fetch.is_none() && self.candidate.is_none() {
                break;
            }
            self.deliver();
            self.answer_fetch(true);
            self.install(true);
            self.check();
        }
        if !self.is_lazy {
            self.sync();
        }
    }

    /// Everything that was recorded is on the disk, and the session hears of it.
    pub(super) fn sync(&mut self) {
        self.durable = self.disk.len();
        let of_this_run = self.disk.get(self.old_records..).unwrap_or_default();
        let newest = of_this_run.iter().rev().find_map(|record| match record {
            Record::Desired(..) => None,
            Record::Settled {
                number, effective, ..
            } => Some((*number, effective.position)),
        });
        if let Some((record, position)) = newest {
            self.on(Event::Durable { record, position });
        }
    }

    /// Messages reach the agent, but nothing is installed.
    pub(super) fn deliver_all(&mut self) {
        self.pull();
        while !self.wire.is_empty() {
            self.deliver();
        }
    }

    /// This content is nowhere any more.
    pub(super) fn forget_content(&mut self) {
        self.content.clear();
    }

    pub(super) fn add_content(&mut self, content: Vec<Bytes>) {
        self.content.extend(by_digest(content));
    }

    /// The control plane has this head now.
    pub(super) fn replace_head(&mut self, head: Head) {
        self.feed.replace_head(head);
        self.note_head();
    }

    pub(super) fn connect(&mut self) {
        if self.cursor.is_none() {
            self.wire.clear();
            self.on(Event::Connected);
        }
    }

    pub(super) fn lose(&mut self) {
        if self.cursor.take().is_some() {
            self.wire.clear();
            self.on(Event::Lost);
        }
    }

    pub(super) fn restart(&mut self, lost: usize) {
        let left = self.disk.len().saturating_sub(lost).max(self.durable);
        self.disk.truncate(left);
        (self.durable, self.old_records) = (left, left);
        let saved = self.saved();
        let seed = self.disk.len() as u64;
        self.session = Session::new(who(), Random::seeded(seed));
        self.cursor = None;
        self.wire.clear();
        self.candidate = None;
        self.fetch = None;
        self.running = View::empty();
        self.last = None;
        let actions = self.session.start(saved, self.content.clone());
        self.act(actions);
    }

    pub(super) fn saved(&self) -> Saved {
        let mut saved = Saved::default();
        for record in &self.disk {
            match record.clone() {
                Record::Desired(desired, _) => saved.desired = Some(desired),
                Record::Settled {
                    number: _,
                    desired,
                    effective,
                } => {
                    saved.desired = Some(desired);
                    saved.effective = Some(effective);
                }
            }
        }
        if let Some(desired) = &mut saved.desired {
            desired.view = read_again(&desired.view);
        }
        saved
    }

    /// A heartbeat, ahead of nothing: the feed sends it when all else is sent.
    pub(super) fn beat(&mut self) {
        self.pull();
        let Some(cursor) = &mut self.cursor else {
            return;
        };
        if let Read::AtHead { heartbeat } = self.feed.read(cursor) {
            self.wire.push_back(heartbeat);
        }
    }

    pub(super) fn wait(&mut self) {
        // The disk is faster than any deadline.
        if !self.is_lazy {
            self.sync();
        }
        if let Some(deadline) = self.session.deadline() {
            self.now = self.now.max(deadline);
        }
        self.now += Duration::from_millis(1);
        // The other end was heard from, so that waiting for a retry is not silence.
        self.on(Event::Tick);
    }

    pub(super) fn install(&mut self, works: bool) {
        let Some(candidate) = self.candidate.take() else {
            return;
        };
        let outcome = if works {
            judge(&candidate)
        } else {
            Outcome::Failed {
                reason: "out of memory".to_owned(),
            }
        };
        if let Outcome::Applied(_) = outcome {
            self.running = candidate.target.clone();
            self.installs += 1;
        }
        self.on(Event::Installed(outcome));
    }

    fn is_quiet(&self) -> bool {
        self.session.queue.is_empty()
            && self.session.standing().connected
            && self.wire.is_empty()
            && self.session.standing().desired == Some(self.feed.head().position())
    }

    /// Everything that the feed has for the stream goes on the wire.
    fn pull(&mut self) {
        let Some(cursor) = &mut self.cursor else {
            return;
        };
        loop {
            match self.feed.read(cursor) {
                Read::Frames(frames) => self.wire.extend(frames.iter().cloned()),
                Read::Fallen { heartbeat } => self.wire.push_back(heartbeat),
                Read::AtHead { .. } | Read::Retired => return,
            }
        }
    }

    pub(super) fn deliver(&mut self) {
        if self.wire.is_empty() {
            self.pull();
        }
        let Some(frame) = self.wire.pop_front() else {
            return;
        };
        let mut message = wire::ControlMessage::decode(frame).expect("was encoded");
        make_newer(&mut message);
        let message = ControlMessage::decode(message).expect("is ours");
        self.on(Event::Message(Box::new(message)));
    }

    pub(super) fn answer_fetch(&mut self, works: bool) {
        let Some((digests, connected)) = self.fetch.take() else {
            return;
        };
        let on_disk: Content = self.disk.iter().fold(Content::new(), |mut all, record| {
            if let Record::Desired(_, content) = record {
                all.extend(content.clone());
            }
            all
        });
        let there = if connected { &self.content } else { &on_disk };
        let (there, gone): (Vec<_>, Vec<_>) = digests
            .into_iter()
            .partition(|digest| there.contains_key(digest));
        let content = |digest: Digest| {
            let found = on_disk.get(&digest).or_else(|| self.content.get(&digest));
            found.cloned()
        };
        let found = there.into_iter().filter_map(content);
        let event = Event::Fetched {
            found: if works { found.collect() } else { Vec::new() },
            missing: if works && connected { gone } else { Vec::new() },
        };
        self.on(event);
    }

    pub(super) fn on(&mut self, event: Event) {
        let actions = self.session.on(self.now, event);
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(message) => self.hear(message),
                Action::Save(record) => self.disk.push(record),
                Action::Fetch { digests, session } => {
                    assert!(self.fetch.is_none(), "one fetch at a time");
                    self.fetch = Some((digests, session.is_some()));
                }
                Action::Install(candidate) => {
                    assert!(self.candidate.is_none(), "one candidate at a time");
                    self.examine(&candidate);
                    self.candidate = Some(candidate);
                }
                Action::Check(candidate) => self.checking.push(candidate.position),
                Action::Redial { at, to: _ } => {
                    assert!(at >= self.now);
                    self.cursor = None;
                    self.wire.clear();
                }
            }
        }
    }

    fn hear(&mut self, message: AgentMessage) {
        self.sent.push(message.clone());
        match message {
            AgentMessage::Hello(hello) => {
                let (resume, cursor) = self.feed.resume(hello.desired);
                self.cursor = Some(cursor);
                self.wire.push_back(encode(ControlMessage::Welcome(Welcome {
                    protocol: 1,
                    session: Uuid::from_u128(7),
                    resume,
                    heartbeat: Duration::from_secs(1_000),
                    spread: Duration::ZERO,
                })));
            }
            AgentMessage::Reconcile(reconcile) => {
                let (frames, cursor) = self.feed.reconcile(reconcile.buckets.as_deref());
                self.cursor = Some(cursor);
                self.wire.extend(frames.iter().cloned());
            }
            AgentMessage::Nack(nack) => {
                let head = self.feed.head();
                for Fault { key, code, .. } in nack.faults {
                    if self.is_desired_since(&key, nack.effective) {
                        let digest = digest_in(&head.view, &key);
                        self.rejected.insert(key, (digest, code));
                    }
                }
            }
            AgentMessage::Ack(_)
            | AgentMessage::Warnings(_)
            | AgentMessage::Status(_)
            | AgentMessage::Unsupported { .. } => {}
        }
    }

    /// Whether nothing has changed this entry since.
    fn is_desired_since(&self, key: &Key, at: Option<Position>) -> bool {
        let head = self.feed.head();
        let Some(at) = at.filter(|at| at.epoch == head.epoch) else {
            return false;
        };
        let store = at.epoch.store.as_u128();
        let since = self
            .published
            .range((store, at.revision)..=(store, head.revision));
        let digests: BTreeSet<_> = since.map(|(_, view)| digest_in(view, key)).collect();
        digests.len() == 1
    }

    fn note_head(&mut self) {
        let head = self.feed.head();
        for (key, entry) in head.view.entries() {
            self.entries.insert((key.clone(), entry.digest()));
        }
        self.published
            .insert((head.epoch.store.as_u128(), head.revision), head.view);
    }

    pub(super) fn check(&mut self) {
        let standing = self.session.standing();
        let effective = self.session.effective();
        assert_eq!(
            effective.root(),
            self.running.root(),
            "effective is what runs"
        );
        for (key, entry) in effective.entries() {
            assert!(
                self.entries.contains(&(key.clone(), entry.digest())),
                "{key} was published"
            );
        }
        let Some(position) = standing.effective else {
            return;
        };
        assert_eq!(position.root, effective.root());
        let same = |last: &Position| last.epoch == position.epoch;
        if let Some(last) = self.last.filter(same) {
            assert!(
                last.revision <= position.revision,
                "{last} fell to {position}"
            );
        }
        self.last = Some(position);
        if standing.converged {
            let Epoch { store, .. } = position.epoch;
            let view = &self.published[&(store.as_u128(), position.revision)];
            assert_eq!(effective.root(), view.root());
        }
    }

    /// What is offered is whole, and nothing of it was rejected before.
    fn examine(&self, candidate: &Candidate) {
        let standing = self.session.standing();
        let services = candidate
            .services
            .iter()
            .map(|changed| Key::service(&changed.name));
        let registries = candidate
            .registries
            .iter()
            .map(|changed| Key::registry(&changed.name));
        let offered: BTreeSet<Key> = services.chain(registries).collect();
        let difference = self.running.changes_to(&candidate.target);
        assert_eq!(offered, difference.keys().cloned().collect::<BTreeSet<_>>());
        for key in &offered {
            let digest = digest_in(&candidate.target, key);
            let again = standing
                .holds
                .get(key)
                .filter(|hold| hold.why == Why::Rejected);
            assert!(
                again.is_none_or(|hold| hold.digest != digest),
                "{key} was rejected before"
            );
            if candidate.occasion == Occasion::Start {
                let told = self.rejected.get(key);
                assert!(
                    told.is_none_or(|(rejected, _)| *rejected != digest),
                    "a start revives {key}, which was said to be rejected"
                );
            }
        }
        if let Occasion::Sent(Cause::Operation) = candidate.occasion {
            let Position {
                epoch, revision, ..
            } = candidate.position;
            let store = epoch.store.as_u128();
            let after = &self.published[&(store, revision)];
            let before = &self.published[&(store, Revision(revision.0 - 1))];
            for key in before.changes_to(after).keys() {
                assert_eq!(
                    digest_in(&candidate.target, key),
                    digest_in(after, key),
                    "{key}"
                );
            }
        }
    }
}

fn digest_in(view: &View, key: &Key) -> Option<Digest> {
    view.get_digested(key).map(|(_, digest)| digest)
}

/// A view as the disk gives it back: what stood for an entry that cannot be read is as good as any.
fn read_again(view: &View) -> View {
    let mut changes = Changes::default();
    let entries = view.entries();
    let entries = entries.map(|(key, entry)| (key.clone(), entry.clone()));
    changes.upserts.extend(entries);
    View::empty().with(&changes)
}

/// Gives what is to have it a form that comes after this build's.
fn make_newer(message: &mut wire::ControlMessage) {
    use wire::{control_message::Message as Control, entry::Content};
    let Some(Control::Transaction(transaction)) = &mut message.message else {
        return;
    };
    for entry in &mut transaction.upserts {
        if let Some(Content::Service(service)) = &entry.content
            && service.version.as_deref() == Some(NEWER)
        {
            entry.schema = 2;
            entry.content = None;
        }
    }
}

/// The installer: rejects services with a bad port.
fn judge(candidate: &Candidate) -> Outcome {
    let mut faults = Vec::new();
    for changed in &candidate.services {
        let Some(service) = &changed.content else {
            continue;
        };
        let Upstream::Nodes(nodes) = &service.binding.content.upstream else {
            continue;
        };
        if nodes.iter().any(|node| node.port == Some(BAD_PORT)) {
            faults.push(Fault {
                key: Key::service(&changed.name),
                digest: None,
                stage: Stage::Build,
                code: "bad_port".to_owned(),
                path: "binding.nodes[0].port".to_owned(),
                detail: "is a port that nobody likes".to_owned(),
                evidence: None,
            });
        }
    }
    if faults.is_empty() {
        Outcome::Applied(Applied::default())
    } else {
        Outcome::Rejected { faults }
    }
}

fn who() -> Who {
    Who {
        instance: Uuid::from_u128(1),
        boot: 1,
        group: name("test"),
        build: "test".to_owned(),
        hostname: "test".to_owned(),
        addresses: Vec::new(),
        source: Source::Empty,
    }
}
