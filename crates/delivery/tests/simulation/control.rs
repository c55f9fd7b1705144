//! A control plane: the real server over feeds that follow the store, some time later.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ferryway_delivery::server::Unavailable;
use ferryway_delivery::{
    Ack, AckStage, DeliveryServer, Feed, Hello, Nack, Peer, Presence, Publication, ServerSettings,
    Status, server,
};
use ferryway_model::{Digest, Name};
use ferryway_runtime::{Random, Stop, Tasks};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;

use crate::careless::{Careless, Way};
use crate::invariants::Invariants;
use crate::net::{Host, Port};
use crate::store::Store;
use crate::trace::Trace;

/// One start of a control plane.
pub(crate) struct Control {
    plane: Arc<Plane>,
    tasks: Tasks,
    /// Ends after the streams, while a program's ends with them: what tonic hears at one moment
    /// it takes up in an order that it draws.
    serving: Tasks,
}

/// What a control plane is told by whoever starts it.
pub(crate) struct Start {
    pub(crate) host: Host,
    pub(crate) port: Port,
    pub(crate) random: Random,
    pub(crate) tasks: Tasks,
    pub(crate) settings: ServerSettings,
}

/// What all control planes have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) invariants: Invariants,
    pub(crate) trace: Trace,
    /// Content cannot be read.
    pub(crate) is_content_away: Arc<AtomicBool>,
    /// Transactions take their time to every control plane.
    pub(crate) is_late: Arc<AtomicBool>,
    /// What control planes say is carried carelessly.
    pub(crate) is_careless: Arc<AtomicBool>,
}

struct Plane {
    host: Host,
    shared: Shared,
    feeds: BTreeMap<Name, Arc<Feed>>,
    random: Mutex<Random>,
    /// Ends with the program: what happens later happens to nobody.
    is_alive: AtomicBool,
}

impl Control {
    pub(crate) fn start(start: Start, shared: &Shared) -> Self {
        let Start {
            host,
            port,
            mut random,
            tasks,
            settings,
        } = start;
        let feeds = shared.store.groups().into_iter().map(|group| {
            // What it reads first may be older than what is there.
            let ago = [0, 0, 0, 1, 2][random.below(5) as usize];
            let head = shared.store.former_head(&group, ago);
            (group.clone(), Arc::new(Feed::new(group, head)))
        });
        let feeds = feeds.collect();
        let server_random = Random::seeded(random.next_u64());
        let way = Way {
            is_careless: Arc::clone(&shared.is_careless),
            host,
            random: Arc::new(Mutex::new(Random::seeded(random.next_u64()))),
            trace: shared.trace.clone(),
        };
        let plane = Arc::new(Plane {
            host,
            shared: shared.clone(),
            feeds,
            random: Mutex::new(random),
            is_alive: AtomicBool::new(true),
        });
        let server = DeliveryServer::new(
            Arc::clone(&plane),
            Arc::clone(&plane),
            settings,
            server_random,
            &tasks,
        );
        let arriving = ReceiverStream::new(port.listen());
        let serving = Tasks::new(format!("{host}/serving"));
        let service = Careless::new(server.service(), way);
        serving.spawn("server", move |stop| async move {
            // It ends with its program; nobody is there to be told.
            let _ = server.serve_through(service, arriving, stop).await;
        });
        let follower = Arc::clone(&plane);
        let changed = shared.store.watch();
        tasks.spawn("follower", move |stop| async move {
            follower.follow(changed, stop).await;
        });
        Self {
            plane,
            tasks,
            serving,
        }
    }

    /// Says that the views as they are now are meant.
    pub(crate) fn confirm_shrink(&self) {
        for feed in self.plane.feeds.values() {
            feed.confirm_shrink();
        }
    }

    /// The store's watch has lost its place: everything is listed again.
    pub(crate) fn start_over(&self) {
        for (group, feed) in &self.plane.feeds {
            // A replica that is behind lists what was.
            let ago = [0, 0, 0, 1, 2][self.plane.draw(5) as usize];
            feed.replace_head(self.plane.shared.store.former_head(group, ago));
        }
    }

    /// From now on, nothing of it matters to anybody.
    pub(crate) fn forget(self) -> [Tasks; 2] {
        self.plane.is_alive.store(false, Ordering::SeqCst);
        [self.tasks, self.serving]
    }

    /// What ends when its program is asked to, one after the other; what it owes is done by then.
    pub(crate) fn tasks(&self) -> [Tasks; 2] {
        [self.tasks.clone(), self.serving.clone()]
    }
}

impl Plane {
    async fn follow(&self, changed: Arc<Notify>, stop: Stop) {
        loop {
            self.catch_up();
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = changed.notified() => {}
            }
            let lag = if self.shared.is_late.load(Ordering::SeqCst) {
                self.draw(5_000)
            } else {
                self.draw(20)
            };
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = sleep(Duration::from_millis(lag)) => {}
            }
        }
    }

    fn catch_up(&self) {
        for (group, feed) in &self.feeds {
            for commit in self.shared.store.after(group, feed.head().revision) {
                // What does not come along is fetched.
                let content = if self.draw(4) == 0 {
                    Vec::new()
                } else {
                    commit.content
                };
                let publication = Publication {
                    revision: commit.revision,
                    view: commit.view,
                    cause: commit.cause,
                    content,
                };
                feed.publish(publication).expect("one follows the other");
            }
        }
    }

    fn draw(&self, below: u64) -> u64 {
        let mut random = self.random.lock().expect("nothing panics while it has it");
        random.below(below)
    }

    /// Notes what an instance did or said, if anybody is there to hear it.
    fn hear(&self, what: &'static str, peer: &Peer, detail: impl FnOnce(Host) -> String) {
        if !self.is_alive.load(Ordering::SeqCst) {
            return;
        }
        let instance = self.shared.invariants.host_of(peer.instance);
        let detail = detail(instance);
        let host = self.host;
        self.shared
            .trace
            .note(what, instance, format!("{host} {detail}"));
    }
}

impl server::Source for Plane {
    fn feed(&self, group: &Name) -> Option<Arc<Feed>> {
        self.feeds.get(group).cloned()
    }

    async fn blobs(&self, _group: &Name, digests: &[Digest]) -> Result<Vec<Bytes>, Unavailable> {
        // Its own for each question: those of one moment come in no order.
        let asked = digests.first().map_or(0, |digest| digest.as_bytes()[0]);
        sleep(Duration::from_micros(100 + u64::from(asked) * 10)).await;
        if self.shared.is_content_away.load(Ordering::SeqCst) {
            let reason = "the store is away".to_owned();
            return Err(Unavailable { reason });
        }
        Ok(self.shared.store.content(digests))
    }
}

impl Presence for Plane {
    fn connected(&self, peer: &Peer, hello: &Hello) {
        self.hear("hello", peer, |instance| {
            self.shared
                .invariants
                .told(instance, hello.effective, &hello.holds);
            let stands = |position: Option<ferryway_delivery::Position>| {
                position.map_or_else(|| "-".to_owned(), |it| it.revision.to_string())
            };
            format!(
                "desired {} effective {} held {}",
                stands(hello.desired),
                stands(hello.effective),
                hello.held
            )
        });
    }

    fn acked(&self, peer: &Peer, ack: &Ack) {
        self.hear("ack", peer, |instance| {
            if let AckStage::Durable = ack.stage {
                self.shared.invariants.durable(instance, ack);
            }
            let stage = match ack.stage {
                AckStage::Received => "received",
                AckStage::Applied { .. } => "applied",
                AckStage::Durable => "durable",
            };
            format!("{stage} {}", ack.transaction)
        });
    }

    fn rejected(&self, peer: &Peer, nack: &Nack) {
        self.hear("nack", peer, |instance| {
            self.shared.invariants.nacked(instance, &peer.group, nack);
            let faults = nack.faults.iter();
            let faults: Vec<_> = faults.map(|it| format!("{}:{}", it.key, it.code)).collect();
            format!("{} {}", nack.transaction, faults.join(" "))
        });
    }

    fn reported(&self, peer: &Peer, status: &Status) {
        self.hear("status", peer, |instance| {
            self.shared
                .invariants
                .told(instance, status.effective, &status.holds);
            let effective = status.effective.map(|it| it.revision.0);
            format!("effective {effective:?} held {}", status.held)
        });
    }

    fn disconnected(&self, peer: &Peer) {
        self.hear("gone", peer, |_| String::new());
    }
}
